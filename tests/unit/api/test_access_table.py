# SPDX-License-Identifier: Apache-2.0
"""Aodh's contract §7.2, who may do what at each endpoint, by the rules of Aodh 23, one case for each cell.

The caller always acts for project p1. What it asks for is its own (of p1), or somebody else's (of p2).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from alarmd.api.context import Access
from tests.support.rest import Door, error_of, open_door

#: Role sets; the last acts for no project.
_ROLE_SETS = {
    "none": "",
    "other": "observer",
    "reader": "reader",
    "member": "member",
    "both": "member,reader",
    "upper": "READER, Member",
    "admin": "admin",
    "root": "admin",
}
_ADMINS = {"admin", "root"}
_READERS = {"reader", "both", "upper"} | _ADMINS
_WRITERS = {"member", "both", "upper"} | _ADMINS

_RULE = {"type": "threshold", "threshold_rule": {"meter_name": "m", "threshold": 1}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A row of the table."""

    #: The policy rule, as 7.2 calls it.
    rule: str
    method: str
    path: str
    allowed: set[str]
    success: int
    body: Any = None
    #: What is answered about somebody else's to those that are no administrators: whatever their roles, and to those
    #: that have the role. None: the roles alone decide.
    foreign: int | None = None
    foreign_with_role: int | None = None


def _item(rule: str, method: str, path: str = "", *, allowed: set[str], success: int, body: Any = None) -> Endpoint:
    """Return a row about one alarm: it is looked up before the policy is asked, so a foreign one does not exist."""
    path = f"/v2/alarms/{{alarm_id}}{path}"
    return Endpoint(rule=rule, method=method, path=path, allowed=allowed, success=success, body=body, foreign=404)


def _filter(field: str) -> dict[str, str]:
    return {"filter": json.dumps({"=": {field: "{project_id}"}})}


_TABLE = [
    _item("get_alarm", "GET", allowed=_READERS, success=200),
    _item("change_alarm", "PUT", allowed=_WRITERS, success=200, body={"name": "it", "severity": "low", **_RULE}),
    _item("delete_alarm", "DELETE", allowed=_WRITERS, success=204),
    _item("get_alarm_state", "GET", "/state", allowed=_READERS, success=200),
    _item("change_alarm_state", "PUT", "/state", allowed=_WRITERS, success=200, body="ok"),
    _item("alarm_history", "GET", "/history", allowed=_READERS, success=200),
    Endpoint(
        rule="get_alarms",
        method="GET",
        path="/v2/alarms?q.field=project_id&q.value={project_id}",
        allowed=_READERS,
        success=200,
        foreign_with_role=401,
    ),
    Endpoint(
        rule="get_alarms:all_projects",
        method="GET",
        path="/v2/alarms?q.field=all_projects&q.value=true",
        allowed=_ADMINS,
        success=200,
    ),
    Endpoint(
        rule="create_alarm",
        method="POST",
        path="/v2/alarms",
        allowed=_WRITERS,
        success=201,
        body={"name": "new", "project_id": "{project_id}", **_RULE},
        foreign_with_role=401,
    ),
    Endpoint(
        rule="query_alarm",
        method="POST",
        path="/v2/query/alarms",
        allowed=_READERS,
        success=200,
        body=_filter("project_id"),
        foreign_with_role=401,
    ),
    Endpoint(
        rule="query_alarm_history",
        method="POST",
        path="/v2/query/alarms/history",
        allowed=_READERS,
        success=200,
        body=_filter("on_behalf_of"),
        foreign_with_role=401,
    ),
    Endpoint(
        rule="get_quotas",
        method="GET",
        path="/v2/quotas?project_id={project_id}",
        allowed=_READERS,
        success=200,
        foreign=403,
    ),
    Endpoint(
        rule="update_quotas",
        method="POST",
        path="/v2/quotas",
        allowed=_ADMINS,
        success=201,
        body={"project_id": "{project_id}", "quotas": [{"resource": "alarms", "limit": -1}]},
    ),
    Endpoint(rule="get_metrics", method="GET", path="/v2/metrics", allowed=_READERS, success=200),
    Endpoint(
        rule="get_metrics:all_projects",
        method="GET",
        path="/v2/metrics?all_projects=true",
        allowed=_ADMINS,
        success=200,
    ),
    Endpoint(rule="delete_quotas", method="DELETE", path="/v2/quotas/{project_id}", allowed=_ADMINS, success=204),
    # alarmd's own, by the same rules.
    Endpoint(
        rule="push_samples",
        method="POST",
        path="/v3/samples",
        allowed=_WRITERS,
        success=202,
        body={"samples": [{"metric": "m", "resource_id": "r", "value": 1, "project_id": "{project_id}"}]},
        foreign_with_role=400,
    ),
    Endpoint(
        rule="push_events",
        method="POST",
        path="/v3/events",
        allowed=_WRITERS,
        success=202,
        body={"events": [{"event_type": "e", "message_id": "m", "project_id": "{project_id}"}]},
        foreign_with_role=401,
    ),
    Endpoint(
        rule="get_series",
        method="GET",
        path="/v3/series?project_id={project_id}",
        allowed=_READERS,
        success=200,
        foreign_with_role=401,
    ),
    Endpoint(
        rule="get_deliveries",
        method="GET",
        path="/v3/deliveries?project_id={project_id}",
        allowed=_READERS,
        success=200,
        foreign_with_role=401,
    ),
    Endpoint(
        rule="retry_delivery",
        method="POST",
        path="/v3/retries",
        allowed=_WRITERS,
        success=200,
        body={"project_id": "{project_id}"},
        foreign_with_role=401,
    ),
    Endpoint(
        rule="get_secrets",
        method="GET",
        path="/v3/secrets?project_id={project_id}",
        allowed=_READERS,
        success=200,
        foreign_with_role=401,
    ),
    Endpoint(
        rule="create_secret",
        method="POST",
        path="/v3/secrets",
        allowed=_WRITERS,
        success=201,
        body={"project_id": "{project_id}"},
        foreign_with_role=401,
    ),
]


def _expected(endpoint: Endpoint, role_set: str, whose: str) -> int:
    if whose == "foreign" and role_set not in _ADMINS:
        if endpoint.foreign is not None:
            return endpoint.foreign
        if endpoint.foreign_with_role is not None and role_set in endpoint.allowed:
            return endpoint.foreign_with_role
    return endpoint.success if role_set in endpoint.allowed else 403


_CASES = [
    pytest.param(endpoint, role_set, whose, status, id=f"7.2-{endpoint.rule}-{role_set}-{whose}-{status}")
    for endpoint in _TABLE
    for role_set in _ROLE_SETS
    for whose in ("own", "foreign")
    for status in [_expected(endpoint, role_set, whose)]
]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A door behind a proxy, one for all cases: each brings the alarm that it is about."""
    opened = open_door(tmp_path_factory.mktemp("access"), access=Access.TRUSTED_HEADERS, count_results=True)
    yield opened
    opened.close()


def _headers(role_set: str) -> dict[str, str]:
    identity = {} if role_set == "root" else {"X-Project-Id": "p1", "X-User-Id": "ann"}
    return identity | {"X-Roles": _ROLE_SETS[role_set]}


def _made(door: Door, project_id: str) -> str:
    """Return the id of a new alarm of a project."""
    made = door.post("/v2/alarms", {"name": "it", "project_id": project_id, **_RULE}, headers={"X-Roles": "admin"})
    alarm_id: str = made.get_json()["alarm_id"]
    return alarm_id


def _filled(template: Any, values: dict[str, str]) -> Any:
    """Return a body or path with what the case is about in the place of its names."""
    if template is None:
        return None
    text = json.dumps(template)
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return json.loads(text)


@pytest.mark.parametrize(("endpoint", "role_set", "whose", "status"), _CASES)
def test_s7_2_each_cell(door: Door, endpoint: Endpoint, role_set: str, whose: str, status: int) -> None:
    """The answer is that of the contract; refusals by policy are told in Aodh's words."""
    project_id = "p1" if whose == "own" else "p2"
    alarm_id = _made(door, project_id) if "{alarm_id}" in endpoint.path else ""
    values = {"alarm_id": alarm_id, "project_id": project_id}
    answer = door.send(
        endpoint.method, _filled(endpoint.path, values), _filled(endpoint.body, values), headers=_headers(role_set)
    )

    assert status == answer.status_code, answer.text
    match status:
        case 403:
            assert "RBAC Authorization Failed" == error_of(answer)
        case 401:
            assert f"Not Authorized to access project {project_id}" == error_of(answer)
        case 404:
            assert f"Alarm {alarm_id} not found" == error_of(answer)


def test_s7_2_a_refusal_changes_nothing(door: Door) -> None:
    """Whoever may not change an alarm has not changed it, nor left a trace in its history."""
    alarm_id = _made(door, "p1")
    path = f"/v2/alarms/{alarm_id}"
    alarm = door.get(path, headers=_headers("reader")).get_json()
    refused = [
        door.send(row.method, row.path.replace("{alarm_id}", alarm_id), row.body, headers=_headers("reader"))
        for row in _TABLE
        if row.rule in {"change_alarm", "delete_alarm", "change_alarm_state"}
    ]

    assert [403, 403, 403] == [answer.status_code for answer in refused]
    assert alarm == door.get(path, headers=_headers("reader")).get_json()
    assert ["creation"] == [
        entry["type"] for entry in door.get(f"{path}/history", headers=_headers("reader")).get_json()
    ]


@pytest.mark.parametrize("headers", [{}, {"X-Auth-Token": "t"}])
@pytest.mark.parametrize("endpoint", _TABLE, ids=lambda row: f"7.1-{row.rule}-nobody-403")
def test_s7_2_nobody_is_let_in(door: Door, endpoint: Endpoint, headers: dict[str, str]) -> None:
    """Without identity headers each endpoint is closed."""
    answer = door.send(endpoint.method, endpoint.path, endpoint.body, headers=headers)

    assert (403, "RBAC Authorization Failed") == (answer.status_code, error_of(answer))


@pytest.mark.parametrize(
    "path", ["/", "/v2/capabilities", "/healthcheck", "/healthz", "/readyz", "/metrics", "/openapi.json"]
)
def test_s7_2_open_paths(door: Door, path: str) -> None:
    """What anybody may ask for takes no identity."""
    assert 200 == door.get(path).status_code
