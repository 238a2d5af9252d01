# SPDX-License-Identifier: Apache-2.0
"""What lies further ahead than it can: it was written before somebody set a clock back.

A notification is never made in the future, and no pause and no lease are longer than the longest there is. All
statements here go along an index, so they cost little where there is nothing of the kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from alarmd.store.bulk import update_rows
from alarmd.store.planning import in_the_order_of_an_index
from alarmd.store.queued import change, pending, waits
from alarmd.store.queues import Queue, due_later, heads
from alarmd.store.tables import outbox

#: By how much clocks of several hosts may differ before it is worth writing anything anew.
_MARGIN = timedelta(seconds=1)
#: How many queues are asked at once.
_QUEUES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledBack:
    """What a look at some queues has done."""

    #: How many notifications are due now that were due later.
    count: int
    #: The last queue that needs no further look; None when none has been done with.
    after: Queue | None
    #: Whether these were all.
    is_end: bool


def bring_to_now(connection: Connection, which: ColumnElement[bool], now: datetime, *, limit: int) -> int:
    """Treat those of some notifications that were made in the future as made now, at most `limit`; return how many."""
    columns = outbox.c
    statement = (
        select(columns.event_id, columns.created_at, columns.next_attempt_at, columns.not_after)
        .where(which, columns.created_at > now + _MARGIN)
        .order_by(columns.created_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    with in_the_order_of_an_index(connection):
        rows = connection.execute(statement).all()
    changed: list[dict[str, Any]] = [
        {
            "event_id": row.event_id,
            "created_at": now,
            "next_attempt_at": min(row.next_attempt_at, now),
            "not_after": row.not_after and row.not_after - (row.created_at - now),
        }
        for row in sorted(rows, key=lambda row: str(row.event_id))
    ]
    update_rows(connection, outbox, key="event_id", rows=changed)
    return len(rows)


def shorten_leases(connection: Connection, now: datetime, *, lease_s: float) -> int:
    """Have leases that last for longer than any does end when one would that begins now; return how many.

    Not at once: whoever has them may be alive, and sending.
    """
    latest = now + timedelta(seconds=lease_s)
    statement = (
        select(outbox.c.event_id)
        .where(pending(outbox), outbox.c.lease_until > latest + _MARGIN)
        .order_by(outbox.c.lease_until)
        .with_for_update(skip_locked=True)
    )
    with in_the_order_of_an_index(connection):
        ids = connection.execute(statement).scalars().all()
    return change(connection, ids, {"lease_until": latest})


def call_back(
    connection: Connection, now: datetime, *, later_than: datetime, after: Queue | None, limit: int
) -> CalledBack:
    """Have what is due later than at a moment be due now, at most `limit`, in some of the queues behind one."""
    with in_the_order_of_an_index(connection):
        queues: Sequence[Queue] = [head.queue for head in heads(connection, after=after, closed=(), limit=_QUEUES)]
        ids = due_later(connection, queues, moment=later_than, limit=limit)
    free = select(outbox.c.event_id).where(outbox.c.event_id.in_(sorted(ids)), waits(outbox))
    found = connection.execute(free.with_for_update(skip_locked=True)).scalars().all() if ids else []
    count = change(connection, found, {"next_attempt_at": now})
    is_whole = len(ids) < limit
    return CalledBack(
        count=count,
        after=queues[-1] if is_whole and queues else after,
        is_end=is_whole and len(queues) < _QUEUES,
    )
