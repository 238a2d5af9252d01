# SPDX-License-Identifier: Apache-2.0
"""Aodh's contract §2.1, what a PUT does: each test names the statement it holds alarmd to."""

import json
from typing import Any

import pytest

from tests.support.rest import ADMIN, ANN, Door, error_of

SHORT: dict[str, Any] = {
    "name": "x",
    "type": "prometheus",
    "prometheus_rule": {"query": "up", "threshold": 1},
}
#: Every attribute that has a default, as it is not by default.
GIVEN: dict[str, Any] = {
    "description": "mine",
    "enabled": False,
    "ok_actions": ["http://h/1"],
    "alarm_actions": ["http://h/2"],
    "insufficient_data_actions": ["http://h/3"],
    "repeat_actions": True,
    "time_constraints": [{"name": "n", "start": "0 9 * * *", "duration": 60}],
    "state": "ok",
    "severity": "critical",
}
DEFAULTS: dict[str, Any] = {
    "description": "prometheus alarm rule",
    "enabled": True,
    "ok_actions": [],
    "alarm_actions": [],
    "insufficient_data_actions": [],
    "repeat_actions": False,
    "time_constraints": [],
    "state": "insufficient data",
    "severity": "low",
}
CID = ANN | {"X-User-Id": "cid"}


def created(door: Door, headers: dict[str, str] | None = None, **changes: Any) -> tuple[str, dict[str, Any]]:
    """Create an alarm; return its path and what it looks like."""
    response = door.post("/v2/alarms", SHORT | changes, headers=headers or ANN)
    assert response.status_code == 201, response.get_data(as_text=True)
    return f"/v2/alarms/{response.get_json()['alarm_id']}", response.get_json()


def latest(door: Door, path: str) -> tuple[str, Any]:
    """Return type and detail of the newest record of an alarm."""
    change = door.get(f"{path}/history?limit=1", headers=ADMIN).get_json()[0]
    return change["type"], json.loads(change["detail"])


@pytest.mark.parametrize("key", DEFAULTS)
def test_s2_1_what_is_omitted_goes_back_to_its_default(door: Door, key: str) -> None:
    """PUT is the whole definition; what is given again stays, and the history tells of the one change."""
    path, alarm = created(door, **GIVEN)
    door.clock.advance(60)
    answer = door.put(path, SHORT | {other: value for other, value in GIVEN.items() if other != key}, headers=ANN)
    stored = door.get(path, headers=ANN).get_json()

    assert (200, stored) == (answer.status_code, answer.get_json())
    assert DEFAULTS[key] == stored[key]
    changed = {key, "timestamp"} | ({"state_timestamp", "state_reason"} if key == "state" else set())
    assert changed == {name for name in alarm if alarm[name] != stored[name]}
    assert ("rule change", changed - {"timestamp", "state_timestamp"}) == (
        latest(door, path)[0],
        set(latest(door, path)[1]),
    )


def test_s2_1_omitting_the_state_resets_it_by_hand(door: Door) -> None:
    """It is recorded as a change that somebody made."""
    path, _ = created(door, state="alarm")
    door.put(path, SHORT, headers=ANN)

    assert ("rule change", {"state": "insufficient data", "state_reason": "Manually set via API"}) == latest(door, path)


@pytest.mark.parametrize("key", ["name", "type", "prometheus_rule"])
def test_s2_1_name_type_and_rule_are_mandatory(door: Door, key: str) -> None:
    """400 that names it, and nothing has changed."""
    path, alarm = created(door)
    response = door.put(path, {name: value for name, value in SHORT.items() if name != key}, headers=ANN)

    assert 400 == response.status_code
    assert key in error_of(response)
    assert alarm == door.get(path, headers=ANN).get_json()


@pytest.mark.parametrize("omitted", [{}, {"evaluate_timestamp": None}], ids=["absent", "null"])
def test_s2_1_evaluate_timestamp_is_kept_unless_given(door: Door, omitted: dict[str, Any]) -> None:
    """Aodh stores null, and never evaluates the alarm again; one that is given is honoured."""
    path, alarm = created(door)
    door.clock.advance(60)
    kept = door.put(path, SHORT | omitted, headers=ANN).get_json()
    given = door.put(path, SHORT | {"evaluate_timestamp": "2020-01-01T00:00:00"}, headers=ANN).get_json()

    assert alarm["evaluate_timestamp"] == kept["evaluate_timestamp"]
    assert "2020-01-01T00:00:00" == given["evaluate_timestamp"]


def test_s2_1_an_admin_moves_an_alarm_by_naming_ids_and_keeps_the_owner_by_omitting_them(door: Door) -> None:
    """Each of the two on its own."""
    path, _ = created(door)
    owners = [
        door.put(path, SHORT | ids, headers=ADMIN).get_json()
        for ids in ({}, {"project_id": "p9"}, {"user_id": "u9"}, {"project_id": None, "user_id": None})
    ]

    assert [("p1", "ann"), ("p9", "ann"), ("p9", "u9"), ("p9", "u9")] == [
        (alarm["project_id"], alarm["user_id"]) for alarm in owners
    ]


@pytest.mark.parametrize("ids", [{}, {"project_id": "p9", "user_id": "u9"}], ids=["omitted", "named"])
def test_s2_1_a_colleague_takes_an_alarm_over(door: Door, ids: dict[str, str]) -> None:
    """For others than admins the ids become those of the caller, whatever they send."""
    path, _ = created(door)
    answer = door.put(path, SHORT | ids, headers=CID)

    assert (200, "p1", "cid") == (answer.status_code, *(answer.get_json()[key] for key in ("project_id", "user_id")))


def test_s2_1_alarm_id_of_a_body_is_ignored(door: Door) -> None:
    """The path says which alarm it is; ids need not look like UUIDs to be looked for."""
    path, alarm = created(door)
    answer = door.put(path, SHORT | {"alarm_id": "another"}, headers=ANN)

    assert (200, alarm["alarm_id"]) == (answer.status_code, answer.get_json()["alarm_id"])
    for strange in ("another", "a b", "ü", "x" * 500):
        assert 404 == door.get(f"/v2/alarms/{strange}", headers=ANN).status_code
