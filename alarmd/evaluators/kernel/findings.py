# SPDX-License-Identifier: Apache-2.0
"""Findings: what the samples of units come to in each period, by how values become one over time and over members."""

from collections.abc import Sequence

import numpy as np

from alarmd.evaluators.kernel import pooling
from alarmd.evaluators.kernel.measuring import FORMULAS, NEEDS, Formula, measured
from alarmd.evaluators.kernel.percentiles import Pools
from alarmd.evaluators.kernel.ranks import Ranks
from alarmd.evaluators.kernel.statistics import Floats, Index, Quantity
from alarmd.evaluators.kernel.sweep import Tables
from alarmd.model.rule import Measure, Percentile, Statistic

_AGES = frozenset({Quantity.FIRST_AGE, Quantity.LAST_AGE})


class Findings:
    """What U units come to in P periods: unit u has the members `starts[u]:starts[u + 1]` of the tables."""

    def __init__(self, tables: Tables, starts: Index) -> None:
        self._tables = tables
        self._of_members = tables.quantities()
        self.member_count = self._of_members[Quantity.COUNT]
        self._starts = starts
        self._ranks = Ranks(starts, tables.cells.shape[2])
        #: What was computed before, of units and of members.
        self._pooled: dict[Quantity, Floats] | None = None
        self._pools: dict[bool, Pools] = {}
        self._values: dict[Measure, Floats] = {}

    @property
    def count(self) -> Floats:
        """How many samples, or differences, each unit has in each period, shape (P, U)."""
        return self._quantities()[Quantity.COUNT]

    def reporting(self, units: Index | slice, *, periods: int) -> Floats:
        """Return how many members some units have values of in each of the newest periods."""
        return self._across(Statistic.COUNT, [Quantity.COUNT], units, periods=periods)[Quantity.COUNT]

    def values(self, over_time: Measure, over_members: Measure | None, units: Index | slice, *, periods: int) -> Floats:
        """Return the value of some units, or all, in the newest periods; NaN where there is none."""
        if over_members is None:
            values = self._of(over_time)[:periods]
            return values if isinstance(units, slice) else values.take(units, axis=1)
        if isinstance(over_members, Percentile):
            cells, names, formula = self._members(over_time)
            chosen = self._chosen(units)
            result = np.empty((periods, len(chosen)))
            pooling.percentile(cells, names, formula, self._starts, chosen, over_members.percent, result)
            return result
        wanted = [Quantity.COUNT, *(NEEDS[over_members] - _AGES)]
        return measured(over_members, self._across(over_time, wanted, units, periods=periods))

    def _chosen(self, units: Index | slice) -> Index:
        return np.arange(len(self._starts)) if isinstance(units, slice) else units

    def _members(self, over_time: Measure) -> tuple[Floats, Sequence[Quantity], Formula | None]:
        """Return of what, and how, the value of a member is made."""
        if isinstance(over_time, Percentile):
            return self._percentile(over_time, by_unit=False)[None], [], None
        return self._tables.cells, self._tables.names, FORMULAS[over_time]

    def _across(
        self, over_time: Measure, wanted: Sequence[Quantity], units: Index | slice, *, periods: int
    ) -> dict[Quantity, Floats]:
        """Return what the members of some units come to, each with one value a period."""
        cells, names, formula = self._members(over_time)
        ages = self._of_members.get(Quantity.LAST_AGE, cells[0])
        chosen = self._chosen(units)
        result = np.empty((len(wanted), periods, len(chosen)))
        pooling.across(cells, names, formula, ages, self._starts, chosen, wanted, result)
        return dict(zip(wanted, result, strict=True))

    def _of(self, over_time: Measure) -> Floats:
        """Return the value of each unit, all its members' samples together."""
        values = self._values.get(over_time)
        if values is None:
            if isinstance(over_time, Percentile):
                values = self._percentile(over_time, by_unit=True)
            else:
                values = measured(over_time, self._quantities())
            self._values[over_time] = values
        return values

    def _quantities(self) -> dict[Quantity, Floats]:
        """Return the quantities of units, whatever members the samples come from."""
        if self._pooled is None:
            self._pooled = self._of_members
            if not self._ranks.is_single:
                names, cells = self._tables.names, self._tables.cells
                pooled = np.empty((*cells.shape[:2], len(self._starts)))
                pooling.pool(cells, names, self._starts, pooled)
                self._pooled = dict(zip(names, pooled, strict=True))
        return self._pooled

    def _percentile(self, measure: Percentile, *, by_unit: bool) -> Floats:
        """Return a percentile of the samples, of units or of members."""
        by_unit = by_unit and not self._ranks.is_single
        pools = self._pools.get(by_unit)
        if pools is None:
            pools = self._pools[by_unit] = self._pool_samples(by_unit=by_unit)
        return pools.percentile(measure.percent).reshape(len(self.member_count), -1)

    def _pool_samples(self, *, by_unit: bool) -> Pools:
        ranks, kept = self._ranks, self._tables.kept
        count = np.zeros(self.member_count.shape, np.intp)
        if kept is None:
            return Pools((ranks.reduce(np.add, count) if by_unit else count).ravel())
        count[:, kept.members] = self.member_count[:, kept.members]
        before = ranks.before(count) if by_unit else np.zeros_like(count)
        owner_of = ranks.unit_of() if by_unit else np.arange(ranks.members)
        sizes = ranks.reduce(np.add, count) if by_unit else count
        pools = Pools(sizes.ravel())
        pool = np.arange(len(sizes))[:, None] * (sizes.size // len(sizes)) + owner_of[kept.members]
        # Member by member, and of each one period after the other: as its samples lie.
        runs = count[:, kept.members].T.ravel()
        start = np.cumsum(runs) - runs - before[:, kept.members].T.ravel()
        place = np.arange(len(kept.samples)) - np.repeat(start, runs)
        pools.put(np.repeat(pool.T.ravel(), runs), place, kept.samples)
        pools.sort()
        return pools
