# SPDX-License-Identifier: Apache-2.0
"""Puts the rows of a database into the schema of an older alarmd, as one that was never upgraded has them."""

from argparse import Namespace
from importlib.resources import files
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

#: The schema before notifications had directions, expiry and a gate.
_OLD = "0003"
#: Where PostgreSQL keeps the newer tables meanwhile.
_ASIDE = "newer"


def go_back(file: Path, url: str) -> None:
    """Go back to the old schema, in PostgreSQL's database at a URL, or in SQLite's file where there is no URL."""
    if url:
        _go_back_postgres(url)
    else:
        _go_back_sqlite(file)


def _go_back_sqlite(database: Path) -> None:
    """Put the rows into a database of the old schema, which takes the place of the newer one."""
    old = database.with_name("old.db")
    _lay_out(f"sqlite:///{old}")
    engine = sa.create_engine(f"sqlite:///{old}")
    with engine.connect() as connection:
        connection.execute(sa.text("ATTACH :file AS newer"), {"file": str(database)})
        _copy_rows(connection)
        connection.commit()
    engine.dispose()
    for path in database.parent.glob("alarmd.db*"):
        path.unlink()
    for path in database.parent.glob("old.db*"):
        path.rename(path.with_name(path.name.replace("old", "alarmd", 1)))


def _go_back_postgres(url: str) -> None:
    """Put the newer tables aside, make the old ones, and take the rows over."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"ALTER SCHEMA public RENAME TO {_ASIDE}"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    _lay_out(url)
    with engine.begin() as connection:
        _copy_rows(connection)
        connection.execute(sa.text(f"DROP SCHEMA {_ASIDE} CASCADE"))
    engine.dispose()


def _lay_out(url: str) -> None:
    config = Config(cmd_opts=Namespace(x=[f"url={url}"]))
    config.set_main_option("script_location", str(files("alarmd.migrations")))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, _OLD)


def _copy_rows(connection: sa.Connection) -> None:
    """Fill each table of the old schema from the one beside it; what only the newer one has is left behind."""
    described = sa.inspect(connection)
    metadata = sa.MetaData()
    metadata.reflect(connection)
    for table in metadata.sorted_tables:
        if table.name == "alembic_version":
            continue
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        connection.execute(sa.text(f'DELETE FROM "{table.name}"'))  # names out of the schema
        connection.execute(
            sa.text(f'INSERT INTO "{table.name}" ({columns}) SELECT {columns} FROM {_ASIDE}."{table.name}"')
        )
        if connection.dialect.name == "postgresql":
            _move_sequences(connection, table, described)


def _move_sequences(connection: sa.Connection, table: sa.Table, described: sa.Inspector) -> None:
    """Have numbers that the database gives begin behind those that were taken over."""
    for column in described.get_columns(table.name):
        owned = connection.scalar(sa.select(sa.func.pg_get_serial_sequence(f"public.{table.name}", column["name"])))
        if owned is not None:
            newest = sa.select(sa.func.coalesce(sa.func.max(table.c[column["name"]]), 0) + 1).scalar_subquery()
            connection.execute(sa.select(sa.func.setval(owned, newest, False)))  # SQL's argument
