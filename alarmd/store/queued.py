# SPDX-License-Identifier: Apache-2.0
"""What the parts of the outbox share: which rows wait, and how many of them are changed at once."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    bindparam,
    literal_column,
    or_,
    select,
    update,
)

from alarmd.model.notification import DeliveryState
from alarmd.store.tables import outbox

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


def waits(rows: FromClause) -> ColumnElement[bool]:
    """Return the condition that rows are yet to be delivered and in nobody's hands."""
    return and_(pending(rows), rows.c.lease_until.is_(None))


def held_back(rows: FromClause) -> ColumnElement[bool]:
    """Return the condition that rows are kept back by the breaker."""
    return rows.c.state == _HELD


def unfinished(rows: FromClause) -> ColumnElement[bool]:
    """Return the condition that it is open what becomes of rows."""
    return or_(pending(rows), held_back(rows))


def leased_to(owner: str) -> ColumnElement[bool]:
    """Return the condition that rows are in the hands of an owner."""
    return and_(pending(outbox), outbox.c.lease_owner == owner)


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


def _sleepers() -> Select[Any]:
    following = outbox.alias("following")
    next_of_lane = (
        select(following.c.event_id)
        .where(following.c.lane == outbox.c.lane, pending(following), following.c.attempts == 0)
        .order_by(following.c.sequence)
        .limit(1)
        .correlate(outbox)
        .scalar_subquery()
    )
    ended = select(next_of_lane).where(outbox.c.event_id.in_(bindparam("ended", expanding=True)))
    return (
        select(following.c.event_id)
        .where(
            following.c.event_id.in_(ended),
            waits(following),
            following.c.next_attempt_at > following.c.created_at,
        )
        .with_for_update(skip_locked=True, of=following)
    )


_SLEEPERS = _sleepers()


def wake(connection: Connection, ids: Sequence[str]) -> None:
    """Call back what has stepped aside (`claims`) behind these in their lanes, since they are out of the way."""
    for part in chunks(ids):
        found = connection.execute(_SLEEPERS, {"ended": list(part)}).scalars().all()
        # As if it had never been met: what was never tried is due since it was made.
        change(connection, found, {"next_attempt_at": outbox.c.created_at})
