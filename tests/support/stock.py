# SPDX-License-Identifier: Apache-2.0
"""What tests put into a database, and what they find there."""

from dataclasses import replace
from datetime import datetime

from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.notification import DeliveryState, Notification, Settlement
from alarmd.store.database import Database
from alarmd.store.outbox import OutboxQuery
from tests.support.alarms import an_alarm


def store(database: Database, *alarms: Alarm) -> list[Alarm]:
    """Store alarms; return them as they are stored."""
    with database.write() as unit:
        return unit.alarms.add_all(alarms)


def alarm_in(database: Database, alarm: Alarm) -> Alarm:
    """Return what has become of an alarm."""
    with database.read() as unit:
        found = unit.alarms.get(alarm.alarm_id)
    assert found is not None
    return found


def add(database: Database, *notifications: Notification) -> None:
    """Put notifications into the outbox."""
    with database.write() as unit:
        unit.outbox.add(notifications)


def add_meant(database: Database, *notifications: Notification) -> None:
    """Put notifications into the outbox that are what their alarms say; store these, unless they are there already."""
    targets: dict[AlarmId, dict[str, None]] = {}
    for one in notifications:
        targets.setdefault(one.alarm_id, {})[one.target] = None
    for alarm_id, actions in targets.items():
        with database.write() as unit:
            before = unit.alarms.get(alarm_id)
            if before is None:
                unit.alarms.add(an_alarm(alarm_id=alarm_id, state=State.ALARM, alarm_actions=tuple(actions)))
            else:
                wider = dict.fromkeys([*before.alarm_actions, *actions])
                unit.alarms.replace(replace(before, alarm_actions=tuple(wider)))
    add(database, *notifications)


def stored(database: Database, notification: Notification) -> Notification:
    """Return what has become of a notification."""
    with database.read() as unit:
        found = unit.outbox.get(notification.event_id)
    assert found is not None
    return found


def outbox_of(database: Database, alarm: Alarm | None = None) -> list[Notification]:
    """Return the notifications of an alarm, or all there are, the newest first."""
    with database.read() as unit:
        return unit.outbox.find(OutboxQuery(alarm_id=alarm.alarm_id if alarm else None))


def say_gone(database: Database, target: str, *, at: datetime) -> None:
    """Have the receiver of the newest notification for a target answer that it is gone for good."""
    found = next(one for one in outbox_of(database) if one.target == target)
    settlement = Settlement(
        event_id=found.event_id,
        state=DeliveryState.BURIED,
        next_attempt_at=at,
        last_status=410,
        last_error="gone: HTTP 410 Gone",
        at=at,
        disables_target=True,
    )
    with database.write() as unit:
        unit.disabled_targets.disable([settlement])
