# SPDX-License-Identifier: Apache-2.0
"""SQLite as alarmd uses it: written ahead, safe on the disk with each commit, one writer at a time who waits its turn.

Whoever finds the file locked is made to wait by SQLite itself in longer and longer steps, up to a tenth of a second,
while others get in between. Here writers of one process stand in a line, and the first of them looks again and again.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, ExceptionContext, event
from sqlalchemy.pool import ConnectionPoolEntry

from alarmd.clock import SystemClock

#: How often, and with which pause between, a new file is asked to be written ahead while another holds it.
_WAL_TRIES, _WAL_PAUSE_S = 500, 0.02
#: How long the first in the line waits before it looks again whether another process still writes.
_TURN_PAUSE_S = 0.0005
#: How much of the file a connection keeps in memory, at most.
_CACHE_KIB = 32_768
_TROUBLE_WITH_THE_FILE = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
#: Execution option of connections that write.
WRITES = "alarmd_writes"

_clock = SystemClock()


def set_up(engine: Engine, *, lock_wait_s: float) -> None:
    """Have an engine's connections prepared and its transactions begun as alarmd needs it."""

    def begin(connection: Connection) -> None:
        # A writer takes its lock at once: waiting for it later, with a snapshot in hand, would fail instead of wait.
        if connection.get_execution_options().get(WRITES, False):
            _begin_immediate(connection, lock_wait_s)

    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", begin)
    event.listen(engine, "handle_error", _part_with_what_is_spoilt)


class Line:
    """Where the writers of this process stand, one behind the other. Who has waited too long goes past it."""

    def __init__(self, *, patience_s: float) -> None:
        self._lock = Lock()
        self._patience_s = patience_s

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn, and have it for the block."""
        is_first = self._lock.acquire(timeout=self._patience_s)
        try:
            yield
        finally:
            if is_first:
                self._lock.release()


def _begin_immediate(connection: Connection, lock_wait_s: float) -> None:
    driver: Any = connection.connection.driver_connection
    deadline_s = _clock.monotonic_s() + lock_wait_s
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while _clock.monotonic_s() < deadline_s:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    break
                time.sleep(_TURN_PAUSE_S)
            else:
                return
        # Through SQLAlchemy, which words what comes of it like all other errors.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        driver.execute(f"PRAGMA busy_timeout = {int(lock_wait_s * 1000)}")


def _part_with_what_is_spoilt(context: ExceptionContext) -> None:
    """Have connections opened anew after trouble with the file.

    One that was opened while the file could not be written never writes, not even when it can be written again.
    """
    code = getattr(context.original_exception, "sqlite_errorcode", sqlite3.SQLITE_OK)
    # The lowest byte tells the kind of trouble.
    context.is_disconnect = context.is_disconnect or code & 0xFF in _TROUBLE_WITH_THE_FILE


def _prepare(connection: Any, _record: ConnectionPoolEntry) -> None:
    # The driver must not open transactions by itself: it would do so late, and as a reader.
    connection.isolation_level = None
    cursor = connection.cursor()
    _use_wal(cursor)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # Else a tick that turns 10,000 alarms writes pages out and reads them again before it is committed.
    cursor.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    cursor.close()


def _use_wal(cursor: Any) -> None:
    """Have the file written ahead. Of several that switch a new file at once SQLite refuses all but one, unwaited."""
    for patience in reversed(range(_WAL_TRIES)):
        try:
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or not patience:
                raise
            time.sleep(_WAL_PAUSE_S)
        else:
            return
