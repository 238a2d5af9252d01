# SPDX-License-Identifier: Apache-2.0
"""The sweep: reads the samples of many series in the order of memory, and makes quantities of them."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alarmd.cache.rings import Numbers, Rings
from alarmd.evaluators.kernel.statistics import Columns, Flags, Floats, Index, Quantity
from alarmd.model.rule import Differences

#: Samples looked at at once; keeps the intermediate arrays inside the processor's caches.
_SAMPLES_AT_ONCE = 1 << 18
#: How many samples back the first look goes.
_FIRST_REACH = 8
#: Ages are cut here, behind all periods that there can be.
_OLDEST_MS = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Which periods are read, and of what: the samples, or what changes from one to the next."""

    length_ms: int
    periods: int
    differences: Differences = Differences.NONE
    #: Whether the time that differences span is asked for, so that deltas without a sample before do not count.
    needs_span: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subjects:
    """The M series that are read, and how."""

    series: Numbers
    #: Their order in memory; None when they are in it.
    order: Index | None = None
    #: Where their newest period ends, ms since the epoch.
    end_ms: NDArray[np.int64]
    #: Samples that are newer than this do not count; ms since the epoch.
    now_ms: int | None = None
    #: Which of them hold deltas, and which counters; asked for only where differences are.
    is_delta: Flags | None = None
    is_counter: Flags | None = None
    #: Of which of them the samples themselves are wanted.
    is_kept: Flags | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Tables:
    """What the samples of M series come to in P periods."""

    #: Shape (P, M); of no meaning where the count is 0, but for sums.
    quantities: dict[Quantity, Floats]
    #: The samples of those of which they were wanted, and which these are.
    kept: list[tuple[Columns, Index]] = field(default_factory=list)


class Sweep:
    """Reads one extent, remembering how far back the samples reach."""

    def __init__(self, extent: Extent) -> None:
        #: May be changed between passes.
        self.extent = extent
        #: Samples read a series, by bank: what the densest series of the last pass needed, and a little more.
        self._reach: dict[int, int] = {}

    def read(self, rings: Rings, subjects: Subjects, wanted: frozenset[Quantity]) -> Tables:
        """Return quantities of all subjects, and the samples of those that are kept."""
        shape = (self.extent.periods, len(subjects.series))
        tables = Tables(quantities={one: np.empty(shape) for one in wanted | {Quantity.COUNT}})
        banks, _ = rings.whereabouts(subjects.series)
        order = np.arange(len(banks)) if subjects.order is None else subjects.order
        banks = banks if subjects.order is None else banks[order]
        ends = np.flatnonzero(np.diff(banks, append=-1)) + 1
        start = 0
        for end in ends.tolist():
            self._read_bank(rings, int(banks[start]), (order, start, end), subjects, tables)
            start = end
        if subjects.order is not None:
            place = np.empty_like(order)
            place[order] = np.arange(len(order))
            for quantity, array in tables.quantities.items():
                tables.quantities[quantity] = array.take(place, axis=1)
        return tables

    def _read_bank(
        self, rings: Rings, bank: int, run: tuple[Index, int, int], subjects: Subjects, tables: Tables
    ) -> None:
        """Fill the tables, in the order of memory, from one place to another."""
        reach, capacity = self._reach.get(bank, _FIRST_REACH), rings.capacity_of(bank)
        order, at, end = run
        densest = 0
        while at < end:
            members = order[at : min(at + max(_SAMPLES_AT_ONCE // reach, 1), end)]
            columns = self._columns(rings, bank, members, subjects, reach)
            needed = int(columns.bounds[-1].max())
            if needed == min(reach, capacity) < capacity:
                reach = min(reach + max(reach // 4, _FIRST_REACH), capacity)
                continue
            densest = max(densest, needed)
            if self.extent.differences is not Differences.NONE:
                columns = self._differences(columns, members, subjects)
            columns.fill(tables.quantities, slice(at, at + len(members)))
            if subjects.is_kept is not None and (is_kept := subjects.is_kept[members]).any():
                tables.kept.append((columns.narrowed(is_kept), members[is_kept]))
            at += len(members)
        # One more tells that none is behind, and another is left for unrest.
        self._reach[bank] = densest + 2

    @staticmethod
    def order(rings: Rings, series: Numbers) -> Index | None:
        """Return the order in which series lie in memory; None when that is their own."""
        banks, rows = rings.whereabouts(series)
        place = banks * np.int64(2**32) + rows
        return None if (place[1:] > place[:-1]).all() else np.argsort(place, kind="stable")

    def _columns(self, rings: Rings, bank: int, members: Index, subjects: Subjects, reach: int) -> Columns:
        series = subjects.series[members]
        ages, values = rings.tail(bank, series, reach)
        newest_ms = rings.newest_ms[series]
        skipped: Index | None = None
        if subjects.now_ms is not None and (newest_ms > subjects.now_ms).any():
            too_new = ages < np.maximum(newest_ms - subjects.now_ms, 0)
            skipped = too_new.sum(axis=0)
        lag_ms = np.clip(subjects.end_ms[members] - newest_ms, -_OLDEST_MS, _OLDEST_MS)
        # What would be negative wraps around, and lies behind all periods; but it is skipped anyway.
        ages += lag_ms.astype(np.uint32)
        if skipped is not None:
            ages[too_new] = 2**32 - 1
        return Columns.of(values, ages, length_ms=self.extent.length_ms, periods=self.extent.periods, skipped=skipped)

    def _differences(self, columns: Columns, members: Index, subjects: Subjects) -> Columns:
        is_reset_safe = self.extent.differences is Differences.RESET_SAFE
        nothing = np.zeros(len(members), np.bool_)
        is_delta = subjects.is_delta[members] if is_reset_safe and subjects.is_delta is not None else nothing
        changes = columns.differences(is_delta=is_delta, needs_span=self.extent.needs_span)
        if is_reset_safe and subjects.is_counter is not None:
            changes.restart_at_zero(subjects.is_counter[members], columns.values)
        return changes
