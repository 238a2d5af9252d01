# SPDX-License-Identifier: Apache-2.0
"""Columns: the values of all units that are read by one method over the same number of periods, by place."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from alarmd.cache.rings import Rings
from alarmd.evaluators.kernel.cohort import Cohort
from alarmd.evaluators.kernel.measuring import needs
from alarmd.evaluators.kernel.method import Method
from alarmd.evaluators.kernel.pass_time import PassTime
from alarmd.evaluators.kernel.passes import Pass, Stretch, View
from alarmd.evaluators.kernel.points import Points, latest, outliers, placed, steps
from alarmd.evaluators.kernel.statistics import Flags, Floats, Index
from alarmd.evaluators.kernel.strip import Strip
from alarmd.evaluators.kernel.unit import Unit
from alarmd.model.rule import MissingData, Percentile

#: Why a period does not count.
EMPTY, UNFINISHED, COVERAGE, OUTLIER = "no samples", "unfinished", "too few members", "unusual number of samples"
LENT = "too old"


class _Part(NamedTuple):
    """Units that lie in one strip, their positions there, ascending, and their places here."""

    strip: Strip
    positions: Index
    places: Index

    @property
    def is_whole(self) -> bool:
        """Whether these are all units of the strip. More may come to it that are read by others only."""
        return len(self.positions) == len(self.strip)

    def view(self, column: "Column") -> View:
        """Return what a column reads of the strip."""
        return View(column, None if self.is_whole else self.positions)


class _Kept(NamedTuple):
    """Points that are kept from tick to tick, and after which pass they were last brought up to date."""

    points: Points
    number: int


class Column:
    """All units read by one method over the same number of periods."""

    def __init__(self, cohort: Cohort, *, method: Method, periods: int, member_memory_ms: int) -> None:
        self.method = method
        self.periods = periods
        self.cohort = cohort
        self._member_memory_ms = member_memory_ms
        self._units: list[Unit | None] = []
        self._readers: list[int] = []
        self._free: list[int] = []
        #: By place: which slot of the cohort it reads, -1 for none.
        self.slots: Index = np.zeros(0, np.intp)
        self._parts: list[_Part] = []
        self._kept: dict[tuple[int, MissingData], _Kept] = {}
        self._known: Flags = np.zeros(0, np.bool_)
        self._known_number = -1

    def __len__(self) -> int:
        return len(self._units) - len(self._free)

    def join(self, unit: Unit) -> int:
        """Add a reader of a unit; return the unit's place."""
        place = unit.place(self)
        if place is None:
            place = self._free.pop() if self._free else self._new_place()
            self._units[place] = unit
            unit.seat(self, place)
            self.cohort.note(unit, self)
        self._readers[place] += 1
        return place

    def leave(self, place: int) -> Unit:
        """Take a reader of the unit at a place away; return the unit."""
        unit = self.unit(place)
        self._readers[place] -= 1
        if not self._readers[place]:
            unit.unseat(self)
            self._units[place] = None
            self._free.append(place)
            self.slots[place] = -1
            self.cohort.note(unit, self)
        return unit

    def unit(self, place: int) -> Unit:
        """Return the unit at a place."""
        unit = self._units[place]
        if unit is None:
            raise KeyError(place)
        return unit

    def touch(self, unit: Unit) -> None:
        """Note that the unit's series have changed."""
        self.cohort.touch(unit)

    def clear(self, place: int) -> None:
        """Forget what was found for a place."""
        for kept in self._kept.values():
            if place < len(kept.points.held):
                kept.points.clear(place)

    def points(self, rings: Rings, pass_time: PassTime, *, wanted: int, missing: MissingData) -> Points:
        """Return the values of all units by place, as of when the cohort was looked at last."""
        cohort = self.cohort
        kept = self._kept.get((wanted, missing))
        if kept is None:
            kept = _Kept(Points.none(len(self.slots), wanted=wanted, known=True), 0)
        points = kept.points
        if len(points.held) < len(self.slots):
            points = points.grown(len(self.slots), known=True)
        if kept.number < cohort.number and (kept.number == cohort.number - 1 or cohort.is_whole):
            self._patch(points, cohort.passes, pass_time, missing)
        elif kept.number < cohort.number:
            passes = {
                part.strip: part.strip.read(rings, pass_time, part.positions, [part.view(self)]) for part in self._parts
            }
            self._patch(points, passes, pass_time, missing)
        if missing is MissingData.MISSING and not pass_time.is_aligned:
            np.copyto(points.known, self._fresh(pass_time))
        self._kept[wanted, missing] = _Kept(points, cohort.number)
        return points

    def settle(self, parts: Iterable[tuple[Strip, Index, Index]]) -> None:
        """Take over where the units are by now: strips, positions in them, and places here."""
        self._parts = [_part(*part) for part in parts]

    def strips(self) -> Iterable[Strip]:
        """Return the strips that its units are in."""
        return [part.strip for part in self._parts]

    def view(self, strip: Strip) -> View | None:
        """Return which units of a strip it reads; None: none of them."""
        return next((part.view(self) for part in self._parts if part.strip is strip), None)

    def memory_ms(self, pass_time: PassTime) -> int:
        """Return how much older than the unit's newest sample a member's may be for the member still to count."""
        return max(self.periods * pass_time.length_ms, self._member_memory_ms)

    def seen(self, places: Index, rings: Rings, pass_time: PassTime) -> Iterator[tuple[Pass, Index, Index]]:
        """Yield what some units, which have series, were found to come to: the pass, their ranks in it, and which.

        Those that the cohort has not looked at are read now.
        """
        is_left = np.ones(len(places), np.bool_)
        for strip, positions, numbers in self.cohort.whereabouts(self.slots[places]):
            one = self.cohort.passes.get(strip)
            if one is not None:
                index, is_there = one.where(positions)
                is_left[numbers[is_there]] = False
                if is_there.any():
                    yield one, index[is_there], numbers[is_there]
        left = np.flatnonzero(is_left)
        if len(left):
            yield (
                self._read_alone([self.unit(place) for place in places[left].tolist()], rings, pass_time),
                np.arange(len(left)),
                left,
            )

    def _read_alone(self, units: Sequence[Unit], rings: Rings, pass_time: PassTime) -> Pass:
        """Read some units, which have series, beside what is kept."""
        strip = self.cohort.strip_alone(self.periods)
        strip.wanted = needs(self.method.over_time, self.method.over_members)
        keeps = isinstance(self.method.over_time, Percentile)
        strip.add(range(len(units)), [list(unit.members) for unit in units], [keeps] * len(units))
        found = strip.look(rings, pass_time, [View(self, None)], since_turn=0)
        if found is None:
            raise RuntimeError("units that are new to a strip were not looked at")
        return found

    def found(self, one: Stretch, index: Index | slice, pass_time: PassTime) -> tuple[Floats, dict[str, Flags]]:
        """Return the values of units in each period, NaN where there is none that counts, and why others do not.

        Changes nothing.
        """
        method, findings = self.method, one.findings
        values = findings.values(method.over_time, method.over_members, index, periods=self.periods)
        if method.scale != 1.0:
            values = values * method.scale
        why = {EMPTY: np.isnan(values)}
        if method.complete_only and pass_time.is_aligned:
            why[UNFINISHED] = np.zeros(values.shape, np.bool_)
            why[UNFINISHED][0] = True
        if method.lent_periods:
            why[LENT] = np.zeros(values.shape, np.bool_)
            why[LENT][self.periods - method.lent_periods :] = True
        if method.minimum_coverage:
            members = np.maximum(one.heard.members(index, since_ms=self.memory_ms(pass_time)), 1)
            why[COVERAGE] = findings.reporting(index, periods=self.periods) / members < method.minimum_coverage
        if method.exclude_outliers:
            why[OUTLIER] = outliers(findings.count[: self.periods, index], ~_any(why))
        if len(why) > 1:
            values = np.where(_any(why), np.nan, values)
        return (steps(values) if method.difference_of_results else values), why

    def _patch(self, points: Points, passes: dict[Strip, Pass], pass_time: PassTime, missing: MissingData) -> None:
        """Bring points up to date with what was found."""
        wanted = len(points.values)
        for part in self._parts:
            one = passes.get(part.strip)
            looked = None if one is None else one.looked.get(self)
            if one is None or looked is None:
                continue
            places = part.places if one.is_chosen is None else part.places[one.is_chosen[part.positions]]
            shift = one.shift if looked.ranks is None else one.shift[looked.ranks]
            points.put(places, self.chosen(looked.values, shift, pass_time, wanted=wanted, missing=missing))

    def chosen(self, values: Floats, shift: Index, pass_time: PassTime, *, wanted: int, missing: MissingData) -> Floats:
        """Return the values that stand for the last periods, from those of all periods."""
        if missing is MissingData.MISSING:
            return latest(values, wanted=wanted)
        if pass_time.is_aligned:
            return placed(values[int(self.method.complete_only) :], 0, wanted=wanted)
        return placed(values, shift, wanted=wanted)

    def _fresh(self, pass_time: PassTime) -> Flags:
        """Return, by place, whether a unit's newest sample is no older than a period and the lateness budget."""
        if self._known_number != self.cohort.number or len(self._known) != len(self.slots):
            self._known = np.zeros(len(self.slots), np.bool_)
            since_ms = pass_time.now_ms - pass_time.length_ms - pass_time.lateness_ms
            for part in self._parts:
                is_fresh = part.strip.watermark_ms >= since_ms
                self._known[part.places] = is_fresh if part.is_whole else is_fresh[part.positions]
            self._known_number = self.cohort.number
        return self._known

    def _new_place(self) -> int:
        place = len(self._units)
        self._units.append(None)
        self._readers.append(0)
        if place == len(self.slots):
            self.slots = np.append(self.slots, np.full(max(16, place // 16), -1, np.intp))
        return place


def _part(strip: Strip, positions: Index, places: Index) -> _Part:
    order = np.argsort(positions)
    return _Part(strip, positions[order], places[order])


def _any(flags: dict[str, Flags]) -> Flags:
    found: Flags = np.logical_or.reduce(list(flags.values()))
    return found
