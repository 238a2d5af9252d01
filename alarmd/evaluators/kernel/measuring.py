# SPDX-License-Identifier: Apache-2.0
"""Which quantities measures are made of, and how."""

from typing import NamedTuple

import numpy as np

from alarmd.evaluators.kernel.statistics import Floats, Quantity
from alarmd.model.rule import Measure, Percentile, Statistic

#: Beside the count.
NEEDS: dict[Statistic, frozenset[Quantity]] = {
    Statistic.AVG: frozenset({Quantity.SUM}),
    Statistic.SUM: frozenset({Quantity.SUM}),
    Statistic.MIN: frozenset({Quantity.MIN}),
    Statistic.MAX: frozenset({Quantity.MAX}),
    Statistic.COUNT: frozenset(),
    Statistic.FIRST: frozenset({Quantity.FIRST, Quantity.FIRST_AGE}),
    Statistic.LAST: frozenset({Quantity.LAST, Quantity.LAST_AGE}),
    Statistic.STDDEV: frozenset({Quantity.SUM, Quantity.SQUARES}),
    Statistic.SAMPLE_STDDEV: frozenset({Quantity.SUM, Quantity.SQUARES}),
    Statistic.RATE: frozenset({Quantity.SUM, Quantity.SPAN}),
}


class Formula(NamedTuple):
    """How a value is made of quantities."""

    of: Quantity
    #: By which it is divided, after `less` has been taken from that; so few samples are too few.
    by: Quantity | None = None
    less: int = 0
    is_root: bool = False


FORMULAS: dict[Statistic, Formula] = {
    Statistic.AVG: Formula(Quantity.SUM, Quantity.COUNT),
    Statistic.SUM: Formula(Quantity.SUM),
    Statistic.MIN: Formula(Quantity.MIN),
    Statistic.MAX: Formula(Quantity.MAX),
    Statistic.COUNT: Formula(Quantity.COUNT),
    Statistic.FIRST: Formula(Quantity.FIRST),
    Statistic.LAST: Formula(Quantity.LAST),
    Statistic.STDDEV: Formula(Quantity.SQUARES, Quantity.COUNT, is_root=True),
    Statistic.SAMPLE_STDDEV: Formula(Quantity.SQUARES, Quantity.COUNT, less=1, is_root=True),
    Statistic.RATE: Formula(Quantity.SUM, Quantity.SPAN),
}


def needs(over_time: Measure, over_members: Measure | None) -> frozenset[Quantity]:
    """Return which quantities it takes, beside the count, to make one value a period of samples."""
    of_time = frozenset() if isinstance(over_time, Percentile) else NEEDS[over_time]
    if over_members is not None:
        # Which member has the newest or oldest sample is asked only where all samples are taken together.
        of_time -= {Quantity.FIRST_AGE, Quantity.LAST_AGE}
    by_age = {Quantity.LAST_AGE} if over_members in {Statistic.FIRST, Statistic.LAST} else frozenset()
    return of_time | by_age


def measured(measure: Statistic, quantities: dict[Quantity, Floats]) -> Floats:
    """Return what quantities come to; NaN where there are no samples, or too few."""
    formula, count = FORMULAS[measure], quantities[Quantity.COUNT]
    values = quantities[formula.of]
    if formula.by is not None:
        values = values / (quantities[formula.by] - formula.less if formula.less else quantities[formula.by])
    if formula.is_root:
        values = np.sqrt(values)
    is_told = count > formula.less
    return values if is_told.all() else np.where(is_told, values, np.nan)
