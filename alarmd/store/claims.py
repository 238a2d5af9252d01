# SPDX-License-Identifier: Apache-2.0
"""Claims: who gets which notifications of the outbox next. Queues take turns, and in each the longest due comes first.

What a claim costs does not depend on how much waits: it walks past queues, not through them, and one whose rows are all
blocked by their lanes has them step aside, so that the next claim meets others.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, zip_longest
from math import inf
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, func, select, update

from alarmd.clock import NOT_AHEAD, Ahead
from alarmd.model.notification import DeliveryState, Notification
from alarmd.store.bulk import update_rows
from alarmd.store.meant import after_tries, look_again
from alarmd.store.planning import no_whole_table
from alarmd.store.queued import FREE, change, pending, ranges_of_late, ranges_of_run_out, waits, wake
from alarmd.store.queues import Candidate, Queue, candidates, heads
from alarmd.store.rows import notification_of
from alarmd.store.tables import outbox

#: Number of the lock that lets one claim at a time through on PostgreSQL; "outb" in ASCII.
_CLAIM_LOCK = 0x6F757462

#: How many queues a claim walks past; in steps of twice as many as it may take notifications, and a few.
_LONGEST_WALK, _SPARE_HOPS = 1_024, 32
#: Twice as many rows as its share are looked at in each queue, and so many more: some have less than theirs.
_SPARE_ROWS = 2
#: For how long a notification steps aside that was met before its turn. It is called back when its turn comes
#: (`wake`), unless that happens in the same moment.
_ASIDE_S = 1.0
#: How often a claim looks again at queues in which others have stepped aside.
_LOOKS = 4
#: How many late ones a claim brings to their end.
_LATE_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """How much a claim may take of whose."""

    #: How many notifications of one origin, and of one project, unless it is said below.
    per_origin: int | None = None
    per_project: int | None = None
    #: Origins and projects that have another number, and queues that have one of their own; those with 0 get nothing.
    of_origin: Mapping[str, int] = field(default_factory=dict)
    of_project: Mapping[str, int] = field(default_factory=dict)
    of_queue: Mapping[Queue, int] = field(default_factory=dict)
    #: Whose turn it was last.
    after: Queue | None = None

    @property
    def full(self) -> frozenset[str]:
        """The origins of which nothing may be taken."""
        return frozenset(origin for origin, room in self.of_origin.items() if room <= 0)

    def room_of_origin(self, origin: str) -> float:
        """Return how many notifications of an origin may be taken."""
        return self.of_origin.get(origin, inf if self.per_origin is None else self.per_origin)

    def room_of_project(self, project_id: str) -> float:
        """Return how many notifications of a project may be taken."""
        return self.of_project.get(project_id, inf if self.per_project is None else self.per_project)

    def room_of(self, queue: Queue) -> float:
        """Return how many notifications of a queue may be taken, if nothing is taken of others."""
        shared = min(self.room_of_origin(queue.origin), self.room_of_project(queue.project_id))
        return min(shared, self.of_queue.get(queue, inf))


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a claim has brought."""

    notifications: Sequence[Notification]
    #: Whose turn it was last, for the next claim.
    after: Queue | None
    #: Whether another claim may find more at once, though nothing happens until then.
    goes_on: bool = False
    #: How many it has brought to their end, since a newer one goes instead or their alarms say something else by now,
    #: or since they are late.
    superseded: int = 0
    expired: int = 0
    #: How many the breaker holds back now.
    held: int = 0


def claim(
    connection: Connection,
    *,
    now: datetime,
    owner: str,
    lease_s: float,
    limit: int,
    rooms: Rooms,
    ahead: Ahead = NOT_AHEAD,
) -> Claims:
    """Take up to `limit` due notifications for `lease_s` seconds, the queues by turns."""
    _one_claim_at_a_time(connection)
    for run_out in ranges_of_run_out(now, ahead, lease_s=lease_s):
        _free_what_is_due_back(connection, run_out)
    expired = sum(_end_what_is_late(connection, late, now, ahead) for late in ranges_of_late(outbox, now, ahead))
    walk = _walk(connection, now=now, limit=limit, rooms=rooms)
    for _ in range(_LOOKS):
        chosen, aside, is_cut = _deal(connection, walk, now=now, ahead=ahead, limit=limit, rooms=rooms)
        _step_aside(connection, aside, now)
        if not aside or len(chosen) == limit:
            break
    lease = {"lease_owner": owner, "lease_until": now + timedelta(seconds=lease_s)}
    is_round = walk.is_whole and not walk.left_out
    after = chosen[-1].queue if chosen and (is_round or len(chosen) >= limit) else walk.last
    taken, superseded = _take(connection, chosen, lease, now)
    left = look_again(connection, taken, now)
    return Claims(
        notifications=left.notifications,
        after=after,
        goes_on=(len(chosen) < limit and (is_cut or not walk.is_whole)) or len(left.notifications) < len(taken),
        superseded=superseded + left.superseded,
        expired=expired,
        held=left.held,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walk:
    """What a claim has seen of the queues."""

    #: Those that have something for it, as many as it may take notifications; and those that it has passed beyond.
    due: Sequence[Queue]
    left_out: Sequence[Queue]
    #: The last one that it came by.
    last: Queue | None
    #: Whether these were all.
    is_whole: bool

    @classmethod
    def of(cls, due: Sequence[Queue], *, last: Queue | None, is_whole: bool, limit: int) -> "_Walk":
        """Return a walk on which no more queues are served than a claim may take notifications."""
        last = due[limit - 1] if len(due) > limit else last
        return cls(due=due[:limit], left_out=due[limit:], last=last, is_whole=is_whole)


def _walk(connection: Connection, *, now: datetime, limit: int, rooms: Rooms) -> _Walk:
    """Go round the queues until there are enough that have something, or all have been seen."""
    due: list[Queue] = []
    last = rooms.after
    has_turned = last is None
    stride = min(_LONGEST_WALK, 2 * limit + _SPARE_HOPS)
    full, hops = rooms.full, 0
    while hops < _LONGEST_WALK and len(due) < limit:
        seen = heads(connection, after=last, closed=full, limit=stride)
        hops += stride
        is_end = len(seen) < stride
        if has_turned and rooms.after is not None:
            behind = [head for head in seen if head.queue > rooms.after]
            seen, is_end = seen[: len(seen) - len(behind)], is_end or bool(behind)
        due += [head.queue for head in seen if head.due <= now and rooms.room_of(head.queue) > 0]
        last = seen[-1].queue if seen else last
        if is_end and has_turned:
            return _Walk.of(due, last=rooms.after, is_whole=True, limit=limit)
        if is_end:
            has_turned, last = True, None
    return _Walk.of(due, last=last, is_whole=False, limit=limit)


@dataclass(frozen=True, slots=True)
class _Purse:
    """What a claim may still take of whom."""

    rooms: Rooms
    by_origin: Counter[str] = field(default_factory=Counter)
    by_project: Counter[str] = field(default_factory=Counter)
    by_queue: Counter[Queue] = field(default_factory=Counter)

    def has_room(self, queue: Queue) -> bool:
        rooms = self.rooms
        return (
            self.by_origin[queue.origin] < rooms.room_of_origin(queue.origin)
            and self.by_project[queue.project_id] < rooms.room_of_project(queue.project_id)
            and self.by_queue[queue] < rooms.of_queue.get(queue, inf)
        )

    def take(self, queue: Queue) -> None:
        self.by_origin[queue.origin] += 1
        self.by_project[queue.project_id] += 1
        self.by_queue[queue] += 1


def _deal(
    connection: Connection, walk: _Walk, *, now: datetime, ahead: Ahead, limit: int, rooms: Rooms
) -> tuple[list[Candidate], list[str], bool]:
    """Give the queues their turns.

    Returns what is to be handed out, what has to step aside, and whether a queue may hold more that has room.
    """
    queues = walk.due
    if not queues:
        return [], [], False
    limit_each = 2 * _reach(queues, limit, rooms) // len(queues) + _SPARE_ROWS
    found = candidates(connection, queues, now=now, ahead=ahead, limit_each=limit_each)
    full = [queue for queue in queues if len(found[queue]) == limit_each]
    # Where a queue shows all that it has, what is not to go is in nobody's way.
    aside = [one.event_id for queue in full for one in found[queue] if one.is_untried and not one.may_go]
    purse = _Purse(rooms)
    chosen: list[Candidate] = []
    hands = [[one for one in found[queue] if one.may_go] for queue in queues]
    # The first of every queue, then the second of every queue, and so on.
    for one in chain.from_iterable(zip_longest(*hands)):
        if len(chosen) == limit:
            break
        if one is not None and purse.has_room(one.queue):
            purse.take(one.queue)
            chosen.append(one)
    return chosen, aside, any(purse.has_room(queue) for queue in (*full, *walk.left_out))


def _reach(queues: Sequence[Queue], limit: int, rooms: Rooms) -> int:
    """Return how many notifications of some queues a claim may take at most."""
    room = sum(rooms.room_of_origin(origin) for origin in {queue.origin for queue in queues})
    return int(min(limit, room))


def _take(
    connection: Connection, chosen: Sequence[Candidate], lease: Mapping[str, Any], now: datetime
) -> tuple[list[Notification], int]:
    """Lease what was chosen, but for what others have in hand; and end what it overtakes, return how many."""
    if not chosen:
        return [], 0
    free = (
        select(outbox.c.event_id)
        .where(outbox.c.event_id.in_([one.event_id for one in chosen]), waits(outbox))
        .with_for_update(skip_locked=True)
    )
    statement = update(outbox).where(outbox.c.event_id.in_(free)).values(dict(lease)).returning(outbox)
    rows = {row["event_id"]: row for row in connection.execute(statement).mappings()}
    lanes = [rows[one.event_id]["lane"] for one in chosen if one.overtakes and one.event_id in rows]
    superseded = _supersede(connection, lanes, now) if lanes else 0
    return [notification_of(rows[one.event_id]) for one in chosen if one.event_id in rows], superseded


def _supersede(connection: Connection, lanes: Sequence[str], now: datetime) -> int:
    """End what was tried, waits, and has a newer one behind it in these lanes."""
    newer = outbox.alias("newer")
    overtaken = (
        select(outbox.c.event_id)
        .where(
            outbox.c.lane.in_(lanes),
            waits(outbox),
            outbox.c.attempts > 0,
            exists().where(newer.c.lane == outbox.c.lane, newer.c.sequence > outbox.c.sequence, pending(newer)),
        )
        .order_by(outbox.c.event_id)
        .with_for_update(skip_locked=True, of=outbox)
    )
    ids = connection.execute(overtaken).scalars().all()
    return change(connection, ids, {"state": str(DeliveryState.SUPERSEDED), "finished_at": now})


def _step_aside(connection: Connection, ids: Sequence[str], now: datetime) -> None:
    if not ids:
        return
    free = select(outbox.c.event_id).where(outbox.c.event_id.in_(ids), waits(outbox)).with_for_update(skip_locked=True)
    later = now + timedelta(seconds=_ASIDE_S)
    connection.execute(update(outbox).where(outbox.c.event_id.in_(free)).values(next_attempt_at=later))


def _one_claim_at_a_time(connection: Connection) -> None:
    # Which notification is first in its lane is a matter of several rows, which row locks cannot keep still.
    # SQLite lets one writer in anyway.
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_CLAIM_LOCK), no_whole_table()))


def _free_what_is_due_back(connection: Connection, is_run_out: ColumnElement[bool]) -> None:
    expired = (
        select(outbox.c.event_id)
        .where(pending(outbox), outbox.c.lease_until.is_not(None), is_run_out)
        # By the index that serves it: in the order of their ids SQLite would walk through all there are.
        .order_by(outbox.c.lease_until)
        .with_for_update(skip_locked=True)
    )
    ids = connection.execute(expired).scalars().all()
    change(connection, ids, FREE)
    wake(connection, ids)


def _end_what_is_late(connection: Connection, is_late: ColumnElement[bool], now: datetime, ahead: Ahead) -> int:
    columns = outbox.c
    late = (
        select(columns.event_id, columns.created_at, columns.not_after, columns.attempts, columns.last_error)
        .where(waits(outbox), columns.not_after.is_not(None), is_late)
        .order_by(outbox.c.not_after)
        .limit(_LATE_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(late).all()
    state = str(DeliveryState.EXPIRED)
    ends = [
        {"event_id": row.event_id, "state": state, "last_error": _words(row, now, ahead), "finished_at": now}
        for row in rows
    ]
    update_rows(connection, outbox, key="event_id", rows=ends)
    wake(connection, [row.event_id for row in rows])
    return len(rows)


def _words(row: Any, now: datetime, ahead: Ahead) -> str:
    """Return why a notification was not sent."""
    by = ahead.end_of(row.not_after, written_at=row.created_at)
    late_s = (now - by).total_seconds()
    words = f"not sent: it had to be there by {by.isoformat(timespec='seconds')}, {late_s:.0f} s ago"
    return after_tries(words, row.attempts, row.last_error)
