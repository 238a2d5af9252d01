# SPDX-License-Identifier: Apache-2.0
"""The only place that reads a clock. Everything else is handed a `Clock` or a moment."""

import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Protocol

#: By how much the time of day may part from the time since the start without anybody having set it. Both are read one
#: after the other, so they never fit exactly. What NTP does little by little does not count: Linux slows down and
#: speeds up both alike.
_TOLERANCE_S = 0.1
#: How far apart two clocks may have been read; how often that is tried.
_MOMENT_S, _READS = 0.01, 5
_NEVER = datetime.min.replace(tzinfo=UTC)
#: For how long jumps add up, and how many: what was written before an older one has come to its end by itself, and what
#: was written since must not be taken for as much newer as all jumps there have ever been.
MEMORY_S = 3600.0
_MOST_JUMPS = 100


class Clock(Protocol):
    """Tells the time of day and a time that never goes back."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""

    def time_s(self) -> float:
        """Return the time of day as seconds since the Unix epoch."""

    def monotonic_s(self) -> float:
        """Return seconds on a clock that nobody can set, for deadlines and durations; sleep does not count."""

    def boot_s(self) -> float:
        """Return seconds on a clock that nobody can set and that goes on while the machine sleeps."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def time_s(self) -> float:
        return time.time()

    def monotonic_s(self) -> float:
        return time.monotonic()

    def boot_s(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


class ManualClock:
    """A clock that stands still until it is told to move; for tests and replays."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic_s = 0.0
        self._slept_s = 0.0

    def advance(self, seconds: float) -> None:
        """Move all clocks forward."""
        self._now += timedelta(seconds=seconds)
        self._monotonic_s += seconds

    def sleep(self, seconds: float) -> None:
        """Have the machine sleep: time goes by, and no process notices."""
        self._now += timedelta(seconds=seconds)
        self._slept_s += seconds

    def step(self, seconds: float) -> None:
        """Move the time of day alone, as an operator or NTP would; may be negative."""
        self._now += timedelta(seconds=seconds)

    def now(self) -> datetime:
        return self._now

    def time_s(self) -> float:
        return self._now.timestamp()

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def boot_s(self) -> float:
        return self._monotonic_s + self._slept_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """What became of the time of day between two looks at it."""

    now: datetime
    #: How much time has passed, whatever anybody has set.
    passed_s: float
    #: By how much somebody has set it, backwards if negative; 0 if nobody has.
    set_s: float = 0.0
    #: For how long the machine slept; 0 if it did not.
    slept_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Reading:
    now: datetime
    boot_s: float
    monotonic_s: float

    @property
    def ahead_s(self) -> float:
        """How far the time of day is ahead of a clock that nobody can set; means nothing but by its changes."""
        return self.now.timestamp() - self.boot_s

    @property
    def slept_s(self) -> float:
        return self.boot_s - self.monotonic_s


class JumpWatch:
    """Notices that the time of day jumps: somebody sets it, or the machine sleeps. One thread at a time."""

    def __init__(self, clock: Clock, *, tolerance_s: float = _TOLERANCE_S) -> None:
        """Take the clock, and what is still no jump: many small ones that add up to more are one in the end."""
        self._clock = clock
        self._tolerance_s = tolerance_s
        self._looked = self._read()
        self._ahead_s, self._slept_s = self._looked.ahead_s, self._looked.slept_s

    def look(self) -> Jump:
        """Return what has happened since the last look."""
        last, self._looked = self._looked, self._read()
        set_s, slept_s = self._looked.ahead_s - self._ahead_s, self._looked.slept_s - self._slept_s
        is_set, has_slept = abs(set_s) > self._tolerance_s, slept_s > self._tolerance_s
        if is_set:
            self._ahead_s = self._looked.ahead_s
        if has_slept:
            self._slept_s = self._looked.slept_s
        return Jump(
            now=self._looked.now,
            passed_s=self._looked.boot_s - last.boot_s,
            set_s=set_s if is_set else 0.0,
            slept_s=slept_s if has_slept else 0.0,
        )

    def _read(self) -> _Reading:
        # A process may be held up, or stopped, between two clocks, so one is read before and after the others.
        for last_one in reversed(range(_READS)):
            reading = _Reading(self._clock.now(), self._clock.boot_s(), self._clock.monotonic_s())
            if last_one == 0 or (self._clock.now() - reading.now).total_seconds() <= _MOMENT_S:
                break
        return reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """By how much the time of day was set ahead, so that what was written before is not taken for older than it is."""

    #: What was written before this was written by the clock as it was.
    since: datetime = _NEVER
    by: timedelta = timedelta()

    def end_of(self, end: datetime, *, written_at: datetime) -> datetime:
        """Return when something ends, by the clock as it is, that was to end at a moment when it was written."""
        return end + self.by if written_at < self.since else end


#: Nobody has set it ahead.
NOT_AHEAD = Ahead()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The time of day, and what somebody has done to it that this process has seen."""

    now: datetime
    ahead: Ahead = NOT_AHEAD
    #: By how much it was set in all, and how much of that was back.
    set_s: float = 0.0
    set_back_s: float = 0.0


class Timekeeper:
    """Tells the time and remembers how far it was set ahead; of use where it is looked at often.

    What it remembers ends with it. Safe to use from several threads.
    """

    def __init__(self, clock: Clock, *, memory_s: float = MEMORY_S) -> None:
        """Take the clock, and for how long jumps add up: nothing that is written lasts for longer, by and large."""
        self._watch = JumpWatch(clock)
        self._memory_s = memory_s
        self._lock = Lock()
        #: How much time has passed in all, and by then, by how much the clock was set in each jump.
        self._passed_s = 0.0
        self._jumps: deque[tuple[float, timedelta]] = deque(maxlen=_MOST_JUMPS)
        self._ahead = NOT_AHEAD
        self._set_s = 0.0
        self._set_back_s = 0.0

    def moment(self) -> Moment:
        """Return the moment it is."""
        with self._lock:
            jump = self._watch.look()
            self._passed_s += jump.passed_s
            if jump.set_s:
                self._take(jump)
            return Moment(now=jump.now, ahead=self._ahead, set_s=self._set_s, set_back_s=self._set_back_s)

    def _take(self, jump: Jump) -> None:
        self._set_s += jump.set_s
        self._jumps.append((self._passed_s, timedelta(seconds=jump.set_s)))
        by = timedelta()
        for passed_s, set_by in self._jumps:
            if self._passed_s - passed_s <= self._memory_s:
                by = max(by + set_by, timedelta())
        since = jump.now
        if jump.set_s > 0:
            # Nobody knows when it happened within the time that has passed. What was written before the jump is never
            # taken for newer; what was written after it is not taken for older, if it was further than that time.
            since -= timedelta(seconds=min(jump.passed_s, jump.set_s))
        else:
            self._set_back_s -= jump.set_s
        self._ahead = Ahead(since=since, by=by) if by > timedelta() else NOT_AHEAD
