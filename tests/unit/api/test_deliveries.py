# SPDX-License-Identifier: Apache-2.0
"""Deliveries: seen and tried again."""

from datetime import timedelta
from typing import Any

import pytest

from alarmd.cluster.doorbell import Bell
from alarmd.model.notification import DeliveryState
from tests.support.notifications import CREATED_AT, a_notification
from tests.support.rest import ADMIN, ANN, BOB, EVE, Door, error_of


@pytest.fixture
def stocked(door: Door) -> Door:
    """A door with three deliveries of one project, of which the second was buried, and one of another project."""
    buried: dict[str, Any] = {
        "state": DeliveryState.BURIED,
        "attempts": 3,
        "last_status": 404,
        "last_error": "HTTP 404 Not Found",
        "finished_at": CREATED_AT + timedelta(seconds=9),
    }
    secret = "https://user:pass@scaler/up/x?Signature=abc"  # a throw-away
    notifications = [
        a_notification(sequence=1, project_id="p1", target=secret),
        a_notification(sequence=2, project_id="p1", created_at=CREATED_AT + timedelta(seconds=1), **buried),
        a_notification(sequence=3, project_id="p1", created_at=CREATED_AT + timedelta(seconds=2)),
        a_notification(alarm_id="alarm-2", project_id="p2", created_at=CREATED_AT + timedelta(seconds=3)),
    ]
    with door.database.write() as work:
        work.outbox.add(notifications)
    return door


@pytest.mark.parametrize(
    ("arguments", "headers", "expected"),
    [
        ("", ANN, ["alarm-1_3_0", "alarm-1_2_0", "alarm-1_1_0"]),
        ("", BOB, ["alarm-2_1_0"]),
        ("alarm_id=alarm-2", ANN, []),
        ("state=buried", ANN, ["alarm-1_2_0"]),
        ("limit=1", ANN, ["alarm-1_3_0"]),
        ("limit=1&marker=alarm-1_3_0", ANN, ["alarm-1_2_0"]),
        ("alarm_id=alarm-2", ADMIN, ["alarm-2_1_0"]),
        ("project_id=p2", ADMIN, ["alarm-2_1_0"]),
    ],
)
def test_lists_hold_what_was_asked_for(
    stocked: Door, arguments: str, headers: dict[str, str], expected: list[str]
) -> None:
    """Newest first, by alarm, state and project, in pages."""
    answer = stocked.get(f"/v3/deliveries?{arguments}", headers=headers).get_json()

    assert expected == [delivery["event_id"] for delivery in answer["deliveries"]]


def test_a_delivery_tells_its_story(stocked: Door) -> None:
    """How often it was tried, and what the receiver said."""
    delivery = stocked.get("/v3/deliveries/alarm-1_2_0", headers=ANN).get_json()

    assert {
        "event_id": "alarm-1_2_0",
        "alarm_id": "alarm-1",
        "project_id": "p1",
        "sequence": 2,
        "target": "http://scaler/up",
        "state": "buried",
        "attempts": 3,
        "created_at": "2026-01-01T00:00:01",
        "next_attempt_at": None,
        "finished_at": "2026-01-01T00:00:09",
        "last_status": 404,
        "last_error": "HTTP 404 Not Found",
        "body": dict(a_notification(sequence=2).body),
    } == delivery


def test_what_makes_a_target_a_secret_is_left_out(stocked: Door) -> None:
    """Neither credentials nor signed arguments are shown."""
    assert stocked.get("/v3/deliveries/alarm-1_1_0", headers=ANN).get_json()["target"] == "https://scaler/up/x?…"


def test_a_buried_delivery_is_tried_again(stocked: Door) -> None:
    """It waits from now on, and the notifiers are woken."""
    response = stocked.post("/v3/deliveries/alarm-1_2_0/retry", headers=ANN)

    assert (200, "pending") == (response.status_code, response.get_json()["state"])
    assert stocked.get("/v3/deliveries/alarm-1_2_0", headers=ANN).get_json()["state"] == "pending"
    assert Bell.OUTBOX in stocked.doorbell.rung


def test_only_buried_deliveries_are_tried_again(stocked: Door) -> None:
    """One that waits anyway is refused."""
    response = stocked.post("/v3/deliveries/alarm-1_1_0/retry", headers=ANN)

    assert response.status_code == 400
    assert "pending" in error_of(response)


def test_deliveries_of_others_do_not_exist(stocked: Door) -> None:
    """Nor do those that there are not; and a reader may look but not touch."""
    for response in (
        stocked.get("/v3/deliveries/alarm-1_1_0", headers=BOB),
        stocked.post("/v3/deliveries/alarm-1_1_0/retry", headers=BOB),
        stocked.get("/v3/deliveries/nothing", headers=ANN),
    ):
        assert response.status_code == 404
        assert "not found" in error_of(response)
    assert stocked.get("/v3/deliveries/alarm-1_2_0", headers=EVE).status_code == 200
    assert stocked.post("/v3/deliveries/alarm-1_2_0/retry", headers=EVE).status_code == 403


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("state=lost", "pending, delivered, buried, superseded"),
        ("colour=red", 'Unknown argument: "colour"'),
        ("marker=nothing", "nothing"),
        ("limit=x", "Limit should be positive"),
    ],
)
def test_what_cannot_be_asked_is_refused(door: Door, arguments: str, text: str) -> None:
    """Each mistake says what is wrong."""
    response = door.get(f"/v3/deliveries?{arguments}")

    assert response.status_code == 400
    assert text in error_of(response)
