# SPDX-License-Identifier: Apache-2.0
"""A receiver of webhooks that notes when which alarm has told which state."""

import json
import threading
from dataclasses import dataclass

from alarmd.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One webhook."""

    #: The state that it tells.
    current: str
    #: When the last byte of it was read, on the monotonic clock.
    at_s: float


class Receiver:
    """Takes webhooks from any number of connections."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._arrivals: dict[str, list[Arrival]] = {}
        self._count = 0

    @property
    def count(self) -> int:
        """How many webhooks have come."""
        return self._count

    def take(self, body: bytes) -> bytes:
        """Take one; return the body of the answer."""
        at_s = self._clock.monotonic_s()
        told = json.loads(body)
        with self._changed:
            self._arrivals.setdefault(told["alarm_id"], []).append(Arrival(current=told["current"], at_s=at_s))
            self._count += 1
            self._changed.notify_all()
        return b""

    def held(self, alarm_id: str) -> int:
        """Return how many have come from an alarm."""
        return len(self._arrivals.get(alarm_id, ()))

    def wait(self, alarm_id: str, number: int, *, timeout_s: float) -> Arrival | None:
        """Return an alarm's webhook of a number, counted from 0, as soon as it is there; None if it does not come."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.held(alarm_id) > number, timeout_s):
                return None
            return self._arrivals[alarm_id][number]

    def wait_for(self, count: int, *, timeout_s: float) -> bool:
        """Return whether so many have come in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count >= count, timeout_s)
