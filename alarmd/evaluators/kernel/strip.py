# SPDX-License-Identifier: Apache-2.0
"""Strips: units that are read over the same number of periods, as arrays, and which of them have news."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from alarmd.cache.rings import Numbers, Rings
from alarmd.evaluators.kernel.pass_time import PassTime, Times
from alarmd.evaluators.kernel.passes import Counts, Heard, Pass, View, look
from alarmd.evaluators.kernel.ranks import Ranks
from alarmd.evaluators.kernel.statistics import Flags, Index, Quantity
from alarmd.evaluators.kernel.sweep import Extent, Subjects, order_of, order_with
from alarmd.model.samples import Kind

#: So many units may come and go before the others are put in order.
_MESS = 256


class Strip:
    """U units: unit u has the members `series[starts[u]:starts[u + 1]]`, and is known as `slots[u]`."""

    def __init__(self, extent: Extent, kind_of: Callable[[int], Kind] | None) -> None:
        self._extent = extent
        self._kind_of = kind_of
        self.slots: Index = np.zeros(0, np.intp)
        self._series: Numbers = np.zeros(0, np.int32)
        self._starts: Index = np.zeros(0, np.intp)
        self._kinds: NDArray[np.int8] = np.zeros(0, np.int8)
        #: Whether the samples themselves are wanted, by unit.
        self._keeps: Flags = np.zeros(0, np.bool_)
        #: Whether a unit must be looked at whether it has news or not.
        self._is_due: Flags = np.zeros(0, np.bool_)
        self._shift: Times = np.zeros(0, np.int64)
        #: As of the last look.
        self.watermark_ms: Times = np.zeros(0, np.int64)
        self._looked_ms: tuple[int, int] | None = None
        #: The order of the members in memory, and of which layout this is.
        self._order: Index | None = None
        self._layout = -1
        self._ordered = 0
        #: How many have been taken out, and put at the end, since they were in order.
        self._dropped = self._added = 0
        #: What has to be computed for those who read it.
        self.wanted: frozenset[Quantity] = frozenset()

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def members(self) -> int:
        """How many series are read, those of units that have been taken out included."""
        return len(self._series)

    def drop(self, position: int) -> None:
        """Take a unit out. It stays where it is, known as -1, until the strip is tidied."""
        self.slots[position] = -1
        self._dropped += 1

    def expect(self, position: int) -> None:
        """Look at a unit next time whether it has news or not."""
        self._is_due[position] = True

    def keeps(self, position: int) -> bool:
        """Whether the samples of a unit themselves are wanted."""
        return bool(self._keeps[position])

    @property
    def is_untidy(self) -> bool:
        """Whether so many units have come or gone that it is worth putting the others in order."""
        return self._dropped + self._added > max(_MESS, len(self) // 8) or self._dropped == len(self)

    def tidy(self) -> None:
        """Close the gaps, and sort units by their first series: as they lie in memory, more or less."""
        chosen = np.flatnonzero(self.slots >= 0)
        chosen = chosen[np.argsort(self._series[self._starts[chosen]], kind="stable")]
        ranks, members = Ranks(self._starts, len(self._series)).some(chosen)
        self._series, self._kinds, self._starts = self._series[members], self._kinds[members], ranks.starts
        self.slots, self._keeps = self.slots[chosen], self._keeps[chosen]
        self._is_due, self._shift = self._is_due[chosen], self._shift[chosen]
        self._dropped, self._added, self._layout = 0, 0, -1

    def add(self, slots: Sequence[int], members: Sequence[Sequence[int]], keeps: Sequence[bool]) -> None:
        """Put units at the end; they are due."""
        self._added += len(slots)
        sizes = np.array([len(one) for one in members], np.intp)
        series = np.array([number for one in members for number in one], np.int32)
        self._starts = np.append(self._starts, len(self._series) + np.cumsum(sizes) - sizes)
        self._series = np.append(self._series, series)
        kinds = [] if self._kind_of is None else [_KINDS[self._kind_of(number)] for number in series.tolist()]
        self._kinds = np.append(self._kinds, np.array(kinds, np.int8) if kinds else np.zeros(len(series), np.int8))
        self.slots = np.append(self.slots, np.array(slots, np.intp))
        self._keeps = np.append(self._keeps, np.array(keeps, np.bool_))
        self._is_due = np.append(self._is_due, np.ones(len(slots), np.bool_))
        self._shift = np.append(self._shift, np.zeros(len(slots), np.int64))

    def look(self, rings: Rings, pass_time: PassTime, views: Sequence[View], *, since_turn: int) -> Pass | None:
        """Read the units that have news since a turn, or that time has made other of; None when there are none.

        All views look at them.
        """
        newest_ms = rings.newest_ms[self._series]
        self.watermark_ms = self._of_units(np.maximum, newest_ms)
        shift = pass_time.shift(self.watermark_ms)
        is_due = self._is_due | (shift != self._shift)
        is_due |= self._of_units(np.logical_or, rings.turn_of[self._series] > since_turn)
        if pass_time.is_aligned and self._looked_ms is not None:
            looked_ms, grid_end_ms = self._looked_ms
            # Samples that lay ahead may count by now; and nothing stands where it did once a period is over.
            is_due |= (self.watermark_ms > looked_ms) | (grid_end_ms != pass_time.grid_end_ms)
        self._looked_ms = (pass_time.now_ms, pass_time.grid_end_ms)
        self._is_due[:] = False
        self._shift = shift
        if not is_due.any():
            return None
        return self._read(rings, pass_time, None if is_due.all() else is_due, views)

    def read_over(self, periods: int) -> None:
        """Read so many periods from now on."""
        if self._extent.periods != periods:
            self._extent = replace(self._extent, periods=periods)

    def read(self, rings: Rings, pass_time: PassTime, positions: Index, views: Sequence[View]) -> Pass:
        """Read some units whether they have news or not, and have all views look at them."""
        is_chosen = np.zeros(len(self), np.bool_)
        is_chosen[positions] = True
        return self._read(rings, pass_time, is_chosen, views)

    def members_of(self, position: int) -> list[int]:
        """Return the series of a unit, in the order in which they are read."""
        end = self._starts[position + 1] if position + 1 < len(self) else len(self._series)
        return [int(number) for number in self._series[self._starts[position] : end]]

    def _read(self, rings: Rings, pass_time: PassTime, is_chosen: Flags | None, views: Sequence[View]) -> Pass:
        series, starts, kinds = self._series, self._starts, self._kinds
        watermark_ms, shift, keeps, rank = self.watermark_ms, self._shift, self._keeps, None
        order = self._in_memory(rings)
        sizes: Index | int = 1 if self._is_single else np.diff(starts, append=len(series))
        if is_chosen is not None:
            members = is_chosen if self._is_single else np.repeat(is_chosen, sizes)
            if order is not None:
                order = (np.cumsum(members) - 1)[order[members[order]]]
            series, kinds, starts = series[members], kinds[members], starts[: np.count_nonzero(is_chosen)]
            if not isinstance(sizes, int):
                sizes = sizes[is_chosen]
                starts = np.cumsum(sizes) - sizes
            watermark_ms, shift, keeps = watermark_ms[is_chosen], shift[is_chosen], keeps[is_chosen]
            rank = np.cumsum(is_chosen) - 1
        end_ms = np.full_like(watermark_ms, pass_time.grid_end_ms) if pass_time.is_aligned else watermark_ms
        subjects = Subjects(
            series=series,
            order=order,
            is_scattered=not self._is_single,
            end_ms=end_ms if self._is_single else np.repeat(end_ms, sizes),
            now_ms=pass_time.now_ms if pass_time.is_aligned else None,
            is_delta=kinds == _KINDS[Kind.DELTA],
            is_counter=kinds == _KINDS[Kind.CUMULATIVE],
            is_kept=np.repeat(keeps, sizes) if keeps.any() else None,
        )
        if pass_time.is_aligned:
            watermark_ms = np.minimum(watermark_ms, pass_time.now_ms)
        ranks = Ranks(starts, len(series))
        one = Pass(
            is_chosen=is_chosen,
            rank=rank,
            heard=Heard(ranks, watermark_ms, rings.newest_ms[series]),
            shift=shift,
            counts=Counts(ranks, periods=self._extent.periods),
            looked={},
        )
        look(one, subjects, rings, extent=self._extent, wanted=self.wanted, views=views, pass_time=pass_time)
        return one

    def _in_memory(self, rings: Rings) -> Index | None:
        """Return the order of all members in memory; None when they are in it."""
        if self._layout != rings.layout:
            self._order, self._layout = order_of(rings, self._series), rings.layout
        elif self._ordered < len(self._series):
            self._order = order_with(rings, self._series, self._order, known=self._ordered)
        self._ordered = len(self._series)
        return self._order

    def _of_units(self, ufunc: np.ufunc, values: NDArray) -> NDArray:  # type: ignore[type-arg]  # keeps its type
        return values if self._is_single else ufunc.reduceat(values, self._starts)

    @property
    def _is_single(self) -> bool:
        return len(self._series) == len(self.slots)


_KINDS = {Kind.GAUGE: 0, Kind.CUMULATIVE: 1, Kind.DELTA: 2}
