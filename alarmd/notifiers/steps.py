# SPDX-License-Identifier: Apache-2.0
"""The steps of a delivery, for whoever wants to watch one: name lookup, connection, TLS, request, answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from alarmd.clock import Clock


class Steps(Protocol):
    """Is told of each step as soon as it has ended."""

    def note(self, name: str, *, error: str = "", **facts: Any) -> None:
        """Take a step; with an error it is one that failed. Facts are plain JSON, and may hold secrets."""


class Unwatched:
    """Nobody watches."""

    def note(self, name: str, *, error: str = "", **facts: Any) -> None:
        """Forget it."""


UNWATCHED = Unwatched()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that was done, and how long it took."""

    name: str
    took_s: float
    #: Empty when it went well.
    error: str
    facts: Mapping[str, Any]


class RecordedSteps:
    """Keeps the steps with their times; a step begins when the one before has ended. For one thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since_s = clock.monotonic_s()
        self.steps: list[Step] = []

    def note(self, name: str, *, error: str = "", **facts: Any) -> None:
        """Keep a step."""
        now_s = self._clock.monotonic_s()
        self.steps.append(Step(name=name, took_s=now_s - self._since_s, error=error, facts=facts))
        self._since_s = now_s


_CHECKED: tuple[type[Steps], ...] = (Unwatched, RecordedSteps)
