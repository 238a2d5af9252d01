# SPDX-License-Identifier: Apache-2.0
"""The doorbell: wakes a role that sleeps until its next turn.

A hint, never the only way: a lost ring costs one interval.
"""

from enum import StrEnum
from typing import Protocol


class Bell(StrEnum):
    """What has happened."""

    #: Samples were appended to the log.
    SAMPLES = "samples"
    #: Alarms were created, changed or deleted.
    ALARMS = "alarms"
    #: Notifications were put in the outbox.
    OUTBOX = "outbox"


class Listener(Protocol):
    """Hears the bells it was made for; one thread waits on it."""

    def wait(self, timeout_s: float) -> bool:
        """Return True as soon as one of its bells has rung since the last call, False after the timeout.

        Any number of rings between two calls count as one. Never raises: a broken bell is silent.
        """

    def close(self) -> None:
        """Stop listening; a waiting thread returns."""


class Doorbell(Protocol):
    """Rings bells and makes listeners. Safe to use from several threads."""

    def ring(self, bell: Bell) -> None:
        """Wake every listener of this bell. Never blocks and never raises."""

    def listen(self, *bells: Bell) -> Listener:
        """Return a listener that hears these bells from now on."""

    def close(self) -> None:
        """Let go of sockets and connections."""
