# SPDX-License-Identifier: Apache-2.0
from datetime import UTC, datetime, timedelta

import pytest

from alarmd.cache.roll import Attendance
from alarmd.evaluators.breaker import Breaker, BreakerLimits, Cause, Census, Count, finding_of

LIMITS = BreakerLimits()
START = datetime(2026, 1, 1, tzinfo=UTC)
STORM = Census(alarms=Count(some=300, whole=1000))
QUIET = Census(alarms=Count(some=0, whole=1000))


@pytest.mark.parametrize(
    ("census", "cause"),
    [
        pytest.param(Census(), None, id="nothing"),
        pytest.param(Census(alarms=Count(some=300, whole=1000)), Cause.ALARMS, id="a share of the alarms"),
        pytest.param(Census(alarms=Count(some=299, whole=1000)), None, id="less than the share"),
        pytest.param(Census(alarms=Count(some=10, whole=10)), None, id="ten alarms, all of them"),
        pytest.param(Census(alarms=Count(some=20, whole=20)), Cause.ALARMS, id="twenty alarms, all of them"),
        pytest.param(
            Census(alarms=Count(some=50, whole=1000), projects=Count(some=5, whole=10)), Cause.PROJECTS, id="tenants"
        ),
        pytest.param(
            Census(alarms=Count(some=50, whole=1000), projects=Count(some=2, whole=2)), None, id="two tenants, all"
        ),
        pytest.param(
            Census(alarms=Count(some=19, whole=1000), projects=Count(some=9, whole=10)), None, id="few alarms"
        ),
        pytest.param(Census(alarms=Count(some=50, whole=1000), hosts=Count(some=3, whole=6)), Cause.HOSTS, id="hosts"),
        pytest.param(
            Census(attendance=Attendance(machines=100, missing_machines=30, sources=10, silent_sources=3)),
            Cause.POLLING,
            id="machines that are silent",
        ),
        pytest.param(
            Census(attendance=Attendance(machines=100, missing_machines=29, sources=10, silent_sources=3)),
            None,
            id="fewer of them",
        ),
        pytest.param(
            Census(attendance=Attendance(machines=10, missing_machines=10, sources=1, silent_sources=1)),
            None,
            id="a small host",
        ),
    ],
)
def test_what_is_too_much_at_once(census: Census, cause: Cause | None) -> None:
    """A share counts from a minimum on, and that of tenants and hosts only where enough alarms are concerned."""
    finding = finding_of(census, LIMITS)

    assert cause is (finding.cause if finding else None)


def test_each_share_can_be_switched_off() -> None:
    """A share of 0 is never exceeded."""
    off = BreakerLimits(alarms_share=0, projects_share=0, hosts_share=0, silent_share=0)
    everything = Census(
        alarms=Count(some=99, whole=99),
        projects=Count(some=9, whole=9),
        hosts=Count(some=9, whole=9),
        attendance=Attendance(machines=99, missing_machines=99, sources=9, silent_sources=9),
    )

    assert finding_of(everything, off) is None


def test_it_says_what_it_has_seen() -> None:
    """The reason is in words, with numbers."""
    silent = Census(attendance=Attendance(machines=100, missing_machines=40, sources=10, silent_sources=4))
    reasons = [finding.reason for census in (STORM, silent) if (finding := finding_of(census, LIMITS))]

    assert [
        "300 of 1000 alarms want to change at once",
        "40 of 100 machines are not heard of any more (4 of 10 hosts are silent)",
    ] == reasons


def test_it_closes_after_a_calm_time() -> None:
    """Each further finding begins the calm time anew; the first one stays the reason, and the time it opened."""
    breaker = Breaker(LIMITS)
    seen = []
    for second, census in [(0, QUIET), (10, STORM), (40, QUIET), (60, STORM), (119, QUIET), (120, QUIET), (130, QUIET)]:
        breaker.look(census, now=START + timedelta(seconds=second), monotonic_s=float(second))
        seen.append(breaker.is_open)

    assert [False, True, True, True, True, False, False] == seen
    assert START + timedelta(seconds=10) == breaker.since


def test_a_clock_that_is_set_does_not_close_it() -> None:
    """The calm time is that of a clock that nobody can set."""
    breaker = Breaker(LIMITS)
    breaker.look(STORM, now=START, monotonic_s=0.0)
    breaker.look(QUIET, now=START + timedelta(hours=1), monotonic_s=1.0)

    assert breaker.is_open
