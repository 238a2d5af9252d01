# SPDX-License-Identifier: Apache-2.0
"""The outbox: notifications on their way, claimed by notifiers under a lease.

The notifications of one alarm for one target make up a *lane*. Of the unfinished ones in a lane only the first may be
sent, so a receiver sees an alarm's states in their order. One that was tried and failed stands in nobody's way,
though: as soon as a newer one can go, it is superseded, because a receiver that comes back wants the state of today.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
)

from alarmd.clock import NOT_AHEAD, Ahead
from alarmd.model.alarm import ActingAlarm, AlarmId
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState, EventId, Notification, Settlement
from alarmd.store import outbox_list
from alarmd.store.breaker import BreakerRepository
from alarmd.store.bulk import Write, inserting, update_rows
from alarmd.store.claims import Claims, Rooms, claim
from alarmd.store.future import CalledBack, bring_to_now, call_back, shorten_leases
from alarmd.store.giving_way import give_way
from alarmd.store.held import Released, expire_held, release_held
from alarmd.store.meant import acting_alarms, why_not, why_unwanted
from alarmd.store.outbox_query import OutboxQuery
from alarmd.store.paging import matches
from alarmd.store.queued import (
    FREE,
    change,
    chunks,
    held_back,
    is_late,
    leased_to,
    overtaken,
    past_waiting,
    pending,
    rouse,
    sleeper,
    unfinished,
    waits,
    wake,
)
from alarmd.store.queues import Queue, heads
from alarmd.store.rows import notification_of, notification_values
from alarmd.store.tables import disabled_targets, outbox
from alarmd.store.thinning import Mark, Thinned, thin

#: How many queues are asked when something is due.
_QUEUES_ASKED = 1_000

#: How much of what is held back is let go of in one transaction, unless somebody says otherwise.
_CHUNK = 1_000


__all__ = ["OutboxQuery", "OutboxRepository"]


class OutboxRepository:
    """Reads and writes the outbox within one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, notifications: Sequence[Notification]) -> None:
        """Put notifications in the outbox, where others of their lanes give way to them (see `give_way`)."""
        self.adding(notifications)()

    def adding(self, notifications: Sequence[Notification], *, given_way: Counter[AlarmId] | None = None) -> Write:
        """Spell notifications, and return what puts them in the outbox as `add` does; it counts what gives way."""
        insert = inserting(self._connection, outbox, [notification_values(each) for each in notifications])

        def add() -> None:
            gone = give_way(self._connection, notifications)
            if given_way is not None:
                given_way.update(gone)
            insert()

        return add

    def claim(
        self,
        *,
        now: datetime,
        owner: str,
        lease_s: float,
        limit: int,
        rooms: Rooms | None = None,
        ahead: Ahead = NOT_AHEAD,
    ) -> Claims:
        """Take up to `limit` due notifications for `lease_s` seconds: of each queue by turns, the longest due first.

        Of the unfinished ones for the same alarm and target only the lowest sequence is ever handed out, so their
        order holds; one that was tried and waits for another try gives way to a newer one and ends as SUPERSEDED.
        What is past its `not_after` ends as EXPIRED. An expired lease is as good as none. The unit of work must be
        committed before anything is sent.
        """
        return claim(
            self._connection,
            now=now,
            owner=owner,
            lease_s=lease_s,
            limit=limit,
            rooms=Rooms() if rooms is None else rooms,
            ahead=ahead,
        )

    def settle(self, settlements: Sequence[Settlement], *, owner: str) -> int:
        """Write back how tries ended and let go of the leases; return how many were still the owner's to settle.

        A lease that ran out but was taken by nobody else still counts as the owner's.
        """
        if not settlements:
            return 0
        said = {each.event_id: each for each in settlements}
        mine = (
            select(outbox.c.event_id, outbox.c.attempts, sleeper.label("sleeper"))
            # Only what is pending has an owner. To say so would lead PostgreSQL to an index over all that is pending.
            .where(outbox.c.event_id.in_(sorted(said)), outbox.c.lease_owner == owner)
            # One order for everybody, so that two writers never wait for each other.
            .order_by(outbox.c.event_id)
            .with_for_update(of=outbox)
        )
        rows = self._connection.execute(mine).all()
        ends = [{**_values_of(said[EventId(row.event_id)]), "attempts": row.attempts + 1} for row in rows]
        update_rows(self._connection, outbox, key="event_id", rows=ends)
        rouse(self._connection, [row.sleeper for row in rows if row.sleeper is not None])
        return len(rows)

    def release(self, event_ids: Iterable[EventId], *, owner: str) -> int:
        """Give claimed notifications back untried; return how many were still the owner's."""
        ids = sorted(event_ids)
        count = change(self._connection, ids, FREE, leased_to(owner))
        wake(self._connection, ids)
        return count

    def release_all(self, *, owner: str) -> int:
        """Give back whatever an owner holds: for its successor, once the owner is known to be dead; return how many.

        What the dead one had sent without saying so is sent again, under the same event id.
        """
        held = select(outbox.c.event_id).where(pending(outbox), leased_to(owner)).order_by(outbox.c.event_id)
        ids = self._connection.execute(held.with_for_update()).scalars().all()
        count = change(self._connection, ids, FREE, leased_to(owner))
        wake(self._connection, ids)
        return count

    def bury_waiting(self, alarm_id: str, *, reason: str, now: datetime) -> int:
        """Give up an alarm's notifications that wait, or are held back, and are in nobody's hands; return how many."""
        return self._end(outbox.c.alarm_id == alarm_id, state=DeliveryState.BURIED, reason=reason, now=now)

    def bury_unwanted(self, alarm: ActingAlarm, *, now: datetime) -> int:
        """Give up what an alarm that is disabled, or without the action by now, was about to do; return how many.

        What is in somebody's hands is tried to its end, and not again.
        """
        waiting = select(outbox).where(outbox.c.alarm_id == alarm.alarm_id, unfinished(outbox))
        reasons: dict[str, list[str]] = {}
        for row in self._connection.execute(waiting).mappings():
            if why := why_unwanted(notification_of(row), alarm):
                reasons.setdefault(why, []).append(row["event_id"])
        return sum(
            self._end(outbox.c.event_id.in_(part), state=DeliveryState.BURIED, reason=why, now=now)
            for why, ids in reasons.items()
            for part in chunks(ids)
        )

    def drop(self, event_id: str, now: datetime) -> bool:
        """Take out a notification that waits or is held back; False when there is none, or it is being sent."""
        which = matches(outbox.c.event_id, event_id)
        return self._end(which, state=DeliveryState.DROPPED, reason="dropped by an operator", now=now) == 1

    def release_held(self, now: datetime, *, limit: int = _CHUNK, ahead: Ahead = NOT_AHEAD) -> Released:
        """Let go of what the breaker has held back, oldest first, at most `limit`; return what became of it.

        Each ends as PENDING if it is still what its alarm says and not too late, else as SUPERSEDED or EXPIRED.
        """
        return release_held(self._connection, now, limit=limit, ahead=ahead)

    def expire_held(self, now: datetime, *, limit: int = _CHUNK, ahead: Ahead = NOT_AHEAD) -> int:
        """End what is held back and too late by now, oldest first, at most `limit`; return how many."""
        return expire_held(self._connection, now, limit=limit, ahead=ahead)

    def mend(self, now: datetime, *, lease_s: float) -> int:
        """Treat what waits and was made in the future as made now, and shorten leases without end; return how many.

        The clock by which they were written has been set back since, or was another host's. At most 1,000 at once.
        """
        made = bring_to_now(self._connection, waits(outbox), now, limit=_CHUNK)
        return made + shorten_leases(self._connection, now, lease_s=lease_s)

    def call_back(self, now: datetime, *, later_than: datetime, after: Queue | None) -> CalledBack:
        """Have what is due later than at a moment be due now: a bounded piece of it, from the queues behind one."""
        return call_back(self._connection, now, later_than=later_than, after=after, limit=_CHUNK)

    def thin(self, origin: str, *, project_id: str | None, mark: Mark | None, now: datetime) -> Thinned:
        """Supersede what waits for an origin (of one project, or of all) and has a newer one behind it in its lane.

        Looks at a bounded piece; `mark` says where the last one ended.
        """
        return thin(self._connection, origin, project_id=project_id, mark=mark, now=now, limit=_CHUNK)

    def next_due(self, ahead: Ahead = NOT_AHEAD, *, full: Collection[str] = ()) -> datetime | None:
        """Return the earliest moment at which something may be claimable, leases included; None when nothing waits.

        With more than 1,000 queues it may be a later one. Of an origin that is full only the first queue is looked at:
        one that hangs soon has something due in the queues of all projects.
        """
        columns = outbox.c
        leased = select(func.min(columns.lease_until)).where(pending(outbox), columns.lease_until.is_not(None))
        passing = select(columns.not_after, columns.created_at).where(waits(outbox), columns.not_after.is_not(None))
        moments = [self._connection.execute(leased).scalar()]
        first = self._connection.execute(passing.order_by(columns.not_after).limit(1)).all()
        moments += [ahead.end_of(row.not_after, written_at=row.created_at) for row in first]
        moments += [head.due for head in heads(self._connection, after=None, closed=full, limit=_QUEUES_ASKED)]
        return min((moment for moment in moments if moment is not None), default=None)

    def find(self, query: OutboxQuery) -> list[Notification]:
        """Return the notifications asked for, newest first. Raises `InvalidInput` for an unknown marker."""
        return outbox_list.notifications(self._connection, query)

    def get(self, event_id: str) -> Notification | None:
        """Return one notification, or None."""
        statement = select(outbox).where(matches(outbox.c.event_id, event_id))
        row = self._connection.execute(statement).mappings().first()
        return None if row is None else notification_of(row)

    def retry(self, event_id: str, now: datetime, *, ahead: Ahead = NOT_AHEAD) -> bool:
        """Put a buried notification back to be tried now; False when it is not there, not buried, too late, or past.

        It is past when a newer one was made for its target, or its alarm says something else by now (`why_past`). While
        the breaker is open, one that makes a group smaller is held back instead.
        """
        may_return = (*_may_return(now, ahead), ~overtaken())
        found = select(outbox).where(matches(outbox.c.event_id, event_id), *may_return)
        return bool(self._put_back(found, now, may_return))

    def retry_all(self, query: OutboxQuery, now: datetime, *, ahead: Ahead = NOT_AHEAD) -> list[Notification]:
        """Put the buried notifications that are asked for back as `retry` does; return them, as they are then.

        Nor does what is for a target that has said that it is gone.
        The newest go first; what the query says of states and pages, but for its limit, does not count.
        """
        wanted, may_return = replace(query, states=()), _may_return(now, ahead)
        is_told = ~exists().where(disabled_targets.c.lane == outbox.c.lane)
        # Of all projects, by the index of states; of one, by that of the project.
        found = () if query.is_of_few else (past_waiting(outbox),)
        statement = (
            select(outbox)
            .where(*wanted.visible, *wanted.narrowed, *found, *may_return, ~overtaken(), is_told)
            .order_by(outbox.c.created_at.desc(), outbox.c.event_id.desc())
            .limit(query.limit)
        )
        return self._put_back(statement, now, may_return)

    def why_past(self, notification: Notification) -> str:
        """Return why a notification is news of the past, in a few words; none where it is still what its alarm says."""
        mine = outbox.c.event_id == notification.event_id
        if self._connection.execute(select(outbox.c.event_id).where(mine, overtaken())).first():
            return "a newer one was made for the same target"
        known = acting_alarms(self._connection, [notification.alarm_id])
        return why_not(notification, known.get(notification.alarm_id))

    def depth(self) -> int:
        """Return how many notifications are unfinished."""
        return self._connection.execute(select(func.count()).select_from(outbox).where(pending(outbox))).scalar_one()

    def held(self) -> int:
        """Return how many notifications the breaker holds back."""
        return self._connection.execute(select(func.count()).select_from(outbox).where(held_back(outbox))).scalar_one()

    def oldest(self) -> datetime | None:
        """Return when the oldest of those that wait for delivery was made; None when none does."""
        return self._connection.execute(select(func.min(outbox.c.created_at)).where(pending(outbox))).scalar()

    def prune(self, before: datetime, *, limit: int) -> int:
        """Drop notifications that were finished before a moment, oldest first, at most `limit`; return how many."""
        columns = outbox.c
        oldest = (
            select(columns.event_id).where(columns.finished_at < before).order_by(columns.finished_at).limit(limit)
        ).scalar_subquery()
        return self._connection.execute(delete(outbox).where(columns.event_id.in_(oldest))).rowcount

    def _put_back(
        self, buried: Select[Any], now: datetime, may_return: Sequence[ColumnElement[bool]]
    ) -> list[Notification]:
        """Have buried notifications wait again, or be held back as the gate would; return them, as they are then."""
        again: dict[str, Any] = {"next_attempt_at": now, "finished_at": None}
        rows = [notification_of(row) for row in self._connection.execute(buried).mappings()]
        known = acting_alarms(self._connection, {one.alarm_id for one in rows})
        found = [replace(one, **again) for one in rows if not why_not(one, known.get(one.alarm_id))]
        trips = BreakerRepository(self._connection).in_force(now)
        held: dict[str, Any] = {
            "state": DeliveryState.HELD,
            "last_error": f"held back: {trips[0].reason if trips else ''}",
        }
        waiting: dict[str, Any] = {"state": DeliveryState.PENDING}
        ends = {one.event_id: held if trips and one.direction is Direction.IN else waiting for one in found}
        for end in (held, waiting):
            ids = sorted(event_id for event_id, its in ends.items() if its is end)
            change(self._connection, ids, {**again, **end, "state": str(end["state"])}, *may_return)
        return [replace(one, **ends[one.event_id]) for one in found]

    def _end(self, which: ColumnElement[bool], *, state: DeliveryState, reason: str, now: datetime) -> int:
        """Have what is unfinished and in nobody's hands come to an end; return how many."""
        found = (
            select(outbox.c.event_id)
            .where(which, unfinished(outbox), or_(outbox.c.lease_until.is_(None), outbox.c.lease_until <= now))
            .order_by(outbox.c.event_id)
            .with_for_update()
        )
        ids = self._connection.execute(found).scalars().all()
        end = {"state": str(state), "finished_at": now, "last_error": reason, **FREE}
        count = change(self._connection, ids, end)
        wake(self._connection, ids)
        return count


def _may_return(now: datetime, ahead: Ahead) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that a notification was given up and may be sent still."""
    in_time = or_(outbox.c.not_after.is_(None), not_(is_late(outbox, now, ahead)))
    return outbox.c.state == str(DeliveryState.BURIED), in_time


def _values_of(settlement: Settlement) -> dict[str, Any]:
    """Return what has become of a notification as column values, in nobody's hands."""
    return {
        "event_id": settlement.event_id,
        "state": str(settlement.state),
        "next_attempt_at": settlement.next_attempt_at,
        "last_status": settlement.last_status,
        "last_error": settlement.last_error,
        "finished_at": None if settlement.state is DeliveryState.PENDING else settlement.at,
        **FREE,
    }
