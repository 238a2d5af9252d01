# SPDX-License-Identifier: Apache-2.0
"""Alembic's way in: runs on the connection that `alarmd.store.schema` hands over, or on ``alembic -x url=…``."""

from alembic import context
from sqlalchemy import Connection

from alarmd.errors import SettingsError
from alarmd.store.database import engine_of
from alarmd.store.tables import metadata


def _run(connection: Connection) -> None:
    # SQLite can change little about a table that is there; a batch builds it anew.
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    raise SettingsError("Migrations run on a live database only. Use `alarmd db upgrade`.")

_handed = context.config.attributes.get("connection")
if _handed is not None:
    _run(_handed)
else:
    _url = context.get_x_argument(as_dictionary=True).get("url")
    if not _url:
        raise SettingsError("Say which database: alembic -x url=sqlite:////path/to/alarmd.db …")
    with engine_of(_url).execution_options(alarmd_writes=True).begin() as _connection:
        _run(_connection)
