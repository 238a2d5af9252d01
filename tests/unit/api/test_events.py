# SPDX-License-Identifier: Apache-2.0
"""Pushing events."""

from collections.abc import Callable
from typing import Any

import pytest

from alarmd.api.context import ApiLimits
from alarmd.cluster.doorbell import Bell
from alarmd.model.alarm import State
from alarmd.store.outbox import OutboxQuery
from alarmd.telemetry import REGISTRY
from tests.support.events import a_push
from tests.support.rest import ADMIN, ANN, EVE, Door, error_of

RULE = {
    "event_type": "compute.instance.update",
    "query": [{"field": "traits.state", "op": "eq", "type": "string", "value": "stopped"}],
}
STOPPED = ["state", 1, "stopped"]


def an_alarm(door: Door, **changes: Any) -> str:
    """Create an alarm of Ann's for stopped machines and return its path."""
    body = {"name": "stopped", "type": "event", "event_rule": RULE, "alarm_actions": ["http://h/heal"]} | changes
    made = door.post("/v2/alarms", body, headers=ANN)
    assert made.status_code == 201, made.text
    return f"/v2/alarms/{made.get_json()['alarm_id']}"


def state_of(door: Door, path: str) -> str:
    """Return the state of an alarm."""
    state: str = door.get(f"{path}/state", headers=ANN).get_json()
    return state


def sent(door: Door) -> list[Any]:
    """Return the events that webhooks will tell of."""
    with door.database.read() as unit:
        return [each.body["reason_data"]["event"] for each in unit.outbox.find(OutboxQuery())]


def counted(outcome: str) -> float:
    """Return how many events have ended in a way so far."""
    return REGISTRY.get_sample_value("alarmd_events_total", {"outcome": outcome}) or 0.0


def rejection(door: Door, event: Any) -> str:
    """Push an event that cannot be taken, and return why not."""
    response = door.post("/v3/events", {"events": [event]}, headers=ANN)
    assert (400, 0) == (response.status_code, response.get_json()["accepted"]), response.text
    [rejected] = response.get_json()["rejected"]
    error = response.get_json()["error_message"]["faultstring"]
    assert error == f"No event was accepted; event 0: {rejected['reason']}"
    reason: str = rejected["reason"]
    return reason


def test_s4_7_what_follows_from_an_event_is_there_when_it_is_answered(door: Door) -> None:
    """A new alarm counts at once: it is in alarm, its history says so, its webhook waits, the notifiers are woken."""
    path = an_alarm(door)
    new = door.get(path, headers=ANN).get_json()
    before = counted("matched"), counted("unmatched")
    events = [a_push(STOPPED), a_push(["state", 1, "active"])]
    response = door.post("/v3/events", {"events": events}, headers=ANN)
    history = door.get(f"{path}/history", headers=ANN).get_json()

    assert ("insufficient data", "Not evaluated yet") == (new["state"], new["state_reason"])
    assert (202, {"accepted": 2, "rejected": []}) == (response.status_code, response.get_json())
    assert State.ALARM == state_of(door, path)
    assert ["state transition", "creation"] == [change["type"] for change in history]
    assert [events[0]] == sent(door)
    assert [Bell.ALARMS, Bell.OUTBOX] == door.doorbell.rung
    assert (before[0] + 1, before[1] + 1) == (counted("matched"), counted("unmatched"))


@pytest.mark.parametrize("form", [lambda event: [event, event], lambda event: event])
def test_events_are_taken_as_ceilometer_has_them(door: Door, form: Callable[[Any], Any]) -> None:
    """A bare list, and a bare event."""
    path = an_alarm(door)
    response = door.post("/v3/events", form(a_push(STOPPED)), headers=ANN)

    assert (202, []) == (response.status_code, response.get_json()["rejected"])
    assert State.ALARM == state_of(door, path)


def test_s2_2_receivers_get_traits_as_lists(door: Door) -> None:
    """Mistral reads `[name, type, value]`, whatever form the pusher has chosen; the rest is as it was pushed."""
    an_alarm(door, event_rule={})
    traits = [
        {"name": "state", "value": "stopped"},
        {"name": "vcpus", "type": "integer", "value": "4"},
        {"name": "load", "value": 0.5},
        {"name": "seen", "type": None, "value": 3},
        {"name": "up", "value": False},
        ["gone", 0, None],
        ["at", "datetime", "2026-01-01T12:00:00"],
    ]
    event = a_push(*traits, raw={"payload": [1, {"a": None}]}, message_id="m-1")
    door.post("/v3/events", [event], headers=ANN)
    expected = [
        *(["state", 1, "stopped"], ["vcpus", 2, "4"], ["load", 3, 0.5], ["seen", 2, 3], ["up", 0, False]),
        *(["gone", 0, None], ["at", 4, "2026-01-01T12:00:00"]),
    ]

    assert [event | {"traits": expected}] == sent(door)


@pytest.mark.parametrize(
    ("more", "traits", "project_id"),
    [
        ({}, [], "ops"),
        ({"project_id": "p1"}, [], "p1"),
        ({"project_id": ""}, [], "ops"),
        ({"project_id": "p2"}, [["project_id", 1, "p1"]], "p1"),
        ({}, [["tenant_id", 1, "p2"], ["project_id", 1, "p1"]], "p1"),
        ({}, [["project_id", 1, "p1"], ["tenant_id", 1, "p2"]], "p2"),
        ({}, [["tenant_id", 1, "p1"], ["project_id", 0, None]], "p1"),
    ],
)
def test_s4_7_traits_say_whose_event_it_is(door: Door, more: Any, traits: list[Any], project_id: str) -> None:
    """The last of `tenant_id` and `project_id` that says something, then the event, then who pushes it."""
    alarm_ids = {each: an_alarm_of(door, each) for each in ("p1", "p2", "ops")}
    door.post("/v3/events", [a_push(*traits, **more)], headers=ADMIN)
    states = {
        each: door.get(f"/v2/alarms/{alarm_id}/state", headers=ADMIN).get_json() for each, alarm_id in alarm_ids.items()
    }

    assert [project_id] == [each for each, state in states.items() if state == State.ALARM]


def an_alarm_of(door: Door, project_id: str) -> str:
    """Create an alarm of a project for any event."""
    body = {"name": "any", "type": "event", "event_rule": {}, "project_id": project_id}
    made = door.post("/v2/alarms", body, headers=ADMIN)
    assert made.status_code == 201, made.text
    alarm_id: str = made.get_json()["alarm_id"]
    return alarm_id


def test_events_of_another_project_are_refused(door: Door) -> None:
    """Then nothing of the push has happened; and who may only look pushes nothing."""
    path = an_alarm(door)
    foreign = a_push(STOPPED, ["tenant_id", 1, "p2"])
    response = door.post("/v3/events", {"events": [a_push(STOPPED), foreign]}, headers=ANN)
    looking = door.post("/v3/events", {"events": [a_push(STOPPED)]}, headers=EVE)

    assert (401, "Not Authorized to access project p2") == (response.status_code, error_of(response))
    assert (403, "RBAC Authorization Failed") == (looking.status_code, error_of(looking))
    assert State.INSUFFICIENT_DATA == state_of(door, path)


def test_a_bad_event_costs_only_itself(door: Door) -> None:
    """It is named by its place, and counted."""
    path, before = an_alarm(door), counted("rejected")
    response = door.post("/v3/events", {"events": [5, a_push(message_id=None), a_push(STOPPED)]}, headers=ANN)

    assert 202 == response.status_code
    assert {
        "accepted": 1,
        "rejected": [
            {"index": 0, "reason": "an event must be an object, not 5"},
            {"index": 1, "reason": "message_id is missing"},
        ],
    } == response.get_json()
    assert (State.ALARM, before + 2) == (state_of(door, path), counted("rejected"))


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({}, "event_type is missing"),
        (a_push(event_type=5), "event_type must be text of 1 to 255 characters, not 5"),
        (a_push(event_type=""), "event_type must be text of 1 to 255 characters"),
        (a_push(message_id="x" * 256), "message_id must be text of 1 to 255 characters"),
        (a_push() | {"traits": {}}, "traits must be a list, not {}"),
        (a_push("x"), "'x' is no trait: write"),
        (a_push(["state", "stopped"]), "is no trait: write"),
        (a_push({"name": "state"}), "is no trait: write"),
        (a_push({"name": "a", "value": 1, "colour": 2}), "is no trait: write"),
        (a_push([5, 1, "x"]), "a trait's name must be text of 1 to 255 characters, not 5"),
        (a_push(["a", 1, []]), "the value of trait 'a' must be text, a number or a boolean, not []"),
        (a_push(["a", 5, "x"]), "the type of trait 'a' must be one of none (0), text (1), integer (2)"),
        (a_push(["a", True, "x"]), "the type of trait 'a' must be one of"),
        (a_push(["a", [], "x"]), "the type of trait 'a' must be one of"),
        (a_push(["a", 2, "many"]), "the value of trait 'a' is not of its type integer: 'many'"),
        (a_push(["a", 3, 10**400]), "the value of trait 'a' is not of its type float"),
        (a_push(["a", 4, "soon"]), "the value of trait 'a' is not of its type datetime: 'soon'"),
        (a_push(["project_id", 2, 5]), "the project must be text of 1 to 255 characters, not 5"),
        (a_push(project_id=[1]), "the project must be text of 1 to 255 characters, not [1]"),
        (a_push(note="a\0b"), "holds a character that is not text"),
        (a_push(note="x" * 70_000), "an event may have 65536 bytes (setting api.max_event_bytes), this one has 70"),
    ],
)
def test_what_is_no_event_is_rejected(door: Door, event: Any, reason: str) -> None:
    """With what is wrong; nothing of it reaches an alarm."""
    path = an_alarm(door, event_rule={})

    assert reason in rejection(door, event)
    assert State.INSUFFICIENT_DATA == state_of(door, path)


def test_numbers_without_an_end_and_depths_without_a_bottom_are_rejected(door: Door) -> None:
    """What could not be stored, or sent on, is not taken."""
    deep: Any = "x"
    for _ in range(40):
        deep = {"a": deep}
    endless = '[{"event_type": "e", "message_id": "m", "raw": 1e999}]'
    response = door.app.test_client().post("/v3/events", data=endless, content_type="application/json", headers=ANN)

    assert "an event may be nested 32 levels deep, this one is deeper" == rejection(door, a_push(raw=deep))
    assert 400 == response.status_code
    assert "is not a finite number" in response.get_json()["rejected"][0]["reason"]


def test_a_push_has_a_bound(open_a_door: Callable[..., Door]) -> None:
    """The answer names the setting."""
    door = open_a_door(limits=ApiLimits(max_events_per_push=2))
    response = door.post("/v3/events", [a_push()] * 3, headers=ANN)

    assert 413 == response.status_code
    assert "2 allowed in a push (setting api.max_events_per_push)" in error_of(response)


@pytest.mark.parametrize("body", [5, "x", {"events": {}}, {"events": None}, {"events": [], "more": 1}])
def test_what_is_no_push_is_refused(door: Door, body: Any) -> None:
    """With what to send instead."""
    response = door.app.test_client().post("/v3/events", json=body, headers=ANN)

    assert 400 == response.status_code
    assert 'send {"events": [{"event_type": …, "message_id": …, "traits": […]}]}' in error_of(response)


def test_a_push_of_nothing_does_nothing(door: Door) -> None:
    """As with samples."""
    response = door.post("/v3/events", {"events": []}, headers=ANN)

    assert (202, {"accepted": 0, "rejected": []}) == (response.status_code, response.get_json())
