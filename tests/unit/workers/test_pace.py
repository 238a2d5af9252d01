# SPDX-License-Identifier: Apache-2.0
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from alarmd.clock import SystemClock
from alarmd.telemetry import JOB_FAILURES
from alarmd.workers.pace import Pace, Schedule

#: Longer than any test waits: a turn that comes was brought forward, not due.
NEVER_S = 3600.0
DEADLINE_S = 5.0
CLOCK = SystemClock()


class Bell:
    """A listener that a test rings."""

    def __init__(self) -> None:
        self._rung = threading.Event()
        self.closed = False

    def ring(self) -> None:
        self._rung.set()

    def wait(self, timeout_s: float) -> bool:
        if self._rung.wait(timeout_s) and not self.closed:
            self._rung.clear()
            return True
        return False

    def close(self) -> None:
        self.closed = True
        self._rung.set()


class Turns:
    """Counts turns, and waits until there were enough."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def take(self) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait_for(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.count >= count, DEADLINE_S)


class SteppedClock(SystemClock):
    """The machine's clock, set wrong by some seconds."""

    def __init__(self) -> None:
        self.step_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.step_s)


@contextmanager
def running(*paces: Pace) -> Iterator[Schedule]:
    schedule = Schedule(paces)
    schedule.start()
    try:
        yield schedule
    finally:
        assert [] == schedule.stop(clock=SystemClock(), timeout_s=DEADLINE_S)


def a_pace(work: Callable[[], float | None], *, interval_s: float = NEVER_S, bell: Bell | None = None) -> Pace:
    return Pace("job", work, interval_s=interval_s, listener=bell, clock=SystemClock())


def test_first_turn_is_now() -> None:
    """A job runs at once, however long its interval."""
    turns = Turns()
    with running(a_pace(turns.take)):
        assert turns.wait_for(1)


def test_interval_brings_turns() -> None:
    """A job runs again each interval."""
    turns = Turns()
    with running(a_pace(turns.take, interval_s=0.02)):
        assert turns.wait_for(4)


def test_ring_brings_a_turn_forward() -> None:
    """A ring is answered by a turn without waiting for the interval."""
    turns, bell = Turns(), Bell()
    with running(a_pace(turns.take, bell=bell)):
        assert turns.wait_for(1)
        bell.ring()

        assert turns.wait_for(2)


def test_ring_during_a_turn_is_not_lost() -> None:
    """A ring while a turn is under way is answered by one more turn right after it."""
    turns, bell = Turns(), Bell()
    go_on = threading.Event()

    def work() -> None:
        turns.take()
        assert go_on.wait(DEADLINE_S)

    with running(a_pace(work, bell=bell)):
        assert turns.wait_for(1)
        bell.ring()
        go_on.set()

        assert turns.wait_for(2)


def test_every_ring_is_followed_by_a_turn() -> None:
    """Whenever a ring falls, between turns or within one, a turn starts after it."""
    turns, bell = Turns(), Bell()
    with running(a_pace(turns.take, bell=bell)):
        for _ in range(50):
            before = turns.count
            bell.ring()

            assert turns.wait_for(before + 1)


def test_storm_of_rings_shares_turns() -> None:
    """Rings closer together than the minimum gap share a turn."""
    turns, bell = Turns(), Bell()
    with running(Pace("job", turns.take, interval_s=NEVER_S, listener=bell, clock=SystemClock(), minimum_gap_s=0.2)):
        assert turns.wait_for(1)
        for _ in range(100):
            bell.ring()
        assert turns.wait_for(2)

        assert turns.count <= 3


def test_a_job_that_rests_does_so_for_as_long_as_its_turn_took() -> None:
    """However often it is rung for, it leaves half of the time to others; and no ring is lost over it."""
    turns, bell, pause, starts = Turns(), Bell(), threading.Event(), []

    def work() -> None:
        starts.append(CLOCK.monotonic_s())
        pause.wait(0.1)
        turns.take()

    with running(Pace("job", work, interval_s=NEVER_S, listener=bell, clock=CLOCK, rests=True)):
        for count in range(1, 4):
            assert turns.wait_for(count)
            bell.ring()
        assert turns.wait_for(4)

    gaps_s = [after - before for before, after in pairwise(starts)]
    assert [] == [gap_s for gap_s in gaps_s if gap_s < 0.2]


def test_work_may_ask_for_its_next_turn() -> None:
    """Work that returns a number of seconds runs again after them."""
    turns = Turns()

    def work() -> float:
        turns.take()
        return 0.01

    with running(a_pace(work)):
        assert turns.wait_for(4)


def test_schedule_goes_on_after_errors() -> None:
    """A turn that raises is counted, and the next one comes as usual."""
    turns = Turns()
    before = JOB_FAILURES.labels("job")._value.get()

    def work() -> None:
        turns.take()
        raise RuntimeError("broken")

    with running(a_pace(work, interval_s=0.02)):
        assert turns.wait_for(3)

    assert JOB_FAILURES.labels("job")._value.get() >= before + 3


def test_clock_set_back_stops_nothing() -> None:
    """A job goes on although the time of day it was scheduled for is suddenly an hour away."""
    turns = Turns()
    clock = SteppedClock()
    clock.step_s = 3600.0  # the first turn is put an hour ahead of the time that the scheduler sees
    with running(Pace("job", turns.take, interval_s=0.05, clock=clock)):
        clock.step_s = 0.0

        assert turns.wait_for(2)


def test_clock_set_forward_by_decades_costs_one_turn() -> None:
    """A clock that is set right after standing at 1970 does not make up for every missed turn."""
    turns = Turns()
    clock = SteppedClock()
    clock.step_s = -(datetime.now(UTC) - datetime(1970, 1, 2, tzinfo=UTC)).total_seconds()
    with running(Pace("job", turns.take, interval_s=0.05, clock=clock)):
        clock.step_s = 0.0

        assert turns.wait_for(3)


def test_stop_waits_for_the_turn_under_way() -> None:
    """Stopping names the jobs that did not end in time, and they end no sooner for it."""
    turns, go_on = Turns(), threading.Event()

    def work() -> None:
        turns.take()
        go_on.wait(DEADLINE_S)

    schedule = Schedule([a_pace(work)])
    schedule.start()
    assert turns.wait_for(1)
    stuck = schedule.stop(clock=SystemClock(), timeout_s=0.01)
    go_on.set()

    assert ["job"] == stuck


def test_jobs_do_not_wait_for_each_other() -> None:
    """A job that is stuck does not hold up the others of its process."""
    turns, go_on = Turns(), threading.Event()
    stuck = Pace("stuck", lambda: go_on.wait(DEADLINE_S) and None, interval_s=0.01, clock=SystemClock())
    with running(stuck, a_pace(turns.take, interval_s=0.01)):
        assert turns.wait_for(5)
        go_on.set()
