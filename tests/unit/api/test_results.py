# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from typing import Any

import pytest

from alarmd.api.context import Access, ApiLimits
from alarmd.model.alarm import AlarmId
from alarmd.model.results import ResultCounts
from tests.support.alarms import an_alarm
from tests.support.rest import ADMIN, ANN, BOB, Door, error_of


@pytest.fixture
def counting(open_a_door: Callable[..., Door]) -> Door:
    """A door behind a proxy to a daemon that counts, with an alarm of each of two projects and one that is new."""
    door = open_a_door(access=Access.TRUSTED_HEADERS, count_results=True)
    with door.database.write() as unit:
        for alarm_id, project_id in (("a", "p1"), ("b", "p2"), ("c", "p1"), ("new", "p1")):
            unit.alarms.add(an_alarm(alarm_id=AlarmId(alarm_id), project_id=project_id))
        unit.counters.add(
            [
                ResultCounts(alarm_id=AlarmId("a"), ok=0, alarm=6, insufficient_data=0),
                ResultCounts(alarm_id=AlarmId("b"), ok=2, alarm=0, insufficient_data=1),
                ResultCounts(alarm_id=AlarmId("c"), ok=1, alarm=0, insufficient_data=0),
            ]
        )
    return door


def listed(door: Door, path: str, headers: dict[str, str]) -> list[str]:
    """Return the ids of the alarms in an answer."""
    answer: dict[str, Any] = door.get(path, headers=headers).get_json()
    return [one["alarm_id"] for one in answer["evaluation_results"]]


def test_s1_3_metrics_results_have_the_shape_of_aodh(counting: Door) -> None:
    """Every counted alarm of the caller's project is there with all three states, and no other."""
    answer = counting.get("/v2/metrics", headers=BOB)

    counters = {"insufficient data": 1, "ok": 2, "alarm": 0}
    expected = [{"alarm_id": "b", "project_id": "p2", "state_counters": counters}]
    assert (200, {"evaluation_results": expected}) == (answer.status_code, answer.get_json())
    assert ["a", "c"] == listed(counting, "/v2/metrics?all_projects=false", ANN)


def test_s1_3_metrics_an_administrator_may_see_all_projects(counting: Door) -> None:
    """All projects are shown to an administrator that asks for them; others are refused."""
    refused = counting.get("/v2/metrics?all_projects=true", headers=ANN)

    assert ["a", "b", "c"] == listed(counting, "/v2/metrics?all_projects=true", ADMIN)
    assert [] == listed(counting, "/v2/metrics", ADMIN)
    assert (403, "RBAC Authorization Failed") == (refused.status_code, error_of(refused))


def test_s1_3_metrics_a_caller_without_the_role_is_refused(counting: Door) -> None:
    """To look takes the role of a reader."""
    answer = counting.get("/v2/metrics", headers=ANN | {"X-Roles": "member"})

    assert (403, "RBAC Authorization Failed") == (answer.status_code, error_of(answer))


def test_s1_3_metrics_a_page_is_bounded_and_goes_on_at_the_marker(
    open_a_door: Callable[..., Door], counting: Door
) -> None:
    """No answer is longer than a page, and a link leads to the rest."""
    door = open_a_door(access=Access.TRUSTED_HEADERS, count_results=True, limits=ApiLimits(page_limit=2))
    first = door.get("/v2/metrics?all_projects=true", headers=ADMIN)

    assert ["a", "b"] == [one["alarm_id"] for one in first.get_json()["evaluation_results"]]
    assert '<http://localhost/v2/metrics?all_projects=true&marker=b>; rel="next"' == first.headers["Link"]
    assert ["c"] == listed(door, "/v2/metrics?all_projects=true&marker=b", ADMIN)
    assert ["a"] == listed(counting, "/v2/metrics?limit=1", ANN)


@pytest.mark.parametrize("headers", [ANN, ADMIN])
def test_s1_3_metrics_while_nothing_is_counted_the_answer_says_so(
    open_a_door: Callable[..., Door], headers: dict[str, str]
) -> None:
    """By default it is Aodh's 403, whoever asks."""
    answer = open_a_door(access=Access.TRUSTED_HEADERS).get("/v2/metrics", headers=headers)

    assert (403, "metrics endpoint is disabled") == (answer.status_code, error_of(answer))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v2/metrics?all_projects=maybe", "all_projects"),
        ("/v2/metrics?project_id=p1", 'Unknown argument: "project_id"'),
        ("/v2/metrics?limit=-1", "Limit should be positive"),
    ],
)
def test_s1_3_metrics_wrong_arguments_are_refused(counting: Door, path: str, message: str) -> None:
    """An argument that is unknown or cannot be read is a 400 that names it."""
    answer = counting.get(path, headers=ANN)

    assert 400 == answer.status_code
    assert message in error_of(answer)
