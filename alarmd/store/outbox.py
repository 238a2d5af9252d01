# SPDX-License-Identifier: Apache-2.0
"""The outbox: notifications on their way, claimed by notifiers under a lease.

The notifications of one alarm for one target make up a *lane*. Of the unfinished ones in a lane only the first may be
sent, so a receiver sees an alarm's states in their order. One that was tried and failed stands in nobody's way,
though: as soon as a newer one can go, it is superseded, because a receiver that comes back wants the state of today.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
    text,
    update,
)

from alarmd.model.notification import DeliveryState, EventId, Notification, Settlement
from alarmd.store.bulk import insert_rows
from alarmd.store.held import Released, release_held
from alarmd.store.paging import Pager, matches
from alarmd.store.queued import FREE, change, held_back, leased_to, pending, unfinished
from alarmd.store.rows import notification_of, notification_values
from alarmd.store.tables import outbox

_PAGER = Pager(
    keys={"created_at": outbox.c.created_at, "event_id": outbox.c.event_id},
    marker="event_id",
    tie=outbox.c.event_id,
)

#: Number of the lock that lets one claim at a time through on PostgreSQL; "outb" in ASCII.
_CLAIM_LOCK = 0x6F757462

#: How much of what is held back is let go of in one transaction, unless somebody says otherwise.
_CHUNK = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxQuery:
    """Which notifications, newest first, and which page of them. What is None does not narrow."""

    project_id: str | None = None
    alarm_id: str | None = None
    #: Any text: what is no state matches nothing.
    state: str | None = None
    target: str | None = None
    #: The event_id of the last notification of the page before.
    marker: str | None = None
    limit: int | None = None


class OutboxRepository:
    """Reads and writes the outbox within one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, notifications: Sequence[Notification]) -> None:
        """Put notifications in the outbox."""
        insert_rows(self._connection, outbox, [notification_values(each) for each in notifications])

    def claim(self, *, now: datetime, owner: str, lease_s: float, limit: int) -> list[Notification]:
        """Take up to `limit` due notifications, oldest first, for `lease_s` seconds.

        Of the unfinished ones for the same alarm and target only the lowest sequence is ever handed out, so their
        order holds; one that was tried and waits for another try gives way to a newer one and ends as SUPERSEDED.
        An expired lease is as good as none. The unit of work must be committed before anything is sent.
        """
        self._one_claim_at_a_time()
        self._expire_leases(now)
        rows = self._connection.execute(_candidates(now, limit)).mappings().all()
        if not rows:
            return []
        lanes = [row["lane"] for row in rows]
        self._supersede(lanes, now)
        first = self._first_in(lanes)
        claimed = [notification_of(row) for row in rows if row["sequence"] <= first[row["lane"]]]
        lease = {"lease_owner": owner, "lease_until": now + timedelta(seconds=lease_s)}
        change(self._connection, [each.event_id for each in claimed], lease)
        return claimed

    def settle(self, settlements: Sequence[Settlement], *, owner: str) -> int:
        """Write back how tries ended and let go of the leases; return how many were still the owner's to settle.

        A lease that ran out but was taken by nobody else still counts as the owner's.
        """
        if not settlements:
            return 0
        statement = (
            update(outbox)
            .where(outbox.c.event_id == bindparam("settled_id"), leased_to(owner))
            .values(
                state=bindparam("settled_state"),
                attempts=outbox.c.attempts + 1,
                next_attempt_at=bindparam("settled_next"),
                last_status=bindparam("settled_status"),
                last_error=bindparam("settled_error"),
                finished_at=bindparam("settled_finish"),
                lease_owner=None,
                lease_until=None,
            )
        )
        rows = [
            {
                "settled_id": each.event_id,
                "settled_state": str(each.state),
                "settled_next": each.next_attempt_at,
                "settled_status": each.last_status,
                "settled_error": each.last_error,
                "settled_finish": None if each.state is DeliveryState.PENDING else each.at,
            }
            # One order for everybody, so that two writers never wait for each other.
            for each in sorted(settlements, key=lambda settlement: settlement.event_id)
        ]
        return self._connection.execute(statement, rows).rowcount

    def release(self, event_ids: Iterable[EventId], *, owner: str) -> int:
        """Give claimed notifications back untried; return how many were still the owner's."""
        return change(self._connection, sorted(event_ids), FREE, leased_to(owner))

    def release_all(self, *, owner: str) -> int:
        """Give back whatever an owner holds: for its successor, once the owner is known to be dead; return how many.

        What the dead one had sent without saying so is sent again, under the same event id.
        """
        held = select(outbox.c.event_id).where(pending(outbox), leased_to(owner)).order_by(outbox.c.event_id)
        ids = self._connection.execute(held.with_for_update()).scalars().all()
        return change(self._connection, ids, FREE, leased_to(owner))

    def bury_waiting(self, alarm_id: str, *, reason: str, now: datetime) -> int:
        """Give up an alarm's notifications that wait, or are held back, and are in nobody's hands; return how many."""
        return self._end(outbox.c.alarm_id == alarm_id, state=DeliveryState.BURIED, reason=reason, now=now)

    def drop(self, event_id: str, now: datetime) -> bool:
        """Take out a notification that waits or is held back; False when there is none, or it is being sent."""
        which = matches(outbox.c.event_id, event_id)
        return self._end(which, state=DeliveryState.DROPPED, reason="dropped by an operator", now=now) == 1

    def release_held(self, now: datetime, *, limit: int = _CHUNK) -> Released:
        """Let go of what the breaker has held back, oldest first, at most `limit`; return what became of it.

        Each ends as PENDING if it is still what its alarm says and not too late, else as SUPERSEDED or EXPIRED.
        """
        return release_held(self._connection, now, limit=limit)

    def next_due(self) -> datetime | None:
        """Return the earliest moment at which something may be claimable, leases included; None when nothing waits."""
        idle = select(func.min(outbox.c.next_attempt_at)).where(pending(outbox), outbox.c.lease_until.is_(None))
        held = select(func.min(outbox.c.lease_until)).where(pending(outbox), outbox.c.lease_until.is_not(None))
        moments = [self._connection.execute(statement).scalar() for statement in (idle, held)]
        return min((moment for moment in moments if moment is not None), default=None)

    def find(self, query: OutboxQuery) -> list[Notification]:
        """Return the notifications asked for, newest first. Raises `InvalidInput` for an unknown marker."""
        visible = [] if query.project_id is None else [matches(outbox.c.project_id, query.project_id)]
        wanted = {outbox.c.alarm_id: query.alarm_id, outbox.c.state: query.state, outbox.c.target: query.target}
        narrowed = [matches(column, value) for column, value in wanted.items() if value is not None]
        statement = _PAGER.page(
            self._connection,
            select(outbox).where(*visible, *narrowed),
            visible=visible,
            sort=(("created_at", "desc"),),
            marker=query.marker,
            limit=query.limit,
        )
        return [notification_of(row) for row in self._connection.execute(statement).mappings()]

    def get(self, event_id: str) -> Notification | None:
        """Return one notification, or None."""
        statement = select(outbox).where(matches(outbox.c.event_id, event_id))
        row = self._connection.execute(statement).mappings().first()
        return None if row is None else notification_of(row)

    def retry(self, event_id: str, now: datetime) -> bool:
        """Put a buried notification back to be tried now; False when it is not there or not buried.

        It keeps its count of tries, so a newer one of the same alarm and target supersedes it.
        """
        buried = and_(matches(outbox.c.event_id, event_id), outbox.c.state == str(DeliveryState.BURIED))
        again = {"state": str(DeliveryState.PENDING), "next_attempt_at": now, "finished_at": None}
        return self._connection.execute(update(outbox).where(buried).values(again)).rowcount == 1

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
        return change(self._connection, ids, end)

    def _one_claim_at_a_time(self) -> None:
        # Which notification is first in its lane is a matter of several rows, which row locks cannot keep still.
        # SQLite lets one writer in anyway.
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _CLAIM_LOCK})

    def _expire_leases(self, now: datetime) -> None:
        expired = (
            select(outbox.c.event_id)
            .where(pending(outbox), outbox.c.lease_until.is_not(None), outbox.c.lease_until <= now)
            .order_by(outbox.c.event_id)
            .with_for_update(skip_locked=True)
        )
        ids = self._connection.execute(expired).scalars().all()
        change(self._connection, ids, FREE)

    def _supersede(self, lanes: Sequence[str], now: datetime) -> None:
        """End what was tried, waits, and has a newer one behind it in these lanes."""
        newer = outbox.alias("newer")
        overtaken = (
            select(outbox.c.event_id)
            .where(
                outbox.c.lane.in_(lanes),
                pending(outbox),
                outbox.c.lease_until.is_(None),
                outbox.c.attempts > 0,
                exists().where(newer.c.lane == outbox.c.lane, newer.c.sequence > outbox.c.sequence, pending(newer)),
            )
            .order_by(outbox.c.event_id)
            .with_for_update(skip_locked=True, of=outbox)
        )
        ids = self._connection.execute(overtaken).scalars().all()
        change(self._connection, ids, {"state": str(DeliveryState.SUPERSEDED), "finished_at": now})

    def _first_in(self, lanes: Sequence[str]) -> dict[str, int]:
        """Return the lowest unfinished sequence of each lane, as it is once everything is locked and superseded."""
        statement = (
            select(outbox.c.lane, func.min(outbox.c.sequence))
            .where(outbox.c.lane.in_(lanes), pending(outbox))
            .group_by(outbox.c.lane)
        )
        return dict(self._connection.execute(statement).all())


def _candidates(now: datetime, limit: int) -> Select[Any]:
    """Select what is due, in nobody's hands, and first in its lane but for those it may overtake."""
    older, newer = outbox.alias("older"), outbox.alias("newer")
    in_the_way = exists().where(
        older.c.lane == outbox.c.lane,
        older.c.sequence < outbox.c.sequence,
        pending(older),
        or_(older.c.attempts == 0, older.c.lease_until.is_not(None)),
    )
    overtaken = and_(
        outbox.c.attempts > 0,
        exists().where(newer.c.lane == outbox.c.lane, newer.c.sequence > outbox.c.sequence, pending(newer)),
    )
    return (
        select(outbox)
        .where(
            pending(outbox),
            outbox.c.lease_until.is_(None),
            outbox.c.next_attempt_at <= now,
            not_(in_the_way),
            not_(overtaken),
        )
        .order_by(outbox.c.next_attempt_at, outbox.c.event_id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=outbox)
    )
