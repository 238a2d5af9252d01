# SPDX-License-Identifier: Apache-2.0
"""Lines to a hypervisor: connections that may get stuck, each with a thread of its own, so that nobody else does.

libvirt's calls cannot be given up: one that waits for a stopped QEMU waits until that runs again. So a call is made on
a line, a connection with its own thread, and whoever is tired of waiting leaves the line to its fate and takes
another. A line whose call ends after all closes itself.
"""

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

import libvirt
import structlog

from alarmd.clock import Clock

_log = structlog.get_logger()

_Answer = TypeVar("_Answer")

#: Opens a connection; a test may put a wrapper around it.
Connect = Callable[[str], Any]
#: Undoes what was done to a connection before it is closed.
Release = Callable[[Any], None]

#: A libvirtd that has not answered a keepalive for this long is given up, and calls that wait for it end.
_KEEPALIVE_INTERVAL_S = 5
_KEEPALIVE_COUNT = 3

_events_started = threading.Lock()


class LinesTaken(Exception):
    """As many calls as may be are stuck, so that no further one is made."""


def connect(uri: str) -> Any:
    """Return a read-only connection. Raises `libvirt.libvirtError`; may block for as long as libvirtd likes."""
    _start_events()
    connection = libvirt.openReadOnly(uri)
    with suppress(libvirt.libvirtError):  # drivers without a daemon have none
        connection.setKeepAlive(_KEEPALIVE_INTERVAL_S, _KEEPALIVE_COUNT)
    return connection


def _start_events() -> None:
    """Start the event loop that delivers keepalives and events to all connections of this process, once.

    It must be there before the first connection, and in the process that uses it: not before a fork.
    """
    if not _events_started.acquire(blocking=False):
        return  # never released: it has been started
    libvirt.registerErrorHandler(lambda _context, _error: None, None)  # or each error goes to standard error too
    libvirt.virEventRegisterDefaultImpl()

    def run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=run, name="libvirt-events", daemon=True).start()


class Line:
    """One connection and the thread that uses it; opened with the first question, and again when it has died."""

    def __init__(self, uri: str, *, connect: Connect, release: Release) -> None:
        self._uri = uri
        self._connect = connect
        self._release = release
        self._connection: Any = None
        self._questions: SimpleQueue[tuple[Callable[[Any], Any], Future[Any]] | None] = SimpleQueue()
        # A daemon: a stuck one must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=f"libvirt {uri}", daemon=True)
        self._thread.start()

    @property
    def is_up(self) -> bool:
        """Whether its thread still runs; after `hang_up`, whether it is still stuck."""
        return self._thread.is_alive()

    def ask(self, question: Callable[[Any], _Answer]) -> Future[_Answer]:
        """Have a question put to the connection, after those that wait already."""
        future: Future[_Answer] = Future()
        self._questions.put((question, future))
        return future

    def hang_up(self, *, wait_s: float = 0.0) -> None:
        """Close the connection as soon as the question in hand is answered; wait at most this long for that."""
        self._questions.put(None)
        self._thread.join(wait_s)

    def _run(self) -> None:
        while (item := self._questions.get()) is not None:
            question, future = item
            try:
                future.set_result(self._put(question))
            except BaseException as error:  # noqa: BLE001  # not swallowed but handed to who asked
                future.set_exception(error)
            del item, question, future  # an answer holds on to the connection
        self._close()

    def _put(self, question: Callable[[Any], _Answer]) -> _Answer:
        was_open = self._connection is not None
        try:
            return question(self._open())
        except libvirt.libvirtError:
            if not was_open or self._is_alive():
                raise
        # It had died unnoticed, e.g. since libvirtd was restarted; a new one may do.
        return question(self._open())

    def _open(self) -> Any:
        if not self._is_alive():
            self._close()
            self._connection = self._connect(self._uri)
        return self._connection

    def _is_alive(self) -> bool:
        try:
            return self._connection is not None and bool(self._connection.isAlive())
        except libvirt.libvirtError:
            return False

    def _close(self) -> None:
        if self._connection is not None:
            self._release(self._connection)
            with suppress(libvirt.libvirtError):
                self._connection.close()
            self._connection = None


class Lines:
    """A few lines to one hypervisor, of which most may be stuck. Used by one thread."""

    def __init__(
        self,
        uri: str,
        *,
        connect: Connect,
        stuck_calls: int,
        clock: Clock,
        release: Release = lambda _connection: None,
    ) -> None:
        self._uri = uri
        self._connect = connect
        self._release = release
        self._stuck_calls = stuck_calls
        self._clock = clock
        self._free: Line | None = None
        self._stuck: list[Line] = []

    @property
    def stuck(self) -> int:
        """How many calls have been left to their fate and have not ended."""
        self._stuck = [line for line in self._stuck if line.is_up]
        return len(self._stuck)

    def ask(self, question: Callable[[Any], _Answer], *, patience_s: float, until_s: float) -> _Answer:
        """Return the answer to a question, asked again on another line whenever patience is at an end.

        Whichever line answers first, wins; the others are left to their fate. Patience doubles each time, so that a
        hypervisor that is merely slow is not asked over and over.

        Args:
            question: Gets a connection. May run several times, side by side.
            patience_s: How long to wait before asking on another line as well.
            until_s: When to give up, on the monotonic clock.

        Raises:
            TimeoutError: No line answered in time.
            LinesTaken: Too many calls are stuck to make another.
            libvirt.libvirtError: What libvirt said.
        """
        racing: dict[Future[_Answer], Line] = {}
        try:
            while True:
                self._join(racing, question)
                remaining_s = until_s - self._clock.monotonic_s()
                done, _ = wait(racing, timeout=max(min(patience_s, remaining_s), 0.0), return_when=FIRST_COMPLETED)
                if done:
                    return self._settle(racing, done.pop())
                if patience_s >= remaining_s:
                    raise TimeoutError
                patience_s *= 2
        finally:
            for line in racing.values():
                line.hang_up()
                self._stuck.append(line)

    def close(self, *, wait_s: float) -> None:
        """Hang up; a stuck line stays until its call ends."""
        if self._free is not None:
            self._free.hang_up(wait_s=wait_s)
            self._free = None

    def _join(self, racing: dict[Future[_Answer], Line], question: Callable[[Any], _Answer]) -> None:
        line, self._free = self._free, None
        if line is None:
            if self.stuck + len(racing) >= self._stuck_calls:
                if racing:
                    return  # wait for those that run
                raise LinesTaken
            line = Line(self._uri, connect=self._connect, release=self._release)
        racing[line.ask(question)] = line

    def _settle(self, racing: dict[Future[_Answer], Line], done: Future[_Answer]) -> _Answer:
        self._free = racing.pop(done)
        return done.result()
