# SPDX-License-Identifier: Apache-2.0
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from croniter import CroniterBadDateError, croniter
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from alarmd.errors import InvalidInput
from alarmd.evaluators.schedules.schedule import Schedule, normalise_constraints
from tests.support.aodh_schedule import clocks_are_odd, is_open_in_aodh

BERLIN = "Europe/Berlin"


def a_constraint(start: str = "0 9 * * *", duration: Any = 3600, **changes: Any) -> dict[str, Any]:
    return {"name": "n", "start": start, "duration": duration} | changes


def a_schedule(*constraints: Mapping[str, Any]) -> Schedule:
    return Schedule.of(normalise_constraints(constraints))


def in_berlin(text: str, *, again: bool = False) -> datetime:
    """Return a moment that clocks in Berlin show; `again` means the second pass of an hour that comes twice."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN), fold=int(again)).astimezone(UTC)


def test_s2_time_constraints_a_constraint_is_completed_in_the_order_of_aodh() -> None:
    """Text is taken for numbers, what is missing is filled in, and what comes out may be sent back."""
    [constraint] = normalise_constraints([a_constraint("0 23 * * *", "10800")])

    description = "Time constraint at 0 23 * * * lasting for 10800 seconds"
    assert [("name", "n"), ("description", description), ("start", "0 23 * * *")] == list(constraint.items())[:3]
    assert [("duration", 10800), ("timezone", "")] == list(constraint.items())[3:]
    assert (constraint,) == normalise_constraints([constraint])


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"description": None, "timezone": None}, ("Time constraint at 0 9 * * * lasting for 3600 seconds", "")),
        ({"description": "", "timezone": ""}, ("Time constraint at 0 9 * * * lasting for 3600 seconds", "")),
        ({"description": "by night", "timezone": BERLIN}, ("by night", BERLIN)),
    ],
)
def test_s2_time_constraints_null_and_empty_mean_the_default(given_: dict[str, Any], expected: tuple[str, str]) -> None:
    """A description is derived and the zone is UTC where a client says nothing, in whichever way."""
    [constraint] = normalise_constraints([a_constraint(**given_)])

    assert expected == (constraint["description"], constraint["timezone"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, r"field/attribute name\. Value: 'None'\. Mandatory field missing\.$"),
        ({"start": None}, r"field/attribute start\. Value: 'None'\. Mandatory field missing\.$"),
        ({"duration": None}, r"field/attribute duration\. Value: 'None'\. Mandatory field missing\.$"),
        ({"duration": -1}, r"duration\. Value: '-1'\. Value should be greater or equal to 0$"),
        ({"duration": 1e30}, r"duration\. .*Value should be lower or equal to 3153600000$"),
        ({"duration": "long"}, "field/attribute duration. Value: 'long'"),
        ({"timezone": "Europe/Atlantis"}, "^Timezone Europe/Atlantis is not valid$"),
        ({"timezone": "Europe"}, "^Timezone Europe is not valid$"),
        ({"timezone": "../../etc/passwd"}, "^Timezone ../../etc/passwd is not valid$"),
        ({"timezone": "x" * 9999}, "^Timezone x+ is not valid$"),
        ({"timezone": "\ud800"}, "field/attribute time_constraints.*without half surrogate pairs"),
        ({"name": "a\0b"}, "field/attribute time_constraints.*without NUL"),
        ({"timezone": 7}, "field/attribute timezone"),
        ({"start": "61 * * * *"}, r"start\. Value: '61 \* \* \* \*'\. '61' in the minutes should be a number"),
        ({"start": "0 9 * *"}, "should have 5 to 7 fields or be one of: @annually"),
        ({"start": "@reboot"}, "should have 5 to 7 fields"),
        ({"start": "0 0 31 2 *"}, "There is no such day: the line never matches$"),
        ({"start": "0 0 29 2 * 0 2027"}, "There is no such day: the line never matches$"),
        ({"start": "0 9 15W * *"}, "'15w' in the days should be a number from 1 to 31$"),
        ({"start": "0 9 * * 1,2#1"}, "cannot stand beside other weekdays$"),
        ({"start": "0 9 1 * 2#1"}, "cannot stand beside days of the month$"),
        ({"start": "0 9 * * 1-1"}, "write 1$"),
        ({"start": "0 22-4/3 * * *"}, "write a list$"),
        ({"start": "0 9 * * 1#6"}, "the 1st to the 5th"),
        ({"start": "٠ 9 * * *"}, "plain letters$"),
        ({"start": "0 9 * * *" + " " * 999}, "at most 255"),
        ({"start": "*/0 * * * *"}, "'0' in the minutes should be a number from 1"),
        ({"begin": "0 9 * * *"}, "^Unknown attribute for argument data.time_constraints: begin$"),
    ],
)
def test_s2_time_constraints_what_is_refused(changes: dict[str, Any], message: str) -> None:
    """A constraint that cannot be, or that alarmd and Aodh would read differently, is refused with the reason."""
    with pytest.raises(InvalidInput, match=message):
        normalise_constraints([a_constraint() | changes])


def test_s2_time_constraints_a_missing_key_is_refused() -> None:
    """Name, start and duration have no default."""
    for key in ("name", "start", "duration"):
        with pytest.raises(InvalidInput, match=rf"{key}\. Value: '.*'\. Mandatory field missing\.$"):
            normalise_constraints([{other: value for other, value in a_constraint().items() if other != key}])


def test_s2_time_constraints_names_are_unique_and_the_number_is_bounded() -> None:
    """Two constraints of one name are refused in Aodh's words, and more than a hundred at all."""
    normalise_constraints([a_constraint(name=str(number)) for number in range(100)])
    with pytest.raises(InvalidInput, match=r"^Time constraint names must be unique for a given alarm\.$"):
        normalise_constraints([a_constraint(), a_constraint("0 10 * * *")])
    with pytest.raises(InvalidInput, match=r"at most 100 items$"):
        normalise_constraints([a_constraint(name=str(number)) for number in range(101)])


def test_without_constraints_it_is_always_open() -> None:
    """No constraint closes nothing."""
    now = datetime(2026, 1, 1, tzinfo=UTC)

    assert a_schedule().is_open(now)
    assert now < a_schedule().next_look(now)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-60, False), (-59.999999, True), (0, True), (3600, True), (3600.000001, False)],
)
def test_a_window_opens_within_the_minute_before_and_closes_after_its_duration(seconds: float, expected: bool) -> None:
    """Both ends are Aodh's: less than 60 s before the start, and up to the end with the end in it."""
    at = datetime(2026, 1, 1, 9, tzinfo=UTC) + timedelta(seconds=seconds)

    assert expected is a_schedule(a_constraint()).is_open(at)


def test_one_open_window_is_enough() -> None:
    """Of several constraints one has to hold, each in its own zone."""
    schedule = a_schedule(a_constraint(name="a"), a_constraint("0 12 * * *", name="b", timezone=BERLIN))
    hours = [hour for hour in range(24) if schedule.is_open(datetime(2026, 1, 1, hour, 30, tzinfo=UTC))]

    assert [9, 11] == hours


@pytest.mark.parametrize(
    ("line", "opens"),
    [
        ("@hourly", "2026-01-01 10:00:00"),
        ("@weekly", "2026-01-04 00:00:00"),
        (" @Midnight ", "2026-01-02 00:00:00"),
        ("30 9 * * * 15", "2026-01-01 09:30:15"),
        ("0 9 * * * 0 2028", "2028-01-01 09:00:00"),
        ("0 9 * * 7", "2026-01-04 09:00:00"),
        ("0 9 * * fri-sun", "2026-01-02 09:00:00"),
        ("0 9 l * ?", "2026-01-31 09:00:00"),
        ("0 9 * * l5", "2026-01-30 09:00:00"),
        ("0 9 * * mon#2", "2026-01-12 09:00:00"),
        # Days with a step and weekdays: either counts, as it does in Aodh.
        ("0 9 */20 * sat", "2026-01-03 09:00:00"),
        ("0 9 */1 * sat", "2026-01-02 09:00:00"),
        ("0 9 1-31 * sat", "2026-01-02 09:00:00"),
        # Days with a step that leaves none out, and weekdays with a star: the weekdays alone count.
        ("0 9 */1 * */6", "2026-01-03 09:00:00"),
        ("0 9 1-30,l * */6", "2026-01-03 09:00:00"),
        ("0 9 */20 * */1", "2026-01-21 09:00:00"),
    ],
)
def test_lines_are_read_as_aodh_reads_them(line: str, opens: str) -> None:
    """Seconds stand behind the five fields and years behind them; names, wraps and the last days are known."""
    moment, now = datetime.fromisoformat(opens).replace(tzinfo=UTC), datetime(2026, 1, 1, 9, 5, tzinfo=UTC)

    assert moment == croniter(line.strip(), now).get_next(datetime)
    schedule, look = a_schedule(a_constraint(line, 0)), now
    while not schedule.is_open(look):
        look = schedule.next_look(look)
    assert moment - timedelta(seconds=59.999999) == look


def test_years_that_have_passed_leave_it_closed() -> None:
    """An alarm whose last window is over can be sent back as it is, and stays closed."""
    schedule = a_schedule(a_constraint("0 9 * * * 0 2020"))
    now = datetime(2026, 1, 1, tzinfo=UTC)

    assert not schedule.is_open(now)
    assert now + timedelta(days=1) == schedule.next_look(now)


def test_a_skipped_start_counts_at_the_end_of_the_gap() -> None:
    """A line that names hours opens when the clocks show again what comes after 02:30, which Berlin skips in March."""
    schedule = a_schedule(a_constraint("30 2 * * *", 1200, timezone=BERLIN))

    assert not schedule.is_open(in_berlin("2026-03-29 01:59:59"))
    assert schedule.is_open(in_berlin("2026-03-29 03:00:00"))
    assert schedule.is_open(in_berlin("2026-03-29 03:20:00"))
    assert not schedule.is_open(in_berlin("2026-03-29 03:20:01"))
    assert in_berlin("2026-03-29 03:00") == schedule.next_look(in_berlin("2026-03-29 01:00"))


def test_a_skipped_start_of_every_hour_is_left_out() -> None:
    """A line for every hour has no moment in an hour that there is not."""
    schedule = a_schedule(a_constraint("30 * * * *", 1200, timezone=BERLIN))
    found = [minute for minute in range(0, 60, 10) if schedule.is_open(in_berlin(f"2026-03-29 03:{minute:02}"))]

    assert [30, 40, 50] == found


def test_both_passes_of_an_hour_are_alike() -> None:
    """In October 02:00 to 03:00 comes twice in Berlin; the window goes by what the clock shows."""
    schedule = a_schedule(a_constraint("30 2 * * *", 3600, timezone=BERLIN))
    first, second = (
        [schedule.is_open(in_berlin(f"2026-10-25 {clock}", again=again)) for clock in ("02:00", "02:29:30", "02:59")]
        for again in (False, True)
    )

    assert [False, True, True] == first == second
    assert in_berlin("2026-10-25 02:00", again=True) == schedule.next_look(in_berlin("2026-10-25 02:45"))
    assert schedule.is_open(in_berlin("2026-10-25 03:30"))


def test_a_window_over_a_change_of_clocks_ends_when_the_clock_says_so() -> None:
    """Eight hours from 22:00 end at 06:00 in every night, also in those that are longer or shorter."""
    schedule = a_schedule(a_constraint("0 22 * * *", 8 * 3600, timezone=BERLIN))

    for day in ("2026-03-29", "2026-07-01", "2026-10-25"):
        assert schedule.is_open(in_berlin(f"{day} 06:00"))
        assert not schedule.is_open(in_berlin(f"{day} 06:00:01"))


def _field(low: int, high: int, *others: str) -> st.SearchStrategy[str]:
    number = st.integers(low, high).map(str)
    steps = st.integers(1, 12)
    return st.one_of(
        st.sampled_from(["*", "*", *others]),
        st.lists(number, min_size=1, max_size=3).map(",".join),
        st.builds("{}-{}".format, number, number),
        st.builds("*/{}".format, steps),
        st.builds("{}/{}".format, number, steps),
        st.builds("{}-{}/{}".format, number, number, steps),
    )


LINES = st.one_of(
    st.builds(
        "{} {} {} {} {}{}".format,
        _field(0, 59),
        _field(0, 23),
        _field(1, 31, "l", "1,l", "?"),
        _field(1, 12, "jan,jul", "nov-feb", "*"),
        _field(0, 7, "mon", "sat,sun", "fri-mon", "?"),
        st.sampled_from(["", "", " 0", " 30", " */7", " 0 2026", " 5 2025-2027", " 0 2020/3"]),
    ),
    st.builds("{} {} * * {}".format, _field(0, 59), _field(0, 23), st.sampled_from(["mon#1", "1#1,3#5", "l5"])),
    st.sampled_from(["@hourly", "@daily", "@weekly", "@monthly", "@yearly"]),
)
ZONES = ["", BERLIN, "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata", "Europe/Dublin"]
#: Days on which these zones change their clocks, and others.
DAYS = [
    *("2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-04", "2026-10-03"),
    "2026-07-01",
    "2028-02-29",
]
MOMENTS = st.builds(
    lambda day, seconds, rest: datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(seconds=seconds + rest),
    st.sampled_from(DAYS),
    st.one_of(st.integers(-86400, 2 * 86400), st.integers(-100, 2900).map(lambda minutes: minutes * 60)),
    st.sampled_from([0, 0, -1e-6, 1e-6, 0.5]),
)
CONSTRAINTS = st.builds(
    a_constraint,
    LINES,
    st.one_of(st.sampled_from([0, 1, 59, 60, 600, 3600, 28_800]), st.integers(0, 200_000)),
    timezone=st.sampled_from(ZONES),
)


@settings(max_examples=600, deadline=None)
@example(
    constraint=a_constraint("* * */1 * */4", 0, timezone=""), at=datetime(2026, 4, 4, 12, 0, 30, tzinfo=UTC), share=0.5
)
@given(constraint=CONSTRAINTS, at=MOMENTS, share=st.floats(0, 1))
def test_schedules_agree_with_aodh(constraint: dict[str, Any], at: datetime, share: float) -> None:
    """Whenever clocks run evenly Aodh's own steps, with its own library, say the same; and no look is too late."""
    try:
        schedule = a_schedule(constraint)
        expected = is_open_in_aodh([constraint], at)
    except (InvalidInput, CroniterBadDateError):
        assume(False)
    found = schedule.is_open(at)
    look = schedule.next_look(at)
    between = at + (look - at) * share

    assert clocks_are_odd(constraint, at) or expected == found
    assert at < look
    assert between >= look or found == schedule.is_open(between)
