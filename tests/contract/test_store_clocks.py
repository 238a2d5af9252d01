# SPDX-License-Identifier: Apache-2.0
"""The contract of the outbox on every database when somebody sets the clock: nothing ends early, or waits for it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count, product
from typing import Any

import pytest
from sqlalchemy import select

from alarmd.clock import NOT_AHEAD, Ahead
from alarmd.model.alarm import AlarmId, State
from alarmd.model.breaker import Trip
from alarmd.model.notification import DeliveryState, EventId, Notification
from alarmd.store.claims import Claims
from alarmd.store.database import Database
from alarmd.store.future import CalledBack
from alarmd.store.outbox import OutboxQuery
from alarmd.store.queued import is_late
from alarmd.store.queues import Queue, candidates, heads
from alarmd.store.tables import outbox
from tests.support.alarms import MORNING, an_alarm
from tests.support.steps import analyse, counting_steps

HOUR_S = 3600.0
#: Ten seconds after they were made, the clock was set ahead by an hour.
JUMP = Ahead(since=MORNING + timedelta(seconds=HOUR_S + 10), by=timedelta(seconds=HOUR_S))

_NUMBERS = count()


def at(seconds: float) -> datetime:
    return MORNING + timedelta(seconds=seconds)


def made(made_s: float = 0, *, lasts_s: float | None = 300, host: str = "h", **changes: Any) -> Notification:
    alarm_id = AlarmId(f"alarm-{next(_NUMBERS):06}")
    values: dict[str, Any] = {
        "event_id": EventId(f"{alarm_id}_1_0"),
        "alarm_id": alarm_id,
        "project_id": "p",
        "sequence": 1,
        "target": f"http://{host}/hook",
        "body": {"current": "alarm"},
        "created_at": at(made_s),
        "next_attempt_at": at(made_s),
        "not_after": None if lasts_s is None else at(made_s + lasts_s),
    }
    return Notification(**(values | changes))


def add(database: Database, *notifications: Notification) -> None:
    with database.write() as unit:
        unit.outbox.add(notifications)


def say(database: Database, notification: Notification) -> None:
    """Store the alarm whose word a notification is."""
    says = {"alarm_id": notification.alarm_id, "alarm_actions": (notification.target,)}
    with database.write() as unit:
        unit.alarms.add(an_alarm(state=State.ALARM, **says))


def claim(database: Database, seconds: float, ahead: Ahead = NOT_AHEAD) -> Claims:
    with database.write() as unit:
        return unit.outbox.claim(now=at(seconds), owner="n", lease_s=30, limit=100, ahead=ahead)


def call_back(database: Database, seconds: float, *, later_than_s: float, after: Queue | None = None) -> CalledBack:
    with database.write() as unit:
        return unit.outbox.call_back(at(seconds), later_than=at(later_than_s), after=after)


def mend(database: Database, seconds: float) -> int:
    with database.write() as unit:
        return unit.outbox.mend(at(seconds), lease_s=30)


def stored(database: Database, notification: Notification) -> Notification:
    with database.read() as unit:
        found = unit.outbox.get(notification.event_id)
    assert found is not None
    return found


def names(notifications: Sequence[Notification]) -> set[str]:
    return {str(one.event_id) for one in notifications}


def test_what_is_fresh_is_sent_although_the_clock_was_set_ahead(database: Database) -> None:
    """It is too late for it no sooner than five minutes after it was made, and then it says so."""
    fresh, old = made(), made(-295)
    add(database, fresh, old)
    claims = claim(database, HOUR_S + 20, JUMP)
    ended = stored(database, old)

    assert ({fresh.event_id}, 1) == (names(claims.notifications), claims.expired)
    assert DeliveryState.EXPIRED is ended.state
    assert (
        f"not sent: it had to be there by {at(HOUR_S + 5).isoformat(timespec='seconds')}, 15 s ago" == ended.last_error
    )


def test_what_was_made_since_is_sent_no_later(database: Database) -> None:
    """After the jump five minutes are five minutes."""
    new = made(HOUR_S + 15)
    add(database, new)

    assert (0, 0) == (len(claim(database, HOUR_S + 14, JUMP).notifications), claim(database, HOUR_S, JUMP).expired)
    assert 1 == claim(database, HOUR_S + 15 + 300, JUMP).expired


@pytest.mark.parametrize("ahead", [NOT_AHEAD, JUMP, Ahead(since=at(150), by=timedelta(seconds=100))])
def test_the_database_says_the_same_as_python(database: Database, ahead: Ahead) -> None:
    """Whatever was made whenever, and for however long: lateness is one thing."""
    rows = [
        made(made_s, lasts_s=lasts_s)
        for made_s, lasts_s in product(
            (-400, -200, 0, 49, 51, 149, 151, 3_300, 3_609, 3_611, 3_900), (None, 1, 100, 300)
        )
    ]
    add(database, *rows)
    for seconds in (-300, 0, 100, 150, 152, 250, 252, 400, 3_600, 3_611, 3_650, 3_900, 4_000, 9_000):
        with database.read() as unit:
            late = unit.connection.execute(select(outbox.c.event_id).where(is_late(outbox, at(seconds), ahead)))
            ended = set(late.scalars())
            queues = [head.queue for head in heads(unit.connection, after=None, closed=(), limit=10)]
            due = candidates(unit.connection, queues, now=at(seconds), limit_each=len(rows), ahead=ahead)

        by_python = {
            str(one.event_id)
            for one in rows
            if one.not_after and ahead.end_of(one.not_after, written_at=one.created_at) <= at(seconds)
        }
        made_by_then = {str(one.event_id) for one in rows if one.created_at <= at(seconds)}
        assert by_python == ended
        assert made_by_then - by_python == {one.event_id for found in due.values() for one in found}


def test_the_next_moment_that_matters_goes_by_the_clock_as_it_is(database: Database) -> None:
    """What was to be there in two minutes is to be there in two minutes."""
    add(database, made(next_attempt_at=at(9_000)))
    with database.read() as unit:
        due = unit.outbox.next_due(JUMP), unit.outbox.next_due()

    assert (at(HOUR_S + 300), at(300)) == due


def test_leases_last_as_long_as_they_should(database: Database) -> None:
    """A jump ahead gives nobody's notification to somebody else; what was leased since goes by the clock as it is."""
    add(database, made(lasts_s=None), made(lasts_s=None, next_attempt_at=at(HOUR_S)))
    jump = Ahead(since=at(HOUR_S), by=timedelta(seconds=HOUR_S))
    claim(database, 0)
    counts = [len(claim(database, HOUR_S + seconds, jump).notifications) for seconds in (1, 29, 30, 31)]

    assert [1, 0, 1, 1] == counts


def test_claims_after_a_jump_cost_no_more(database: Database) -> None:
    """What waits, and is neither due nor late, costs nothing, whatever has happened to the clock."""
    add(database, *(made(next_attempt_at=at(99_999)) for _ in range(3_000)))
    with counting_steps(database) as calm:
        claim(database, 20)
    with counting_steps(database) as jumped:
        claims = claim(database, HOUR_S + 20, JUMP)

    assert (0, 0) == (len(claims.notifications), claims.expired)
    assert jumped[0] < 2 * calm[0] + 500


def test_the_held_are_as_old_as_they_are(database: Database) -> None:
    """What the breaker holds back ends when its time has come, while it is held and when it is let go."""
    held, old = (made(made_s, state=DeliveryState.HELD) for made_s in (0, -295))
    add(database, held, old)
    with database.write() as unit:
        counts = [unit.outbox.expire_held(at(HOUR_S + seconds), ahead=JUMP) for seconds in (0, 20)]
        released = unit.outbox.release_held(at(HOUR_S + 301), ahead=JUMP)

    assert ([0, 1], 0) == (counts, released.expired)
    assert (
        f"held back since {at(-295).isoformat(timespec='seconds')}; 15 s too late" == stored(database, old).last_error
    )


def test_the_breaker_stays_open_when_the_clock_is_set_ahead(database: Database) -> None:
    """What was said before the jump holds for as long as it should; what is said since, too."""
    with database.write() as unit:
        unit.breaker.hold(Trip(owner="before", reason="r", since=at(0), until=at(40)))
        unit.breaker.hold(Trip(owner="since", reason="r", since=at(0), until=at(HOUR_S + 35)))
        owners = [
            [trip.owner for trip in unit.breaker.in_force(at(HOUR_S + seconds), ahead=JUMP)] for seconds in (30, 37, 41)
        ]

    assert [["before", "since"], ["before"], []] == owners


def test_a_buried_one_may_be_retried_in_time(database: Database) -> None:
    """Whoever asks for a retry after a jump is not told that it is too late when it is not."""
    buried, late = (made(made_s, state=DeliveryState.BURIED, finished_at=at(9)) for made_s in (0, -300))
    add(database, buried, late)
    say(database, buried)
    say(database, late)
    query = OutboxQuery(limit=10)
    with database.write() as unit:
        refused = unit.outbox.retry(buried.event_id, at(HOUR_S + 20))
        again = unit.outbox.retry(buried.event_id, at(HOUR_S + 20), ahead=JUMP)
        none = unit.outbox.retry_all(query, at(HOUR_S + 20), ahead=JUMP)

    assert (False, True, []) == (refused, again, none)


def test_what_was_made_in_the_future_was_made_now(database: Database) -> None:
    """After the clock was set back nobody waits until it has caught up, and what is to be late is late in time."""
    future = made(HOUR_S, attempts=1, next_attempt_at=at(HOUR_S + 10))
    held = made(HOUR_S, state=DeliveryState.HELD)
    add(database, future, held, made(0.5))
    say(database, future)
    nothing = claim(database, 0).notifications
    counts = [mend(database, 0), mend(database, 0)]
    mended = stored(database, future)
    with database.write() as unit:
        unit.outbox.expire_held(at(0))

    assert ([], [1, 0]) == (nothing, counts)
    assert (at(0), at(0), at(300)) == (mended.created_at, mended.next_attempt_at, mended.not_after)
    assert (at(0), at(300)) == (stored(database, held).created_at, stored(database, held).not_after)
    assert names([future]) == names(claim(database, 0).notifications)


def test_leases_of_the_future_are_cut(database: Database) -> None:
    """Who has one may still be sending, so it lasts as long as one that begins now."""
    add(database, made(lasts_s=None))
    claim(database, HOUR_S)
    counts = [mend(database, 0), mend(database, 0)]
    looks = [len(claim(database, seconds).notifications) for seconds in (29, 31)]

    assert ([1, 0], [0, 1]) == (counts, looks)


def test_what_was_postponed_by_a_clock_that_was_ahead_is_called_back(database: Database) -> None:
    """What is due sooner than a moment, leased or ended is left alone; queue after queue and piece by piece."""
    late = [made(host=f"h{number % 7}", lasts_s=None, next_attempt_at=at(HOUR_S)) for number in range(1_100)]
    soon, leased = made(next_attempt_at=at(5)), made(host="leased", lasts_s=None)
    ended = made(state=DeliveryState.BURIED, next_attempt_at=at(HOUR_S), finished_at=at(0))
    add(database, leased)
    claim(database, 0)
    add(database, *late, soon, ended)
    first = call_back(database, 1, later_than_s=100)
    second = call_back(database, 1, later_than_s=100, after=first.after)
    third = call_back(database, 1, later_than_s=100)

    assert ((1_000, False), (100, True), (0, True)) == tuple((one.count, one.is_end) for one in (first, second, third))
    assert {at(1)} == {stored(database, one).next_attempt_at for one in late[:5] + late[-5:]}
    assert [at(5), at(0), at(HOUR_S)] == [stored(database, one).next_attempt_at for one in (soon, leased, ended)]


def test_looking_into_the_future_costs_nothing(database: Database) -> None:
    """However much waits, next to nothing is read where nothing is out of place, and whatever is known of the table."""
    add(database, made(next_attempt_at=at(10)))
    analyse(database)
    add(database, *(made(next_attempt_at=at(10)) for _ in range(3_000)))
    with counting_steps(database) as counted:
        moved = mend(database, 5)
        called = call_back(database, 5, later_than_s=100)

    assert (0, 0, True) == (moved, called.count, called.is_end)
    assert counted[0] < 2_000
