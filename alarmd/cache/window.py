# SPDX-License-Identifier: Apache-2.0
"""The window: the last hour or so of every series of a worker's shards, in memory, filled from the sample log."""

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alarmd.cache.rings import Numbers, Rings
from alarmd.cache.roll import Roll
from alarmd.cache.series import SeriesDirectory
from alarmd.cache.traces import Traces
from alarmd.model.samples import Batch, Metric, Resource

#: How many different sets of resources are remembered by their row numbers. A host's machines come as one set a shard,
#: and to look up again what did not fit costs ten times as much as all the rest of taking a batch.
_LAYOUTS_KEPT = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLimits:
    """The bounds of the window."""

    #: How far back rules may look.
    length_s: float
    #: How much older than its series' newest sample a sample may be and still count.
    lateness_s: float
    #: How far ahead of this machine's clock a sample may be and still count.
    future_s: float = 60.0
    #: How many series fit; samples of further ones are dropped and counted.
    max_series: int = 2_000_000


@dataclass(slots=True)
class WindowCounts:
    """How many samples the window took and dropped since it was made, by what became of them."""

    accepted: int = 0
    late: int = 0
    future: int = 0
    crowded_out: int = 0


#: In a layout: nothing was reported in this cell yet, or there was no room for its series.
_UNPLACED = -1
#: In a layout: the same series stands again further on in the batch, and the last one counts.
_SHADOWED = -2


@dataclass(slots=True)
class _Layout:
    """Where the cells of all batches with the same resources and metrics go."""

    #: Held also so that their `id`s stay taken. Not the batch: that would keep its values too.
    resources: tuple[Resource, ...]
    metrics: tuple[Metric, ...]
    generation: int
    #: Series number a cell, shape (R·M,).
    series: Numbers
    #: Which machines its resources are, or are part of.
    machines: Numbers
    #: Whether every cell has its series, so that nobody need look.
    is_settled: bool = False


@dataclass(slots=True)
class Window:
    """Columns of recent samples. Not safe for use by several threads."""

    limits: WindowLimits
    directory: SeriesDirectory = field(default_factory=SeriesDirectory)
    rings: Rings = field(init=False)
    roll: Roll = field(default_factory=Roll)
    traces: Traces = field(default_factory=Traces)
    counts: WindowCounts = field(default_factory=WindowCounts)
    _layouts: OrderedDict[tuple[int, int], _Layout] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.rings = Rings(length_s=self.limits.length_s)

    def append(self, batch: Batch, *, now_s: float) -> None:
        """Take the samples of a batch.

        Samples may come late and out of order; of two for the same series and millisecond the last one counts.
        """
        time_ms = round(batch.timestamp_s * 1000)
        if batch.timestamp_s > now_s + self.limits.future_s:
            self.counts.future += batch.point_count
            return
        if not batch.resources:
            self.roll.call(batch)
            return
        values = batch.values.ravel()
        missing = np.isnan(values)
        layout = self._layout_of(batch)
        self.roll.saw(layout.machines, batch.source, time_ms)
        if missing.any() or not layout.is_settled:
            self._settle(layout, ~missing)
            wanted = ~missing & (layout.series >= 0)
            series, values = layout.series[wanted], values[wanted]
        else:
            series = layout.series
        newest_ms = self.rings.newest_ms[series]
        in_order = newest_ms < time_ms
        if in_order.all():
            self._extend(series, time_ms, values, batch.traceparent)
            self.counts.accepted += len(series)
            return
        self._extend(series[in_order], time_ms, values[in_order], batch.traceparent)
        self.counts.accepted += int(np.count_nonzero(in_order))
        oldest_ms = newest_ms - round(self.limits.lateness_s * 1000)
        self._reorder(time_ms, series[~in_order], values[~in_order], oldest_ms[~in_order])

    def expire(self, *, now_s: float) -> int:
        """Forget every series whose newest sample has left the window; return how many."""
        oldest_ms = round((now_s - self.limits.length_s) * 1000)
        silent = np.flatnonzero(self.rings.newest_ms < oldest_ms).tolist()
        gone = [number for number in silent if number in self.directory]
        self.rings.remove(gone)
        for number in gone:
            self.directory.remove(number)
        if self.roll.expire(oldest_ms=oldest_ms):
            self._layouts.clear()
        return len(gone)

    def _extend(self, series: Numbers, time_ms: int, values: NDArray[np.float64], traceparent: str) -> None:
        self.rings.append(series, time_ms, values)
        self.traces.note(series, traceparent, capacity=len(self.rings.newest_ms))

    def _reorder(
        self, time_ms: int, series: Numbers, values: NDArray[np.float64], oldest_ms: NDArray[np.int64]
    ) -> None:
        for number, value, oldest in zip(series.tolist(), values.tolist(), oldest_ms.tolist(), strict=True):
            if time_ms < oldest:
                self.counts.late += 1
                continue
            self.rings.insert(number, time_ms, value)
            self.counts.accepted += 1

    def _layout_of(self, batch: Batch) -> _Layout:
        """Return where a batch's cells go.

        Quick when the batch's resources and metrics are the very objects seen before, as the log's decoder makes them.
        """
        key = (id(batch.resources), id(batch.metrics))
        layout = self._layouts.get(key)
        if layout is None or layout.generation != self.directory.generation:
            unplaced = np.full(batch.values.size, _UNPLACED, np.int32)
            machines = self.roll.machines_of(batch.resources)
            layout = _Layout(batch.resources, batch.metrics, self.directory.generation, unplaced, machines)
            self._layouts[key] = layout
            if len(self._layouts) > _LAYOUTS_KEPT:
                self._layouts.popitem(last=False)
        self._layouts.move_to_end(key)
        return layout

    def _settle(self, layout: _Layout, reported: NDArray[np.bool_]) -> None:
        """Find the series of cells that report for the first time, admitting new ones."""
        if layout.is_settled:
            return
        newly_reported = np.flatnonzero(reported & (layout.series == _UNPLACED))
        if len(newly_reported):
            self._place(layout, newly_reported.tolist())
            layout.is_settled = bool((layout.series >= 0).all())

    def _place(self, layout: _Layout, cells: list[int]) -> None:
        series = layout.series
        cell_of = {number: cell for cell, number in enumerate(series.tolist()) if number >= 0}
        width = len(layout.metrics)
        newcomers = []
        for cell in cells:
            resource, metric = layout.resources[cell // width], layout.metrics[cell % width]
            known = self.directory.find(resource.project_id, resource.id, metric.name)
            if known is None and len(self.directory) >= self.limits.max_series:
                self.counts.crowded_out += 1
                continue
            number, new = self.directory.put(resource, metric)
            self.roll.place(number, resource)
            if new:
                newcomers.append(number)
            shadowed = cell_of.get(number)
            last = cell if shadowed is None else max(shadowed, cell)
            if shadowed is not None:
                series[min(shadowed, cell)] = _SHADOWED
            cell_of[number] = last
            series[last] = number
        self.rings.admit(newcomers)
        layout.generation = self.directory.generation
