# SPDX-License-Identifier: Apache-2.0
"""Reads an Aodh's database: SQLite, PostgreSQL or MySQL, of every schema since 2015."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Boolean,
    Column,
    Connection,
    DateTime,
    Engine,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    create_engine,
    func,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchTableError

from alarmd.errors import SettingsError, Unavailable
from alarmd.importing.source import Record

#: The revisions of Aodh's schema, oldest first.
_REVISIONS = (
    *("12fe8fac9fe4", "bb07adac380", "f8c31b1ffe11", "367aadf5485f", "6ae0d05d9451"),
    *("006", "007", "008", "009", "010"),
)
#: Before this one MySQL kept moments as decimal numbers.
_REAL_MOMENTS = "367aadf5485f"
_EXAMPLES = (
    "Write it like sqlite:////var/lib/aodh/aodh.sqlite, postgresql://user:password@host/aodh or "
    "mysql+pymysql://user:password@host/aodh."
)
#: What serves each kind of database, and the extra that brings it.
_DRIVERS = {
    "sqlite": ("sqlite+pysqlite", ""),
    "postgresql": ("postgresql+psycopg", "postgresql"),
    "mysql": ("mysql+pymysql", "mysql"),
    "mariadb": ("mysql+pymysql", "mysql"),
}
_CONNECT_S = 10
#: Said first in every transaction; a SQLite file is opened for reading only.
_READ_ONLY = text("SET TRANSACTION READ ONLY")

_SHAPES: dict[str, dict[str, Any]] = {
    "alarm": {
        **dict.fromkeys(("alarm_id", "name", "type", "severity", "description", "user_id", "project_id"), Text),
        **dict.fromkeys(("state", "state_reason", "rule", "time_constraints"), Text),
        **dict.fromkeys(("ok_actions", "alarm_actions", "insufficient_data_actions"), Text),
        **dict.fromkeys(("enabled", "repeat_actions"), Boolean),
        **dict.fromkeys(("timestamp", "state_timestamp", "evaluate_timestamp"), DateTime),
    },
    "alarm_history": {
        **dict.fromkeys(("event_id", "alarm_id", "on_behalf_of", "project_id", "user_id"), Text),
        **dict.fromkeys(("type", "detail", "severity"), Text),
        "timestamp": DateTime,
    },
    "quota": {"id": Text, "project_id": Text, "resource": Text, "limit": Integer},
}


class DatabaseSource:
    """Reads the tables; each page in a short transaction that cannot write."""

    reads_quotas = True
    shows_confinement = True

    def __init__(self, url: str) -> None:
        """Take an SQLAlchemy URL as in aodh.conf. Opens nothing yet. Raises `SettingsError`."""
        self._engine = _engine(url)
        self._tables: dict[str, Table] = {}

    def count(self) -> int | None:
        with self._reading() as connection:
            return connection.execute(select(func.count()).select_from(self._table("alarm"))).scalar_one()

    def alarms(self, *, limit: int) -> Iterator[Sequence[Record]]:
        table = self._table("alarm")
        return self._pages(select(table), table.c.alarm_id, limit)

    def changes(self, alarm_ids: Sequence[str], *, limit: int) -> Iterator[Sequence[Record]]:
        table = self._table("alarm_history")
        return self._pages(select(table).where(table.c.alarm_id.in_(alarm_ids)), table.c.event_id, limit)

    def quotas(self, *, limit: int) -> Iterator[Sequence[Record]]:
        table = self._table("quota")
        if len(table.c) == 0:
            return iter(())
        return self._pages(select(table).where(table.c.resource == "alarms"), table.c.id, limit)

    def close(self) -> None:
        self._engine.dispose()

    def _pages(self, statement: Select[Any], key: Column[Any], limit: int) -> Iterator[Sequence[Record]]:
        behind: str | None = None
        while True:
            page = statement.order_by(key).limit(limit)
            with self._reading() as connection:
                found = connection.execute(page if behind is None else page.where(key > behind)).mappings().all()
            if found:
                yield [dict(row) for row in found]
            if len(found) < limit:
                return
            behind = found[-1][key.name]

    def _table(self, name: str) -> Table:
        """Return a table with those of its columns that this schema has; without any when it has no such table."""
        if not self._tables:
            with self._reading() as connection:
                self._tables = _read_schema(connection)
        return self._tables[name]

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                if connection.dialect.name != "sqlite":
                    connection.execute(_READ_ONLY)
                yield connection
        except DBAPIError as error:
            place = _place_of(self._engine.url)
            raise Unavailable(f"Cannot read {place}: {_words_of(self._engine.url, error)}.") from error


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise SettingsError(f"The database URL of the Aodh cannot be read. {_EXAMPLES}") from error
    kind = parsed.get_backend_name()
    if kind not in _DRIVERS:
        raise SettingsError(f"Aodh keeps no alarms in a {kind} database. {_EXAMPLES}")
    driver, extra = _DRIVERS[kind]
    options: dict[str, Any] = {"connect_timeout": _CONNECT_S}
    if kind == "sqlite":
        parsed, options = _existing_file(parsed), {"timeout": _CONNECT_S}
    try:
        return create_engine(parsed.set(drivername=driver), connect_args=options, hide_parameters=True)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"Reading {_place_of(parsed)} needs a library that is not installed: pip install 'alarmd[{extra}]'"
        ) from error


def _existing_file(url: URL) -> URL:
    path = Path(url.database or "").absolute()
    if not path.is_file():
        raise SettingsError(f"There is no SQLite file {path}. {_EXAMPLES}", path=str(path))
    # A URI lets the driver open the file for reading only.
    return url.set(database=f"file:{path}", query={"mode": "ro", "uri": "true"})


def _read_schema(connection: Connection) -> dict[str, Table]:
    """Return Aodh's tables as this database has them. Raises `SettingsError` when it is none of Aodh's."""
    place = _place_of(connection.engine.url)
    try:
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    except DBAPIError as error:
        raise SettingsError(f"{place} holds no Aodh: it has no alembic_version.") from error
    if revision not in _REVISIONS:
        raise SettingsError(
            f"{place} is at the schema {revision!r}, which is none of Aodh's up to {_REVISIONS[-1]}. If it belongs to "
            "a newer Aodh, read its API instead (--from-url).",
            revision=revision,
        )
    old = _REVISIONS.index(str(revision)) < _REVISIONS.index(_REAL_MOMENTS)
    if old and connection.dialect.name == "mysql":
        raise SettingsError(f"{place} is at the schema {revision}. Run `aodh-dbsync` of Aodh 3 or newer first.")
    found = inspect(connection)
    metadata = MetaData()
    tables = {}
    for name, shape in _SHAPES.items():
        try:
            present = {column["name"] for column in found.get_columns(name)}
        except NoSuchTableError:
            present = set()
        columns = [Column(column, kind) for column, kind in shape.items() if column in present]
        tables[name] = Table(name, metadata, *columns)
    return tables


def _place_of(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return f"the SQLite database {str(url.database).removeprefix('file:')}"
    return f"the {url.get_backend_name()} database {url.database} at {url.host or 'localhost'}"


def _words_of(url: URL, error: DBAPIError) -> str:
    words = " ".join(str(error.orig).split()).rstrip(".")
    return words.replace(url.password, "***") if isinstance(url.password, str) and url.password else words
