# SPDX-License-Identifier: Apache-2.0
"""Cohorts: all units of a layer whose samples are read alike, in strips; each is computed once for all its readers."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np

from alarmd.cache.rings import Rings
from alarmd.evaluators.kernel.measuring import needs
from alarmd.evaluators.kernel.method import Method
from alarmd.evaluators.kernel.statistics import Index
from alarmd.evaluators.kernel.strip import Moment, Pass, Strip
from alarmd.evaluators.kernel.sweep import Extent
from alarmd.evaluators.kernel.unit import Reader, Unit
from alarmd.model.rule import Differences, Percentile
from alarmd.model.samples import Kind


class Seats(Reader, Protocol):
    """What reads units of a cohort by one method."""

    method: Method
    periods: int
    #: By place: which slot of the cohort it reads, -1 for none.
    slots: Index

    def clear(self, place: int) -> None:
        """Forget what was found for a place."""

    def settle(self, parts: "Iterable[tuple[Strip, Index, Index]]") -> None:
        """Take over where the units are by now: strips, positions in them, and places at the reader."""


class Cohort:
    """Units by slots, in strips by their number of periods and by whether they have one series or several."""

    def __init__(self, extent: Extent, kind_of: Callable[[int], Kind]) -> None:
        #: With 0 periods where they depend on the readers of each unit.
        self._extent = extent
        self._kind_of = None if extent.differences is Differences.NONE else kind_of
        self._slot_of: dict[Unit, int] = {}
        self._free: list[int] = []
        self._size = 0
        self._touched: dict[Unit, None] = {}
        self._strips: dict[tuple[bool, int], Strip] = {}
        #: By slot: which strip, counted in the order of `_strips`, and where in it; -1 for none.
        self._strip_of: Index = np.zeros(0, np.intp)
        self._position_of: Index = np.zeros(0, np.intp)
        self._seen_turn = 0
        self._tick = 0
        self.readers: dict[Reader, Seats] = {}
        #: How many passes were made.
        self.number = 0
        #: What the last pass has found.
        self.passes: dict[Strip, Pass] = {}
        #: Whether the last pass was over all units there are.
        self.is_whole = False

    def touch(self, unit: Unit) -> None:
        """Note that a unit's series or readers have changed."""
        self._touched[unit] = None

    def advance(self, rings: Rings, moment: Moment, *, tick: int) -> None:
        """Read what has changed since the last tick, unless that was done in this one."""
        if tick == self._tick and not self._touched:
            return
        self._tick = tick
        if self._touched:
            self._gather()
        self.number += 1
        self.passes = {}
        for strip in self._strips.values():
            found = strip.look(rings, moment, since_turn=self._seen_turn)
            if found is not None:
                self.passes[strip] = found
        self.is_whole = len(self.passes) == len(self._strips) and all(
            found.is_chosen is None for found in self.passes.values()
        )
        self._seen_turn = rings.turn()

    def whereabouts(self, slots: Index, *, tick: int) -> Iterator[tuple[Strip, Index, Index]]:
        """Yield in which strips slots are: the strip, positions in it, and which of them these are.

        None of them is anywhere unless the strips are as they were looked at in a tick.
        """
        if tick != self._tick or self._touched:
            return
        yield from self._found(slots, np.arange(len(slots)))

    def _parts(self, seats: Seats) -> Iterator[tuple[Strip, Index, Index]]:
        """Yield in which strips a reader's units are: the strip, their positions in it, and the places they have."""
        places = np.flatnonzero(seats.slots >= 0)
        yield from self._found(seats.slots[places], places)

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
        """Bring the strips up to date: what was touched is cut out, and what it is now goes to the end."""
        is_dropped = np.zeros(self._size + len(self._touched), np.bool_)
        news: dict[tuple[bool, int], list[tuple[int, list[int], bool]]] = {}
        for unit in self._touched:
            slot = self._slot_of.get(unit)
            if slot is not None:
                is_dropped[slot] = True
            readers = [(self.readers[one], place) for one, place in unit.places.items() if one in self.readers]
            if not readers:
                if slot is not None:
                    self._free.append(self._slot_of.pop(unit))
                continue
            if slot is None:
                slot = self._slot_of[unit] = self._new_slot()
            for seats, place in readers:
                seats.slots[place] = slot
                seats.clear(place)
            if unit.members:
                is_single = len(unit.members) == 1
                periods = _rounded(max(seats.periods for seats, _ in readers), is_single=is_single)
                keeps = any(isinstance(seats.method.over_time, Percentile) for seats, _ in readers)
                news.setdefault((is_single, periods), []).append((slot, list(unit.members), keeps))
        self._touched.clear()
        for strip in self._strips.values():
            strip.drop(is_dropped)
        for key, units in news.items():
            # As they lie in memory, more or less.
            units.sort(key=lambda unit: unit[1][0])
            slots, members, keeps_of = zip(*units, strict=True)
            self._strip(key).add(slots, members, keeps_of)
        self._place()

    def _strip(self, key: tuple[bool, int]) -> Strip:
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = self.strip_alone(key[1])
        return strip

    def _place(self) -> None:
        """Note where every unit is by now, and what is wanted of each strip."""
        self._strips = {key: strip for key, strip in self._strips.items() if len(strip)}
        self._strip_of, self._position_of = np.full((2, self._size), -1)
        for number, strip in enumerate(self._strips.values()):
            self._strip_of[strip.slots] = number
            self._position_of[strip.slots] = np.arange(len(strip))
            strip.wanted = frozenset()
        periods: dict[Strip, int] = {}
        for seats in self.readers.values():
            needed = needs(seats.method.over_time, seats.method.over_members)
            parts = list(self._parts(seats))
            seats.settle(parts)
            for strip, _, _ in parts:
                strip.wanted |= needed
                periods[strip] = max(periods.get(strip, 1), seats.periods)
        for strip, read in periods.items():
            strip.read_over(read)

    def _new_slot(self) -> int:
        if self._free:
            return self._free.pop()
        self._size += 1
        return self._size - 1


def _rounded(periods: int, *, is_single: bool) -> int:
    """Return the least of 1, 2, 3, 4, 6, 8, 12, 16, 24 … that is not less: about as many are read together.

    Of 4, 8, 16, … for several series: what different units have of these lies side by side.
    """
    if not is_single:
        return max(4, 1 << (periods - 1).bit_length())
    power = 1 << (periods - 1).bit_length()
    return power * 3 // 4 if periods <= power * 3 // 4 else power
