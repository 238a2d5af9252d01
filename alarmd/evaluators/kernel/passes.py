# SPDX-License-Identifier: Apache-2.0
"""Passes: what the units of a strip come to, found a stretch at a time.

The tables of a stretch hold several numbers of each member and period. Whoever reads the units is asked what it makes
of them while they are there; of all members together only that is kept, and how many samples each of them had.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from alarmd.cache.rings import Rings
from alarmd.evaluators.kernel.findings import Findings
from alarmd.evaluators.kernel.pass_time import PassTime, Times
from alarmd.evaluators.kernel.ranks import Ranks
from alarmd.evaluators.kernel.room import Room
from alarmd.evaluators.kernel.statistics import Flags, Floats, Index, Quantity
from alarmd.evaluators.kernel.sweep import Extent, Subjects, read

#: So many numbers a stretch has in its tables, more or less: little memory, and what it costs to begin one is little
#: against what it costs to read it.
_CELLS_AT_ONCE = 1 << 20


class Heard(NamedTuple):
    """When something was last heard of the members of units."""

    ranks: Ranks
    #: Of units and of members, ms since the epoch.
    watermark_ms: Times
    newest_ms: Times

    def members(self, units: Index | slice, *, since_ms: int) -> NDArray[np.intp]:
        """Return how many members some units have whose newest sample is at most so much older than the unit's."""
        ranks, newest_ms, watermark_ms = self.ranks, self.newest_ms, self.watermark_ms
        if not isinstance(units, slice):
            ranks, members = ranks.some(units)
            newest_ms, watermark_ms = newest_ms[members], watermark_ms[units]
        remembered: NDArray[np.intp] = ranks.reduce(
            np.add, (newest_ms >= ranks.spread(watermark_ms - since_ms)).astype(np.intp)
        )
        return remembered


class Counts:
    """How many samples, or differences, the members of units have in each period."""

    def __init__(self, ranks: Ranks, *, periods: int) -> None:
        self._ranks = ranks
        # There are very many, and they are small as a rule.
        self._held: NDArray[np.unsignedinteger] = np.zeros((periods, ranks.members), np.uint8)

    def put(self, start: int, counts: Floats) -> None:
        """Take over the counts of the members from one on."""
        kind = np.min_scalar_type(int(counts.max(initial=0)))
        if kind.itemsize > self._held.itemsize:
            self._held = self._held.astype(kind)
        self._held[:, start : start + counts.shape[1]] = counts

    def of_members(self, members: Index, *, periods: int) -> Floats:
        """Return the counts of some members in the newest periods."""
        return self._held[:periods, members].astype(np.float64)

    def of_units(self, units: Index, *, periods: int) -> Floats:
        """Return how many some units have, all their members together, in the newest periods."""
        ranks, members = self._ranks.some(units)
        counts: Floats = ranks.reduce(np.add, self.of_members(members, periods=periods))
        return counts

    def reporting(self, units: Index, *, periods: int) -> Floats:
        """Return how many members of some units have any in each of the newest periods."""
        ranks, members = self._ranks.some(units)
        counts: Floats = ranks.reduce(np.add, (self._held[:periods, members] > 0).astype(np.float64))
        return counts

    def reporting_members(self, unit: int, period: int) -> Flags:
        """Return which members of a unit have any in a period."""
        reports: Flags = self._held[period, self._ranks.members_of(unit)] > 0
        return reports


class Looked(NamedTuple):
    """What a reader has found of its units in a pass, in the order of their ranks there."""

    #: None: all units of the pass.
    ranks: Index | None
    values: Floats
    #: Which values do not count, by why.
    why: dict[str, Flags]

    def some(self, units: Index) -> tuple[Floats, dict[str, Flags]]:
        """Return the values of some units, by their ranks in the pass, and which do not count."""
        rows = units if self.ranks is None else np.searchsorted(self.ranks, units)
        return self.values.take(rows, axis=1), {reason: is_so.take(rows, axis=1) for reason, is_so in self.why.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stretch:
    """Some of the units of a pass, while what was read of them is there."""

    findings: Findings
    heard: Heard


class Looker(Protocol):
    """What makes values of what was read."""

    def found(self, one: Stretch, index: Index | slice, pass_time: PassTime) -> tuple[Floats, dict[str, Flags]]:
        """Return the values of some units of a stretch in each period, and which do not count. Changes nothing."""


class View(NamedTuple):
    """A reader, and the positions in the strip of the units that it reads, ascending; None: of all."""

    reader: Looker
    positions: Index | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pass:
    """What some units of a strip, or all, were found to come to."""

    #: Which, as flags and as their place among those that were looked at; None: all of them.
    is_chosen: Flags | None
    rank: Index | None
    heard: Heard
    shift: Times
    counts: Counts
    #: By reader.
    looked: dict[Looker, Looked]

    def where(self, positions: Index) -> tuple[Index, Flags]:
        """Return where units of the strip are in what was found, and which of them are there at all."""
        if self.is_chosen is None or self.rank is None:
            return positions, np.ones(len(positions), np.bool_)
        return self.rank[positions], self.is_chosen[positions]

    def ranks_of(self, view: View) -> Index | None:
        """Return which of the units that were looked at somebody reads; None: all of them."""
        if self.is_chosen is None or self.rank is None:
            return view.positions
        if view.positions is None:
            return None
        return self.rank[view.positions[self.is_chosen[view.positions]]]


def look(
    one: Pass,
    subjects: Subjects,
    rings: Rings,
    *,
    extent: Extent,
    wanted: frozenset[Quantity],
    views: Sequence[View],
    pass_time: PassTime,
) -> None:
    """Read the subjects, which are the members of the units of a pass, and have all views look at them."""
    ranks_of = {view.reader: one.ranks_of(view) for view in views}
    pieces: dict[Looker, list[tuple[Floats, dict[str, Flags]]]] = {view.reader: [] for view in views}
    room = Room()
    at_once = max(_CELLS_AT_ONCE // ((len(wanted) + 1) * extent.periods), 1)
    for units, members in _stretches(one.heard.ranks, at_once):
        tables = read(rings, subjects.some(members), extent, wanted, room)
        ranks = one.heard.ranks.run(units, members)
        stretch = Stretch(
            findings=Findings(tables, ranks.starts),
            heard=Heard(ranks, one.heard.watermark_ms[units], one.heard.newest_ms[members]),
        )
        one.counts.put(members.start, stretch.findings.member_count)
        for reader, known in ranks_of.items():
            index = _index(known, units)
            if isinstance(index, slice) or len(index):
                values, why = reader.found(stretch, index, pass_time)
                # What is a part of the tables would be overwritten by those of the next stretch.
                pieces[reader].append((values if values.base is None else values.copy(), why))
    for reader, found in pieces.items():
        if found:
            one.looked[reader] = _joined(ranks_of[reader], found)


def _stretches(ranks: Ranks, at_once: int) -> Iterator[tuple[slice, slice]]:
    """Yield runs of units and of their members, so many members in each where no unit has more."""
    starts = np.append(ranks.starts, ranks.members)
    unit, units = 0, len(ranks.starts)
    while unit < units:
        end = max(int(np.searchsorted(starts, starts[unit] + at_once, side="right")) - 1, unit + 1)
        yield slice(unit, end), slice(int(starts[unit]), int(starts[end]))
        unit = end


def _index(known: Index | None, units: slice) -> Index | slice:
    """Return which units of a run are known, counted from its begin."""
    if known is None:
        return slice(None)
    first, last = np.searchsorted(known, (units.start, units.stop)).tolist()
    index: Index = known[first:last] - units.start
    return index


def _joined(ranks: Index | None, pieces: Sequence[tuple[Floats, dict[str, Flags]]]) -> Looked:
    if len(pieces) == 1:
        return Looked(ranks, *pieces[0])
    reasons = pieces[0][1]
    return Looked(
        ranks,
        np.concatenate([values for values, _ in pieces], axis=1),
        {reason: np.concatenate([why[reason] for _, why in pieces], axis=1) for reason in reasons},
    )
