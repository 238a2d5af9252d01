# SPDX-License-Identifier: Apache-2.0
"""Aodh's contract §1.7, quotas, with the repairs of §11: each test names the row it holds alarmd to."""

from collections.abc import Callable
from typing import Any

import pytest

from alarmd.alarms.quotas import QuotaDefaults, QuotaService
from alarmd.api.context import Access
from alarmd.policy import TablePolicy
from alarmd.store.database import Database
from tests.support.rest import ADMIN, ANN, BOB, CountingDoorbell, Door, alarm_service, error_of

ALARM: dict[str, Any] = {"name": "x", "type": "threshold", "threshold_rule": {"meter_name": "m", "threshold": 80}}


def quotas_of(project_id: str, limit: int) -> dict[str, Any]:
    return {"project_id": project_id, "quotas": [{"resource": "alarms", "limit": limit}]}


@pytest.fixture
def proxied(open_a_door: Callable[..., Door]) -> Door:
    """A door behind a proxy that names callers."""
    return open_a_door(access=Access.TRUSTED_HEADERS)


def with_defaults(open_a_door: Callable[..., Door], **defaults: int) -> Door:
    """Return a door whose operator has set limits."""
    first = open_a_door(access=Access.TRUSTED_HEADERS)
    database: Database = first.database
    service = QuotaService(database=database, policy=TablePolicy(), defaults=QuotaDefaults(**defaults))
    alarms = alarm_service(database=database, doorbell=CountingDoorbell(), clock=first.context.clock, quotas=service)
    return open_a_door(access=Access.TRUSTED_HEADERS, database=database, quotas=service, alarms=alarms)


def create(door: Door, who: dict[str, str], **changes: Any) -> int:
    return door.post("/v2/alarms", ALARM | changes, headers=who).status_code


def test_s1_7_shape(proxied: Door) -> None:
    """One resource, `alarms`; GET, POST and what was posted look alike."""
    body = quotas_of("p1", 30)
    posted = proxied.post("/v2/quotas", body, headers=ADMIN)

    assert (201, body) == (posted.status_code, posted.get_json())
    assert body == proxied.get("/v2/quotas", headers=ANN).get_json()
    assert body == proxied.get("/v2/quotas?project_id=p1", headers=ADMIN).get_json()


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "project_id"),
        ({"quotas": []}, "project_id"),
        ({"project_id": None}, "project_id"),
        ({"project_id": 5}, "project_id"),
        ({"project_id": "x" * 256}, "project_id"),
        ({"project_id": "a\x00b"}, "project_id"),
        ({"project_id": "p", "colour": "red"}, "Unknown attribute for argument body: colour"),
        (quotas_of("p", -2), "limit"),
        (quotas_of("p", 2**31), "limit"),
        ({"project_id": "p", "quotas": [{"resource": "alarms", "limit": "x"}]}, "limit"),
        ({"project_id": "p", "quotas": [{"resource": "alarms", "limit": None}]}, "limit"),
        ({"project_id": "p", "quotas": [{"resource": "alarms", "limit": 10**30}]}, "limit"),
        ({"project_id": "p", "quotas": [{"resource": "servers", "limit": 1}]}, "resource"),
        ({"project_id": "p", "quotas": [{"limit": 1}]}, "resource"),
        ({"project_id": "p", "quotas": [{"resource": "alarms"}]}, "limit"),
        ({"project_id": "p", "quotas": [{"resource": "alarms", "limit": 1, "a": 2}]}, "body.quotas: a"),
        ({"project_id": "p", "quotas": {"resource": "alarms"}}, "quotas"),
        ([], "object"),
    ],
)
def test_s1_7_post_refuses_what_is_no_quota(proxied: Door, body: Any, named: str) -> None:
    """400 that names what is wrong: project_id is mandatory, the limit an integer from -1 up, the resource `alarms`."""
    response = proxied.post("/v2/quotas", body, headers=ADMIN)

    assert 400 == response.status_code
    assert named in error_of(response)


@pytest.mark.parametrize("limit", [-1, 0, 5, "5", 2**31 - 1])
def test_s1_7_limit_is_an_integer_from_minus_one_up(proxied: Door, limit: int | str) -> None:
    """As text too, since clients send numbers so."""
    body = {"project_id": "p1", "quotas": [{"resource": "alarms", "limit": limit}]}

    assert quotas_of("p1", int(limit)) == proxied.post("/v2/quotas", body, headers=ADMIN).get_json()


@pytest.mark.parametrize("empty", [{}, {"quotas": []}, {"quotas": None}])
def test_s1_7_post_without_quotas_returns_what_is_stored(proxied: Door, empty: dict[str, Any]) -> None:
    """Nothing changes; where nothing is stored the default is in force."""
    default = proxied.post("/v2/quotas", {"project_id": "p1", **empty}, headers=ADMIN)
    proxied.post("/v2/quotas", quotas_of("p1", 3), headers=ADMIN)
    stored = proxied.post("/v2/quotas", {"project_id": "p1", **empty}, headers=ADMIN)

    assert (201, quotas_of("p1", -1)) == (default.status_code, default.get_json())
    assert (201, quotas_of("p1", 3)) == (stored.status_code, stored.get_json())


def test_s1_7_post_upserts(proxied: Door) -> None:
    """Of two limits in one body the last counts; a second POST replaces the first."""
    twice = {"project_id": "p1", "quotas": [{"resource": "alarms", "limit": limit} for limit in (5, 6)]}

    assert quotas_of("p1", 6) == proxied.post("/v2/quotas", twice, headers=ADMIN).get_json()
    assert quotas_of("p1", 7) == proxied.post("/v2/quotas", quotas_of("p1", 7), headers=ADMIN).get_json()


def test_s1_7_get_is_the_callers_project_by_default(proxied: Door) -> None:
    """An empty project_id is not given; another's is for administrators."""
    proxied.post("/v2/quotas", quotas_of("p1", 3), headers=ADMIN)

    assert quotas_of("p1", 3) == proxied.get("/v2/quotas", headers=ANN).get_json()
    assert quotas_of("p1", 3) == proxied.get("/v2/quotas?project_id=", headers=ANN).get_json()
    assert quotas_of("p2", -1) == proxied.get("/v2/quotas", headers=BOB).get_json()
    assert 403 == proxied.get("/v2/quotas?project_id=p1", headers=BOB).status_code


def test_s1_7_get_writes_nothing(open_a_door: Callable[..., Door]) -> None:
    """Aodh stores what it shows, and then refuses every alarm of the project; here the default goes on to hold."""
    door = with_defaults(open_a_door, project_alarms=1)

    assert quotas_of("p1", 1) == door.get("/v2/quotas", headers=ANN).get_json()
    with door.database.read() as unit:
        assert unit.quotas.get("p1") is None
    assert [201, 403] == [create(door, ANN), create(door, ANN)]


def test_s1_7_minus_one_is_unlimited(open_a_door: Callable[..., Door]) -> None:
    """Also when it is stored, and against a default that is a number."""
    door = with_defaults(open_a_door, project_alarms=1)
    door.post("/v2/quotas", quotas_of("p1", -1), headers=ADMIN)

    assert [201] * 3 == [create(door, ANN) for _ in range(3)]


def test_s1_7_a_project_quota_counts_the_projects_alarms(proxied: Door) -> None:
    """Whoever made them: an administrator who creates alarms for the project does not get past it."""
    proxied.post("/v2/quotas", quotas_of("p1", 2), headers=ADMIN)
    cid = ANN | {"X-User-Id": "cid"}

    assert [201, 201, 403] == [create(proxied, ANN), create(proxied, ADMIN, project_id="p1"), create(proxied, cid)]
    assert 403 == create(proxied, ADMIN, project_id="p1")
    assert 201 == create(proxied, ANN | {"X-Project-Id": "p2"})


def test_s1_7_a_user_quota_counts_the_users_alarms_in_all_projects(open_a_door: Callable[..., Door]) -> None:
    """Its limit is the operator's; others of the same project have their own."""
    door = with_defaults(open_a_door, user_alarms=2)
    elsewhere = ANN | {"X-Project-Id": "p2"}

    assert [201, 201, 403, 403] == [create(door, who) for who in (ANN, elsewhere, ANN, elsewhere)]
    assert 201 == create(door, BOB | {"X-Project-Id": "p1"})


def test_s1_7_an_alarm_that_changes_hands_needs_room_at_its_new_user(open_a_door: Callable[..., Door]) -> None:
    """A change makes its user the alarm's own, so it is refused when that user has no room; the owner's is fine."""
    door = with_defaults(open_a_door, user_alarms=1)
    cleo = ANN | {"X-User-Id": "cleo"}
    alarm = door.post("/v2/alarms", ALARM, headers=ANN).get_json()
    create(door, cleo)
    path = f"/v2/alarms/{alarm['alarm_id']}"

    assert 403 == door.put(path, ALARM | {"severity": "critical"}, headers=cleo).status_code
    assert 200 == door.put(path, ALARM | {"severity": "critical"}, headers=ANN).status_code


def test_s1_7_refusal_is_403_in_known_words(proxied: Door) -> None:
    """The text that clients compare; room is made by deleting, or by another quota."""
    proxied.post("/v2/quotas", quotas_of("p1", 1), headers=ADMIN)
    first = proxied.post("/v2/alarms", ALARM, headers=ANN).get_json()["alarm_id"]
    refused = proxied.post("/v2/alarms", ALARM, headers=ANN)

    assert 403 == refused.status_code
    assert "Alarm quota exceeded for user ann on project p1" == error_of(refused)
    assert 200 == proxied.put(f"/v2/alarms/{first}", ALARM | {"name": "y"}, headers=ANN).status_code
    proxied.delete(f"/v2/alarms/{first}", headers=ANN)
    assert 201 == create(proxied, ANN)
    proxied.delete("/v2/quotas/p1", headers=ADMIN)
    assert 201 == create(proxied, ANN)


def test_s1_7_an_alarm_that_moves_needs_room_where_it_goes(proxied: Door) -> None:
    """An administrator cannot fill a project beyond its quota by giving it another's alarms."""
    proxied.post("/v2/quotas", quotas_of("p2", 0), headers=ADMIN)
    alarm_id = proxied.post("/v2/alarms", ALARM, headers=ANN).get_json()["alarm_id"]

    assert 403 == proxied.put(f"/v2/alarms/{alarm_id}", ALARM | {"project_id": "p2"}, headers=ADMIN).status_code
    assert "p1" == proxied.get(f"/v2/alarms/{alarm_id}", headers=ADMIN).get_json()["project_id"]


@pytest.mark.parametrize("project_id", ["p1", "nobody", "a%2Fb", "x" * 300, "%20"])
def test_s1_7_delete_is_204_also_when_nothing_was_stored(proxied: Door, project_id: str) -> None:
    """Twice in a row, and for whatever a project may be called."""
    status = 404 if "%2F" in project_id else 204

    assert [status] * 2 == [proxied.delete(f"/v2/quotas/{project_id}", headers=ADMIN).status_code for _ in range(2)]
