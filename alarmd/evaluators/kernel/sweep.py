# SPDX-License-Identifier: Apache-2.0
"""The sweep: reads the samples of many series in the order of memory, and makes quantities of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alarmd.cache.rings import Numbers, Rings
from alarmd.evaluators.kernel import walk
from alarmd.evaluators.kernel.room import Room
from alarmd.evaluators.kernel.statistics import Flags, Floats, Index, Quantity
from alarmd.model.rule import Differences


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
    #: Whether their own order has nothing to do with that.
    is_scattered: bool = False
    #: Where their newest period ends, ms since the epoch.
    end_ms: NDArray[np.int64]
    #: Samples that are newer than this do not count; ms since the epoch.
    now_ms: int | None = None
    #: Which of them hold deltas, and which counters; asked for only where differences are.
    is_delta: Flags | None = None
    is_counter: Flags | None = None
    #: Of which of them the samples themselves are wanted.
    is_kept: Flags | None = None

    def some(self, members: slice) -> "Subjects":
        """Return some of them in a row."""
        if members == slice(0, len(self.series)):
            return self
        order = self.order
        if order is not None:
            order = order[(order >= members.start) & (order < members.stop)] - members.start
        return replace(
            self,
            series=self.series[members],
            order=order,
            end_ms=self.end_ms[members],
            is_delta=None if self.is_delta is None else self.is_delta[members],
            is_counter=None if self.is_counter is None else self.is_counter[members],
            is_kept=None if self.is_kept is None else self.is_kept[members],
        )


class Kept(NamedTuple):
    """The samples, or differences, of some members: those of member `members[n]` begin at `starts[n]`, newest first."""

    members: Index
    starts: Index
    samples: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tables:
    """What the samples of M series come to in P periods."""

    names: Sequence[Quantity]
    #: By quantity, in the order of their names, period and member; of no meaning where the count is 0, but for sums.
    cells: Floats
    #: The samples of those of which they were wanted.
    kept: Kept | None

    def quantities(self) -> dict[Quantity, Floats]:
        """Return the quantities, each of shape (P, M)."""
        return dict(zip(self.names, self.cells, strict=True))


def order_of(rings: Rings, series: Numbers) -> Index | None:
    """Return the order in which series lie in memory; None when that is their own."""
    place = _places(rings, series)
    return None if (place[1:] > place[:-1]).all() else np.argsort(place, kind="stable")


def order_with(rings: Rings, series: Numbers, order: Index | None, *, known: int) -> Index:
    """Return the order in which series lie in memory, when that of the first `known` ones is known."""
    place = _places(rings, series)
    order = np.arange(known) if order is None else order
    more = known + np.argsort(place[known:], kind="stable")
    return np.insert(order, np.searchsorted(place[order], place[more], side="right"), more)


def _places(rings: Rings, series: Numbers) -> NDArray[np.int64]:
    banks, rows = rings.whereabouts(series)
    return banks * np.int64(2**32) + rows


def read(
    rings: Rings, subjects: Subjects, extent: Extent, wanted: frozenset[Quantity], room: Room | None = None
) -> Tables:
    """Return quantities of all subjects, and the samples of those that are kept.

    With a room, what is returned is good until that is used again.
    """
    shape = (extent.periods, len(subjects.series))
    names = [Quantity.COUNT, *(wanted - {Quantity.COUNT})]
    if not subjects.is_scattered:
        cells = np.empty((len(names), *shape))
    else:
        # They are written in the order of memory, here and there, but read in their own.
        cells = (room or Room()).table(shape[1], len(names), shape[0]).transpose(1, 2, 0)
    banks, rows = rings.whereabouts(subjects.series)
    newest_ms = rings.newest_ms[subjects.series]
    order = np.arange(len(banks)) if subjects.order is None else subjects.order
    for bank, members in _runs(banks, order):
        walk.reduce(rings.lanes(bank), rows, newest_ms, subjects, extent, members, names, cells)
    kept = None
    if subjects.is_kept is not None and subjects.is_kept.any():
        kept = Kept(order[subjects.is_kept[order]], np.zeros(0, np.intp), np.zeros(0))
        sizes = cells[0][:, kept.members].sum(axis=0).astype(np.intp)
        kept = kept._replace(starts=np.append(0, np.cumsum(sizes)), samples=np.empty(int(sizes.sum())))
        at = 0
        for bank, members in _runs(banks, kept.members):
            starts = kept.starts[at : at + len(members) + 1]
            walk.collect(rings.lanes(bank), rows, newest_ms, subjects, extent, members, starts, kept.samples)
            at += len(members)
    return Tables(names=names, cells=cells, kept=kept)


def _runs(banks: NDArray[np.int8], order: Index) -> Iterator[tuple[int, Index]]:
    """Yield the banks that members lie in, and which lie there."""
    ordered = banks[order]
    start = 0
    for end in (np.flatnonzero(np.diff(ordered, append=-2)) + 1).tolist():
        yield int(ordered[start]), order[start:end]
        start = end
