# SPDX-License-Identifier: Apache-2.0
"""Layers: all units that are read in periods of one length on one alignment."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from alarmd.cache.window import Window
from alarmd.evaluators.kernel.cohort import Cohort, Look
from alarmd.evaluators.kernel.column import Column
from alarmd.evaluators.kernel.coverage import Coverage, coverage_of
from alarmd.evaluators.kernel.evidence import evidence_of
from alarmd.evaluators.kernel.method import Method
from alarmd.evaluators.kernel.pass_time import PassTime
from alarmd.evaluators.kernel.points import Points
from alarmd.evaluators.kernel.sweep import Extent
from alarmd.evaluators.kernel.unit import Unit
from alarmd.model.rule import Differences, MissingData, Statistic
from alarmd.model.samples import Kind


class Layer:
    """What the periods of units come to. A tick computes only what is new; a unit without news costs nothing."""

    def __init__(
        self, window: Window, *, period_s: int, is_aligned: bool, lateness_s: float, member_memory_s: float
    ) -> None:
        self.period_s = period_s
        self.is_aligned = is_aligned
        self._window = window
        self._lateness_ms = round(lateness_s * 1000)
        self._member_memory_ms = round(member_memory_s * 1000)
        self._pass_time = self._pass_time_of(0)
        self._columns: dict[tuple[Method, int], Column] = {}
        self._cohorts: dict[Extent, Cohort] = {}

    @property
    def is_read(self) -> bool:
        """Whether anybody reads any of its units."""
        return bool(self._columns)

    def join(self, unit: Unit, method: Method, periods: int) -> int:
        """Add a reader of a unit; return the unit's place in the arrays of this method and these periods."""
        column = self._columns.get((method, periods))
        if column is None:
            extent = self._extent(method, periods)
            cohort = self._cohorts.get(extent)
            if cohort is None:
                cohort = self._cohorts[extent] = Cohort(extent, self._kind_of)
            column = self._columns[method, periods] = Column(
                cohort, method=method, periods=periods, member_memory_ms=self._member_memory_ms
            )
            cohort.readers[column] = column
        return column.join(unit)

    def leave(self, place: int, method: Method, periods: int) -> Unit:
        """Take a reader of the unit at a place away; return the unit."""
        column = self._columns[method, periods]
        unit = column.leave(place)
        if not len(column):
            del self._columns[method, periods]
            column.cohort.dismiss(column)
            if not column.cohort.readers:
                del self._cohorts[self._extent(method, periods)]
        return unit

    def unit(self, place: int, method: Method, periods: int) -> Unit:
        """Return the unit at a place."""
        return self._columns[method, periods].unit(place)

    def compute(self, *, now_ms: int) -> Iterator[tuple[Cohort, list[Look]]]:
        """Begin a tick: what is asked for from now on is told as of now. Yield what has to be looked at for that."""
        self._pass_time = self._pass_time_of(now_ms)
        for cohort in self._cohorts.values():
            yield cohort, cohort.looks(self._window.rings, self._pass_time)

    def points(self, method: Method, *, periods: int, wanted: int, missing: MissingData) -> Points:
        """Return the values of all units that are read so, by place, as of the last `compute`.

        The arrays are kept and change with the next tick, and may be longer than there are places.
        """
        column = self._columns[method, periods]
        with np.errstate(all="ignore"):
            return column.points(self._window.rings, self._pass_time, wanted=wanted, missing=missing)

    def evidence(
        self, places: Sequence[int], method: Method, *, periods: int, wanted: int, missing: MissingData
    ) -> list[dict[str, Any]]:
        """Return what the values at some places were found from, fit for JSON."""
        column = self._columns[method, periods]
        with np.errstate(all="ignore"):
            return evidence_of(column, places, self._window, self._pass_time, wanted=wanted, missing=missing)

    def coverage(
        self, places: Sequence[int], method: Method, *, periods: int, wanted: int, missing: MissingData
    ) -> Coverage:
        """Return of how many members there is fresh evidence at some places, once their points have been asked for."""
        column = self._columns[method, periods]
        with np.errstate(all="ignore"):
            return coverage_of(column, places, self._window, self._pass_time, wanted=wanted, missing=missing)

    def _extent(self, method: Method, periods: int) -> Extent:
        """Return what is read for a method. Differences end where the periods do, so they are not shared."""
        length_ms = self.period_s * 1000
        if method.differences is Differences.NONE:
            return Extent(length_ms=length_ms, periods=0)
        return Extent(
            length_ms=length_ms,
            periods=periods,
            differences=method.differences,
            needs_span=method.over_time is Statistic.RATE,
        )

    def _kind_of(self, series: int) -> Kind:
        return self._window.directory.get(series).metric.kind

    def _pass_time_of(self, now_ms: int) -> PassTime:
        return PassTime(
            now_ms=now_ms,
            lateness_ms=self._lateness_ms,
            is_aligned=self.is_aligned,
            length_ms=self.period_s * 1000,
        )
