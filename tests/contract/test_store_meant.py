# SPDX-License-Identifier: Apache-2.0
"""The contract of what is sent although, or not because, its alarm says something else by now; on every database."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from alarmd.model.alarm import Alarm, State
from alarmd.model.breaker import Trip
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState, Notification, Settlement
from alarmd.store.claims import Claims
from alarmd.store.database import Database
from tests.support.alarms import MORNING, an_alarm
from tests.support.stock import outbox_of
from tests.support.transitions import turn

EVENT = {"type": "event", "event": {}}


def at(seconds: float) -> datetime:
    return MORNING + timedelta(seconds=seconds)


def an_engines(database: Database, **changes: Any) -> Alarm:
    """Store an alarm as engines make them: it acts when it goes off, and again and again while it lasts."""
    with database.write() as unit:
        return unit.alarms.add(an_alarm(state=State.OK, alarm_actions=("trust+http://h/up",), trust_id="t1", **changes))


def say(database: Database, alarm: Alarm, current: State, *, seconds: float, **changes: Any) -> Notification | None:
    """Have an alarm enter a state, or repeat it; return what goes out."""
    before = outbox_of(database, alarm)
    turn(database, alarm.alarm_id, current=current, at=at(seconds), **changes)
    after = outbox_of(database, alarm)
    return after[0] if len(after) > len(before) else None


def claim(database: Database, seconds: float) -> Claims:
    with database.write() as unit:
        return unit.outbox.claim(now=at(seconds), owner="n1", lease_s=30, limit=9)


def sent(database: Database, seconds: float) -> list[int]:
    """Return the numbers of what is handed out."""
    return [one.sequence for one in claim(database, seconds).notifications]


def fail(database: Database, seconds: float) -> None:
    """Try what is due in vain; it is due again ten seconds later."""
    failed = [
        Settlement(
            event_id=one.event_id,
            state=DeliveryState.PENDING,
            next_attempt_at=at(seconds + 10),
            last_status=503,
            last_error="HTTP 503",
            at=at(seconds),
        )
        for one in claim(database, seconds).notifications
    ]
    with database.write() as unit:
        unit.outbox.settle(failed, owner="n1")


def ends(database: Database, alarm: Alarm) -> list[tuple[DeliveryState, str]]:
    """Return what has become of an alarm's notifications, oldest first."""
    return [(one.state, one.last_error) for one in reversed(outbox_of(database, alarm))]


def test_what_failed_is_not_tried_again_when_the_alarm_has_moved_on(database: Database) -> None:
    """Though it does nothing in its new state, and so tells its receivers nothing newer, as engines' alarms are."""
    alarm = an_engines(database)
    say(database, alarm, State.ALARM, seconds=1)
    fail(database, 1)
    say(database, alarm, State.OK, seconds=5)
    claims = claim(database, 11)

    assert ([], 1, True) == (list(claims.notifications), claims.superseded, claims.goes_on)
    assert [(DeliveryState.SUPERSEDED, "not sent: the alarm has moved on; after 1 try: HTTP 503")] == ends(
        database, alarm
    )
    later = claim(database, 12)
    assert ([], 0, False) == (list(later.notifications), later.superseded, later.goes_on)


def test_what_failed_is_tried_again_while_the_alarm_says_so(database: Database) -> None:
    """When it has left the state and come back meanwhile, it is the newer word that goes."""
    alarm, other = an_engines(database), an_engines(database)
    say(database, alarm, State.ALARM, seconds=1)
    say(database, other, State.ALARM, seconds=1)
    fail(database, 1)
    say(database, other, State.OK, seconds=2)
    say(database, other, State.ALARM, seconds=3)

    assert [(other.alarm_id, 2)] == [(one.alarm_id, one.sequence) for one in claim(database, 10).notifications]
    assert [(alarm.alarm_id, 1)] == [(one.alarm_id, one.sequence) for one in claim(database, 11).notifications]


def test_what_was_never_tried_is_sent_whatever_came_after(database: Database) -> None:
    """An alarm that fires and clears at once has fired."""
    alarm = an_engines(database)
    say(database, alarm, State.ALARM, seconds=1)
    say(database, alarm, State.OK, seconds=2)

    assert [1] == sent(database, 3)


def test_of_repeats_that_nobody_fetched_the_newest_is_left(database: Database) -> None:
    """After an hour without notifiers the receiver hears that it fired, and once that it still does."""
    alarm = an_engines(database)
    for number in range(5):
        say(database, alarm, State.ALARM, seconds=number)
    first = sent(database, 9)
    with database.write() as unit:
        unit.outbox.settle([_done(one, 9) for one in outbox_of(database, alarm) if one.sequence == 1], owner="n1")
    said_again = DeliveryState.SUPERSEDED, "not sent: the alarm has said it again since"

    assert ([1], [5]) == (first, sent(database, 9))
    assert [said_again] * 3 == ends(database, alarm)[1:4]


def test_a_repeat_waits_for_nobody_elses_turn(database: Database) -> None:
    """Repeats of another alarm, or for another target, are left alone."""
    alarm, other = an_engines(database), an_engines(database)
    for one in (alarm, other):
        say(database, one, State.ALARM, seconds=1)
        say(database, one, State.ALARM, seconds=2)

    assert {DeliveryState.PENDING} == {state for one in (alarm, other) for state, _ in ends(database, one)}


def test_a_repeat_of_a_state_that_has_passed_is_not_sent(database: Database) -> None:
    """That it fired is told though it has cleared; that it still does would be wrong."""
    alarm = an_engines(database)
    say(database, alarm, State.ALARM, seconds=1)
    claim(database, 1)
    say(database, alarm, State.ALARM, seconds=2)
    say(database, alarm, State.OK, seconds=3)
    with database.write() as unit:
        unit.outbox.settle([_done(one, 3) for one in outbox_of(database, alarm) if one.sequence == 1], owner="n1")

    assert [] == sent(database, 4)
    assert (DeliveryState.SUPERSEDED, "not sent: the alarm has moved on") == ends(database, alarm)[-1]


def test_each_event_is_news(database: Database) -> None:
    """An event alarm that is hit three times has three things to tell, though its state stays."""
    alarm = an_engines(database)
    for number in range(3):
        say(database, alarm, State.ALARM, seconds=number, reason_data=EVENT, is_news=True)

    assert {DeliveryState.PENDING} == {state for state, _ in ends(database, alarm)}


@pytest.mark.parametrize(("current", "expected"), [(State.ALARM, [1]), (State.OK, [])])
def test_scale_in_is_sent_only_while_the_alarm_says_so(database: Database, current: State, expected: list[int]) -> None:
    """The load is back before anybody has fetched the order to shrink: it is not given."""
    alarm = an_engines(database, directions={State.ALARM: Direction.IN})
    say(database, alarm, State.ALARM, seconds=1)
    if current is not State.ALARM:
        say(database, alarm, current, seconds=2)

    assert expected == sent(database, 3)


def test_scale_in_that_waits_when_the_breaker_opens_is_held(database: Database) -> None:
    """Whether it was tried or not; scale-out goes on, and when it closes what still holds is sent."""
    shrinking = an_engines(database, directions={State.ALARM: Direction.IN})
    growing = an_engines(database)
    for alarm in (shrinking, growing):
        say(database, alarm, State.ALARM, seconds=1)
    with database.write() as unit:
        unit.breaker.hold(Trip(owner="e1", reason="too much", since=at(1), until=at(30)))
    claims = claim(database, 2)
    held = ends(database, shrinking)
    with database.write() as unit:
        unit.outbox.release_held(at(31))

    assert ([growing.alarm_id], 1, 0) == (
        [one.alarm_id for one in claims.notifications],
        claims.held,
        claims.superseded,
    )
    assert [(DeliveryState.HELD, "held back: too much")] == held
    assert shrinking.alarm_id in {one.alarm_id for one in claim(database, 31).notifications}


def _done(notification: Notification, seconds: float) -> Settlement:
    return Settlement(
        event_id=notification.event_id,
        state=DeliveryState.DELIVERED,
        next_attempt_at=at(seconds),
        last_status=200,
        last_error="",
        at=at(seconds),
    )
