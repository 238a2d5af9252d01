# SPDX-License-Identifier: Apache-2.0
"""Builders of notifications and of attempts at delivering them."""

from datetime import UTC, datetime
from typing import Any

from alarmd.model.alarm import AlarmId
from alarmd.model.notification import Notification, event_id_of
from alarmd.notifiers.scheme import Attempt, Reason

CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def a_notification(
    *, target: str = "http://scaler/up", alarm_id: str = "alarm-1", sequence: int = 1, **changes: Any
) -> Notification:
    """Return a notification of an alarm that went off."""
    body = {
        "alarm_id": alarm_id,
        "alarm_name": "cpu high",
        "severity": "low",
        "previous": "ok",
        "current": "alarm",
        "reason": "Transition to alarm due to 1 samples outside threshold, most recent: 97.0",
        "reason_data": {"type": "threshold", "disposition": "outside", "count": 1, "most_recent": 97.0},
    }
    given: dict[str, Any] = {
        "event_id": event_id_of(AlarmId(alarm_id), sequence, 0),
        "project_id": "project-1",
        "body": body,
        "created_at": CREATED_AT,
        "next_attempt_at": CREATED_AT,
    }
    return Notification(alarm_id=AlarmId(alarm_id), sequence=sequence, target=target, **{**given, **changes})


TAKEN = Attempt(reason=Reason.OK, retryable=False, status=200)
BUSY = Attempt(reason=Reason.BUSY, retryable=True, status=429, detail="HTTP 429 Too Many Requests")
GONE = Attempt(reason=Reason.CLIENT_ERROR, retryable=False, status=404, detail="HTTP 404 Not Found")
