# SPDX-License-Identifier: Apache-2.0
"""Receivers of webhooks in a process of their own, as cheap as Python has them, so that what is measured is the sender.

One of them may take connections and never answer.
"""

import asyncio
import multiprocessing
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, cast

from alarmd.clock import Clock, SystemClock

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_ID = re.compile(rb"(?i)\r\nwebhook-id: *(\S+)")
_BACKLOG = 1_024
_PATIENCE_S = 20.0


class Arrival(NamedTuple):
    """One webhook."""

    #: Which of the receivers took it.
    receiver: int
    event_id: str
    #: When its last byte was read, on the monotonic clock, which all processes of a machine share.
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """Receivers that run elsewhere."""

    #: ``HOST:PORT`` of each.
    addresses: tuple[str, ...]
    _control: Connection

    def count(self) -> int:
        """Return how many webhooks were answered."""
        self._control.send("count")
        return int(self._control.recv())

    def arrivals(self) -> list[Arrival]:
        """Return every webhook that was answered, in their order, and forget them."""
        self._control.send("arrivals")
        return cast("list[Arrival]", self._control.recv())

    def hang(self, receiver: int) -> None:
        """Have a receiver answer no more."""
        self._control.send(receiver)
        self._control.recv()


@contextmanager
def sink(receivers: int = 1) -> Iterator[Sink]:
    """Run so many receivers for as long as the context lasts."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_main, args=(theirs, receivers), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_PATIENCE_S):
            raise RuntimeError("the receivers of the benchmark did not start")
        yield Sink(addresses=tuple(f"127.0.0.1:{port}" for port in ours.recv()), _control=ours)
    finally:
        ours.close()
        process.join(_PATIENCE_S)
        process.kill()


def _main(control: Connection, receivers: int) -> None:
    asyncio.run(_serve(control, receivers))


async def _serve(control: Connection, receivers: int) -> None:
    loop = asyncio.get_running_loop()
    book = _Book(SystemClock())
    servers = [
        await loop.create_server(lambda number=number: _Receiver(book, number), "127.0.0.1", 0, backlog=_BACKLOG)  # type: ignore[misc]  # a default in a lambda
        for number in range(receivers)
    ]
    over = loop.create_future()

    def obey() -> None:
        try:
            command = control.recv()
        except EOFError:
            loop.remove_reader(control.fileno())
            over.set_result(None)
            return
        control.send(book.obey(command))

    loop.add_reader(control.fileno(), obey)
    control.send([server.sockets[0].getsockname()[1] for server in servers])
    await over


class _Book:
    """What all receivers have taken."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.arrivals: list[Arrival] = []
        self.hanging: set[int] = set()

    def obey(self, command: Any) -> Any:
        if command == "count":
            return len(self.arrivals)
        if command == "arrivals":
            told, self.arrivals = self.arrivals, []
            return told
        self.hanging.add(command)
        return None


class _Receiver(asyncio.Protocol):
    """One connection."""

    def __init__(self, book: _Book, number: int) -> None:
        self._book = book
        self._number = number
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._read) < whole:
                return
            self._read = self._read[whole:]
            if self._number in self._book.hanging:
                return
            event_id = _ID.search(head)
            told = event_id[1].decode() if event_id else ""
            self._book.arrivals.append(Arrival(self._number, told, self._book.clock.monotonic_s()))
            self._transport.write(_ANSWER)
