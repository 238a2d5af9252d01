# SPDX-License-Identifier: Apache-2.0
"""Quotas at rest: how many alarms a project may have, where that is not the default."""

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from alarmd.store.columns import is_storable
from alarmd.store.tables import quotas

_GET = select(quotas.c.alarm_limit).where(quotas.c.project_id == bindparam("wanted"))


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
        """Store what a project may have."""
        values = {"alarm_limit": limit}
        changed = self._connection.execute(
            update(quotas).where(quotas.c.project_id == project_id).values(values)
        ).rowcount
        if not changed:
            self._connection.execute(insert(quotas).values(project_id=project_id, **values))

    def remove(self, project_id: str) -> None:
        """Forget what is stored for a project, if anything is."""
        if is_storable(project_id):
            self._connection.execute(delete(quotas).where(quotas.c.project_id == project_id))
