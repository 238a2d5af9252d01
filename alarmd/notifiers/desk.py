# SPDX-License-Identifier: Apache-2.0
"""The desk: where threads that deliver do what takes the processor, one after the other.

The interpreter lets one thread at a time work anyway. But each call of the system lets go of it for a moment, and wakes
one of those who stand in line for it, mostly in vain: with many threads on several cores that takes more time than the
deliveries. Whoever stands in line for the desk sleeps until it is free.
"""

from threading import Lock, get_ident
from types import TracebackType


class Desk:
    """One place of work. Who is at it waits for nobody: for that one goes `away`."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._who = 0

    @property
    def is_mine(self) -> bool:
        """Whether this thread is at it."""
        return self._who == get_ident()

    def sit_down(self) -> None:
        """Take the place, as soon as it is free; the one who has it must not."""
        self._lock.acquire()
        self._who = get_ident()

    def get_up(self) -> None:
        """Leave the place to the next one."""
        self._who = 0
        self._lock.release()

    def __enter__(self) -> None:
        self.sit_down()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.get_up()

    def away(self) -> "_Away":
        """Return the context in which to wait for something; it changes nothing for who is not at the desk."""
        return _Away(self)


class _Away:
    """Leaves the desk, and comes back."""

    __slots__ = ("_desk", "_was_there")

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._was_there = False

    def __enter__(self) -> None:
        self._was_there = self._desk.is_mine
        if self._was_there:
            self._desk.get_up()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._was_there:
            self._desk.sit_down()


#: That of this process: it has one interpreter.
DESK = Desk()
