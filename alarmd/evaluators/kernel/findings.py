# SPDX-License-Identifier: Apache-2.0
"""Findings: what the samples of units come to in each period, by how values become one over time and over members."""

from typing import Any

import numpy as np

from alarmd.evaluators.kernel.across import Ranks, across
from alarmd.evaluators.kernel.measuring import NEEDS, measured
from alarmd.evaluators.kernel.percentiles import Pools
from alarmd.evaluators.kernel.statistics import REDUCES, Flags, Floats, Index, Quantity
from alarmd.evaluators.kernel.sweep import Tables
from alarmd.model.rule import Measure, Percentile


class Findings:
    """What U units come to in P periods: unit u has the members `starts[u]:starts[u + 1]` of the tables."""

    def __init__(self, tables: Tables, starts: Index) -> None:
        self._tables = tables
        self._ranks = Ranks(starts, tables.quantities[Quantity.COUNT].shape[1])
        #: What was computed before, of units and of members.
        self._quantities: dict[Quantity, Floats] = {}
        self._pools: dict[bool, Pools] = {}
        self._values: dict[tuple[Measure, bool], Floats] = {}
        self._reporting: Any = None

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
        if self._reporting is None:
            self._reporting = self._ranks.reduce(np.add, (self.member_count > 0).astype(np.float64))
        reporting: Floats = self._reporting
        return reporting

    def reporting_members(self, unit: int, period: int) -> Flags:
        """Return which members of a unit have values of a period."""
        return self.member_count[period, self._ranks.members_of(unit)] > 0

    def values(self, over_time: Measure, over_members: Measure | None, units: Index | slice, *, periods: int) -> Floats:
        """Return the value of some units, or all, in the newest periods; NaN where there is none."""
        if over_members is None:
            values = self._of(over_time, by_unit=True)[:periods]
            return values if isinstance(units, slice) else values.take(units, axis=1)
        ranks, values = self._ranks, self._of(over_time, by_unit=False)[:periods]
        ages = self._tables.quantities.get(Quantity.LAST_AGE)
        ages = None if ages is None else ages[:periods]
        if not isinstance(units, slice):
            # Few ask for the same, and it costs more than what is only pooled.
            ranks, members = self._ranks.some(units)
            values, ages = values.take(members, axis=1), None if ages is None else ages.take(members, axis=1)
        return across(values, ages, ranks, over_members)

    def _of(self, over_time: Measure, *, by_unit: bool) -> Floats:
        """Return the value of each unit, all its members' samples together, or else of each member."""
        key = (over_time, by_unit)
        values = self._values.get(key)
        if values is None:
            if isinstance(over_time, Percentile):
                values = self._percentile(over_time, by_unit=by_unit)
            elif by_unit:
                values = measured(over_time, {one: self._pool(one) for one in NEEDS[over_time] | {Quantity.COUNT}})
            else:
                values = measured(over_time, self._tables.quantities)
            self._values[key] = values
        return values

    def _percentile(self, measure: Percentile, *, by_unit: bool) -> Floats:
        """Return a percentile of the samples, of units or of members."""
        by_unit = by_unit and not self._ranks.is_single
        pools = self._pools.get(by_unit)
        count = self.member_count.astype(np.intp)
        if pools is None:
            is_kept = np.zeros(self._ranks.members, np.bool_)
            for _, members in self._tables.kept:
                is_kept[members] = True
            count *= is_kept
            pools = self._pools[by_unit] = self._pool_samples(count, by_unit=by_unit)
        return pools.percentile(measure.percent).reshape(len(count), -1)

    def _pool_samples(self, count: Index, *, by_unit: bool) -> Pools:
        ranks = self._ranks
        before = ranks.before(count) if by_unit else np.zeros_like(count)
        owner_of = ranks.unit_of() if by_unit else np.arange(ranks.members)
        sizes = ranks.reduce(np.add, count) if by_unit else count
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
        if self._ranks.is_single and own is not None:
            return own
        pooled = self._quantities.get(quantity)
        if pooled is None:
            pooled = self._quantities[quantity] = self._pool_anew(quantity)
        return pooled

    def _pool_anew(self, quantity: Quantity) -> Any:
        quantities, ranks = self._tables.quantities, self._ranks
        if quantity is Quantity.SQUARES:
            count = quantities[Quantity.COUNT]
            mean = self._pool(Quantity.SUM) / np.maximum(self._pool(Quantity.COUNT), 1)
            apart = quantities[Quantity.SUM] / np.maximum(count, 1) - ranks.spread(mean)
            return ranks.reduce(np.add, quantities[Quantity.SQUARES] + count * apart**2)
        if quantity is Quantity.COUNT:
            return ranks.reduce(np.add, quantities[quantity])
        if quantity in REDUCES:
            # What members without samples come to changes nothing.
            return ranks.reduce(REDUCES[quantity][0], quantities[quantity])
        is_last = quantity in {Quantity.LAST, Quantity.LAST_AGE}
        age = quantities[Quantity.LAST_AGE if is_last else Quantity.FIRST_AGE]
        if quantity in {Quantity.LAST_AGE, Quantity.FIRST_AGE}:
            return ranks.reduce(np.fmin if is_last else np.fmax, age)
        return ranks.by_age(quantities[quantity], age, is_last=is_last)
