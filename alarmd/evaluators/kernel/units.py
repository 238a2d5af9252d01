# SPDX-License-Identifier: Apache-2.0
"""Units: the distinct sets of series that rules read, each computed once however many alarms read it."""

from collections.abc import Iterator
from itertools import islice
from typing import TypeAlias

import numpy as np

from alarmd.cache.series import Series, selects
from alarmd.cache.window import Window
from alarmd.evaluators.kernel.abreast import abreast
from alarmd.evaluators.kernel.few import Few, joined, parted
from alarmd.evaluators.kernel.layer import Layer
from alarmd.evaluators.kernel.method import Method
from alarmd.evaluators.kernel.unit import Unit
from alarmd.model.rule import Reading, Selector

__all__ = ["Layer", "Method", "Unit", "Units"]

#: Project, metric (None: a pattern), resource (None: left open).
_Reach: TypeAlias = tuple[str, str | None, str | None]


#: Below so many series it takes longer to hand the work out than to do it.
_MANY_SERIES = 20_000


class Units:
    """All units and layers of a plan, kept in step with the window's series."""

    def __init__(self, window: Window, *, lateness_s: float, member_memory_s: float = 600.0) -> None:
        self._window = window
        self._lateness_s = lateness_s
        self._member_memory_s = member_memory_s
        self._by_selector: dict[Selector, Unit] = {}
        self._by_reach: dict[_Reach, Few[Unit]] = {}
        self._layers: dict[tuple[int, bool], Layer] = {}

    def join(self, reading: Reading, *, periods: int) -> tuple[Layer, int]:
        """Add a reader of a reading, over so many periods, the newest included.

        Returns the layer, and the unit's place in the arrays that this layer has for this method and these periods.
        """
        unit = self._by_selector.get(reading.selector)
        if unit is None:
            # What has changed is told only against what was known then, so it must not be behind the new unit.
            self.follow()
            unit = Unit(reading.selector, self._window.directory.select(reading.selector))
            self._by_selector[reading.selector] = unit
            for reach in _reaches(reading.selector):
                self._by_reach[reach] = joined(self._by_reach.get(reach, ()), unit)
        key = (reading.period_s, reading.is_aligned)
        layer = self._layers.get(key)
        if layer is None:
            layer = self._layers[key] = Layer(
                self._window,
                period_s=reading.period_s,
                is_aligned=reading.is_aligned,
                lateness_s=self._lateness_s,
                member_memory_s=self._member_memory_s,
            )
        return layer, layer.join(unit, Method.of(reading), periods)

    def leave(self, layer: Layer, place: int, reading: Reading, *, periods: int) -> None:
        """Take a reader away; what nobody reads any more is forgotten."""
        unit = layer.leave(place, Method.of(reading), periods)
        if not layer.is_read:
            self._layers.pop((layer.period_s, layer.is_aligned), None)
        if not unit.is_read:
            del self._by_selector[unit.selector]
            for reach in _reaches(unit.selector):
                left = parted(self._by_reach.pop(reach), unit)
                if left:
                    self._by_reach[reach] = left

    def compute(self, *, now_ms: int) -> None:
        """Bring all layers up to the window as it is now."""
        self.follow()
        rings = self._window.rings
        due = [one for layer in self._layers.values() for one in layer.compute(now_ms=now_ms)]
        looks = [look for _, of_cohort in due for look in of_cohort]
        is_large = sum(cohort.series for cohort, _ in due) >= _MANY_SERIES
        with np.errstate(all="ignore"):
            found = iter(abreast(looks) if is_large else [look() for look in looks])
        for cohort, of_cohort in due:
            cohort.take(list(islice(found, len(of_cohort))), rings)

    def follow(self) -> None:
        """Take over which series have come, gone or changed since the last call."""
        for number, was, now in self._window.directory.take_changes():
            readers = dict.fromkeys(unit for series in (was, now) if series for unit in self._readers_of(series))
            for unit in readers:
                self._update(unit, number, now)

    def _readers_of(self, series: Series) -> Iterator[Unit]:
        """Yield all units whose selector might mean a series."""
        project_id = series.resource.project_id
        for metric in (series.metric.name, None):
            for resource_id in (series.resource.id, None):
                yield from self._by_reach.get((project_id, metric, resource_id), ())

    @staticmethod
    def _update(unit: Unit, number: int, series: Series | None) -> None:
        # A number that stays may mean another series now, or the same one of another kind.
        is_member = series is not None and selects(unit.selector, series)
        if is_member or number in unit.members:
            unit.touch()
        unit.members = joined(unit.members, number) if is_member else parted(unit.members, number)


def _reaches(selector: Selector) -> set[_Reach]:
    """Return where a selector is looked for when a series has changed."""
    if selector.any_of:
        return {(selector.project_id, metric, resource_id) for resource_id, metric in selector.any_of}
    return {(selector.project_id, None if selector.is_pattern else selector.metric, selector.resource_id)}
