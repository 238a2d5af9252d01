# SPDX-License-Identifier: Apache-2.0
"""Builders of batches for the log: projects matter there, and values only as marks."""

from collections.abc import Sequence

import numpy as np

from alarmd.model.samples import Batch, Metric, Resource
from alarmd.model.shard import SHARD_COUNT, Shard, shard_of


def a_uniform_batch(
    *,
    projects: Sequence[str] = ("project",),
    source: str = "test",
    timestamp_s: float = 1_767_225_600.0,
    metrics: Sequence[str] = ("cpu_util",),
    value: float = 1.0,
) -> Batch:
    """Return a batch of one resource a project, every cell the same value."""
    return Batch(
        source=source,
        timestamp_s=timestamp_s,
        metrics=tuple(Metric(name=name) for name in metrics),
        resources=tuple(Resource(id=f"vm-{project}", project_id=project) for project in projects),
        values=np.full((len(projects), len(metrics)), value),
        expected=len(projects),
    )


def project_in(shard: int) -> str:
    """Return the name of a project that lies in the shard."""
    return _PROJECTS[Shard(shard)]


def _projects() -> dict[Shard, str]:
    found: dict[Shard, str] = {}
    number = 0
    while len(found) < SHARD_COUNT:
        found.setdefault(shard_of(f"project-{number}"), f"project-{number}")
        number += 1
    return found


_PROJECTS = _projects()
