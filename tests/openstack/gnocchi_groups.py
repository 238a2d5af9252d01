# SPDX-License-Identifier: Apache-2.0
"""Groups of irregular series in a real Gnocchi, and what was written into them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from uuid import UUID

from tests.openstack.gnocchi_service import Gnocchi
from tests.support.gnocchi_reference import Points, as_points

#: Every kind of method that Gnocchi keeps of a series.
ARCHIVED: Final = (
    *("mean", "sum", "last", "max", "min", "std", "median", "first", "count", "5pct", "95pct"),
    *("rate:mean", "rate:sum", "rate:last", "rate:max", "rate:std", "rate:count", "rate:90pct"),
)
#: Those that it makes of several.
ACROSS: Final = ("mean", "sum", "max", "min", "std", "median")
GRANULARITIES_S: Final = (60, 300)
#: Long ago, and at no round minute.
BEGIN_S: Final = 1_700_000_000
MINUTES: Final = 12
METRIC: Final = "m"

_POLICY: Final = "every"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Series of one group, as they were written. Its name is that of its project."""

    name: str
    #: The ids of the resources, and of their metrics.
    resources: Sequence[str]
    metrics: Sequence[str]
    series: Sequence[Points]


def with_archive_policy(server: Gnocchi) -> None:
    """Make sure that there is an archive policy for every method."""
    if server.answer("GET", f"/archive_policy/{_POLICY}").status_code != HTTPStatus.OK:
        server.archive_policy(_POLICY, granularities=dict.fromkeys(GRANULARITIES_S, 10_000), methods=ARCHIVED)


def written(server: Gnocchi, rng: random.Random, *, count: int, prefix: str) -> list[Group]:
    """Return groups of six series each, which Gnocchi has by now; the last of each group joins late."""
    made = []
    for number in range(count):
        name = f"{prefix}-{number}"
        resources = [str(UUID(int=rng.getrandbits(128), version=4)) for _ in range(6)]
        ids = [server.resource(each, {METRIC: _POLICY}, project_id=name)[METRIC] for each in resources]
        series = [_series(rng, late_s=late_s) for late_s in (0.0, 0.0, 0.0, 0.0, 0.0, 300.0)]
        made.append(Group(name=name, resources=resources, metrics=ids, series=series))
    server.write({metric: each for group in made for metric, each in zip(group.metrics, group.series, strict=True)})
    return made


def size_of(series: Sequence[Points]) -> float:
    """Return how large the values are that a difference may have been taken of."""
    return max((abs(value) for points in series for _, value in points), default=0.0)


def _series(rng: random.Random, *, late_s: float) -> Points:
    """Return points at irregular moments, with gaps, of values of very different size."""
    size = 10 ** rng.uniform(-3, 13)
    moments = (BEGIN_S + late_s + rng.uniform(0, MINUTES * 60 - late_s) for _ in range(MINUTES * 4))
    return as_points((round(moment, 3), rng.gauss(0.3, 1) * size) for moment in moments if rng.random() > 0.35)
