# SPDX-License-Identifier: Apache-2.0
"""The real Gnocchi, and what we take it for: what it keeps of a series, and what it makes of several."""

import math
import random
from collections.abc import Sequence
from typing import Any, Final

import pytest

from tests.openstack.gnocchi_groups import (
    ACROSS,
    ARCHIVED,
    BEGIN_S,
    GRANULARITIES_S,
    Group,
    size_of,
    with_archive_policy,
    written,
)
from tests.openstack.gnocchi_service import Gnocchi
from tests.support.gnocchi_reference import Buckets, across, archived, between

GRANULARITY_S: Final = GRANULARITIES_S[0]
_TOLERANCE: Final = 1e-9


@pytest.fixture(scope="module")
def server(gnocchi_server: Gnocchi) -> Gnocchi:
    """Gnocchi, with an archive policy for every method."""
    with_archive_policy(gnocchi_server)
    return gnocchi_server


@pytest.fixture(scope="module")
def groups(server: Gnocchi) -> list[Group]:
    """Ten groups of six series each."""
    return written(server, random.Random(20260101), count=10, prefix="archive")


def _measures(answer: Any, *, granularity_s: int) -> list[float]:
    return [value for _, granularity, value in answer if granularity == granularity_s]


def _agree(told: Sequence[float], expected: Buckets, *, size: float) -> bool:
    """Whether two lists of values are the same but for the last digits of what they were computed from."""
    return len(told) == len(expected) and all(
        math.isclose(one, other, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE * size)
        for one, other in zip(told, expected.values(), strict=True)
    )


@pytest.mark.parametrize("granularity_s", GRANULARITIES_S)
def test_what_is_kept_of_a_series(granularity_s: int, server: Gnocchi, groups: list[Group]) -> None:
    """Every method of every series, in two windows: buckets and values are those of the reference."""
    wrong, held = [], 0
    windows = [(BEGIN_S, BEGIN_S + 720.0), (BEGIN_S + 100.5, BEGIN_S + 460.0)]
    for group in groups[:2]:
        for metric, points in zip(group.metrics, group.series, strict=True):
            for method in ARCHIVED:
                kept = archived(points, method, granularity_s=granularity_s)
                for start_s, stop_s in windows:
                    expected = between(kept, start_s=start_s, stop_s=stop_s, granularity_s=granularity_s)
                    path = f"/metric/{metric}/measures"
                    span: dict[str, Any] = {"start": start_s, "stop": stop_s, "granularity": granularity_s}
                    told = _measures(server.ask("GET", path, aggregation=method, **span), granularity_s=granularity_s)
                    held += 1
                    if not _agree(told, expected, size=size_of([points])):
                        wrong.append((metric, method, start_s, told, expected))

    assert [] == wrong
    assert held == 2 * 6 * len(ARCHIVED) * len(windows)


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
        for start_s, stop_s in ((BEGIN_S, BEGIN_S + 720.0), (BEGIN_S + 100.5, BEGIN_S + 460.0)):
            span = {"start_s": start_s, "stop_s": stop_s}
            inside = [between(member, **span, granularity_s=GRANULARITY_S) for member in members]
            search = {"=": {"project_id": group.name}}
            answer = _aggregate(server, ["aggregate", method, ["metric", "m", base]], search=search, **span)
            told = _measures(answer.json()["measures"]["aggregated"], granularity_s=GRANULARITY_S)
            held += 1
            if not _agree(told, across(inside, method), size=size_of(group.series)):
                wrong.append((group.name, method, start_s, told, across(inside, method)))

    assert [] == wrong
    assert held == 2 * len(groups)


@pytest.mark.parametrize("method", ["last", "first", "95pct", "rate:last"])
def test_what_cannot_be_made_of_several_series(method: str, server: Gnocchi, groups: list[Group]) -> None:
    """Gnocchi refuses what it keeps of one series for several."""
    base = method.removeprefix("rate:")
    operations = ["aggregate", method, ["metric", "m", base]]
    search = {"=": {"project_id": groups[0].name}}
    answer = _aggregate(server, operations, search=search, start_s=BEGIN_S, stop_s=BEGIN_S + 720)

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
