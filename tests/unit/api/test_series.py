# SPDX-License-Identifier: Apache-2.0
"""Series and their points."""

from collections.abc import Callable
from typing import Any

import pytest

from alarmd.api.context import ApiLimits
from tests.support.rest import ADMIN, ANN, BOB, Door, error_of


def push(door: Door, metric: str, resource_id: str, value: float, headers: dict[str, str], **more: Any) -> None:
    """Push one sample."""
    sample = {"metric": metric, "resource_id": resource_id, "value": value} | more
    assert door.post("/v3/samples", {"samples": [sample]}, headers=headers).status_code == 202


@pytest.fixture
def stocked(door: Door) -> Door:
    """A door with two series of one project over a minute, and one of another project."""
    for minute in range(3):
        push(door, "cpu_util", "vm-1", minute, ANN, unit="%", labels={"group": "web"})
        push(door, "memory.usage", "vm-1", 100 + minute, ANN)
        push(door, "cpu_util", "vm-9", -minute, BOB)
        door.clock.advance(60)
    return door


def listed(door: Door, arguments: str, headers: dict[str, str]) -> list[tuple[str, str, str, float]]:
    """Return the series listed, each with the value of its newest point."""
    response = door.get(f"/v3/series?{arguments}", headers=headers)
    assert response.status_code == 200, response.get_data(as_text=True)
    return [
        (series["project_id"], series["resource_id"], series["metric"], series["latest"]["value"])
        for series in response.get_json()["series"]
    ]


def test_a_series_is_shown_with_all_that_names_it_and_its_newest_point(stocked: Door) -> None:
    """What a rule's query can ask for stands there."""
    answer = stocked.get("/v3/series?metric=cpu_util", headers=ANN).get_json()

    assert {
        "start": "2025-12-31T23:53:00",
        "end": "2026-01-01T00:04:00",
        "truncated": False,
        "series": [
            {
                "metric": "cpu_util",
                "resource_id": "vm-1",
                "project_id": "p1",
                "user_id": "ann",
                "labels": {"group": "web"},
                "unit": "%",
                "type": "gauge",
                "latest": {"timestamp": "2026-01-01T00:02:00", "value": 2.0},
            }
        ],
    } == answer


@pytest.mark.parametrize(
    ("arguments", "headers", "expected"),
    [
        ("", ANN, [("p1", "vm-1", "cpu_util", 2), ("p1", "vm-1", "memory.usage", 102)]),
        ("", BOB, [("p2", "vm-9", "cpu_util", -2)]),
        ("metric=memory.usage", ANN, [("p1", "vm-1", "memory.usage", 102)]),
        ("metric=nothing", ANN, []),
        ("resource_id=vm-9", ANN, []),
        ("labels.group=web", ANN, [("p1", "vm-1", "cpu_util", 2)]),
        ("labels.group=db", ANN, []),
        ("user_id=bob", ANN, []),
        ("project_id=p2", ADMIN, [("p2", "vm-9", "cpu_util", -2)]),
        ("", ADMIN, []),
        ("", {}, [("p1", "vm-1", "cpu_util", 2), ("p2", "vm-9", "cpu_util", -2), ("p1", "vm-1", "memory.usage", 102)]),
        ("all_projects=true&metric=cpu_util", ADMIN, [("p1", "vm-1", "cpu_util", 2), ("p2", "vm-9", "cpu_util", -2)]),
        ("end=2026-01-01T00:00:30&metric=cpu_util", ANN, [("p1", "vm-1", "cpu_util", 0)]),
        ("start=2026-01-01T00:02:30", ANN, []),
        ("start=1767225720&metric=cpu_util", ANN, [("p1", "vm-1", "cpu_util", 2)]),
        ("limit=1", ANN, [("p1", "vm-1", "cpu_util", 2)]),
    ],
)
def test_lists_hold_what_was_asked_for(
    stocked: Door, arguments: str, headers: dict[str, str], expected: list[tuple[str, str, str, float]]
) -> None:
    """Narrowed by every part of a series, by time and to the caller's project, as alarms are."""
    assert expected == listed(stocked, arguments, headers)


def test_points_come_oldest_first_and_the_newest_when_there_are_too_many(stocked: Door) -> None:
    """The answer says when older points were left out."""
    path = "/v3/series/data?metric=cpu_util&resource_id=vm-1"
    whole, cut = (stocked.get(path + more, headers=ANN).get_json() for more in ("", "&limit=2"))

    assert [0.0, 1.0, 2.0] == [point["value"] for point in whole["series"][0]["points"]]
    assert [1.0, 2.0] == [point["value"] for point in cut["series"][0]["points"]]
    assert [False, True] == [whole["truncated"], cut["truncated"]]


def test_of_two_values_for_one_moment_the_later_accepted_is_shown(door: Door) -> None:
    """As the window has it that alarms are evaluated over."""
    for value in (1, 2):
        push(door, "m", "r", value, ANN, timestamp="2026-01-01T00:00:00")
    answer = door.get("/v3/series/data?metric=m&resource_id=r", headers=ANN).get_json()

    assert [{"timestamp": "2026-01-01T00:00:00", "value": 2.0}] == answer["series"][0]["points"]


def test_series_that_differ_in_labels_only_are_kept_apart(door: Door) -> None:
    """Each has points of its own."""
    for group in ("a", "b"):
        push(door, "m", "r", 1, ANN, labels={"group": group})
    answer = door.get("/v3/series/data?metric=m&resource_id=r", headers=ANN).get_json()

    assert [{"group": "a"}, {"group": "b"}] == [series["labels"] for series in answer["series"]]


def test_an_answer_has_a_bound_that_the_operator_sets(open_a_door: Callable[..., Door]) -> None:
    """Whatever limit a client asks for."""
    door = open_a_door(limits=ApiLimits(series_limit=2))
    for number in range(3):
        push(door, "m", f"r{number}", 1, ANN)
    answer = door.get("/v3/series?limit=100", headers=ANN).get_json()

    assert (2, True) == (len(answer["series"]), answer["truncated"])


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/v3/series?colour=red", 400, 'Unknown argument: "colour"'),
        ("/v3/series?labels.=red", 400, 'Unknown argument: "labels."'),
        ("/v3/series?start=soon", 400, "Value should be ISO 8601 or seconds since the epoch"),
        ("/v3/series?start=1e300", 400, "must not be after end"),
        ("/v3/series?start=nan", 400, "Value should be ISO 8601 or seconds since the epoch"),
        ("/v3/series?all_projects=perhaps", 400, "Value should be true or false"),
        ("/v3/series?limit=-2", 400, "Limit should be positive"),
        ("/v3/series?project_id=p2", 401, "Not Authorized to access project p2"),
        ("/v3/series?all_projects=true", 403, "RBAC Authorization Failed"),
        ("/v3/series/data?metric=m", 400, "resource_id. Value: 'None'. Mandatory field missing."),
        ("/v3/series/data?resource_id=r", 400, "metric. Value: 'None'. Mandatory field missing."),
    ],
)
def test_what_cannot_be_asked_is_refused(door: Door, path: str, status: int, text: str) -> None:
    """Each mistake says what is wrong."""
    response = door.get(path, headers=ANN)

    assert status == response.status_code
    assert text in error_of(response)
