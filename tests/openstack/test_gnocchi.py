# SPDX-License-Identifier: Apache-2.0
"""The real Gnocchi, and what we take it for: what it keeps of a series, and what it makes of several."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import pytest

from tests.openstack.gnocchi_service import Gnocchi, gnocchi
from tests.support.gnocchi_reference import Buckets, Points, across, archived, as_points, between
from tests.support.servers import PostgresServer, RedisServer

ARCHIVED: Final = (
    *("mean", "sum", "last", "max", "min", "std", "median", "first", "count", "5pct", "95pct"),
    *("rate:mean", "rate:sum", "rate:last", "rate:max", "rate:std", "rate:count", "rate:90pct"),
)
ACROSS: Final = ("mean", "sum", "max", "min", "std", "median")
GRANULARITY_S: Final = 60
_TOLERANCE: Final = 1e-9
#: Long ago, and at no round minute.
_BEGIN_S: Final = 1_700_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Series of one group, as they were written."""

    name: str
    #: The ids of the resources, and of their metrics.
    resources: Sequence[str]
    metrics: Sequence[str]
    series: Sequence[Points]


@pytest.fixture(scope="module")
def server(
    postgres_server: PostgresServer, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gnocchi]:
    """A Gnocchi with an archive policy for every method."""
    with gnocchi(tmp_path_factory.mktemp("gnocchi"), postgres=postgres_server, redis=redis_server) as running:
        running.archive_policy("every", granularities={GRANULARITY_S: 10_000, 300: 1_000}, methods=ARCHIVED)
        yield running


def _series(rng: random.Random, *, minutes: int, late_s: float) -> Points:
    """Return points at irregular moments, with gaps, of values of very different size."""
    size = 10 ** rng.uniform(-3, 13)
    moments = (_BEGIN_S + late_s + rng.uniform(0, minutes * 60 - late_s) for _ in range(minutes * 4))
    return as_points((round(moment, 3), rng.gauss(0.3, 1) * size) for moment in moments if rng.random() > 0.35)


@pytest.fixture(scope="module")
def groups(server: Gnocchi) -> list[Group]:
    """Ten groups of six series each; the last of each joins late."""
    rng = random.Random(20260101)
    made = []
    for number in range(10):
        resources = [str(uuid4()) for _ in range(6)]
        ids = [server.resource(each, {"m": "every"}, project_id=f"group-{number}")["m"] for each in resources]
        late = [0.0] * 5 + [300.0]
        series = [_series(rng, minutes=12, late_s=late_s) for late_s in late]
        made.append(Group(name=f"group-{number}", resources=resources, metrics=ids, series=series))
    server.write({metric: each for group in made for metric, each in zip(group.metrics, group.series, strict=True)})
    return made


def _measures(answer: Any, *, granularity_s: int) -> list[float]:
    return [value for _, granularity, value in answer if granularity == granularity_s]


def _agree(told: Sequence[float], expected: Buckets, *, size: float) -> bool:
    """Whether two lists of values are the same but for the last digits of what they were computed from."""
    return len(told) == len(expected) and all(
        math.isclose(one, other, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE * size)
        for one, other in zip(told, expected.values(), strict=True)
    )


def _size(series: Sequence[Points]) -> float:
    """Return how large the values are that a difference may have been taken of."""
    return max((abs(value) for points in series for _, value in points), default=0.0)


@pytest.mark.parametrize("granularity_s", [GRANULARITY_S, 300])
def test_what_is_kept_of_a_series(granularity_s: int, server: Gnocchi, groups: list[Group]) -> None:
    """Every method of every series, in two windows: buckets and values are those of the reference."""
    wrong, held = [], 0
    windows = [(_BEGIN_S, _BEGIN_S + 720.0), (_BEGIN_S + 100.5, _BEGIN_S + 460.0)]
    for group in groups[:3]:
        for metric, points in zip(group.metrics, group.series, strict=True):
            for method in ARCHIVED:
                kept = archived(points, method, granularity_s=granularity_s)
                for start_s, stop_s in windows:
                    expected = between(kept, start_s=start_s, stop_s=stop_s, granularity_s=granularity_s)
                    path = f"/metric/{metric}/measures"
                    span: dict[str, Any] = {"start": start_s, "stop": stop_s, "granularity": granularity_s}
                    told = _measures(server.ask("GET", path, aggregation=method, **span), granularity_s=granularity_s)
                    held += 1
                    if not _agree(told, expected, size=_size([points])):
                        wrong.append((metric, method, start_s, told, expected))

    assert [] == wrong
    assert held == 3 * 6 * len(ARCHIVED) * len(windows)


def _aggregate(server: Gnocchi, operations: Any, *, search: Any, start_s: float, stop_s: float) -> Any:
    return server.answer(
        "POST",
        "/aggregates",
        {"operations": operations, "resource_type": "generic", "search": search},
        start=start_s,
        stop=stop_s,
        granularity=GRANULARITY_S,
        needed_overlap=0,
    )


@pytest.mark.parametrize("method", [*ACROSS, *(f"rate:{method}" for method in ACROSS)])
def test_what_is_made_of_several_series(method: str, server: Gnocchi, groups: list[Group]) -> None:
    """Every method across the members of every group, as Aodh asks for it: members that come and go, too."""
    wrong, held = [], 0
    base = method.removeprefix("rate:")
    for group in groups:
        members = [archived(points, base, granularity_s=GRANULARITY_S) for points in group.series]
        for start_s, stop_s in ((_BEGIN_S, _BEGIN_S + 720.0), (_BEGIN_S + 100.5, _BEGIN_S + 460.0)):
            span = {"start_s": start_s, "stop_s": stop_s}
            inside = [between(member, **span, granularity_s=GRANULARITY_S) for member in members]
            search = {"=": {"project_id": group.name}}
            answer = _aggregate(server, ["aggregate", method, ["metric", "m", base]], search=search, **span)
            told = _measures(answer.json()["measures"]["aggregated"], granularity_s=GRANULARITY_S)
            held += 1
            if not _agree(told, across(inside, method), size=_size(group.series)):
                wrong.append((group.name, method, start_s, told, across(inside, method)))

    assert [] == wrong
    assert held == 2 * len(groups)


@pytest.mark.parametrize("method", ["last", "first", "95pct", "rate:last"])
def test_what_cannot_be_made_of_several_series(method: str, server: Gnocchi, groups: list[Group]) -> None:
    """Gnocchi refuses what it keeps of one series for several."""
    base = method.removeprefix("rate:")
    operations = ["aggregate", method, ["metric", "m", base]]
    search = {"=": {"project_id": groups[0].name}}
    answer = _aggregate(server, operations, search=search, start_s=_BEGIN_S, stop_s=_BEGIN_S + 720)

    assert answer.status_code == 400


def test_two_metrics_as_aodh_asks_for_them(server: Gnocchi, groups: list[Group]) -> None:
    """A node for each of two metrics is refused; one metric is answered, and so is one node that holds both."""
    one, other = groups[0].metrics[:2]

    def status(*nodes: Any) -> int:
        body = {"operations": ["aggregate", "mean", *nodes]}
        return server.answer("POST", "/aggregates", body, granularity=GRANULARITY_S, needed_overlap=0).status_code

    assert [400, 200, 200] == [
        status(["metric", one, "mean"], ["metric", other, "mean"]),
        status(["metric", one, "mean"]),
        status(["metric", [one, "mean"], [other, "mean"]]),
    ]
