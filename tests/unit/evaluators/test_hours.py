# SPDX-License-Identifier: Apache-2.0
"""Hours that remember: the same answers as those of a schedule that is asked anew, and sooner."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarmd.errors import InvalidInput
from alarmd.evaluators.schedules.hours import read_hours
from alarmd.evaluators.schedules.schedule import Schedule
from tests.support.silences import a_window

_CONSTRAINTS = (
    a_window("0 22 * * *", duration=8 * 3600, timezone="Europe/Berlin"),
    a_window("30 2 * * sun", duration=3600, timezone="America/New_York"),
    a_window("*/20 * * * *", duration=300),
)
#: Clocks change in both zones within three weeks of this.
_START = datetime(2026, 3, 7, tzinfo=UTC)


@given(
    steps=st.lists(st.floats(-7200, 90_000, allow_nan=False), min_size=1, max_size=40),
    which=st.sets(st.sampled_from(range(3)), min_size=1),
)
def test_what_is_remembered_is_what_holds(steps: list[float], which: set[int]) -> None:
    """However the clock goes, forward or back, also over the days on which clocks change."""
    constraints = [_CONSTRAINTS[number] for number in sorted(which)]
    schedule, at = Schedule.of(constraints), _START
    for step_s in steps:
        at += timedelta(seconds=step_s)

        assert schedule.is_open(at) == read_hours(constraints).is_open(at)


def test_what_nobody_can_read_is_refused_each_time() -> None:
    """A zone that this machine does not know is told, not remembered."""
    for _ in range(2):
        with pytest.raises(InvalidInput, match="Mars"):
            read_hours([a_window("* * * * *", duration=60, timezone="Mars")])


def test_looking_again_costs_next_to_nothing() -> None:
    """A thousand lines asked each second for a minute: as many looks take less than the first alone of each would."""
    constraints = [[a_window(f"{number % 60} {number // 60} * * *", duration=60)] for number in range(1000)]

    def ask_s(after_s: int) -> float:
        started_s = time.process_time()
        for one in constraints:
            read_hours(one).is_open(_START + timedelta(hours=18, seconds=after_s))
        return time.process_time() - started_s

    first_s = ask_s(0)
    later_s = sum(ask_s(second) for second in range(1, 11))

    assert later_s < first_s
