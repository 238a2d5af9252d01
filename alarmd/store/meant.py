# SPDX-License-Identifier: Apache-2.0
"""Whether a notification is still what its alarm says, and what becomes of it if it is not.

An accepted transition is sent though the alarm has moved on at once: it has fired. But what has failed, what was held
back, what only repeats a state, and what makes a group smaller goes out only while the alarm still says so.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from alarmd.model.alarm import ActingAlarm, AlarmId, State
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState, Notification, stands_for
from alarmd.store.breaker import BreakerRepository
from alarmd.store.bulk import update_rows
from alarmd.store.queued import FREE, chunks, wake
from alarmd.store.rows import acting_alarm_of
from alarmd.store.tables import alarms, outbox

#: What it takes to act, and no more: of 10,000 alarms, reading everything would take a tenth of a second longer.
READ_ACTING = select(*(alarms.c[each.name] for each in fields(ActingAlarm)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a second look at some notifications has left."""

    notifications: Sequence[Notification]
    #: How many are no longer what their alarms say, and how many the breaker holds back now.
    superseded: int = 0
    held: int = 0


def acting_alarms(connection: Connection, alarm_ids: Collection[str]) -> dict[AlarmId, ActingAlarm]:
    """Return alarms as far as it takes to act, those that there are."""
    found: dict[AlarmId, ActingAlarm] = {}
    for part in chunks(sorted(alarm_ids)):
        for row in connection.execute(READ_ACTING.where(alarms.c.alarm_id.in_(part))).mappings():
            alarm = acting_alarm_of(row)
            found[alarm.alarm_id] = alarm
    return found


def why_not(notification: Notification, alarm: ActingAlarm | None) -> str:
    """Return why a notification is not what its alarm says, in a few words; none where it is."""
    said = why_unwanted(notification, alarm)
    if said or alarm is None:
        return said
    return "" if notification.told == str(alarm.state) else "the alarm has moved on"


def why_unwanted(notification: Notification, alarm: ActingAlarm | None) -> str:
    """Return why those who wrote an alarm do not want a notification, whatever its state; none where they do."""
    if alarm is None:
        return "the alarm is gone"
    if not alarm.enabled:
        return "the alarm is disabled"
    # Of a spoilt body nobody knows which actions it is about.
    states = [state for state in State if notification.told in {None, str(state)}]
    actions = (action for state in states for action in alarm.actions_for(state))
    is_action = any(stands_for(notification.target, action) for action in actions)
    return "" if is_action else "the alarm no longer has this action"


def look_again(connection: Connection, claimed: Sequence[Notification], now: datetime) -> Look:
    """Let go of what was claimed and is not to be sent any more, and return the rest.

    What is no longer what its alarm says ends as SUPERSEDED, and what makes a group smaller while the breaker is open
    becomes HELD. For most that is claimed there is nothing to ask.
    """
    asked = [one for one in claimed if one.attempts or one.is_repeat or one.direction is Direction.IN]
    if not asked:
        return Look(notifications=claimed)
    known = acting_alarms(connection, {one.alarm_id for one in asked})
    why = {one.event_id: why_not(one, known.get(one.alarm_id)) for one in asked}
    past = [_ended(one, why[one.event_id], now) for one in asked if why[one.event_id]]
    shrinking = [one for one in asked if one.direction is Direction.IN and not why[one.event_id]]
    trips = BreakerRepository(connection).in_force(now) if shrinking else []
    held = [_held(one, trips[0].reason) for one in shrinking] if trips else []
    update_rows(connection, outbox, key="event_id", rows=[*past, *held])
    gone = [str(row["event_id"]) for row in (*past, *held)]
    wake(connection, gone)
    stopped = frozenset(gone)
    left = [one for one in claimed if one.event_id not in stopped]
    return Look(notifications=left, superseded=len(past), held=len(held))


def after_tries(words: str, attempts: int, last_error: str) -> str:
    """Return why something was not sent, with what came of the tries before."""
    tries = "1 try" if attempts == 1 else f"{attempts} tries"
    return f"{words}; after {tries}: {last_error}" if attempts else words


def _ended(notification: Notification, why: str, now: datetime) -> dict[str, Any]:
    words = after_tries(f"not sent: {why}", notification.attempts, notification.last_error)
    end = {"state": str(DeliveryState.SUPERSEDED), "last_error": words, "finished_at": now}
    return {"event_id": notification.event_id, **end, **FREE}


def _held(notification: Notification, reason: str) -> dict[str, Any]:
    end = {"state": str(DeliveryState.HELD), "last_error": f"held back: {reason}", "finished_at": None}
    return {"event_id": notification.event_id, **end, **FREE}
