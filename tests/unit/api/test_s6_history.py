# SPDX-License-Identifier: Apache-2.0
"""Aodh's contract §6, what an alarm's history holds: each test's id names the row of the table."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest

from tests.support.rest import ADMIN, ANN, BOB, Door, error_of
from tests.unit.api.test_s2_versions import evaluated

RULE: dict[str, Any] = {"meter_name": "m", "threshold": 80}
ALARM: dict[str, Any] = {"name": "x", "type": "threshold", "threshold_rule": RULE, "severity": "critical"}
NOW = "2026-01-01T00:01:00"

#: Does to the alarm at a path, which ann has made, what the row is about.
Deed: TypeAlias = Callable[[Door, str, dict[str, Any]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The record of a deed, as the contract has it."""

    deed: Deed
    type: str
    detail: dict[str, Any]
    #: Who did it: user and project.
    by: tuple[str, str] = ("ann", "p1")
    #: Stored beside the record and never shown; queries find it.
    severity: str | None = None


def put(headers: dict[str, str], **changes: Any) -> Deed:
    return lambda door, path, alarm: door.put(path, alarm | changes, headers=headers)


ROWS: dict[str, Row] = {
    "rule_change": Row(deed=put(ANN, name="y"), type="rule change", detail={"name": "y"}),
    "rule_change_of_severity": Row(
        deed=put(ANN, severity="low"), type="rule change", detail={"severity": "low"}, severity="low"
    ),
    "rule_change_of_the_rule": Row(
        deed=put(ANN, threshold_rule=RULE | {"threshold": 90}),
        type="rule change",
        detail={
            "rule": {
                "meter_name": "m",
                "query": [],
                "statistic": "avg",
                "period": 60,
                "evaluation_periods": 1,
                "comparison_operator": "eq",
                "threshold": 90.0,
                "exclude_outliers": False,
            }
        },
    ),
    "rule_change_of_the_state": Row(
        deed=put(ANN, state="ok"),
        type="rule change",
        detail={"state": "ok", "state_reason": "Manually set via API"},
    ),
    "rule_change_by_an_admin": Row(
        deed=put(ADMIN, enabled=False), type="rule change", detail={"enabled": False}, by=("root", "ops")
    ),
    "state_transition_by_api": Row(
        deed=lambda door, path, _: door.put(f"{path}/state", "ok", headers=ANN),
        type="state transition",
        detail={"state": "ok", "state_reason": "Manually set via API"},
    ),
    "state_transition_by_an_admin": Row(
        deed=lambda door, path, _: door.put(f"{path}/state", "ok", headers=ADMIN),
        type="state transition",
        detail={"state": "ok", "state_reason": "Manually set via API"},
        by=("root", "ops"),
    ),
    # Aodh's records name its service's user here; alarmd has none.
    "state_transition_by_evaluator": Row(
        deed=lambda door, path, _: evaluated(door, path),
        type="state transition",
        detail={"state": "alarm", "transition_reason": "evaluated"},
        by=("", ""),
        severity="critical",
    ),
}


def recorded(door: Door, condition: Any) -> list[dict[str, Any]]:
    """Return what a complex query finds in ann's histories."""
    body = {"filter": json.dumps(condition)}
    found: list[dict[str, Any]] = door.post("/v2/query/alarms/history", body, headers=ANN).get_json()
    return found


@pytest.mark.parametrize("row", ROWS.values(), ids=[f"6-{name}" for name in ROWS])
def test_s6_what_a_deed_leaves(door: Door, row: Row) -> None:
    """One record, the newest: its type, its detail as a text that holds JSON, who did it and on whose behalf."""
    alarm = door.post("/v2/alarms", ALARM, headers=ANN).get_json()
    path = f"/v2/alarms/{alarm['alarm_id']}"
    door.clock.advance(59)
    row.deed(door, path, alarm)
    newest, oldest = door.get(f"{path}/history", headers=ANN).get_json()

    assert "creation" == oldest["type"]
    assert json.dumps(row.detail) == json.dumps(json.loads(newest["detail"]))
    assert {
        "alarm_id": alarm["alarm_id"],
        "type": row.type,
        "user_id": row.by[0],
        "project_id": row.by[1],
        "on_behalf_of": "p1",
    } == {key: newest[key] for key in ("alarm_id", "type", "user_id", "project_id", "on_behalf_of")}
    by_severity = recorded(door, {"=": {"severity": row.severity or "critical"}})
    assert (newest in by_severity) == (row.severity is not None)


def test_s6_change_only_the_severity_is_the_text_that_tempest_compares(door: Door) -> None:
    """To the letter: one blank after the colon, and no moment beside it."""
    alarm = door.post("/v2/alarms", ALARM, headers=ANN).get_json()
    path = f"/v2/alarms/{alarm['alarm_id']}"
    door.clock.advance(1)
    door.put(path, alarm | {"severity": "low"}, headers=ANN)

    assert '{"severity": "low"}' == door.get(f"{path}/history", headers=ANN).get_json()[0]["detail"]


@pytest.mark.parametrize("who", [ANN, ADMIN], ids=["6-creation", "6-creation_by_an_admin_for_another"])
def test_s6_creation(door: Door, who: dict[str, str]) -> None:
    """The whole alarm under Aodh's names, `rule` for its rule; by whoever made it, on behalf of whose it is."""
    made = door.post("/v2/alarms", ALARM | {"project_id": "p1"}, headers=who).get_json()
    [record] = door.get(f"/v2/alarms/{made['alarm_id']}/history", headers=ANN).get_json()
    detail = json.loads(record["detail"])

    assert {key: value for key, value in made.items() if key not in {"threshold_rule", "evaluate_timestamp"}} | {
        "rule": made["threshold_rule"]
    } == detail
    assert ("creation", who["X-User-Id"], who["X-Project-Id"], "p1") == tuple(
        record[key] for key in ("type", "user_id", "project_id", "on_behalf_of")
    )
    assert [record] == recorded(door, {"=": {"severity": "critical"}})


def test_s6_deletion(door: Door) -> None:
    """Its own history is 404 as in Aodh; the query over histories goes on to show it, with the end of it."""
    alarm = door.post("/v2/alarms", ALARM, headers=ANN).get_json()
    path = f"/v2/alarms/{alarm['alarm_id']}"
    door.clock.advance(60)
    door.delete(path, headers=ADMIN)
    gone = door.get(f"{path}/history", headers=ANN)
    newest, oldest = recorded(door, {"=": {"alarm_id": alarm["alarm_id"]}})

    assert (404, f"Alarm {alarm['alarm_id']} not found") == (gone.status_code, error_of(gone))
    assert ["deletion", "creation"] == [newest["type"], oldest["type"]]
    assert ("root", "ops", "p1", NOW) == tuple(
        newest[key] for key in ("user_id", "project_id", "on_behalf_of", "timestamp")
    )
    assert json.loads(oldest["detail"]) == json.loads(newest["detail"])
    assert [newest, oldest] == recorded(door, {"=": {"severity": "critical"}})


def test_s6_keys_of_a_record(door: Door) -> None:
    """Eight, in Aodh's order; the severity is not among them, and `detail` is a text."""
    alarm = door.post("/v2/alarms", ALARM, headers=ANN).get_json()
    [record] = door.get(f"/v2/alarms/{alarm['alarm_id']}/history", headers=ANN).get_json()

    assert ["event_id", "alarm_id", "type", "detail", "project_id", "user_id", "on_behalf_of", "timestamp"] == list(
        record
    )
    assert isinstance(record["detail"], str)


def test_s6_others_than_admins_see_what_was_recorded_on_behalf_of_their_project(door: Door) -> None:
    """When an alarm moves, its past stays with the project that it was of; admins see all of it."""
    alarm = door.post("/v2/alarms", ALARM, headers=ANN).get_json()
    path = f"/v2/alarms/{alarm['alarm_id']}"
    door.clock.advance(1)
    door.put(path, alarm | {"project_id": "p2"}, headers=ADMIN)
    seen = {name: door.get(f"{path}/history", headers=who) for name, who in (("ann", ANN), ("bob", BOB), ("", ADMIN))}

    assert 404 == seen["ann"].status_code
    assert ["rule change"] == [change["type"] for change in seen["bob"].get_json()]
    assert ["rule change", "creation"] == [change["type"] for change in seen[""].get_json()]
