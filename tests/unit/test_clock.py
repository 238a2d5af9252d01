# SPDX-License-Identifier: Apache-2.0
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarmd.clock import NOT_AHEAD, Ahead, Clock, JumpWatch, ManualClock, Moment, SystemClock, Timekeeper

START = datetime(2026, 1, 1, tzinfo=UTC)


class _HeldUp(ManualClock):
    """A clock whose reader is stopped for a minute, now and then, between two looks at it."""

    held_up = 0

    def boot_s(self) -> float:
        if self.held_up:
            self.held_up -= 1
            self.advance(60)
        return super().boot_s()


def after(moment: Moment, seconds: float, *, lasts_s: float = 300) -> bool:
    """Whether it is too late for what was written at a moment of the clock and was to last for five minutes."""
    written_at = START + timedelta(seconds=seconds)
    return moment.ahead.end_of(written_at + timedelta(seconds=lasts_s), written_at=written_at) <= moment.now


def test_the_machines_clock_does_not_jump_by_itself() -> None:
    """Looked at again and again, the real clocks go alike."""
    clock: Clock = SystemClock()
    watch = JumpWatch(clock)
    looks = [watch.look() for _ in range(1_000)]

    assert {(0.0, 0.0)} == {(look.set_s, look.slept_s) for look in looks}
    assert 0 < sum(look.passed_s for look in looks) < 60
    assert abs((clock.now() - looks[-1].now).total_seconds()) < 60


@pytest.mark.parametrize("step_s", [3600.0, -3600.0, 0.5, -0.5])
def test_a_jump_is_told_once(step_s: float) -> None:
    """By how much the clock was set, and how much time has really passed."""
    clock = ManualClock()
    watch = JumpWatch(clock)
    clock.advance(3)
    clock.step(step_s)
    clock.advance(4)
    jump, nothing = watch.look(), watch.look()

    assert (step_s, 0.0, 7.0) == (round(jump.set_s, 6), jump.slept_s, jump.passed_s)
    assert (0.0, 0.0, 0.0) == (nothing.set_s, nothing.slept_s, nothing.passed_s)


def test_sleep_is_no_setting_of_the_clock() -> None:
    """While a machine sleeps time goes by: nothing is younger for it."""
    clock = ManualClock()
    watch, keeper = JumpWatch(clock), Timekeeper(clock)
    clock.sleep(3600)
    jump = watch.look()

    assert (0.0, 3600.0, 3600.0) == (jump.set_s, jump.slept_s, jump.passed_s)
    assert (NOT_AHEAD, 0) == (keeper.moment().ahead, keeper.moment().set_back_s)
    assert after(keeper.moment(), 0)


def test_many_small_jumps_are_one_in_the_end() -> None:
    """What is too little to count is not forgotten."""
    clock = ManualClock()
    watch = JumpWatch(clock, tolerance_s=1)
    told = []
    for _ in range(4):
        clock.step(0.4)
        told.append(round(watch.look().set_s, 3))

    assert [0, 0, 1.2, 0] == told


def test_who_is_held_up_sees_no_jump() -> None:
    """A process that is stopped between reading one clock and the other reads both again."""
    clock = _HeldUp()
    watch = JumpWatch(clock)
    clock.held_up = 2

    assert 0.0 == watch.look().set_s


def test_what_was_written_before_a_jump_is_as_old_as_it_is() -> None:
    """With the clock set ahead an hour, what had two minutes left has two minutes left; what follows goes by it."""
    clock = ManualClock(START)
    keeper = Timekeeper(clock)
    clock.advance(180)
    keeper.moment()
    clock.step(3600)
    keeper.moment()
    clock.advance(119)
    in_time = keeper.moment()
    clock.advance(2)
    late = keeper.moment()
    clock.advance(178)
    last = keeper.moment()
    clock.advance(2)

    assert (False, True) == (after(in_time, 0), after(late, 0))
    assert (False, True) == (after(last, 3780), after(keeper.moment(), 3780))


def test_nobody_knows_when_it_was_within_a_long_pause() -> None:
    """What was written before the jump is never too late too early, however long nobody looked."""
    clock = ManualClock(START)
    keeper = Timekeeper(clock)
    clock.advance(1000)
    clock.step(60)
    clock.advance(10)

    assert not after(keeper.moment(), 995)


def test_jumps_add_up_and_take_away() -> None:
    """What is set ahead twice is twice ahead; what is set right again is not; and behind it is never."""
    clock = ManualClock(START)
    keeper = Timekeeper(clock)
    seen = []
    for step_s in (100, 50, -150, -40, 40):
        clock.step(step_s)
        moment = keeper.moment()
        seen.append((moment.ahead.by.total_seconds(), moment.set_s, moment.set_back_s))

    assert [(100, 100, 0), (150, 150, 0), (0, 0, 150), (0, -40, 190), (40, 0, 190)] == seen


@pytest.mark.parametrize("step_s", [0.3, -0.3])
def test_a_jump_of_long_ago_does_not_add_to_that_of_today(step_s: float) -> None:
    """A clock that was put right by a year at the start, and by a little now, makes nothing a year younger."""
    clock = ManualClock(START)
    keeper = Timekeeper(clock)
    clock.step(365 * 86_400)
    keeper.moment()
    clock.advance(3601)
    keeper.moment()
    written_at = clock.now()
    clock.advance(600)
    keeper.moment()
    clock.step(step_s)
    moment = keeper.moment()

    assert written_at + timedelta(minutes=6) > moment.ahead.end_of(
        written_at + timedelta(minutes=5), written_at=written_at
    )


@given(
    st.lists(st.tuples(st.floats(0, 200), st.floats(0.2, 10_000)), max_size=4),
    st.floats(0, 100),
    st.floats(0, 200),
)
def test_however_it_is_set_ahead_age_is_age(jumps: list[tuple[float, float]], written_s: float, rest_s: float) -> None:
    """Against a clock that nobody sets: nothing written before the first jump is late before its time, or after it."""
    clock = ManualClock(START)
    keeper = Timekeeper(clock)
    clock.advance(written_s)
    clock.advance(1)
    for wait_s, step_s in jumps:
        clock.advance(wait_s)
        keeper.moment()
        clock.step(step_s)
        keeper.moment()
    clock.advance(rest_s)
    age_s = clock.monotonic_s() - written_s
    off_s = abs(age_s - 300)

    assert off_s < 0.01 or (age_s >= 300) is after(keeper.moment(), written_s)


def test_an_end_without_a_jump_is_the_end() -> None:
    """Nothing is corrected where nothing has happened."""
    assert START == NOT_AHEAD.end_of(START, written_at=START - timedelta(days=1))
    assert START == Ahead(since=START, by=timedelta(hours=1)).end_of(START, written_at=START)
