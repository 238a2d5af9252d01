# SPDX-License-Identifier: Apache-2.0
"""The database: one engine a process, and the unit of work."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from alarmd.store.alarms import AlarmRepository
from alarmd.store.history import HistoryRepository
from alarmd.store.outbox import OutboxRepository


class UnitOfWork:
    """One transaction and the repositories that work in it. Whoever opened it commits it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.alarms = AlarmRepository(connection)
        self.history = HistoryRepository(connection)
        self.outbox = OutboxRepository(connection)


class Database:
    """A pool of connections. Made after the fork and never carried over one. Safe to use from several threads."""

    @classmethod
    def connect(cls, url: str) -> "Database":
        """Return the database behind an SQLAlchemy URL (``sqlite:///path`` or ``postgresql+psycopg://…``).

        Opens nothing yet. Raises `SettingsError` for a URL that cannot be used.
        """

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        """Open a unit of work that is committed at the end of the block, and rolled back on any exception.

        Raises `StoreUnavailable`.
        """

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """Open a unit of work that only reads. Raises `StoreUnavailable`."""

    def check(self) -> None:
        """Ask the database for a sign of life. Raises `StoreUnavailable`."""

    def close(self) -> None:
        """Let go of all connections."""
