# SPDX-License-Identifier: Apache-2.0
"""The database: one engine a process, and the unit of work."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from alarmd.clock import SystemClock
from alarmd.errors import SettingsError
from alarmd.store import sqlite
from alarmd.store.alarms import AlarmRepository
from alarmd.store.breaker import BreakerRepository
from alarmd.store.counters import CounterRepository
from alarmd.store.disabled import DisabledTargetRepository
from alarmd.store.failures import translated
from alarmd.store.history import HistoryRepository
from alarmd.store.imports import ImportRepository
from alarmd.store.json import from_json, to_json
from alarmd.store.outbox import OutboxRepository
from alarmd.store.quotas import QuotaRepository
from alarmd.store.references import ReferenceRepository
from alarmd.store.secrets import SecretRepository
from alarmd.store.silences import SilenceRepository
from alarmd.store.tokens import TokenRepository

#: How long a statement waits for somebody else's lock.
_LOCK_WAIT_S = 10
#: How long reaching the server may take.
_CONNECT_S = 5
#: Whoever dies within a transaction holds its locks no longer than this. And no plan is kept: the outbox fills within a
#: second, and what was planned for ten rows would read all of 10,000, once for each of them.
_SESSION = ("idle_in_transaction_session_timeout=60s", "plan_cache_mode=force_custom_plan")
#: Connections kept open, and how many more may come for a while. Bounds what one process asks of a server.
_POOL_SIZE, _POOL_OVERFLOW = 5, 10
#: A connection that was used this short a time ago is taken to work still. When it does not, one request fails.
_TRUSTED_S = 1.0
_LAST_USED = "alarmd_last_used_s"


class UnitOfWork:
    """One transaction and the repositories that work in it. Whoever opened it commits it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.alarms = AlarmRepository(connection)
        self.references = ReferenceRepository(connection)
        self.history = HistoryRepository(connection)
        self.outbox = OutboxRepository(connection)
        self.breaker = BreakerRepository(connection)
        self.disabled_targets = DisabledTargetRepository(connection)
        self.quotas = QuotaRepository(connection)
        self.counters = CounterRepository(connection)
        self.silences = SilenceRepository(connection)
        self.tokens = TokenRepository(connection)
        self.secrets = SecretRepository(connection)
        self.imports = ImportRepository(connection)


class Database:
    """A pool of connections. Made after the fork and never carried over one. Safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        is_sqlite = engine.dialect.name == "sqlite"
        self._engine = engine
        self._writing = engine.execution_options(**{sqlite.WRITES: True})
        self._line = sqlite.Line(patience_s=_LOCK_WAIT_S) if is_sqlite else None
        # Without a transaction around it, a statement costs one trip to the server and not three. Readers need none:
        # each statement of theirs sees what is committed, as it would within a transaction on PostgreSQL too.
        # (SQLite's driver is in that mode already.)
        self._reading = engine if is_sqlite else engine.execution_options(isolation_level="AUTOCOMMIT")
        self._pid = os.getpid()

    @classmethod
    def connect(cls, url: str) -> "Database":
        """Return the database behind an SQLAlchemy URL (``sqlite:///path`` or ``postgresql+psycopg://…``).

        Opens nothing yet. Raises `SettingsError` for a URL that cannot be used.
        """
        return cls(engine_of(url))

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        """Open a unit of work that is committed at the end of the block, and rolled back on any exception.

        On SQLite it is the only one that writes from the start, so nothing read in it can be out of date. On
        PostgreSQL rows that are read to be changed have to be locked (`get(for_update=True)`). Raises
        `StoreUnavailable`.
        """
        self._refuse_after_fork()
        turn = self._line.turn() if self._line else nullcontext()
        with translated(self._engine.url), turn, self._writing.begin() as connection:
            yield UnitOfWork(connection)

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """Open a unit of work that only reads; each of its statements sees what is committed by then.

        Raises `StoreUnavailable`.
        """
        self._refuse_after_fork()
        with translated(self._engine.url), self._reading.connect() as connection:
            yield UnitOfWork(connection)

    def check(self) -> None:
        """Ask the database for a sign of life. Raises `StoreUnavailable`."""
        with self.read() as unit:
            unit.connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def _refuse_after_fork(self) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError("a Database was carried over a fork; connect in the process that uses it")


def engine_of(url: str, *, lock_wait_s: int = _LOCK_WAIT_S) -> Engine:
    """Return an engine that behaves alike on both databases. Raises `SettingsError` for a URL that cannot be used."""
    parsed = parse_url(url)
    options: dict[str, Any] = {
        "hide_parameters": True,
        "json_serializer": to_json,
        "json_deserializer": from_json,
        "pool_size": _POOL_SIZE,
        "max_overflow": _POOL_OVERFLOW,
        "pool_timeout": _LOCK_WAIT_S,
    }
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": lock_wait_s}, **options)
        sqlite.set_up(engine, lock_wait_s=lock_wait_s)
        return engine
    defaults = {
        "application_name": "alarmd",
        "connect_timeout": str(_CONNECT_S),
        "options": " -c ".join(("", f"lock_timeout={lock_wait_s}s", *_SESSION)).strip(),
    }
    connect_args = {key: value for key, value in defaults.items() if key not in parsed.query}
    engine = create_engine(parsed, connect_args=connect_args, **options)
    _ask_idle_connections(engine)
    return engine


def parse_url(url: str) -> URL:
    """Return a database URL, checked. Raises `SettingsError` that names what is allowed."""
    allowed = "Use sqlite:////path/to/alarmd.db or postgresql+psycopg://user:password@host/name."
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise SettingsError(f"The database URL cannot be read. {allowed}") from error
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite":
        raise SettingsError(f"alarmd cannot use a {parsed.get_backend_name()} database. {allowed}")
    if parsed.database in {None, "", ":memory:"}:
        raise SettingsError(f"A SQLite database must be a file: what is in memory no second process sees. {allowed}")
    return parsed


def _ask_idle_connections(engine: Engine) -> None:
    """Have a connection that lay idle asked whether it still works, before it is used.

    Asking each time, as the pool would, costs every request a trip to the server.
    """
    clock = SystemClock()

    def note(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[_LAST_USED] = clock.monotonic_s()

    def ask(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        if clock.monotonic_s() - record.info.get(_LAST_USED, clock.monotonic_s()) < _TRUSTED_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError(str(error)) from error

    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", ask)
