# SPDX-License-Identifier: Apache-2.0
"""Sockets whose every wait obeys a deadline.

A timeout bounds a single wait only, so a receiver that drips a byte now and then would hold its thread for ever.
"""

import select
import socket
import ssl
from typing import Any

from alarmd.clock import Clock
from alarmd.notifiers.desk import DESK


class Deadline:
    """Cuts every wait of an attempt to what is left of its time."""

    def __init__(self, clock: Clock, *, total_s: float, wait_s: float) -> None:
        self._clock = clock
        self._end_s = clock.monotonic_s() + total_s
        self._wait_s = wait_s

    def left_s(self, wait_s: float | None = None) -> float:
        """Return how long the next wait may take; raises TimeoutError when the time is up."""
        left_s = self.remaining_s
        if left_s <= 0:
            raise TimeoutError("the deadline of the attempt has passed")
        return min(left_s, self._wait_s if wait_s is None else wait_s)

    @property
    def remaining_s(self) -> float:
        """How much time is left; nothing when it is up."""
        return max(0.0, self._end_s - self._clock.monotonic_s())


class TimedSocket(socket.socket):
    """A socket whose every wait obeys a deadline, once it is connected and does not block.

    It is polled where a timeout of its own would do as well: that takes three calls of the system for each of ours, and
    at each of them a thread lets go of the interpreter and stands in line for it again. With many threads on several
    cores that line is what costs most.
    """

    deadline: Deadline

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._incoming = select.poll()
        self._incoming.register(self, select.POLLIN)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        while True:
            _wait(self._incoming, self.deadline)
            try:
                return super().recv_into(*args, **kwargs)
            except BlockingIOError:
                # What was there when it was polled may be gone: the system drops what was spoilt on its way.
                continue

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        left = memoryview(data)
        while left:
            # Also for what would not have to wait.
            self.deadline.left_s()
            try:
                left = left[super().send(left, flags) :]
            except BlockingIOError:
                outgoing = select.poll()
                outgoing.register(self, select.POLLOUT)
                _wait(outgoing, self.deadline)


class TimedTlsSocket(ssl.SSLSocket):
    """The same over TLS; `sendall` is made of `send` there."""

    deadline: Deadline

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.deadline.left_s())
        with DESK.away():
            return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.deadline.left_s())
        with DESK.away():
            return super().send(*args, **kwargs)


def _wait(poll: select.poll, deadline: Deadline) -> None:
    left_s = deadline.left_s()
    with DESK.away():
        is_ready = poll.poll(left_s * 1000)
    if not is_ready:
        raise TimeoutError("timed out")
