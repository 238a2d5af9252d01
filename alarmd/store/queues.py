# SPDX-License-Identifier: Apache-2.0
"""The queues of the outbox: what waits, by receiver and by project, and how to walk past a long one in one step.

All statements here go along the index `ix_outbox_queue`, so what they cost depends on how many queues they pass and how
many rows they return, and never on how long a queue is.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Text, TextClause, TextualSelect, and_, bindparam, column, not_, or_, text

from alarmd.clock import NOT_AHEAD, Ahead
from alarmd.store.columns import UtcDateTime
from alarmd.store.json import to_json
from alarmd.store.queued import late, waits
from alarmd.store.tables import outbox


class Queue(NamedTuple):
    """The unit of fairness: what a project has waiting for one receiver (scheme, host and port)."""

    origin: str
    project_id: str


#: Sorts behind every project, and behind a project itself but before the next one.
_BEHIND_ALL, _BEHIND = "\U0010ffff", "\x01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A queue and when its first notification is due."""

    queue: Queue
    due: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A notification that is due."""

    event_id: str
    queue: Queue
    #: Whether it is its turn in its lane; else one that is older is in the way, or one that is newer has overtaken it.
    may_go: bool
    is_untried: bool
    #: Whether there are older ones in its lane, which end when it goes.
    overtakes: bool


def heads(connection: Connection, *, after: Queue | None, closed: Collection[str], limit: int) -> list[Head]:
    """Return the queues behind one, in their order, at most `limit`; of an origin that is closed its first one only."""
    start = Queue("", "") if after is None else Queue(after.origin, after.project_id + _BEHIND)
    told = {"origin": start.origin, "project_id": start.project_id, "behind": _BEHIND, "behind_all": _BEHIND_ALL}
    rows = connection.execute(
        _WALKS[connection.dialect.name], told | {"closed": to_json(sorted(closed)), "limit": limit}
    )
    return [Head(queue=Queue(row.origin, row.project_id), due=row.next_attempt_at) for row in rows]


def candidates(
    connection: Connection, queues: Sequence[Queue], *, now: datetime, limit_each: int, ahead: Ahead = NOT_AHEAD
) -> dict[Queue, list[Candidate]]:
    """Return what is due of some queues, the longest due first, at most so many of each."""
    places = [[number, queue.origin, queue.project_id] for number, queue in enumerate(queues)]
    told = {"queues": to_json(places), "limit_each": limit_each, "now": now}
    told |= {"steady": now - ahead.by, "since": ahead.since}
    rows = connection.execute(_PICKS[connection.dialect.name], told)
    found: dict[Queue, list[Candidate]] = {queue: [] for queue in queues}
    for row in rows:
        queue = queues[row.number]
        found[queue].append(
            Candidate(
                event_id=row.event_id,
                queue=queue,
                may_go=bool(row.may_go),
                is_untried=bool(row.is_untried),
                overtakes=bool(row.overtakes),
            )
        )
    return found


def due_later(connection: Connection, queues: Sequence[Queue], *, moment: datetime, limit: int) -> list[str]:
    """Return the ids of what is due later than at a moment, in some queues, at most so many in all."""
    told = {"queues": to_json([list(queue) for queue in queues]), "moment": moment, "limit": limit}
    return list(connection.execute(_LATERS[connection.dialect.name], told).scalars())


# Each step of a walk finds the first row of the next queue; past the rest of an origin that is closed in one step.
# (It begins behind the project's name and not after it: SQLite would walk through all of what equals a bound of two
# columns.) SQLite has no LATERAL, and PostgreSQL would compute the form for SQLite anew for each row of the table.

_SQLITE_WALK = """
WITH RECURSIVE here(origin, project_id, next_attempt_at, number) AS (
    SELECT * FROM (
        SELECT origin, project_id, next_attempt_at, 1 FROM outbox
        WHERE state = 'pending' AND lease_until IS NULL AND (origin, project_id) >= (:origin, :project_id)
        ORDER BY origin, project_id, next_attempt_at LIMIT 1
    )
    UNION ALL
    SELECT following.origin, following.project_id, following.next_attempt_at, here.number + 1
    FROM here JOIN outbox AS following ON following.rowid = (
        SELECT rowid FROM outbox
        WHERE state = 'pending' AND lease_until IS NULL AND (origin, project_id) >= (
            here.origin,
            CASE
                WHEN here.origin IN (SELECT value FROM json_each(:closed)) THEN :behind_all
                ELSE here.project_id || :behind
            END
        )
        ORDER BY origin, project_id, next_attempt_at LIMIT 1
    )
    WHERE here.number < :limit
)
SELECT origin, project_id, next_attempt_at FROM here ORDER BY number
"""

_POSTGRESQL_WALK = """
WITH RECURSIVE here(origin, project_id, next_attempt_at, number) AS (
    SELECT * FROM (
        SELECT origin, project_id, next_attempt_at, 1 FROM outbox
        WHERE state = 'pending' AND lease_until IS NULL AND (origin, project_id) >= (:origin, :project_id)
        ORDER BY origin, project_id, next_attempt_at LIMIT 1
    ) AS beginning
    UNION ALL
    SELECT following.origin, following.project_id, following.next_attempt_at, here.number + 1
    FROM here CROSS JOIN LATERAL (
        SELECT origin, project_id, next_attempt_at FROM outbox
        WHERE state = 'pending' AND lease_until IS NULL AND (origin, project_id) >= (
            here.origin,
            CASE
                WHEN CAST(:closed AS jsonb) ? here.origin THEN :behind_all
                ELSE here.project_id || :behind
            END
        )
        ORDER BY origin, project_id, next_attempt_at LIMIT 1
    ) AS following
    WHERE here.number < :limit
)
SELECT origin, project_id, next_attempt_at FROM here ORDER BY number
"""

# Of a lane the first may go that was never tried or is on its way; where there is none, the last.

_TURN = """one.sequence = coalesce(
        (
            SELECT other.sequence FROM outbox AS other
            WHERE other.lane = one.lane AND other.state = 'pending'
            AND (other.attempts = 0 OR other.lease_until IS NOT NULL)
            ORDER BY other.sequence LIMIT 1
        ),
        (SELECT max(other.sequence) FROM outbox AS other WHERE other.lane = one.lane AND other.state = 'pending')
    ) AS may_go,
    one.sequence > (
        SELECT min(other.sequence) FROM outbox AS other WHERE other.lane = one.lane AND other.state = 'pending'
    ) AS overtakes"""

_NOW, _STEADY, _SINCE = (bindparam(name, type_=UtcDateTime) for name in ("now", "steady", "since"))

#: What is due and not too late.
_DUE = and_(
    waits(outbox),
    outbox.c.next_attempt_at <= _NOW,
    or_(outbox.c.not_after.is_(None), not_(or_(*late(outbox, now=_NOW, steady=_STEADY, since=_SINCE)))),
)

_SQLITE_PICK = """
SELECT
    json_extract(queue.value, '$[0]') AS number, one.event_id, one.attempts = 0 AS is_untried,
    {turn}
FROM json_each(:queues) AS queue CROSS JOIN outbox AS one ON one.rowid IN (
    SELECT rowid FROM outbox
    WHERE {due}
    AND origin = json_extract(queue.value, '$[1]') AND project_id = json_extract(queue.value, '$[2]')
    ORDER BY next_attempt_at, event_id LIMIT :limit_each
)
ORDER BY number, one.next_attempt_at, one.event_id
"""

_POSTGRESQL_PICK = """
SELECT
    CAST(queue.value ->> 0 AS integer) AS number, one.event_id, one.attempts = 0 AS is_untried,
    {turn}
FROM json_array_elements(CAST(:queues AS json)) AS queue(value) CROSS JOIN LATERAL (
    SELECT event_id, lane, sequence, attempts, next_attempt_at FROM outbox
    WHERE {due}
    AND origin = queue.value ->> 1 AND project_id = queue.value ->> 2
    ORDER BY next_attempt_at, event_id LIMIT :limit_each
) AS one
ORDER BY number, one.next_attempt_at, one.event_id
"""

_SQLITE_LATER = """
SELECT one.event_id
FROM json_each(:queues) AS queue CROSS JOIN outbox AS one
WHERE one.state = 'pending' AND one.lease_until IS NULL AND one.next_attempt_at > :moment
AND one.origin = json_extract(queue.value, '$[0]') AND one.project_id = json_extract(queue.value, '$[1]')
LIMIT :limit
"""

_POSTGRESQL_LATER = """
SELECT one.event_id
FROM json_array_elements(CAST(:queues AS json)) AS queue(value) CROSS JOIN LATERAL (
    SELECT event_id FROM outbox
    WHERE state = 'pending' AND lease_until IS NULL AND next_attempt_at > :moment
    AND origin = queue.value ->> 0 AND project_id = queue.value ->> 1
    ORDER BY next_attempt_at LIMIT :limit
) AS one
LIMIT :limit
"""


def _walk(statement: str) -> TextualSelect:
    found = column("origin", Text), column("project_id", Text), column("next_attempt_at", UtcDateTime)
    return text(statement).columns(*found)


def _pick(statement: str) -> TextClause:
    return text(statement.replace("{turn}", _TURN).replace("{due}", str(_DUE))).bindparams(_NOW, _STEADY, _SINCE)


def _later(statement: str) -> TextClause:
    return text(statement).bindparams(bindparam("moment", type_=UtcDateTime))


_WALKS = {"sqlite": _walk(_SQLITE_WALK), "postgresql": _walk(_POSTGRESQL_WALK)}
_PICKS = {"sqlite": _pick(_SQLITE_PICK), "postgresql": _pick(_POSTGRESQL_PICK)}
_LATERS = {"sqlite": _later(_SQLITE_LATER), "postgresql": _later(_POSTGRESQL_LATER)}
