# SPDX-License-Identifier: Apache-2.0
"""Samples: what a source reports about its resources at one moment."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from math import isfinite
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from alarmd.model.shard import Shard, shard_of

#: Label names and values as sorted pairs, see `labels_of`.
Labels: TypeAlias = tuple[tuple[str, str], ...]


class Kind(StrEnum):
    """How the values of a metric relate to each other."""

    GAUGE = "gauge"
    CUMULATIVE = "cumulative"
    DELTA = "delta"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What is measured."""

    #: Dotted name, e.g. ``cpu_util``.
    name: str
    #: Unit as Ceilometer spells it, e.g. ``%``, ``B``, ``ns``; empty when there is none.
    unit: str = ""
    kind: Kind = Kind.GAUGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What it is measured on."""

    id: str
    #: The tenant that owns the resource; empty when nobody does.
    project_id: str = ""
    user_id: str = ""
    #: Sorted pairs, see `labels_of`.
    labels: Labels = ()


def labels_of(labels: Iterable[tuple[str, str]]) -> Labels:
    """Return labels in their one canonical order."""
    return tuple(sorted(labels))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """The values of M metrics on R resources at one moment.

    A batch explains itself: whoever reads it needs nothing else to know whose the values are.
    """

    #: Name of the source that took the values, e.g. ``libvirt:hv1`` or ``push``.
    source: str
    #: When the values were true, seconds since the Unix epoch. Kept to the millisecond by the log and the window.
    timestamp_s: float
    metrics: tuple[Metric, ...]
    resources: tuple[Resource, ...]
    #: float64, shape (R, M); NaN where a resource did not report a metric. Never infinite.
    values: NDArray[np.float64]
    #: How many resources should have reported; more than R when some could not be read.
    expected: int
    #: W3C `traceparent` of what brought the values, as `trace.read_traceparent` returns it; empty without one.
    traceparent: str = ""

    def __post_init__(self) -> None:
        shape = (len(self.resources), len(self.metrics))
        if self.values.shape != shape:
            raise ValueError(f"values have shape {self.values.shape}, resources and metrics make {shape}")
        # Said here, where whoever made it is told: no log could take it, and it would be in the way of those behind it.
        if not isfinite(self.timestamp_s):
            raise ValueError(f"{self.timestamp_s} is no moment")

    @property
    def point_count(self) -> int:
        """How many values are really there."""
        return int(np.count_nonzero(~np.isnan(self.values)))

    def by_shard(self) -> Iterator[tuple[Shard, "Batch"]]:
        """Split into one batch a shard, in ascending order of shards; each keeps the metrics and the moment."""
        rows: dict[Shard, list[int]] = {}
        for row, resource in enumerate(self.resources):
            rows.setdefault(shard_of(resource.project_id), []).append(row)
        if len(rows) == 1:
            yield next(iter(rows)), self
            return
        for shard in sorted(rows):
            picked = rows[shard]
            resources = tuple(self.resources[row] for row in picked)
            yield shard, replace(self, resources=resources, values=self.values[picked], expected=len(picked))


def roll_call(source: str, batches: Iterable[Batch], *, started_s: float) -> Batch:
    """Return what says that a source was read, and how many of its resources were missing: a batch without any.

    It is for all shards, so that who follows one of them can tell a resource that has left from a source that is
    silent. Its moment is no later than any of the poll's samples.
    """
    polled = list(batches)
    return Batch(
        source=source,
        timestamp_s=min([started_s, *(batch.timestamp_s for batch in polled)]),
        metrics=(),
        resources=(),
        values=np.zeros((0, 0)),
        expected=sum(batch.expected - len(batch.resources) for batch in polled),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value: how a pusher thinks of it."""

    metric: Metric
    resource: Resource
    timestamp_s: float
    value: float


def batches_of(samples: Iterable[Sample], *, source: str, traceparent: str = "") -> list[Batch]:
    """Gather single samples into as few dense batches as they allow, oldest first.

    Samples of one moment whose resources report the same metrics share a batch, so a batch never holds a cell
    that nobody sent. Of two samples for the same series and moment the later one stays.
    """
    reports: dict[tuple[float, Resource], dict[Metric, float]] = {}
    for sample in samples:
        reports.setdefault((sample.timestamp_s, sample.resource), {})[sample.metric] = sample.value
    groups: dict[tuple[float, tuple[Metric, ...]], list[tuple[Resource, dict[Metric, float]]]] = {}
    for (timestamp_s, resource), report in reports.items():
        metrics = tuple(sorted(report, key=lambda metric: metric.name))
        groups.setdefault((timestamp_s, metrics), []).append((resource, report))
    return [
        Batch(
            source=source,
            timestamp_s=timestamp_s,
            metrics=metrics,
            resources=tuple(resource for resource, _ in members),
            values=np.array([[report[metric] for metric in metrics] for _, report in members], dtype=np.float64),
            expected=len(members),
            traceparent=traceparent,
        )
        for (timestamp_s, metrics), members in sorted(groups.items(), key=lambda group: group[0][0])
    ]
