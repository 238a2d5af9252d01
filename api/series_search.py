# SPDX-License-Identifier: Apache-2.0
"""Finds series and their points in the sample log, for people who look at them. Evaluators have their own window."""

import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from alarmd.cache.log import SampleLog
from alarmd.model.samples import Batch, Labels, Metric, Resource
from alarmd.model.shard import all_shards, shard_of

Series: TypeAlias = tuple[Resource, Metric]

#: Batches read from the log at once: enough to keep reading quick, few enough to keep memory small.
_PAGE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesQuery:
    """Which series, and which of their points. None stands for any."""

    start_s: float
    end_s: float
    project_id: str | None
    metric: str | None = None
    resource_id: str | None = None
    user_id: str | None = None
    labels: Labels = ()

    def takes(self, resource: Resource) -> bool:
        """Return whether the query is about a resource."""
        return (
            (self.resource_id is None or self.resource_id == resource.id)
            and (self.project_id is None or self.project_id == resource.project_id)
            and (self.user_id is None or self.user_id == resource.user_id)
            and (not self.labels or set(self.labels) <= set(resource.labels))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value of a series."""

    timestamp_s: float
    value: float


def latest_points(log: SampleLog, query: SeriesQuery) -> dict[Series, Point]:
    """Return every series that has samples within the query's span, with its newest point there.

    Raises `LogUnavailable`.
    """
    found: dict[Series, Point] = {}
    for batch in _batches(log, query):
        for series, value in _cells(batch, query):
            known = found.get(series)
            if known is None or known.timestamp_s <= batch.timestamp_s:
                found[series] = Point(timestamp_s=batch.timestamp_s, value=value)
    return found


def points(log: SampleLog, query: SeriesQuery, *, limit: int) -> tuple[dict[Series, list[Point]], bool]:
    """Return the points of the query's series, oldest first, and whether older ones were left out.

    At most `limit` points over all series, the newest. Of two samples for one series and moment the one that was
    accepted later stays, as in the window. Raises `LogUnavailable`.
    """
    cells: dict[tuple[float, Series], float] = {}
    for batch in _batches(log, query):
        for series, value in _cells(batch, query):
            cells[batch.timestamp_s, series] = value
    newest: Iterable[tuple[float, Series]] = cells
    if len(cells) > limit:
        newest = heapq.nlargest(limit, cells, key=lambda cell: cell[0])
    found: dict[Series, list[Point]] = {}
    for timestamp_s, series in sorted(newest, key=lambda cell: cell[0]):
        point = Point(timestamp_s=timestamp_s, value=cells[timestamp_s, series])
        found.setdefault(series, []).append(point)
    return found, len(cells) > limit


def _batches(log: SampleLog, query: SeriesQuery) -> Iterator[Batch]:
    """Yield the batches of the query's span, in the order in which they were accepted within a shard."""
    shards = all_shards() if query.project_id is None else {shard_of(query.project_id)}
    cursor = log.start_of(shards, since_s=query.start_s)
    while True:
        entries, cursor = log.read(cursor, limit=_PAGE)
        if not entries:
            return
        for entry in entries:
            if query.start_s <= entry.batch.timestamp_s <= query.end_s:
                yield entry.batch


def _cells(batch: Batch, query: SeriesQuery) -> Iterator[tuple[Series, float]]:
    """Yield what a batch says of the query's series."""
    columns = [(column, metric) for column, metric in enumerate(batch.metrics) if query.metric in (None, metric.name)]
    if not columns:
        return
    for row, resource in enumerate(batch.resources):
        if query.takes(resource):
            for column, metric in columns:
                value = float(batch.values[row, column])
                if not math.isnan(value):
                    yield (resource, metric), value
