# SPDX-License-Identifier: Apache-2.0
"""What tests put into a database, and what they find there."""

from alarmd.model.alarm import Alarm
from alarmd.model.notification import Notification
from alarmd.store.database import Database
from alarmd.store.outbox import OutboxQuery


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
