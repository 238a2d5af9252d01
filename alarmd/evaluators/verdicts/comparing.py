# SPDX-License-Identifier: Apache-2.0
"""What comparisons do to values, one by one or as arrays, and how people write them."""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from alarmd.model.rule import Comparison

COMPARE: Final[Mapping[Comparison, Callable[[Any, Any], Any]]] = {
    Comparison.LT: operator.lt,
    Comparison.LE: operator.le,
    Comparison.EQ: operator.eq,
    Comparison.NE: operator.ne,
    Comparison.GE: operator.ge,
    Comparison.GT: operator.gt,
}
SIGNS: Final[Mapping[Comparison, str]] = {
    Comparison.LT: "<",
    Comparison.LE: "<=",
    Comparison.EQ: "==",
    Comparison.NE: "!=",
    Comparison.GE: ">=",
    Comparison.GT: ">",
}

#: The comparison that is true where one is not.
OPPOSITE: Mapping[Comparison, Comparison] = {
    Comparison.LT: Comparison.GE,
    Comparison.LE: Comparison.GT,
    Comparison.EQ: Comparison.NE,
    Comparison.NE: Comparison.EQ,
    Comparison.GE: Comparison.LT,
    Comparison.GT: Comparison.LE,
}


def condition_in_words(comparison: Comparison, bound: float) -> str:
    """Return what a value is held against, e.g. ``> 80``."""
    return f"{SIGNS[comparison]} {bound!r}".removesuffix(".0")
