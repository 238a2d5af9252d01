# SPDX-License-Identifier: Apache-2.0
"""How rules write what values become: a statistic by its name, a percentile as ``p95`` or ``p99.9``."""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from alarmd.model.rule import Measure, Percentile, Statistic

#: What can be made of several values, whether they stand beside or after each other.
_PLAIN = ("avg", "min", "max", "sum", "count", "last", "stddev")
#: What can be made of the differences between the samples of a series: their sum a second, and their sum.
CHANGES = ("rate", "delta")
_PERCENTILE = r"p(100|[0-9]{1,2}(\.[0-9]{1,6})?)"


def is_percentile(name: str) -> bool:
    """Return whether a name is that of a percentile, as ``p99.9`` is."""
    return re.fullmatch(_PERCENTILE, name) is not None


def measure_of(name: str) -> Measure:
    """Return the measure that a name means, if it is none of `CHANGES`."""
    return Percentile(float(name.removeprefix("p"))) if is_percentile(name) else Statistic(name)


def _one_of(names: tuple[str, ...]) -> Callable[[str], str]:
    known = ", ".join(f"'{name}'" for name in names)

    def check(value: str) -> str:
        if value not in names and not is_percentile(value):
            raise PydanticCustomError(
                "measure",
                "Value should be one of: {known}, or a percentile from 'p0' to 'p100', e.g. 'p99.9'",
                {"known": known},
            )
        return value

    return check


def _described(names: tuple[str, ...]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^({'|'.join(names)}|{_PERCENTILE})$"})


#: What the values of a period become.
OverTime = Annotated[str, AfterValidator(_one_of(_PLAIN + CHANGES)), _described(_PLAIN + CHANGES)]
#: What the values of several members become.
OverMembers = Annotated[str, AfterValidator(_one_of(_PLAIN)), _described(_PLAIN)]
