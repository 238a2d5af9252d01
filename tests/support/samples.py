# SPDX-License-Identifier: Apache-2.0
"""Builders for samples."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from alarmd.cache.log import LogLimits
from alarmd.cache.sqlite_log import SqliteLog, SqliteLogOptions
from alarmd.model.samples import Batch, Kind, Metric, Resource, labels_of


def a_resource(
    resource_id: str = "vm-1", *, project_id: str = "", user_id: str = "", labels: Mapping[str, str] | None = None
) -> Resource:
    """Return a resource."""
    return Resource(id=resource_id, project_id=project_id, user_id=user_id, labels=labels_of((labels or {}).items()))


def a_batch(values: Mapping[Resource | str, Mapping[str, float]], *, timestamp_s: float, source: str = "test") -> Batch:
    """Return a batch of gauges from values by resource and metric; what is left out is not reported."""
    resources = tuple(a_resource(key) if isinstance(key, str) else key for key in values)
    names = sorted({name for report in values.values() for name in report})
    return Batch(
        source=source,
        timestamp_s=timestamp_s,
        metrics=tuple(Metric(name=name, kind=Kind.GAUGE) for name in names),
        resources=resources,
        values=np.array(
            [[report.get(name, np.nan) for name in names] for report in values.values()], np.float64
        ).reshape(len(resources), len(names)),
        expected=len(resources),
    )


def new_log(folder: Path) -> SqliteLog:
    """Return the sample log `samples.db` of a directory, with room for two hours."""
    return SqliteLog(
        folder / "samples.db", limits=LogLimits(retention_s=7200, max_bytes=1 << 26), options=SqliteLogOptions()
    )
