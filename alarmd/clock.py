# SPDX-License-Identifier: Apache-2.0
"""The only place that reads a clock. Everything else is handed a `Clock` or a moment."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time of day and a time that never goes back."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""

    def time_s(self) -> float:
        """Return the time of day as seconds since the Unix epoch."""

    def monotonic_s(self) -> float:
        """Return seconds on a clock that nobody can set, for deadlines and durations."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def time_s(self) -> float:
        return time.time()

    def monotonic_s(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is told to move; for tests and replays."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic_s = 0.0

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self._now += timedelta(seconds=seconds)
        self._monotonic_s += seconds

    def step(self, seconds: float) -> None:
        """Move the time of day alone, as an operator or NTP would; may be negative."""
        self._now += timedelta(seconds=seconds)

    def now(self) -> datetime:
        return self._now

    def time_s(self) -> float:
        return self._now.timestamp()

    def monotonic_s(self) -> float:
        return self._monotonic_s
