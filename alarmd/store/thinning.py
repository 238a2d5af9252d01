# SPDX-License-Identifier: Apache-2.0
"""Thinning: of what waits for a receiver that does not answer, each lane keeps its newest only.

A receiver that comes back after an hour wants the state of today, not sixty orders to scale out.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, exists, select, tuple_

from alarmd.model.notification import DeliveryState
from alarmd.store.queued import change, pending, waits
from alarmd.store.tables import outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far thinning has come with a receiver."""

    project_id: str
    next_attempt_at: datetime
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinned:
    """What a piece of thinning has done."""

    superseded: int
    #: Where the next piece begins; None for the beginning, once all has been seen.
    mark: Mark | None


def thin(
    connection: Connection, origin: str, *, project_id: str | None, mark: Mark | None, now: datetime, limit: int
) -> Thinned:
    """Look at up to `limit` notifications that wait for an origin; supersede those with a newer one in their lane."""
    columns = outbox.c
    place = (columns.project_id, columns.next_attempt_at, columns.event_id)
    piece = select(*place, columns.lane, columns.sequence).where(waits(outbox), columns.origin == origin)
    if project_id is not None:
        piece = piece.where(columns.project_id == project_id)
    if mark is not None:
        piece = piece.where(tuple_(*place) > (mark.project_id, mark.next_attempt_at, mark.event_id))
    seen = piece.order_by(*place).limit(limit).subquery()
    newer = outbox.alias("newer")
    is_overtaken = exists().where(newer.c.lane == seen.c.lane, newer.c.sequence > seen.c.sequence, pending(newer))
    rows = connection.execute(select(seen, is_overtaken.label("is_overtaken"))).all()
    overtaken = sorted(row.event_id for row in rows if row.is_overtaken)
    free = select(columns.event_id).where(columns.event_id.in_(overtaken), waits(outbox))
    ids = connection.execute(free.with_for_update(skip_locked=True)).scalars().all() if overtaken else []
    words = "the receiver did not answer, and a newer state came"
    end = {"state": str(DeliveryState.SUPERSEDED), "finished_at": now, "last_error": words}
    last = max(rows, key=lambda row: (row.project_id, row.next_attempt_at, row.event_id), default=None)
    return Thinned(
        superseded=change(connection, ids, end),
        mark=None
        if last is None or len(rows) < limit
        else Mark(project_id=last.project_id, next_attempt_at=last.next_attempt_at, event_id=last.event_id),
    )
