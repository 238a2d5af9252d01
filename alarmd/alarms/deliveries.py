# SPDX-License-Identifier: Apache-2.0
"""What may be asked of deliveries: what was sent where, and once more."""

from dataclasses import replace

from alarmd.alarms.reach import refuse_others, sees
from alarmd.clock import Clock
from alarmd.cluster.doorbell import Bell, Doorbell
from alarmd.errors import InvalidInput, NotFound
from alarmd.model.caller import Caller
from alarmd.model.notification import DeliveryState, Notification
from alarmd.policy import Action, Policy, is_admin, require
from alarmd.store.database import Database, UnitOfWork
from alarmd.store.outbox import OutboxQuery


class DeliveryService:
    """Shows deliveries and puts them back in the queue. Safe to use from several threads.

    Every method may raise `Forbidden`, `Unauthorized`, `NotFound`, `InvalidInput` and `StoreUnavailable`.
    """

    def __init__(self, *, database: Database, policy: Policy, doorbell: Doorbell, clock: Clock) -> None:
        self._database = database
        self._policy = policy
        self._doorbell = doorbell
        self._clock = clock

    def find(self, query: OutboxQuery, caller: Caller) -> list[Notification]:
        """Return notifications: of the caller's project; to an admin, of all projects unless narrowed."""
        require(self._policy, Action.GET_DELIVERIES, caller)
        refuse_others(self._policy, caller, project_id=query.project_id)
        if not is_admin(self._policy, caller):
            query = replace(query, project_id=caller.project_id)
        with self._database.read() as unit:
            return unit.outbox.find(query)

    def get(self, event_id: str, caller: Caller) -> Notification:
        """Return one notification."""
        require(self._policy, Action.GET_DELIVERIES, caller)
        with self._database.read() as unit:
            return self._visible(unit, event_id, caller)

    def retry(self, event_id: str, caller: Caller) -> Notification:
        """Put a buried notification back in the queue and return it."""
        with self._database.write() as unit:
            notification = self._visible(unit, event_id, caller)
            require(self._policy, Action.RETRY_DELIVERY, caller, project_id=notification.project_id)
            now = self._clock.now()
            if not unit.outbox.retry(event_id, now):
                state = notification.state
                raise InvalidInput(
                    f"Delivery {event_id} is {state}; only one that is {DeliveryState.BURIED} is retried"
                )
        self._doorbell.ring(Bell.OUTBOX)
        return replace(notification, state=DeliveryState.PENDING, next_attempt_at=now, finished_at=None)

    def _visible(self, unit: UnitOfWork, event_id: str, caller: Caller) -> Notification:
        notification = unit.outbox.get(event_id)
        if notification is None or not sees(self._policy, caller, notification.project_id):
            raise NotFound(f"Delivery {event_id} not found", event_id=event_id)
        return notification
