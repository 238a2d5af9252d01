# SPDX-License-Identifier: Apache-2.0
"""What the parts of the outbox share: which rows wait, and how many of them are changed at once."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    FromClause,
    and_,
    exists,
    literal_column,
    or_,
    select,
    update,
)

from alarmd.clock import Ahead
from alarmd.model.notification import DeliveryState
from alarmd.store.tables import outbox

#: A moment, or its name in a statement that gets it later.
Told: TypeAlias = datetime | BindParameter[datetime]

#: How many ids are named in one statement.
_CHUNK = 1_000

#: In nobody's hands.
FREE: Mapping[str, Any] = {"lease_owner": None, "lease_until": None}

#: Written out, not bound: only then can the indexes over what is pending, or held, be used.
_PENDING: ColumnElement[str] = literal_column(f"'{DeliveryState.PENDING}'")
_HELD: ColumnElement[str] = literal_column(f"'{DeliveryState.HELD}'")


def pending(rows: FromClause) -> ColumnElement[bool]:
    """Return the condition that rows are yet to be delivered."""
    return rows.c.state == _PENDING


def past_waiting(rows: FromClause, state: DeliveryState | None = None) -> ColumnElement[bool]:
    """Return the condition that rows are not waiting for delivery, but in one certain other state if it is said."""
    is_past = rows.c.state != _PENDING
    return is_past if state is None else and_(is_past, rows.c.state == str(state))


def waits(rows: FromClause) -> ColumnElement[bool]:
    """Return the condition that rows are yet to be delivered and in nobody's hands."""
    return and_(pending(rows), rows.c.lease_until.is_(None))


def held_back(rows: FromClause) -> ColumnElement[bool]:
    """Return the condition that rows are kept back by the breaker."""
    return rows.c.state == _HELD


def unfinished(rows: FromClause) -> ColumnElement[bool]:
    """Return the condition that it is open what becomes of rows."""
    return or_(pending(rows), held_back(rows))


def is_late(rows: FromClause, now: datetime, ahead: Ahead) -> ColumnElement[bool]:
    """Return the condition that it is too late to send rows; unknown where it never is."""
    return or_(*ranges_of_late(rows, now, ahead))


def ranges_of_late(rows: FromClause, now: datetime, ahead: Ahead) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of which one holds for rows that it is too late to send, each a range of one column.

    After a jump of the clock there are two: as one, a database would walk through all that is not late between them.
    """
    before, after = late(rows, now=now, steady=now - ahead.by, since=ahead.since)
    return (before, after) if ahead.by else (before,)


def late(rows: FromClause, *, now: Told, steady: Told, since: Told) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return both conditions of `ranges_of_late`: what `Ahead.end_of` has ended, in SQL.

    Args:
        rows: The rows.
        now: The time of day.
        steady: What it would be had nobody set it ahead, by which whatever is late is late in any case.
        since: When it was set. What was made since goes by the time of day as it is, and cannot end before that.
    """
    ends = rows.c.not_after
    return ends <= steady, and_(ends >= since, ends <= now, rows.c.created_at >= since)


def ranges_of_run_out(now: datetime, ahead: Ahead, *, lease_s: float) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of which one holds for rows whose lease, of that length, has run out."""
    ends = outbox.c.lease_until
    before = ends <= now - ahead.by
    after = and_(ends >= ahead.since + timedelta(seconds=lease_s), ends <= now)
    return (before, after) if ahead.by else (before,)


def leased_to(owner: str) -> ColumnElement[bool]:
    """Return the condition that rows are in the hands of an owner."""
    return and_(pending(outbox), outbox.c.lease_owner == owner)


def overtaken() -> ColumnElement[bool]:
    """Return the condition that something newer was made in the same lane."""
    newer = outbox.alias("newer")
    return exists().where(
        # By the alarm, since lanes are indexed only while something waits in them.
        newer.c.alarm_id == outbox.c.alarm_id,
        newer.c.sequence > outbox.c.sequence,
        newer.c.lane == outbox.c.lane,
    )


def chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield ids in parts that fit into a statement."""
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]


def change(
    connection: Connection, ids: Sequence[str], values: Mapping[str, Any], *conditions: ColumnElement[bool]
) -> int:
    """Set columns of the rows with these ids, so far as conditions hold; return of how many."""
    return sum(
        connection.execute(update(outbox).where(outbox.c.event_id.in_(part), *conditions).values(dict(values))).rowcount
        for part in chunks(ids)
    )


_following = outbox.alias("following")

#: The id of what has stepped aside (`claims`) behind a row in its lane; NULL where nothing has.
sleeper = (
    select(_following.c.event_id)
    .where(
        _following.c.lane == outbox.c.lane,
        pending(_following),
        _following.c.sequence > outbox.c.sequence,
        _following.c.attempts == 0,
        _following.c.next_attempt_at > _following.c.created_at,
    )
    .order_by(_following.c.sequence)
    .limit(1)
    .correlate(outbox)
    .scalar_subquery()
)


def wake(connection: Connection, ids: Sequence[str]) -> None:
    """Call back what has stepped aside behind these in their lanes, since they are out of the way."""
    for part in chunks(ids):
        found = connection.execute(select(sleeper).where(outbox.c.event_id.in_(part))).scalars()
        rouse(connection, [one for one in found if one is not None])


def rouse(connection: Connection, ids: Sequence[str]) -> None:
    """Have what has stepped aside be due as if it had never been met: since it was made."""
    if not ids:
        return
    free = select(outbox.c.event_id).where(outbox.c.event_id.in_(sorted(ids)), waits(outbox))
    found = connection.execute(free.with_for_update(skip_locked=True)).scalars().all()
    change(connection, found, {"next_attempt_at": outbox.c.created_at})
