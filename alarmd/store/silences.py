# SPDX-License-Identifier: Apache-2.0
"""Silences at rest. Those that are over stay for the record, until they are pruned by age."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Text, cast, delete, func, insert, or_, select, text, update

from alarmd.model.silence import Silence, SilenceId
from alarmd.store.columns import is_storable
from alarmd.store.paging import Pager, matches
from alarmd.store.rows import silence_of, silence_values
from alarmd.store.tables import silences

_PAGER = Pager(
    keys={"created_at": silences.c.created_at, "silence_id": silences.c.silence_id},
    marker="silence_id",
    tie=silences.c.silence_id,
)

#: How many projects are named in one statement.
_CHUNK = 1_000

#: Which of PostgreSQL's advisory locks are about who makes silences. Any number that nothing else uses.
_OWNER_LOCKS = 0x71A2


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceQuery:
    """Which silences, newest first, and which page of them. What is None does not narrow."""

    #: Those of this project and those of all projects.
    project_id: str | None = None
    #: Those that name this alarm.
    alarm_id: str | None = None
    #: Those that are not over by then.
    unfinished_at: datetime | None = None
    #: Those that have time constraints.
    recurs: bool = False
    #: The silence_id of the last silence of the page before.
    marker: str | None = None
    limit: int | None = None


class SilenceRepository:
    """Reads and writes silences within one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, silence: Silence) -> None:
        """Store a silence."""
        self._connection.execute(insert(silences).values(silence_values(silence)))

    def get(self, silence_id: str) -> Silence | None:
        """Return a silence by its id."""
        if not is_storable(silence_id):
            return None
        statement = select(silences).where(silences.c.silence_id == silence_id)
        row = self._connection.execute(statement).mappings().one_or_none()
        return silence_of(row) if row is not None else None

    def find(self, query: SilenceQuery) -> list[Silence]:
        """Return silences, newest first; raises `InvalidInput` for a marker that is not among them."""
        visible: list[ColumnElement[bool]] = []
        if query.project_id is not None:
            visible.append(or_(matches(silences.c.project_id, query.project_id), silences.c.project_id.is_(None)))
        if query.alarm_id is not None:
            visible.append(matches(silences.c.alarm_id, query.alarm_id))
        statement = select(silences).where(*visible)
        if query.unfinished_at is not None:
            statement = statement.where(silences.c.ends_at > query.unfinished_at)
        if query.recurs:
            statement = statement.where(cast(silences.c.time_constraints, Text) != "[]")
        page = _PAGER.page(
            self._connection,
            statement,
            visible=visible,
            sort=[("created_at", "desc")],
            marker=query.marker,
            limit=query.limit,
        )
        return [silence_of(row) for row in self._connection.execute(page).mappings()]

    def within(self, project_ids: Collection[str], *, since: datetime, until: datetime) -> list[Silence]:
        """Return the silences of projects, and those of all projects, that last at some time of a span; oldest first.

        Those that recur may be between their turns. Those that began when they were made are among them although the
        span, by the clock of whoever asks, was over by then.
        """
        found: list[Silence] = []
        wanted: Sequence[str] = sorted(filter(is_storable, project_ids))
        begun = or_(silences.c.starts_at <= until, silences.c.starts_at == silences.c.created_at)
        lasting = (silences.c.ends_at > since, begun)
        owners = [silences.c.project_id.is_(None)]
        owners += [silences.c.project_id.in_(wanted[start : start + _CHUNK]) for start in range(0, len(wanted), _CHUNK)]
        for owner in owners:
            rows = self._connection.execute(select(silences).where(owner, *lasting)).mappings()
            found += [silence_of(row) for row in rows]
        return sorted(found, key=lambda silence: (silence.created_at, silence.silence_id))

    def count(self, project_id: str | None, *, unfinished_at: datetime) -> int:
        """Return how many silences of a project (None: of all projects) are not over by then."""
        owner = silences.c.project_id.is_(None) if project_id is None else matches(silences.c.project_id, project_id)
        statement = select(func.count()).select_from(silences).where(owner, silences.c.ends_at > unfinished_at)
        return self._connection.execute(statement).scalar_one()

    def lock(self, project_id: str | None) -> None:
        """Have others who lock the same project (None: all projects) wait until this unit of work ends.

        What is counted afterwards holds all that they have committed. SQLite lets only one write anyway.
        """
        if self._connection.dialect.name == "postgresql":
            owner = "all" if project_id is None else f"project {project_id}"
            statement = text("SELECT pg_advisory_xact_lock(:kind, hashtext(:owner))")
            self._connection.execute(statement, {"kind": _OWNER_LOCKS, "owner": owner})

    def end(self, silence_id: SilenceId, *, at: datetime, by: str) -> bool:
        """Have a silence be over from a moment on; return whether it was not over by then."""
        statement = (
            update(silences)
            .where(silences.c.silence_id == silence_id, silences.c.ends_at > at)
            .values(ends_at=at, ended_by=by)
        )
        return self._connection.execute(statement).rowcount > 0

    def prune(self, before: datetime, *, limit: int) -> int:
        """Remove up to `limit` silences that were over before a moment; return how many there were."""
        old = select(silences.c.silence_id).where(silences.c.ends_at < before).order_by(silences.c.ends_at).limit(limit)
        return self._connection.execute(delete(silences).where(silences.c.silence_id.in_(old))).rowcount
