# SPDX-License-Identifier: Apache-2.0
"""What the breaker of the installation has held back: each of them is accounted for when it closes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, select

from alarmd.clock import NOT_AHEAD, Ahead
from alarmd.model.alarm import ActingAlarm
from alarmd.model.notification import DeliveryState
from alarmd.store.bulk import update_rows
from alarmd.store.future import bring_to_now
from alarmd.store.meant import acting_alarms, why_not
from alarmd.store.queued import held_back, is_late, overtaken
from alarmd.store.rows import notification_of
from alarmd.store.tables import outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What has become of notifications that were held back."""

    #: To be delivered now.
    pending: int = 0
    #: The alarm says something else by now, or says it again.
    superseded: int = 0
    #: Too late to be sent.
    expired: int = 0

    @property
    def count(self) -> int:
        """How many there were; none are left when it is less than was asked for."""
        return self.pending + self.superseded + self.expired


def release_held(connection: Connection, now: datetime, *, limit: int, ahead: Ahead = NOT_AHEAD) -> Released:
    """Let go of what is held back, oldest first, at most `limit`, and return what became of it.

    One is delivered if it is still what its alarm says (`meant.why_not`), the alarm has told the target nothing since,
    and it is not too late.
    """
    bring_to_now(connection, held_back(outbox), now, limit=limit)
    rows = sorted(connection.execute(_held(limit)).mappings().all(), key=lambda row: str(row["event_id"]))
    known = acting_alarms(connection, {row["alarm_id"] for row in rows})
    ends = [_end_of(row, known.get(row["alarm_id"]), now, ahead) for row in rows]
    update_rows(connection, outbox, key="event_id", rows=ends)
    states = [end["state"] for end in ends]
    return Released(
        pending=states.count(DeliveryState.PENDING),
        superseded=states.count(DeliveryState.SUPERSEDED),
        expired=states.count(DeliveryState.EXPIRED),
    )


def expire_held(connection: Connection, now: datetime, *, limit: int, ahead: Ahead = NOT_AHEAD) -> int:
    """End what is held back and too late by now, oldest first, at most `limit`; return how many."""
    bring_to_now(connection, held_back(outbox), now, limit=limit)
    late = (
        select(outbox.c.event_id, outbox.c.created_at, outbox.c.not_after)
        .where(held_back(outbox), is_late(outbox, now, ahead))
        .order_by(outbox.c.created_at, outbox.c.event_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = sorted(connection.execute(late).mappings(), key=lambda row: str(row["event_id"]))
    state = str(DeliveryState.EXPIRED)
    ends = [
        {"event_id": row["event_id"], "state": state, "last_error": _too_late(row, now, ahead), "finished_at": now}
        for row in rows
    ]
    update_rows(connection, outbox, key="event_id", rows=ends)
    return len(rows)


def _too_late(row: RowMapping, now: datetime, ahead: Ahead) -> str:
    since = f"held back since {row['created_at'].isoformat(timespec='seconds')}"
    end = ahead.end_of(row["not_after"], written_at=row["created_at"])
    return f"{since}; {(now - end).total_seconds():.0f} s too late"


def _held(limit: int) -> Select[Any]:
    return (
        select(outbox, overtaken().label("is_overtaken"))
        .where(held_back(outbox))
        .order_by(outbox.c.created_at, outbox.c.event_id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=outbox)
    )


def _end_of(row: RowMapping, alarm: ActingAlarm | None, now: datetime, ahead: Ahead) -> dict[str, Any]:
    """Return what becomes of one, as column values."""
    state, words = DeliveryState.PENDING, ""
    why = why_not(notification_of(row), alarm) or ("the alarm has moved on" if row["is_overtaken"] else "")
    if why:
        since = f"held back since {row['created_at'].isoformat(timespec='seconds')}"
        state, words = DeliveryState.SUPERSEDED, f"{since}; {why}"
    elif row["not_after"] is not None and ahead.end_of(row["not_after"], written_at=row["created_at"]) <= now:
        state, words = DeliveryState.EXPIRED, _too_late(row, now, ahead)
    is_final = state is not DeliveryState.PENDING
    return {
        "event_id": row["event_id"],
        "state": str(state),
        "last_error": words,
        "next_attempt_at": row["next_attempt_at"] if is_final else now,
        "finished_at": now if is_final else None,
    }
