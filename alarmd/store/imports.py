# SPDX-License-Identifier: Apache-2.0
"""What was brought over from elsewhere, as it was then: tells later what has been changed here, and what there."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, select

from alarmd.store.bulk import insert_rows
from alarmd.store.tables import imports


class ImportRepository:
    """Reads and writes what is remembered of imports, within one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def known(self, kind: str, keys: Sequence[str]) -> dict[str, str]:
        """Return the digests of those things of a kind that were brought before; 30,000 keys at most."""
        statement = select(imports.c.key, imports.c.digest).where(imports.c.kind == kind, imports.c.key.in_(keys))
        return {row.key: row.digest for row in self._connection.execute(statement)}

    def remember(self, kind: str, digests: Mapping[str, str]) -> None:
        """Store digests by their keys, in place of what is remembered of these."""
        if digests:
            self._connection.execute(delete(imports).where(imports.c.kind == kind, imports.c.key.in_(list(digests))))
            rows = [{"kind": kind, "key": key, "digest": digest} for key, digest in digests.items()]
            insert_rows(self._connection, imports, rows)
