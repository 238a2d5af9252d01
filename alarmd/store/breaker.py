# SPDX-License-Identifier: Apache-2.0
"""The breaker at rest: which evaluators say that scale-in is to be held back, and until when."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, and_, delete, or_, select, text
from sqlalchemy.dialects import postgresql, sqlite

from alarmd.clock import NOT_AHEAD, Ahead
from alarmd.model.alarm import ActingAlarm
from alarmd.model.breaker import Trip
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState, Notification
from alarmd.store.columns import storable
from alarmd.store.tables import breaker

#: One of PostgreSQL's advisory locks. Any number that nothing else uses.
_LOCK = 0x71A4


class BreakerRepository:
    """Reads and writes the breaker within one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def hold(self, trip: Trip) -> None:
        """Have scale-in held back; takes the place of what the same evaluator has said before."""
        values = {"reason": storable(trip.reason), "since": trip.since, "until": trip.until}
        dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(breaker).values(owner=trip.owner, **values)
        self._connection.execute(statement.on_conflict_do_update(index_elements=[breaker.c.owner], set_=values))

    def lock(self) -> None:
        """Have others who lock it wait until this unit of work ends: one of them is the first, and one the last.

        What is read afterwards holds all that they have committed. SQLite lets only one write anyway.
        """
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})

    def let_go(self, owner: str) -> None:
        """Take back what an evaluator has said, if it has said anything."""
        self._connection.execute(delete(breaker).where(breaker.c.owner == owner))

    def forget(self, before: datetime) -> int:
        """Drop what ended before a moment: of evaluators that died; return how many."""
        return self._connection.execute(delete(breaker).where(breaker.c.until < before)).rowcount

    def in_force(self, now: datetime, *, ahead: Ahead = NOT_AHEAD) -> list[Trip]:
        """Return who says now that scale-in is to be held back, oldest first."""
        # What ends before the clock was set ahead was written before, too.
        is_open = or_(breaker.c.until > now, and_(breaker.c.until > now - ahead.by, breaker.c.until < ahead.since))
        statement = select(breaker).where(is_open).order_by(breaker.c.since, breaker.c.owner)
        return [Trip(**row) for row in self._connection.execute(statement).mappings()]


class HoldingBack:
    """Whether scale-in is held back, as of one unit of work."""

    def __init__(self, trips: BreakerRepository, *, now: datetime) -> None:
        self._trips = trips
        self._now = now
        self._in_force: list[Trip] | None = None

    def learn(self, _alarms: Collection[ActingAlarm]) -> None:
        """Read whether the breaker is open, the first time."""
        if self._in_force is None:
            self._in_force = self._trips.in_force(self._now)

    def judge(self, _alarm: ActingAlarm, notification: Notification) -> Notification:
        """Return a notification, held back if it makes a group smaller and the breaker is open."""
        waits = notification.state is DeliveryState.PENDING and notification.direction is Direction.IN
        if not waits:
            return notification
        if not self._in_force:
            return notification
        return replace(notification, state=DeliveryState.HELD, last_error=f"held back: {self._in_force[0].reason}")
