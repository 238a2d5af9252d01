# SPDX-License-Identifier: Apache-2.0
"""Quotas at rest: how many alarms a project may have, where that is not the default."""

from sqlalchemy import Connection, bindparam, delete, select, text
from sqlalchemy.dialects import postgresql, sqlite

from alarmd.store.columns import is_storable
from alarmd.store.tables import quotas

_GET = select(quotas.c.alarm_limit).where(quotas.c.project_id == bindparam("wanted"))

#: Which of PostgreSQL's advisory locks are about owners of alarms. Any number that nothing else uses.
_OWNER_LOCKS = 0x71A1


class QuotaRepository:
    """Reads and writes quotas within one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, project_id: str) -> int | None:
        """Return the number of alarms that a project may have, -1 for any, or None when nothing is stored."""
        if not is_storable(project_id):
            return None
        return self._connection.execute(_GET, {"wanted": project_id}).scalar_one_or_none()

    def put(self, project_id: str, limit: int) -> None:
        """Store what a project may have, in place of what is stored for it, also when somebody else does so too."""
        dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(quotas).values(project_id=project_id, alarm_limit=limit)
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=[quotas.c.project_id], set_={"alarm_limit": limit})
        )

    def remove(self, project_id: str) -> None:
        """Forget what is stored for a project, if anything is."""
        if is_storable(project_id):
            self._connection.execute(delete(quotas).where(quotas.c.project_id == project_id))

    def lock(self, *, project_id: str | None, user_id: str | None) -> None:
        """Have others who lock the same owner wait until this unit of work ends.

        What is counted afterwards holds all that they have committed. SQLite lets only one write anyway.
        """
        if self._connection.dialect.name == "postgresql":
            owner = f"user {user_id}" if project_id is None else f"project {project_id}"
            statement = text("SELECT pg_advisory_xact_lock(:kind, hashtext(:owner))")
            self._connection.execute(statement, {"kind": _OWNER_LOCKS, "owner": owner})
