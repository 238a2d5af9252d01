# SPDX-License-Identifier: Apache-2.0
"""The schema: brought up to date and checked, by Alembic.

The migrations stand above the store, so they are found by name and never imported from here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from alarmd.errors import StoreUnavailable
from alarmd.store.database import engine_of
from alarmd.store.failures import place_of, translated

#: How long one process waits while another changes the schema.
_LOCK_WAIT_S = 120

#: Number of the lock that lets one process at a time change the schema on PostgreSQL; "schm" in ASCII.
_SCHEMA_LOCK = 0x7363686D


def upgrade(url: str) -> None:
    """Bring the schema to the newest revision, all of it or nothing.

    Several processes may do so at once: one does, the others wait and find nothing left to do. Raises
    `StoreUnavailable`, and `SettingsError` for a URL that cannot be used.
    """
    with _connected(url, writes=True) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _SCHEMA_LOCK})
        _refuse_newer(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def current(url: str) -> str | None:
    """Return the revision of the schema, None when there is none. Raises `StoreUnavailable`."""
    with _connected(url, writes=False) as connection:
        return _revision_of(connection)


def check(url: str) -> None:
    """Raise `StoreUnavailable`, naming the remedy, unless the schema is the one that this alarmd knows."""
    with _connected(url, writes=False) as connection:
        _refuse_newer(connection)
        found, head = _revision_of(connection), _scripts().get_current_head()
        if found != head:
            raise StoreUnavailable(
                f"The schema of {place_of(connection.engine.url)} is at {found or 'nothing'}, this alarmd needs {head}."
                " Run `alarmd db upgrade`.",
                found=found,
                needed=head,
            )


@contextmanager
def _connected(url: str, *, writes: bool) -> Iterator[Connection]:
    engine = engine_of(url, lock_wait_s=_LOCK_WAIT_S).execution_options(alarmd_writes=writes)
    try:
        with translated(engine.url), engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _refuse_newer(connection: Connection) -> None:
    found = _revision_of(connection)
    known = {script.revision for script in _scripts().walk_revisions()}
    if found is not None and found not in known:
        raise StoreUnavailable(
            f"The schema of {place_of(connection.engine.url)} is at {found}, which this alarmd does not know: it was "
            "made by a newer one. Upgrade alarmd on this machine.",
            found=found,
        )


def _revision_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    # A percent sign means something to the parser of configuration files.
    config.set_main_option("script_location", str(files("alarmd.migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
