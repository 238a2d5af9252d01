# SPDX-License-Identifier: Apache-2.0
"""The file of the SQLite log: its layout, and connections to it that threads and processes may share out.

It is written ahead (WAL) with `synchronous = NORMAL`: what is committed survives the death of any process at any
moment. A power cut may cost the last moments, but never the file.
"""

import fcntl
import os
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alarmd.errors import LogUnavailable

#: Version of the layout, kept in the file as `user_version`.
_VERSION: Final = 2

#: Batches are large; larger pages than the default make fewer links of each.
_PAGE_BYTES: Final = 8192
#: What the write-ahead file is cut back to once it has grown past that.
_WAL_BYTES: Final = 64 * 1024 * 1024

_LAYOUT: Final = (
    # Positions are never given twice, even when the newest entries have been trimmed. The payload stands last, so
    # the other columns are read without it. `shard` is the number of a partition, `shards` the mask of a mixed entry.
    """
    CREATE TABLE entries (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        shard INTEGER NOT NULL,
        timestamp_ms INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        shards INTEGER NOT NULL DEFAULT 0,
        payload BLOB NOT NULL
    )
    """,
    "CREATE INDEX entries_by_shard ON entries (shard, position, bytes)",
    "CREATE INDEX entries_by_time ON entries (timestamp_ms, position)",
    # How much there is, so that nobody has to count.
    """
    CREATE TABLE totals (
        shard INTEGER PRIMARY KEY,
        entries INTEGER NOT NULL,
        bytes INTEGER NOT NULL
    )
    """,
    f"PRAGMA user_version = {_VERSION}",
)


#: What makes the layout before this one the present one. There the mask stands behind the payload, which costs those
#: who follow few shards some reading, for as long as the file lives.
_FROM_1: Final = (
    "ALTER TABLE entries ADD COLUMN shards INTEGER NOT NULL DEFAULT 0",
    f"PRAGMA user_version = {_VERSION}",
)


class SqliteFile:
    """Lends out connections to one file, laying it out the first time. Safe to use from several threads.

    A connection belongs to one borrower at a time, and to the process that opened it: after a fork the child opens
    its own. Every failure of SQLite leaves as `LogUnavailable`.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        # A deque needs no lock, which a fork could catch in the hands of another thread.
        self._idle: deque[tuple[int, sqlite3.Connection]] = deque()
        self._inherited: list[sqlite3.Connection] = []
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _alone_in(path.parent), self.reading() as connection:
                self._lay_out(connection)
        except OSError as error:
            raise LogUnavailable(
                f"The sample log {path} cannot be opened: {error}. Give alarmd a state directory it may write to.",
                path=str(path),
            ) from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection outside any transaction: each statement sees what was committed before it."""
        connection = None
        try:
            connection = self._borrow()
            yield connection
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
                connection = None
            raise self._unavailable(error) from error
        finally:
            if connection is not None:
                self._give_back(connection)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection inside a transaction that ends with the block: committed, or rolled back on any error.

        The transaction takes the one write lock from the start, so positions become visible in the order in which
        they were given.
        """
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connections that nobody has borrowed; the others follow when they are given back."""
        self._closed = True
        while self._idle:
            self._sort_out(*self._idle.pop())

    def _borrow(self) -> sqlite3.Connection:
        if self._closed:
            raise LogUnavailable(f"The sample log {self._path} has been closed.", path=str(self._path))
        while True:
            try:
                pid, connection = self._idle.pop()
            except IndexError:
                return self._open()
            if pid == os.getpid():
                return connection
            self._inherited.append(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        self._idle.append((os.getpid(), connection))
        if self._closed:
            self.close()

    def _sort_out(self, pid: int, connection: sqlite3.Connection) -> None:
        if pid == os.getpid():
            connection.close()
        else:
            # To close (or lose) it here would take the parent's locks on the file away.
            self._inherited.append(connection)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,  # it moves between threads, but only ever one has it
        )
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _lay_out(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version == _VERSION:
            return
        if version == 1:
            _execute_together(connection, _FROM_1)
            return
        if tables:
            raise LogUnavailable(
                f"The sample log {self._path} has layout {version}, this release knows {_VERSION} only. Move the file "
                "away: alarmd starts a new one, and the windows fill again as samples arrive.",
                path=str(self._path),
            )
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        _execute_together(connection, _LAYOUT)

    def _unavailable(self, error: sqlite3.Error) -> LogUnavailable:
        remedy = {
            "SQLITE_BUSY": "Another process holds it; if that lasts, raise busy_timeout_s of the log.",
            "SQLITE_FULL": "The disk is full: free some space, or lower the limits of the log.",
            "SQLITE_NOTADB": "Move the file away: alarmd starts a new one.",
            "SQLITE_CORRUPT": "Move the file away: alarmd starts a new one.",
        }.get(getattr(error, "sqlite_errorname", ""), "See that its directory exists and alarmd may write to it.")
        return LogUnavailable(f"The sample log {self._path} does not answer: {error}. {remedy}", path=str(self._path))


def _execute_together(connection: sqlite3.Connection, statements: Sequence[str]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in statements:
        connection.execute(statement)
    connection.execute("COMMIT")


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Keep other processes from opening a log in the directory meanwhile.

    SQLite's busy timeout does not cover the switch to WAL, so two first openers would get into each other's way.
    """
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
