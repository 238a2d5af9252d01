# SPDX-License-Identifier: Apache-2.0
"""Aodh's contract §1.2, error bodies: each test names the status or the rule it holds alarmd to."""

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from werkzeug.test import TestResponse

from alarmd.api.context import Access, ApiLimits
from alarmd.errors import StoreUnavailable, TooMany
from alarmd.model.caller import Caller
from tests.support.rest import ADMIN, ANN, BOB, EVE, Door, error_of

ALARM: dict[str, Any] = {"name": "x", "type": "threshold", "threshold_rule": {"meter_name": "m", "threshold": 80}}

FULL = 429

#: Brings an answer about.
Ask: TypeAlias = Callable[[Callable[..., Door]], TestResponse]


class Raising:
    """Stands for any part of the application that fails with what it is given."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def find(self, *_args: Any, **_options: Any) -> None:
        raise self._error

    def spend(self, _caller: Caller) -> None:
        raise self._error


def at_door(method: str, path: str, data: Any = None, **options: Any) -> Ask:
    """Ask behind a proxy that has named the caller."""

    def ask(open_a_door: Callable[..., Door]) -> TestResponse:
        door = open_a_door(access=Access.TRUSTED_HEADERS, limits=ApiLimits(max_body_bytes=1000))
        return door.send(method, path, data, **{"headers": ANN, **options})

    return ask


def outdated(open_a_door: Callable[..., Door]) -> TestResponse:
    """Ask to delete another version of an alarm than there is."""
    door = open_a_door()
    alarm_id = door.post("/v2/alarms", ALARM).get_json()["alarm_id"]
    return door.delete(f"/v2/alarms/{alarm_id}", headers={"If-Match": '"0"'})


def referred_to(open_a_door: Callable[..., Door]) -> TestResponse:
    """Ask to delete an alarm that another refers to."""
    door = open_a_door()
    alarm_id = door.post("/v2/alarms", ALARM).get_json()["alarm_id"]
    rule = {"not": {"alarm_id": alarm_id}}
    assert 201 == door.post("/v2/alarms", {"name": "c", "type": "composite", "composite_rule": rule}).status_code
    return door.delete(f"/v2/alarms/{alarm_id}")


def broken(part: str, error: Exception) -> Ask:
    """Ask while a part of the application fails."""
    return lambda open_a_door: open_a_door(**{part: Raising(error)}).get("/v2/alarms")


#: How clients bring each status about.
WAYS: dict[int, Ask] = {
    400: at_door("GET", "/v2/alarms?limit=-1"),
    401: at_door("GET", "/v2/alarms?q.field=project_id&q.value=p2"),
    403: at_door("POST", "/v2/alarms", ALARM, headers=EVE),
    404: at_door("GET", "/v2/alarms/4711"),
    405: at_door("PATCH", "/v2/alarms"),
    406: at_door("GET", "/v2/alarms", headers=ANN | {"Accept": "application/xml"}),
    409: referred_to,
    412: outdated,
    413: at_door("POST", "/v2/alarms", ALARM | {"description": "x" * 1000}),
    415: at_door("POST", "/v2/alarms", content_type="text/plain"),
    429: broken("rate_limit", TooMany("too many", retry_after_s=1)),
    500: broken("alarms", RuntimeError("inside")),
    503: broken("alarms", StoreUnavailable("the database is away")),
}


STATUSES = sorted(WAYS)


@pytest.mark.parametrize("status", STATUSES)
def test_s1_2_error_bodies_are_objects(open_a_door: Callable[..., Door], status: int) -> None:
    """The three keys and no other, the fault on the side that the status says, JSON without a charset."""
    response = WAYS[status](open_a_door)

    assert (status, "application/json") == (response.status_code, response.content_type)
    assert error_of(response)
    assert ["error_message"] == list(json.loads(response.data))


@pytest.mark.parametrize("status", STATUSES)
def test_s1_2_every_error_is_described(open_a_door: Callable[..., Door], status: int) -> None:
    """What a request can be answered with stands in `/openapi.json` at its operation, headers included."""
    response = WAYS[status](open_a_door)
    door = open_a_door()
    document = door.get("/openapi.json").get_json()
    path = response.request.path
    item = path.replace(path.split("/")[3], "{alarm_id}") if path.count("/") > 2 else path
    operations = document["paths"][item]
    operation = operations.get(response.request.method.lower(), operations["get"])
    described = operation["responses"][str(status)]["$ref"].rpartition("/")[2]
    answer = document["components"]["responses"][described]

    for name in answer["headers"]:
        if document["components"]["headers"][name].get("required"):
            assert name in response.headers


@pytest.mark.parametrize("status", STATUSES)
def test_s1_2_retry_after_is_sent_with_429_only(open_a_door: Callable[..., Door], status: int) -> None:
    """Aodhclient dies of it on any other status than 413 and 429."""
    assert (status == FULL) == ("Retry-After" in WAYS[status](open_a_door).headers)


@pytest.mark.parametrize("accept", [None, "application/json", "*/*", "text/html", "application/xml"])
@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v2/none", 404), ("PATCH", "/v2/alarms", 405)])
def test_s1_2_errors_of_routing_are_objects_whatever_is_accepted(
    door: Door, method: str, path: str, status: int, accept: str | None
) -> None:
    """Aodh answers some of them with a page of HTML inside a text, which kills aodhclient."""
    response = door.send(method, path, headers={"Accept": accept} if accept else {})

    assert status == response.status_code
    assert error_of(response)


@pytest.mark.parametrize("body", ["null", "[]", '"x"', "1", "true", "{", "\xff", "", "[" * 100_000, '{"a": NaN}'])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v2/alarms"), ("POST", "/v2/quotas"), ("POST", "/v2/query/alarms")]
)
def test_s1_2_400_for_any_body_that_is_none(door: Door, method: str, path: str, body: str) -> None:
    """Aodh answers several of these with 500."""
    response = door.app.test_client().open(
        path, method=method, data=body.encode("latin-1"), content_type="application/json"
    )

    assert 400 == response.status_code
    assert error_of(response)


def test_s1_2_404_hides_what_is_anothers(open_a_door: Callable[..., Door]) -> None:
    """What belongs to another project answers as if it were not there, for every method."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)
    alarm_id = door.post("/v2/alarms", ALARM, headers=ANN).get_json()["alarm_id"]
    for method, rest, data in [
        ("GET", "", None),
        ("PUT", "", ALARM),
        ("DELETE", "", None),
        ("GET", "/state", None),
        ("PUT", "/state", "ok"),
        ("GET", "/history", None),
    ]:
        answers = [door.send(method, f"/v2/alarms/{wanted}{rest}", data, headers=BOB) for wanted in (alarm_id, "4711")]

        assert [404, 404] == [answer.status_code for answer in answers]
        assert f"Alarm {alarm_id} not found" == error_of(answers[0])
        assert "Alarm 4711 not found" == error_of(answers[1])


def test_s1_2_401_for_another_project_in_filter_or_body(open_a_door: Callable[..., Door]) -> None:
    """And for actions that are for administrators only."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)
    answers = [
        door.get("/v2/alarms?q.field=project_id&q.value=p2", headers=ANN),
        door.post("/v2/alarms", ALARM | {"project_id": "p2"}, headers=ANN),
        door.post("/v2/alarms", ALARM | {"alarm_actions": ["log://"]}, headers=ANN),
    ]

    assert [401] * 3 == [answer.status_code for answer in answers]
    assert ["Not Authorized to access project p2"] * 2 == [error_of(answer) for answer in answers[:2]]


@pytest.mark.parametrize(
    ("method", "path", "data", "named"),
    [
        ("POST", "/v2/alarms", ALARM | {"colour": 1}, "Unknown attribute for argument data: colour"),
        ("GET", "/v2/alarms?colour=1", None, 'Unknown argument: "colour"'),
        ("GET", "/v2/alarms?q.field=colour&q.value=1", None, "unrecognized field in query: colour"),
        ("GET", "/v2/alarms?q.field=name&q.op=ne&q.value=1", None, "Value should be one of: eq"),
        ("POST", "/v2/query/alarms", {"filter": '{"=": {"colour": 1}}'}, "there is no field 'colour'"),
        ("POST", "/v2/query/alarms", {"filter": '{"eq": {"name": 1}}'}, "there is no operator 'eq'"),
    ],
    ids=["attribute", "argument", "query_field", "query_operator", "filter_field", "filter_operator"],
)
def test_s1_2_400_for_whatever_is_unknown(door: Door, method: str, path: str, data: Any, named: str) -> None:
    """The text names it."""
    response = door.send(method, path, data)

    assert 400 == response.status_code
    assert named in error_of(response)


def test_s1_2_401_for_another_user_in_the_body(open_a_door: Callable[..., Door]) -> None:
    """In Aodh's words."""
    response = open_a_door().post("/v2/alarms", ALARM | {"user_id": "bob"}, headers=ANN)

    assert (401, "Not Authorized to access user bob") == (response.status_code, error_of(response))


def test_s1_2_403_for_policy_quota_and_what_is_disabled(open_a_door: Callable[..., Door]) -> None:
    """Each in Aodh's words."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)
    door.post("/v2/quotas", {"project_id": "p1", "quotas": [{"resource": "alarms", "limit": 0}]}, headers=ADMIN)
    answers = [
        door.post("/v2/alarms", ALARM, headers=EVE),
        door.post("/v2/alarms", ALARM, headers=ANN),
        door.get("/v2/metrics", headers=ANN),
    ]

    assert [
        (403, "RBAC Authorization Failed"),
        (403, "Alarm quota exceeded for user ann on project p1"),
        (403, "metrics endpoint is disabled"),
    ] == [(answer.status_code, error_of(answer)) for answer in answers]


def test_s1_2_501_is_never_answered(door: Door) -> None:
    """Severities have an order on every database, in lists and in queries; Aodh knows it on MySQL only."""
    path = f"/v2/alarms/{door.post('/v2/alarms', ALARM).get_json()['alarm_id']}"
    answers = [
        door.get("/v2/alarms?sort=severity"),
        door.get(f"{path}/history?sort=severity"),
        door.post("/v2/query/alarms", {"orderby": '[{"severity": "asc"}]'}),
        door.post("/v2/query/alarms/history", {"orderby": '[{"severity": "asc"}]'}),
    ]

    assert [200] * 4 == [answer.status_code for answer in answers]


def test_s1_2_503_is_not_for_a_gnocchi_that_is_away(door: Door) -> None:
    """Nobody is asked when an alarm is written, so it can be; 503 is for alarmd's own database."""
    rule = {"metric": "m", "resource_type": "t", "query": "{}", "aggregation_method": "mean", "threshold": 1}
    kind = "gnocchi_aggregation_by_resources_threshold"

    assert 201 == door.post("/v2/alarms", {"name": "x", "type": kind, f"{kind}_rule": rule}).status_code
