# SPDX-License-Identifier: Apache-2.0
"""A scheme that remembers what it was given, for tests of whoever uses schemes."""

from collections.abc import Callable
from threading import Condition

from alarmd.model.notification import Notification
from alarmd.notifiers.scheme import Attempt, Reason, Scheme

_TAKEN = Attempt(reason=Reason.OK, retryable=False)


class RecordingScheme:
    """Remembers every notification and answers as it is told to, by default that it was taken."""

    def __init__(self, answer: Callable[[Notification], Attempt] | None = None, *, deadline_s: float = 1.0) -> None:
        self.deadline_s = deadline_s
        self.closed = False
        self._answer = answer
        self._changed = Condition()
        self._seen: list[Notification] = []

    @property
    def notifications(self) -> list[Notification]:
        """Every notification it was given, in the order in which their attempts began."""
        with self._changed:
            return list(self._seen)

    def wait_for(self, count: int, *, timeout_s: float = 10.0) -> list[Notification]:
        """Return the notifications as soon as there are so many; raises TimeoutError when they do not come."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._seen) >= count, timeout_s):
                raise TimeoutError(f"{len(self._seen)} of {count} notifications came within {timeout_s:g} s")
            return list(self._seen)

    def deliver(self, notification: Notification) -> Attempt:
        with self._changed:
            self._seen.append(notification)
            self._changed.notify_all()
        return self._answer(notification) if self._answer else _TAKEN

    def close(self) -> None:
        self.closed = True


def _as_scheme(recording: RecordingScheme) -> Scheme:
    """Let the type checker hold the fake against the seam."""
    return recording
