# SPDX-License-Identifier: Apache-2.0
"""Findings: what the samples of units come to in each period, by how values become one over time and over members."""

from typing import Any

import numpy as np

from alarmd.evaluators.percentiles import Pools
from alarmd.evaluators.statistics import REDUCES, Floats, Index, Quantity
from alarmd.evaluators.sweep import Tables
from alarmd.model.rule import Measure, Percentile, Statistic

_Quantities = dict[Quantity, Floats]

_NEEDS: dict[Statistic, frozenset[Quantity]] = {
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


def needs(over_time: Measure, over_members: Measure | None) -> frozenset[Quantity]:
    """Return which quantities it takes, beside the count, to make one value a period of samples."""
    of_time = frozenset() if isinstance(over_time, Percentile) else _NEEDS[over_time]
    by_age = {Quantity.LAST_AGE} if over_members in {Statistic.FIRST, Statistic.LAST} else frozenset()
    return of_time | by_age


class Findings:
    """What U units come to in P periods: unit u has the members `starts[u]:starts[u + 1]` of the tables."""

    def __init__(self, tables: Tables, starts: Index) -> None:
        self._tables = tables
        self._starts = starts
        self._members = tables.quantities[Quantity.COUNT].shape[1]
        self._is_single = self._members == len(starts)
        self._pooled: _Quantities = {}
        self._pools: dict[bool, Pools] = {}
        self._values: dict[tuple[Measure, Measure | None], Floats] = {}

    @property
    def count(self) -> Floats:
        """How many samples, or differences, each unit has in each period, shape (P, U)."""
        return self._pool(Quantity.COUNT)

    @property
    def member_count(self) -> Floats:
        """How many samples, or differences, each member has in each period, shape (P, M)."""
        return self._tables.quantities[Quantity.COUNT]

    def reporting(self) -> Floats:
        """Return how many members each unit has values of in each period, shape (P, U)."""
        count: Floats = self._reduce(np.add, (self._tables.quantities[Quantity.COUNT] > 0).astype(np.float64))
        return count

    def values(self, over_time: Measure, over_members: Measure | None) -> Floats:
        """Return the value of each unit in each period, shape (P, U); NaN where there is none."""
        key = (over_time, over_members)
        values = self._values.get(key)
        if values is None:
            values = self._pooled_values(over_time) if over_members is None else self._across(over_time, over_members)
            self._values[key] = values
        return values

    def member_values(self, over_time: Measure) -> Floats:
        """Return the value of each member in each period, shape (P, M); NaN where there is none."""
        quantities = self._tables.quantities
        if isinstance(over_time, Percentile):
            return self._percentile(over_time, by_unit=False)
        return _measured(over_time, quantities)

    def _pooled_values(self, over_time: Measure) -> Floats:
        if isinstance(over_time, Percentile):
            return self._percentile(over_time, by_unit=True)
        return _measured(over_time, {one: self._pool(one) for one in _NEEDS[over_time] | {Quantity.COUNT}})

    def _across(self, over_time: Measure, over_members: Measure) -> Floats:
        """Return what the members' values come to."""
        values = self.member_values(over_time)
        is_there = ~np.isnan(values)
        count = self._reduce(np.add, is_there.astype(np.float64))
        if isinstance(over_members, Percentile):
            return self._percentile_across(values, over_members)
        quantities = {Quantity.COUNT: count}
        for one in _NEEDS[over_members] - {Quantity.SQUARES} | {Quantity.COUNT}:
            if one in REDUCES:
                ufunc, nothing = REDUCES[one]
                quantities[one] = self._reduce(ufunc, np.where(is_there, values, nothing))
        if over_members in {Statistic.FIRST, Statistic.LAST}:
            age = np.where(is_there, self._tables.quantities[Quantity.LAST_AGE], np.nan)
            is_last = over_members is Statistic.LAST
            quantities[Quantity.LAST if is_last else Quantity.FIRST] = self._by_age(values, age, is_last=is_last)
        if Quantity.SQUARES in _NEEDS[over_members]:
            mean = self._spread(quantities[Quantity.SUM] / np.maximum(count, 1))
            quantities[Quantity.SQUARES] = self._reduce(np.add, np.where(is_there, (values - mean) ** 2, 0.0))
        return _measured(over_members, quantities)

    def _percentile_across(self, values: Floats, measure: Percentile) -> Floats:
        is_there = ~np.isnan(values)
        sizes = self._reduce(np.add, is_there.astype(np.float64)).astype(np.intp)
        pools = Pools(sizes.ravel())
        period, member = np.nonzero(is_there)
        place = self._before(is_there.astype(np.intp))[period, member]
        pools.put(period * len(self._starts) + self._unit_of()[member], place, values[is_there])
        pools.sort()
        return pools.percentile(measure.percent).reshape(sizes.shape)

    def _percentile(self, measure: Percentile, *, by_unit: bool) -> Floats:
        """Return a percentile of the samples, of units or of members."""
        by_unit = by_unit and not self._is_single
        pools = self._pools.get(by_unit)
        count = self._tables.quantities[Quantity.COUNT].astype(np.intp)
        if pools is None:
            is_kept = np.zeros(self._members, np.bool_)
            for _, members in self._tables.kept:
                is_kept[members] = True
            count *= is_kept
            pools = self._pools[by_unit] = self._pool_samples(count, by_unit=by_unit)
        width = len(self._starts) if by_unit else self._members
        return pools.percentile(measure.percent).reshape(len(count), width)

    def _pool_samples(self, count: Index, *, by_unit: bool) -> Pools:
        before = self._before(count) if by_unit else np.zeros_like(count)
        owner_of = self._unit_of() if by_unit else np.arange(self._members)
        sizes = self._reduce(np.add, count) if by_unit else count
        pools = Pools(sizes.ravel())
        for columns, members in self._tables.kept:

            def put(period: int, series: Index, place: Index, values: Floats, members: Index = members) -> None:
                member = members[series]
                pools.put(period * sizes.shape[1] + owner_of[member], before[period, member] + place, values)

            columns.scatter(put)
        pools.sort()
        return pools

    def _pool(self, quantity: Quantity) -> Floats:
        """Return a quantity of units, whatever members the samples come from."""
        own = self._tables.quantities.get(quantity)
        if self._is_single and own is not None:
            return own
        pooled = self._pooled.get(quantity)
        if pooled is None:
            pooled = self._pooled[quantity] = self._pool_anew(quantity)
        return pooled

    def _pool_anew(self, quantity: Quantity) -> Any:
        quantities = self._tables.quantities
        if quantity is Quantity.SQUARES:
            count = quantities[Quantity.COUNT]
            mean = self._pool(Quantity.SUM) / np.maximum(self._pool(Quantity.COUNT), 1)
            apart = quantities[Quantity.SUM] / np.maximum(count, 1) - self._spread(mean)
            return self._reduce(np.add, quantities[Quantity.SQUARES] + count * apart**2)
        if quantity is Quantity.COUNT:
            return self._reduce(np.add, quantities[quantity])
        if quantity in REDUCES:
            # What members without samples come to changes nothing.
            return self._reduce(REDUCES[quantity][0], quantities[quantity])
        is_last = quantity in {Quantity.LAST, Quantity.LAST_AGE}
        age = quantities[Quantity.LAST_AGE if is_last else Quantity.FIRST_AGE]
        if quantity in {Quantity.LAST_AGE, Quantity.FIRST_AGE}:
            return self._reduce(np.fmin if is_last else np.fmax, age)
        return self._by_age(quantities[quantity], age, is_last=is_last)

    def _by_age(self, values: Floats, age: Floats, *, is_last: bool) -> Any:
        """Return the value of the least age, or of the greatest; of several with the same the greatest."""
        wanted = self._spread(self._reduce(np.fmin if is_last else np.fmax, age))
        return self._reduce(np.maximum, np.where(age == wanted, values, -np.inf))

    def _before(self, count: Index) -> Any:
        """Return how many the members before each one have in the same period and unit."""
        total = np.cumsum(count, axis=1) - count
        return total - self._spread(total[:, self._starts])

    def _unit_of(self) -> Any:
        return self._spread(np.arange(len(self._starts)))

    def _reduce(self, ufunc: np.ufunc, values: Any) -> Any:
        return values if self._is_single else ufunc.reduceat(values, self._starts, axis=-1)

    def _spread(self, values: Any) -> Any:
        if self._is_single:
            return values
        return np.repeat(values, np.diff(self._starts, append=self._members), axis=-1)


def _measured(measure: Statistic, quantities: _Quantities) -> Floats:
    """Return what quantities come to; NaN where there are no samples."""
    count = quantities[Quantity.COUNT]
    if measure is Statistic.COUNT:
        values = count
    elif measure is Statistic.AVG:
        values = quantities[Quantity.SUM] / np.maximum(count, 1)
    elif measure is Statistic.STDDEV:
        values = np.sqrt(quantities[Quantity.SQUARES] / np.maximum(count, 1))
    elif measure is Statistic.SAMPLE_STDDEV:
        values = np.where(count > 1, np.sqrt(quantities[Quantity.SQUARES] / np.maximum(count - 1, 1)), np.nan)
    elif measure is Statistic.RATE:
        values = quantities[Quantity.SUM] / quantities[Quantity.SPAN]
    else:
        values = quantities[Quantity[measure.name]]
    return values if count.all() else np.where(count > 0, values, np.nan)
