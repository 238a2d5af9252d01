# SPDX-License-Identifier: Apache-2.0
"""Cohorts: all units of a layer whose samples are read alike, in strips; each is computed once for all its readers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from alarmd.cache.rings import Rings
from alarmd.evaluators.kernel.measuring import needs
from alarmd.evaluators.kernel.method import Method
from alarmd.evaluators.kernel.pass_time import PassTime
from alarmd.evaluators.kernel.passes import Looker, Pass, View
from alarmd.evaluators.kernel.statistics import Index, Quantity
from alarmd.evaluators.kernel.strip import Strip
from alarmd.evaluators.kernel.sweep import Extent
from alarmd.evaluators.kernel.unit import Reader, Unit
from alarmd.model.rule import Differences, Percentile
from alarmd.model.samples import Kind

#: Looks at one strip.
Look: TypeAlias = Callable[[], Pass | None]


class Seats(Reader, Looker, Protocol):
    """What reads units of a cohort by one method."""

    method: Method
    periods: int
    #: By place: which slot of the cohort it reads, -1 for none.
    slots: Index

    def clear(self, place: int) -> None:
        """Forget what was found for a place."""

    def settle(self, parts: "Iterable[tuple[Strip, Index, Index]]") -> None:
        """Take over where the units are by now: strips, positions in them, and places at the reader."""

    def strips(self) -> "Iterable[Strip]":
        """Return the strips that its units are in."""

    def view(self, strip: Strip) -> View | None:
        """Return which units of a strip it reads; None: none of them."""


class _Key(NamedTuple):
    """What the units of a strip have in common."""

    is_single: bool
    #: How many periods they are read over, more or less.
    periods: int


class _New(NamedTuple):
    """A unit that has come to a strip."""

    slot: int
    members: list[int]
    keeps: bool


class Cohort:
    """Units by slots, in strips by their number of periods and by whether they have one series or several."""

    def __init__(self, extent: Extent, kind_of: Callable[[int], Kind]) -> None:
        #: With 0 periods where they depend on the readers of each unit.
        self._extent = extent
        self._kind_of = None if extent.differences is Differences.NONE else kind_of
        self._slot_of: dict[Unit, int] = {}
        self._free: list[int] = []
        self._size = 0
        #: Units of which something has changed, and whether that is their series.
        self._touched: dict[Unit, bool] = {}
        #: Readers of which a unit has come, gone or moved.
        self._unsettled: dict[Seats, None] = {}
        self._strips: dict[_Key, Strip] = {}
        #: By slot: which strip, counted in the order of `_strips`, and where in it; -1 for none.
        self._strip_of: Index = np.full(0, -1, np.intp)
        self._position_of: Index = np.full(0, -1, np.intp)
        self._seen_turn = 0
        self.readers: dict[Reader, Seats] = {}
        #: How many passes were made.
        self.number = 0
        #: What the last pass has found.
        self.passes: dict[Strip, Pass] = {}
        #: Whether the last pass was over all units there are.
        self.is_whole = False

    def touch(self, unit: Unit) -> None:
        """Note that a unit's series have changed."""
        self._touched[unit] = True

    def note(self, unit: Unit, seats: Seats) -> None:
        """Note that a reader has begun to read a unit, or ended."""
        self._touched.setdefault(unit, False)
        self._unsettled[seats] = None

    def dismiss(self, seats: Seats) -> None:
        """Forget a reader of which all units have gone."""
        del self.readers[seats]
        self._unsettled.pop(seats, None)

    @property
    def series(self) -> int:
        """How many series are read, once for each unit that has them."""
        return sum(strip.members for strip in self._strips.values())

    def looks(self, rings: Rings, pass_time: PassTime) -> list[Look]:
        """Return what has to be done to read what has changed, in pieces that do not depend on each other.

        What they return is to be taken before anything else is asked.
        """
        if self._touched:
            self._gather()
        # Before anybody looks: should a look fail, all that is kept is older than the pass before, and read anew.
        self.number += 1
        self.passes, self.is_whole = {}, False
        return [
            partial(strip.look, rings, pass_time, self._views(strip), since_turn=self._seen_turn)
            for strip in self._strips.values()
        ]

    def take(self, looked: Sequence[Pass | None], rings: Rings) -> None:
        """Take over what the looks have returned, in their order."""
        for strip, found in zip(self._strips.values(), looked, strict=True):
            if found is not None:
                self.passes[strip] = found
        self.is_whole = len(self.passes) == len(self._strips) and all(
            found.is_chosen is None for found in self.passes.values()
        )
        self._seen_turn = rings.turn()

    def whereabouts(self, slots: Index) -> Iterator[tuple[Strip, Index, Index]]:
        """Yield in which strips slots are: the strip, positions in it, and which of them these are.

        None of them is anywhere unless the strips are as they were looked at last.
        """
        if self._touched:
            return
        yield from self._found(slots, np.arange(len(slots)))

    def _views(self, strip: Strip) -> list[View]:
        """Return what all readers read of a strip."""
        views = (seats.view(strip) for seats in self.readers.values())
        return [view for view in views if view is not None]

    def _settle(self, seats: Seats) -> None:
        """Tell a reader in which strips its units are."""
        places = np.flatnonzero(seats.slots >= 0)
        seats.settle(list(self._found(seats.slots[places], places)))

    def _found(self, slots: Index, places: Index) -> Iterator[tuple[Strip, Index, Index]]:
        strip_of, position_of = self._strip_of[slots], self._position_of[slots]
        for number, strip in enumerate(self._strips.values()):
            chosen = strip_of == number
            if chosen.all():
                yield strip, position_of, places
            elif chosen.any():
                yield strip, position_of[chosen], places[chosen]

    def strip_alone(self, periods: int) -> Strip:
        """Return a strip for a look at some units beside what is kept."""
        return Strip(replace(self._extent, periods=periods), self._kind_of)

    def _gather(self) -> None:
        """Bring the strips up to date: what has changed is cut out, and what it is now goes to the end."""
        news: dict[_Key, list[_New]] = {}
        for unit, has_other_series in self._touched.items():
            readers = [(self.readers[one], place) for one, place in unit.places() if one in self.readers]
            key, keeps = _lot(unit, [seats for seats, _ in readers])
            slot = self._slot_of.get(unit)
            stays = slot is not None and not has_other_series and self._is_at(slot, key, keeps=keeps)
            if slot is not None and not stays:
                self._cut(slot)
            if readers:
                slot = self._seat(unit, readers)
                if stays:
                    self._strip_at(slot).expect(int(self._position_of[slot]))
                elif key is not None:
                    news.setdefault(key, []).append(_New(slot, list(unit.members), keeps))
            elif slot is not None:
                self._free.append(self._slot_of.pop(unit))
        self._touched.clear()
        for key, units in news.items():
            self._append(key, units)
        self._tidy()
        for seats in self._unsettled:
            self._settle(seats)
        self._unsettled.clear()
        self._want()

    def _seat(self, unit: Unit, readers: Iterable[tuple[Seats, int]]) -> int:
        """Tell all readers of a unit its slot, and return that."""
        slot = self._slot_of.get(unit)
        if slot is None:
            slot = self._slot_of[unit] = self._new_slot()
        for seats, place in readers:
            seats.slots[place] = slot
            seats.clear(place)
            self._unsettled[seats] = None
        return slot

    def _is_at(self, slot: int, key: _Key | None, *, keeps: bool) -> bool:
        """Return whether a unit is where it belongs."""
        if key is None or self._strip_of[slot] < 0:
            return False
        strip = self._strip_at(slot)
        return strip is self._strips.get(key) and strip.keeps(int(self._position_of[slot])) == keeps

    def _strip_at(self, slot: int) -> Strip:
        return list(self._strips.values())[int(self._strip_of[slot])]

    def _cut(self, slot: int) -> None:
        if self._strip_of[slot] >= 0:
            self._strip_at(slot).drop(int(self._position_of[slot]))
            self._strip_of[slot] = -1

    def _append(self, key: _Key, units: list[_New]) -> None:
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = self.strip_alone(1)
        # As they lie in memory, more or less.
        units.sort(key=lambda unit: unit.members[0])
        slots, members, keeps_of = zip(*units, strict=True)
        strip.add(slots, members, keeps_of)
        self._place(list(self._strips).index(key), strip, first=len(strip) - len(units))

    def _tidy(self) -> None:
        """Put strips in order of which much has gone, or come; then units are elsewhere, for all readers."""
        untidy = [strip for strip in self._strips.values() if strip.is_untidy]
        if not untidy:
            return
        for strip in untidy:
            strip.tidy()
        self._strips = {key: strip for key, strip in self._strips.items() if len(strip)}
        for number, strip in enumerate(self._strips.values()):
            self._place(number, strip)
        self._unsettled = dict.fromkeys(self.readers.values())

    def _place(self, number: int, strip: Strip, *, first: int = 0) -> None:
        """Note where the units of a strip are, from one position on."""
        slots = strip.slots[first:]
        positions = np.flatnonzero(slots >= 0)
        self._strip_of[slots[positions]] = number
        self._position_of[slots[positions]] = first + positions

    def _want(self) -> None:
        """Tell the strips what is wanted of them."""
        wanted: dict[Strip, frozenset[Quantity]] = {}
        periods: dict[Strip, int] = {}
        for seats in self.readers.values():
            needed = needs(seats.method.over_time, seats.method.over_members)
            for strip in seats.strips():
                wanted[strip] = wanted.get(strip, frozenset()) | needed
                periods[strip] = max(periods.get(strip, 1), seats.periods)
        for strip, quantities in wanted.items():
            strip.wanted = quantities
            strip.read_over(periods[strip])

    def _new_slot(self) -> int:
        if self._free:
            return self._free.pop()
        if self._size == len(self._strip_of):
            more = np.full(max(64, self._size // 8), -1, np.intp)
            self._strip_of, self._position_of = np.append(self._strip_of, more), np.append(self._position_of, more)
        self._size += 1
        return self._size - 1


def _lot(unit: Unit, readers: list[Seats]) -> tuple[_Key | None, bool]:
    """Return which strip a unit belongs in, None for none, and whether its samples themselves are wanted."""
    if not readers or not unit.members:
        return None, False
    is_single = len(unit.members) == 1
    keeps = any(isinstance(seats.method.over_time, Percentile) for seats in readers)
    return _Key(is_single, _rounded(max(seats.periods for seats in readers), is_single=is_single)), keeps


def _rounded(periods: int, *, is_single: bool) -> int:
    """Return the least of 1, 2, 3, 4, 6, 8, 12, 16, 24 … that is not less: about as many are read together.

    Of 4, 8, 16, … for several series: what different units have of these lies side by side.
    """
    if not is_single:
        return max(4, 1 << (periods - 1).bit_length())
    power = 1 << (periods - 1).bit_length()
    return power * 3 // 4 if periods <= power * 3 // 4 else power
