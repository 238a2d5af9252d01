# SPDX-License-Identifier: Apache-2.0
"""Layers: all units that are read in periods of one length, and what their periods come to."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alarmd.cache.window import Window
from alarmd.evaluators.method import Method
from alarmd.evaluators.points import Points, latest_points
from alarmd.evaluators.statistics import Members, Pooling
from alarmd.model.rule import MissingData, Selector, Statistic


class Unit:
    """One selector and the series that it means at the moment."""

    __slots__ = ("members", "places", "selector")

    def __init__(self, selector: Selector, members: Iterable[int]) -> None:
        self.selector = selector
        self.members = dict.fromkeys(members)
        self.places: dict[_Column, int] = {}

    def touch(self) -> None:
        """Note that the series have changed."""
        for column, place in self.places.items():
            column.touched.add(place)


class _Column:
    """All units read by one method over the same number of periods."""

    def __init__(self, *, method: Method, periods: int, length_ms: int) -> None:
        self.method = method
        self.periods = periods
        self.units: list[Unit | None] = []
        self.touched: set[int] = set()
        self._free: list[int] = []
        self.readers: Counter[int] = Counter()
        self.pooling = Pooling(length_ms=length_ms, count=periods)
        self.members = Members(series=np.zeros(0, np.int32), starts=np.zeros(0, np.intp))
        self.live: NDArray[np.intp] = np.zeros(0, np.intp)

    def join(self, unit: Unit) -> int:
        place = unit.places.get(self)
        if place is None:
            place = self._free.pop() if self._free else len(self.units)
            if place == len(self.units):
                self.units.append(unit)
            else:
                self.units[place] = unit
            unit.places[self] = place
            self.touched.add(place)
        self.readers[place] += 1
        return place

    def leave(self, place: int) -> Unit:
        unit = self.units[place]
        if unit is None:
            raise KeyError(place)
        self.readers[place] -= 1
        if not self.readers[place]:
            del self.readers[place], unit.places[self]
            self.units[place] = None
            self._free.append(place)
            self.touched.add(place)
        return unit

    def gather(self) -> None:
        kept = ~np.isin(self.live, np.fromiter(self.touched, np.intp, len(self.touched)))
        sizes = self.members.sizes()
        changed = [(place, unit) for place in self.touched if (unit := self.units[place]) is not None and unit.members]
        series = [number for _, unit in changed for number in unit.members]
        self.live = np.append(self.live[kept], np.array([place for place, _ in changed], np.intp))
        sizes_now = np.append(sizes[kept], np.array([len(unit.members) for _, unit in changed], np.intp))
        self.members = Members(
            series=np.append(self.members.series[np.repeat(kept, sizes)], np.array(series, np.int32)),
            starts=np.cumsum(sizes_now) - sizes_now,
        )
        self.touched.clear()


class Layer:
    """All units read in periods of one length on one alignment."""

    def __init__(
        self, window: Window, *, period_s: int, is_aligned: bool, lateness_s: float, member_memory_s: float
    ) -> None:
        self.period_s = period_s
        self.is_aligned = is_aligned
        self._window = window
        self._lateness_s = lateness_s
        self._member_memory_s = member_memory_s
        self._now_ms = 0
        self._columns: dict[tuple[Method, int], _Column] = {}
        self._points: dict[tuple[Method, int, int, MissingData], Points] = {}

    def join(self, unit: Unit, method: Method, periods: int) -> int:
        """Add a reader of a unit; return the unit's place."""
        column = self._columns.get((method, periods))
        if column is None:
            column = _Column(method=method, periods=periods, length_ms=self.period_s * 1000)
            self._columns[method, periods] = column
        return column.join(unit)

    def leave(self, place: int, method: Method, periods: int) -> Unit:
        """Take a reader of the unit at a place away; return the unit."""
        column = self._columns[method, periods]
        unit = column.leave(place)
        if not column.readers:
            del self._columns[method, periods]
        return unit

    @property
    def is_read(self) -> bool:
        """Whether anybody reads any of its units."""
        return bool(self._columns)

    def compute(self, *, now_ms: int) -> None:
        """Bring everything up to the window as it is now."""
        self._now_ms = now_ms
        self._points.clear()

    def points(self, method: Method, *, periods: int, wanted: int, missing: MissingData) -> Points:
        """Return the values of all units that are read so, by place."""
        key = (method, periods, wanted, missing)
        points = self._points.get(key)
        if points is None:
            points = self._points[key] = self._find(*key)
        return points

    def evidence(
        self, place: int, method: Method, *, periods: int, wanted: int, missing: MissingData
    ) -> dict[str, Any]:
        """Return what the values at a place were found from, fit for JSON."""
        points = self.points(method, periods=periods, wanted=wanted, missing=missing)
        return {"values": [None if np.isnan(one[place]) else float(one[place]) for one in points.values]}

    def _find(self, method: Method, periods: int, wanted: int, missing: MissingData) -> Points:  # noqa: ARG002  # soon
        column = self._columns[method, periods]
        if column.touched:
            column.gather()
        size = len(column.units)
        if not len(column.live) or not isinstance(method.over_time, Statistic):
            return Points(
                values=[np.full(size, np.nan) for _ in range(wanted)],
                held=np.zeros(size, np.int64),
                known=np.zeros(size, np.bool_),
            )
        computed = column.pooling.periods(self._window.rings, column.members, frozenset({method.over_time}))
        values, held = latest_points(
            computed.values(method.over_time),
            computed.count,
            wanted=wanted,
            exclude_outliers=method.exclude_outliers,
        )
        since_ms = self._now_ms - (self.period_s + self._lateness_s) * 1000
        return Points(
            values=[_spread(one, column.live, size, np.nan) for one in values],
            held=_spread(held, column.live, size, 0),
            known=_spread(computed.watermark_ms >= since_ms, column.live, size, 0),
        )


def _spread(values: NDArray, places: NDArray[np.intp], size: int, missing: float) -> NDArray:  # type: ignore[type-arg]  # keeps its type
    spread = np.full(size, missing, values.dtype)
    spread[places] = values
    return spread
