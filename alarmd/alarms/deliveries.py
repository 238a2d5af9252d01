# SPDX-License-Identifier: Apache-2.0
"""What may be asked of deliveries: what was sent where, once more, or not at all."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from alarmd.alarms.reach import refuse_others, sees
from alarmd.clock import Clock, Timekeeper
from alarmd.cluster.doorbell import Bell, Doorbell
from alarmd.errors import InvalidInput, NotFound
from alarmd.model.alarm import AlarmId
from alarmd.model.caller import Caller
from alarmd.model.history import AlarmChange, ChangeType
from alarmd.model.notification import DeliveryState, Notification
from alarmd.policy import Action, Policy, is_admin, require
from alarmd.store.database import Database, UnitOfWork
from alarmd.store.outbox import OutboxQuery
from alarmd.telemetry import NOTIFICATIONS

#: How many deliveries one entry of an alarm's history names.
_NAMED = 20


class DeliveryService:
    """Shows deliveries, puts them back in the queue, takes them out of it. Safe to use from several threads.

    Every method may raise `Forbidden`, `Unauthorized`, `NotFound`, `InvalidInput` and `StoreUnavailable`. What is done
    by hand stands in the history of the alarm, with who did it.
    """

    def __init__(self, *, database: Database, policy: Policy, doorbell: Doorbell, clock: Clock) -> None:
        self._database = database
        self._policy = policy
        self._doorbell = doorbell
        self._clock = clock
        self._timekeeper = Timekeeper(clock)

    def find(self, query: OutboxQuery, caller: Caller) -> list[Notification]:
        """Return notifications: of the caller's project; to an admin, of all projects unless narrowed."""
        query = self._scoped(Action.GET_DELIVERIES, query, caller)
        with self._database.read() as unit:
            return unit.outbox.find(query)

    def get(self, event_id: str, caller: Caller) -> Notification:
        """Return one notification."""
        require(self._policy, Action.GET_DELIVERIES, caller)
        with self._database.read() as unit:
            return self._visible(unit, event_id, caller)

    def retry(self, event_id: str, caller: Caller) -> Notification:
        """Put a buried notification back in the queue and return it; the breaker may hold it back there."""
        with self._database.write() as unit:
            notification = self._visible(unit, event_id, caller)
            require(self._policy, Action.RETRY_DELIVERY, caller, project_id=notification.project_id)
            moment = self._timekeeper.moment()
            if not unit.outbox.retry(event_id, moment.now, ahead=moment.ahead):
                raise InvalidInput(_why_not_again(notification, past=unit.outbox.why_past(notification)))
            _record(unit, [notification], caller, "retried_deliveries", moment.now)
            again = self._visible(unit, event_id, caller)
        self._doorbell.ring(Bell.OUTBOX)
        return again

    def retry_all(self, query: OutboxQuery, caller: Caller) -> list[Notification]:
        """Put the buried notifications that a query means back in the queue, newest first, and return them.

        Those that it is too late for stay where they are.
        """
        query = self._scoped(Action.RETRY_DELIVERY, query, caller)
        with self._database.write() as unit:
            moment = self._timekeeper.moment()
            found = unit.outbox.retry_all(query, moment.now, ahead=moment.ahead)
            _record(unit, found, caller, "retried_deliveries", moment.now)
        if found:
            self._doorbell.ring(Bell.OUTBOX)
        return found

    def drop(self, event_id: str, caller: Caller) -> Notification:
        """Take a notification that waits or is held back out of the queue, for good, and return it."""
        with self._database.write() as unit:
            notification = self._visible(unit, event_id, caller)
            require(self._policy, Action.DROP_DELIVERY, caller, project_id=notification.project_id)
            now = self._clock.now()
            if not unit.outbox.drop(event_id, now):
                raise InvalidInput(_why_not_dropped(notification))
            _record(unit, [notification], caller, "dropped_deliveries", now)
            dropped = self._visible(unit, event_id, caller)
        NOTIFICATIONS.labels(outcome=str(dropped.state), reason="operator").inc()
        return dropped

    def _scoped(self, action: Action, query: OutboxQuery, caller: Caller) -> OutboxQuery:
        """Return a query that reaches no further than its caller."""
        require(self._policy, action, caller)
        refuse_others(self._policy, caller, project_id=query.project_id)
        return query if is_admin(self._policy, caller) else replace(query, project_id=caller.project_id)

    def _visible(self, unit: UnitOfWork, event_id: str, caller: Caller) -> Notification:
        notification = unit.outbox.get(event_id)
        if notification is None or not sees(self._policy, caller, notification.project_id):
            raise NotFound(f"Delivery {event_id} not found", event_id=event_id)
        return notification


def _why_not_again(notification: Notification, *, past: str) -> str:
    event_id, state = notification.event_id, notification.state
    if state is DeliveryState.BURIED and past:
        return f"Delivery {event_id} is news of the past: {past}"
    if state is DeliveryState.BURIED:
        return f"Delivery {event_id} is too late: it was to be sent before {notification.not_after}"
    if state is DeliveryState.HELD:
        return f"Delivery {event_id} is held back by the breaker, and goes out when that closes"
    return f"Delivery {event_id} is {state}; only one that is {DeliveryState.BURIED} is retried"


def _why_not_dropped(notification: Notification) -> str:
    event_id, state = notification.event_id, notification.state
    if state is DeliveryState.PENDING:
        return f"Delivery {event_id} is being sent just now; see what becomes of it"
    return (
        f"Delivery {event_id} is {state}; only one that is {DeliveryState.PENDING} or {DeliveryState.HELD} is dropped"
    )


def _record(unit: UnitOfWork, notifications: Iterable[Notification], caller: Caller, what: str, now: datetime) -> None:
    """Have the history of each alarm say what was done by hand, in one entry."""
    by_alarm: dict[AlarmId, list[Notification]] = {}
    for one in notifications:
        by_alarm.setdefault(one.alarm_id, []).append(one)
    unit.history.add_all(
        [
            AlarmChange(
                event_id=str(uuid4()),
                alarm_id=alarm_id,
                # One of the four types that Aodh's clients know.
                type=ChangeType.RULE_CHANGE,
                detail={what: [str(one.event_id) for one in done[:_NAMED]], "count": len(done)},
                user_id=caller.user_id,
                project_id=caller.project_id,
                on_behalf_of=done[0].project_id,
                timestamp=now,
                severity=None,
            )
            for alarm_id, done in by_alarm.items()
        ]
    )
