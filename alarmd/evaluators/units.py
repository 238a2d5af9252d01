# SPDX-License-Identifier: Apache-2.0
"""Units: the distinct sets of series that rules read, each computed once however many alarms read it."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from alarmd.cache.series import Series, selects
from alarmd.cache.window import Window
from alarmd.evaluators.points import Points, latest_points
from alarmd.evaluators.statistics import Members, Periods, Pooling
from alarmd.model.rule import Selector, Statistic


class Unit:
    """One selector and the series that it means at the moment."""

    __slots__ = ("layers", "members", "selector")

    def __init__(self, selector: Selector, members: Iterable[int]) -> None:
        self.selector = selector
        self.members = dict.fromkeys(members)
        self.layers: dict[Layer, int] = {}


class Layer:
    """All units that are read in periods of one length and number."""

    def __init__(self, *, period_s: int, periods: int) -> None:
        self.key = (period_s, periods)
        self._pooling = Pooling(length_ms=period_s * 1000, count=periods)
        self._units: list[Unit | None] = []
        self._free: list[int] = []
        self._readers: Counter[int] = Counter()
        self._statistics: Counter[Statistic] = Counter()
        #: The series of all units that have any, as of the last `compute`.
        self._members = Members(series=np.zeros(0, np.int32), starts=np.zeros(0, np.intp))
        #: Places of these units, in the order of `_members`.
        self._live: NDArray[np.intp] = np.zeros(0, np.intp)
        #: Places whose unit, or its series, has changed since.
        self._touched: set[int] = set()
        self._computed: Periods | None = None
        self._points: dict[tuple[Statistic, int, bool], Points] = {}

    def join(self, unit: Unit, statistic: Statistic) -> int:
        """Add a reader of a unit; return the unit's place in this layer's arrays."""
        place = unit.layers.get(self)
        if place is None:
            place = self._free.pop() if self._free else len(self._units)
            if place == len(self._units):
                self._units.append(unit)
            else:
                self._units[place] = unit
            unit.layers[self] = place
            self.touch(place)
        self._readers[place] += 1
        self._statistics[statistic] += 1
        return place

    def leave(self, place: int, statistic: Statistic) -> Unit:
        """Take a reader of the unit at a place away; return the unit."""
        unit = self._units[place]
        if unit is None:
            raise KeyError(place)
        self._readers[place] -= 1
        self._statistics[statistic] -= 1
        if not self._readers[place]:
            del self._readers[place], unit.layers[self]
            self._units[place] = None
            self._free.append(place)
            self.touch(place)
        return unit

    @property
    def is_read(self) -> bool:
        """Whether anybody reads any of its units."""
        return bool(self._readers)

    def touch(self, place: int) -> None:
        """Note that the series of the unit at a place have changed."""
        self._touched.add(place)

    def compute(self, window: Window) -> None:
        """Compute the periods of all units from the window as it is now."""
        if self._touched:
            self._gather()
        self._points.clear()
        self._computed = None
        if len(self._live):
            wanted = frozenset(statistic for statistic, readers in self._statistics.items() if readers)
            self._computed = self._pooling.periods(window.rings, self._members, wanted)

    def points(self, statistic: Statistic, *, wanted: int, exclude_outliers: bool) -> Points:
        """Return the last `wanted` values of each unit by its place; a unit without series holds none."""
        key = (statistic, wanted, exclude_outliers)
        points = self._points.get(key)
        if points is None:
            points = self._points[key] = self._place(*key)
        return points

    def fresh(self, *, since_ms: float) -> NDArray[np.bool_]:
        """Return, by place, whether a unit's newest sample is no older than a moment (ms since the epoch)."""
        fresh = np.zeros(len(self._units), np.bool_)
        if self._computed is not None:
            fresh[self._live] = self._computed.watermark_ms >= since_ms
        return fresh

    def _gather(self) -> None:
        """Bring the arrays up to date: what was touched is cut out, and what it is now goes to the end."""
        kept = ~np.isin(self._live, np.fromiter(self._touched, np.intp, len(self._touched)))
        sizes = self._members.sizes()
        changed = [
            (place, unit) for place in self._touched if (unit := self._units[place]) is not None and unit.members
        ]
        series = [number for _, unit in changed for number in unit.members]
        self._live = np.append(self._live[kept], np.array([place for place, _ in changed], np.intp))
        sizes_now = np.append(sizes[kept], np.array([len(unit.members) for _, unit in changed], np.intp))
        self._members = Members(
            series=np.append(self._members.series[np.repeat(kept, sizes)], np.array(series, np.int32)),
            starts=np.cumsum(sizes_now) - sizes_now,
        )
        self._touched.clear()

    def _place(self, statistic: Statistic, wanted: int, exclude_outliers: bool) -> Points:  # noqa: FBT001  # a key
        size = len(self._units)
        if self._computed is None:
            return Points(values=[np.full(size, np.nan) for _ in range(wanted)], held=np.zeros(size, np.int64))
        points = latest_points(
            self._computed.values(statistic),
            self._computed.count,
            wanted=wanted,
            exclude_outliers=exclude_outliers,
        )
        return Points(
            values=[_spread(values, self._live, size, np.nan) for values in points.values],
            held=_spread(points.held, self._live, size, 0),
        )


def _spread(values: NDArray, places: NDArray[np.intp], size: int, missing: float) -> NDArray:  # type: ignore[type-arg]  # keeps its type
    spread = np.full(size, missing, values.dtype)
    spread[places] = values
    return spread


class Units:
    """All units and layers of a plan, kept in step with the window's series."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._by_selector: dict[Selector, Unit] = {}
        #: By metric, project and resource, the latter None for selectors that leave it open.
        self._by_reach: dict[tuple[str, str, str | None], dict[Unit, None]] = {}
        self._layers: dict[tuple[int, int], Layer] = {}

    def layer(self, *, period_s: int, periods: int) -> Layer:
        """Return the layer for a length and number of periods."""
        key = (period_s, periods)
        layer = self._layers.get(key)
        if layer is None:
            layer = self._layers[key] = Layer(period_s=period_s, periods=periods)
        return layer

    def join(self, selector: Selector, layer: Layer, statistic: Statistic) -> int:
        """Add a reader of a selector's series; return the unit's place in the layer."""
        unit = self._by_selector.get(selector)
        if unit is None:
            unit = self._by_selector[selector] = Unit(selector, self._window.directory.select(selector))
            self._by_reach.setdefault(_reach(selector), {})[unit] = None
        return layer.join(unit, statistic)

    def leave(self, place: int, layer: Layer, statistic: Statistic) -> None:
        """Take a reader away; a layer that nobody reads any more is forgotten."""
        unit = layer.leave(place, statistic)
        if not layer.is_read:
            del self._layers[layer.key]
        if not unit.layers:
            del self._by_selector[unit.selector]
            key = _reach(unit.selector)
            del self._by_reach[key][unit]
            if not self._by_reach[key]:
                del self._by_reach[key]

    def follow(self) -> None:
        """Take over which series have come, gone or changed since the last call."""
        for number, was, now in self._window.directory.take_changes():
            for series in {was, now} - {None}:
                for unit in self._readers_of(series):
                    self._update(unit, number, now)

    def _readers_of(self, series: Series | None) -> list[Unit]:
        if series is None:
            return []
        metric, project_id = series.metric.name, series.resource.project_id
        return [
            unit
            for resource_id in (series.resource.id, None)
            for unit in self._by_reach.get((metric, project_id, resource_id), ())
        ]

    @staticmethod
    def _update(unit: Unit, number: int, series: Series | None) -> None:
        if series is not None and selects(unit.selector, series):
            if number in unit.members:
                return
            unit.members[number] = None
        elif unit.members.pop(number, True):
            return
        for layer, place in unit.layers.items():
            layer.touch(place)


def _reach(selector: Selector) -> tuple[str, str, str | None]:
    return (selector.metric, selector.project_id, selector.resource_id)
