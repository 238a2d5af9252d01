# SPDX-License-Identifier: Apache-2.0
"""How values of members, beside each other in ragged rows, become one a unit."""

from typing import Any

import numpy as np

from alarmd.evaluators.kernel.measuring import NEEDS, measured
from alarmd.evaluators.kernel.percentiles import Pools
from alarmd.evaluators.kernel.statistics import REDUCES, Floats, Index, Quantity
from alarmd.model.rule import Measure, Percentile, Statistic


class Ranks:
    """M members in U units: unit u has the members `starts[u]:starts[u + 1]`, and at least one."""

    def __init__(self, starts: Index, members: int) -> None:
        self.starts = starts
        self.members = members
        self.is_single = members == len(starts)

    def reduce(self, ufunc: np.ufunc, values: Any) -> Any:
        """Return what the values of members come to, a value a unit, along the last axis."""
        return values if self.is_single else ufunc.reduceat(values, self.starts, axis=-1)

    def spread(self, values: Any) -> Any:
        """Return a value a unit as a value a member, along the last axis."""
        if self.is_single:
            return values
        return np.repeat(values, np.diff(self.starts, append=self.members), axis=-1)

    def unit_of(self) -> Any:
        """Return the unit of each member."""
        return self.spread(np.arange(len(self.starts)))

    def members_of(self, unit: int) -> slice:
        """Return where the members of a unit are."""
        return slice(self.starts[unit], self.starts[unit + 1] if unit + 1 < len(self.starts) else self.members)

    def before(self, count: Index) -> Any:
        """Return how many the members before each one have in the same period and unit."""
        total = np.cumsum(count, axis=1) - count
        return total - self.spread(total[:, self.starts])

    def by_age(self, values: Floats, age: Floats, *, is_last: bool) -> Any:
        """Return the value of the least age, or of the greatest; of several with the same the greatest."""
        wanted = self.spread(self.reduce(np.fmin if is_last else np.fmax, age))
        return self.reduce(np.maximum, np.where(age == wanted, values, -np.inf))

    def some(self, units: Index) -> "tuple[Ranks, Index]":
        """Return the same for some of the units, and which members these have."""
        sizes = np.diff(self.starts, append=self.members)[units]
        starts = np.cumsum(sizes) - sizes
        total = int(sizes.sum())
        return Ranks(starts, total), np.repeat(self.starts[units] - starts, sizes) + np.arange(total)


def across(values: Floats, ages: Floats | None, ranks: Ranks, measure: Measure) -> Floats:
    """Return what the members' values come to in each period, (P, U) from (P, M); NaN stands for no value.

    `ages` of the newest samples are needed for the first and the last.
    """
    is_there = ~np.isnan(values)
    count: Floats = ranks.reduce(np.add, is_there.astype(np.float64))
    if isinstance(measure, Percentile):
        return _percentile(values, is_there, count.astype(np.intp), ranks, measure)
    quantities = {Quantity.COUNT: count}
    for quantity in NEEDS[measure] & (REDUCES.keys() - {Quantity.SQUARES}):
        ufunc, nothing = REDUCES[quantity]
        quantities[quantity] = ranks.reduce(ufunc, np.where(is_there, values, nothing))
    if measure in {Statistic.FIRST, Statistic.LAST} and ages is not None:
        is_last = measure is Statistic.LAST
        one = Quantity.LAST if is_last else Quantity.FIRST
        quantities[one] = ranks.by_age(values, np.where(is_there, ages, np.nan), is_last=is_last)
    if Quantity.SQUARES in NEEDS[measure]:
        mean = ranks.spread(quantities[Quantity.SUM] / np.maximum(count, 1))
        quantities[Quantity.SQUARES] = ranks.reduce(np.add, np.where(is_there, (values - mean) ** 2, 0.0))
    return measured(measure, quantities)


def _percentile(values: Floats, is_there: Any, sizes: Index, ranks: Ranks, measure: Percentile) -> Floats:
    pools = Pools(sizes.ravel())
    period, member = np.nonzero(is_there)
    place = ranks.before(is_there.astype(np.intp))[period, member]
    pools.put(period * len(ranks.starts) + ranks.unit_of()[member], place, values[is_there])
    pools.sort()
    return pools.percentile(measure.percent).reshape(sizes.shape)
