# SPDX-License-Identifier: Apache-2.0
"""Signing secrets at rest, by project and name."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, text, update

from alarmd.model.secret import SigningSecret
from alarmd.store.paging import matches
from alarmd.store.rows import secret_of, secret_values
from alarmd.store.tables import alarms, signing_secrets

_COLUMNS = signing_secrets.c

#: Which of PostgreSQL's advisory locks are about secrets that alarms name. Any number that nothing else uses.
_NAMING_LOCKS = 0x71A3


class SecretRepository:
    """Reads and writes signing secrets within one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock(self, project_id: str, *, is_shared: bool = False) -> None:
        """Keep others from naming the secrets of a project, or (shared) from ending them, until this unit of work ends.

        What is read afterwards holds all that they have committed. SQLite lets only one write anyway.
        """
        if self._connection.dialect.name == "postgresql":
            function = "pg_advisory_xact_lock_shared" if is_shared else "pg_advisory_xact_lock"
            statement = text(f"SELECT {function}(:kind, hashtext(:owner))")
            self._connection.execute(statement, {"kind": _NAMING_LOCKS, "owner": project_id})

    def add(self, secret: SigningSecret) -> None:
        """Store a secret."""
        self._connection.execute(insert(signing_secrets).values(secret_values(secret)))

    def find(self, project_id: str, *, name: str | None = None) -> list[SigningSecret]:
        """Return the secrets of a project, expired ones too, by name and within it newest first."""
        named = [] if name is None else [matches(_COLUMNS.name, name)]
        return self._found(matches(_COLUMNS.project_id, project_id), *named)

    def of_projects(self, project_ids: Iterable[str], now: datetime) -> list[SigningSecret]:
        """Return what the projects sign with at a moment, in the order of `find`."""
        wanted = sorted(set(project_ids))
        return self._found(_COLUMNS.project_id.in_(wanted), _is_valid(now)) if wanted else []

    def holds(self, project_id: str, name: str, now: datetime) -> bool:
        """Whether a project has a secret of a name that signs at a moment."""
        wanted = matches(_COLUMNS.project_id, project_id), matches(_COLUMNS.name, name), _is_valid(now)
        return self._connection.execute(select(_COLUMNS.secret_id).where(*wanted).limit(1)).first() is not None

    def expire(self, secret_ids: Sequence[str], at: datetime) -> None:
        """Let secrets end at a moment, those that do not end before it anyway."""
        later = or_(_COLUMNS.expires_at.is_(None), _COLUMNS.expires_at > at)
        statement = update(signing_secrets).where(_COLUMNS.secret_id.in_(secret_ids), later).values(expires_at=at)
        self._connection.execute(statement)

    def remove(self, secret_ids: Sequence[str]) -> int:
        """Remove secrets by their ids; return how many there were."""
        return self._connection.execute(delete(signing_secrets).where(_COLUMNS.secret_id.in_(secret_ids))).rowcount

    def remove_expired(self, by: datetime, *, project_id: str | None = None) -> int:
        """Remove what had expired by a moment, of one project or of all; return how many there were."""
        of_project = [] if project_id is None else [matches(_COLUMNS.project_id, project_id)]
        gone = delete(signing_secrets).where(_COLUMNS.expires_at <= by, *of_project)
        return self._connection.execute(gone).rowcount

    def alarms_naming(self, project_id: str, name: str) -> int:
        """Return how many alarms of a project name a secret."""
        naming = matches(alarms.c.project_id, project_id), matches(alarms.c.signing_secret, name)
        return self._connection.execute(select(func.count()).select_from(alarms).where(*naming)).scalar_one()

    def _found(self, *which: ColumnElement[bool]) -> list[SigningSecret]:
        order = _COLUMNS.project_id, _COLUMNS.name, _COLUMNS.created_at.desc(), _COLUMNS.secret_id
        statement = select(signing_secrets).where(*which).order_by(*order)
        return [secret_of(row) for row in self._connection.execute(statement).mappings()]


def _is_valid(now: datetime) -> ColumnElement[bool]:
    return or_(_COLUMNS.expires_at.is_(None), _COLUMNS.expires_at > now)
