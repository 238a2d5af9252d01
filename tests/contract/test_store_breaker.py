# SPDX-License-Identifier: Apache-2.0
"""The contract of the breaker, on every database: who has scale-in held back, and what the gate makes of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.breaker import Trip
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState, EventId, Notification
from alarmd.store.database import Database
from alarmd.store.outbox import OutboxQuery
from alarmd.store.tables import outbox
from tests.support.alarms import an_alarm
from tests.support.stock import outbox_of
from tests.support.transitions import turn

START = datetime(2026, 1, 1, 9, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def trip(owner: str = "e1", *, until_s: float = 30, reason: str = "too much") -> Trip:
    return Trip(owner=owner, reason=reason, since=START, until=at(until_s))


def hold(database: Database, *trips: Trip) -> None:
    with database.write() as unit:
        for one in trips:
            unit.breaker.hold(one)


def enter(database: Database, alarm: Alarm, current: State, *, seconds: float) -> Notification:
    """Have an alarm enter a state; return what goes out."""
    turn(database, alarm.alarm_id, current=current, at=at(seconds))
    return outbox_of(database, alarm)[0]


@pytest.fixture
def alarm(database: Database) -> Alarm:
    """One that makes its group smaller, and larger when it is ok again."""
    made = an_alarm(
        ok_actions=("http://h/out",),
        alarm_actions=("http://h/in",),
        directions={State.ALARM: Direction.IN, State.OK: Direction.OUT},
    )
    with database.write() as unit:
        return unit.alarms.add(made)


def test_it_is_in_force_until_it_ends(database: Database) -> None:
    """Each evaluator says so for itself, again and again; the last word of each counts."""
    hold(database, trip("e2", until_s=50), trip("e1", until_s=10), trip("e1", until_s=20, reason="still"))
    with database.read() as unit:
        now, later, much_later = (unit.breaker.in_force(at(seconds)) for seconds in (15, 20, 50))

    assert [trip("e1", until_s=20, reason="still"), trip("e2", until_s=50)] == now
    assert ([trip("e2", until_s=50)], []) == (later, much_later)


def test_it_is_taken_back(database: Database) -> None:
    """What an evaluator takes back holds no more; what dead ones have said is forgotten by and by."""
    hold(database, trip("e1"), trip("e2", until_s=5), trip("e3"))
    with database.write() as unit:
        unit.breaker.let_go("e1")
        unit.breaker.let_go("nobody")
        gone = unit.breaker.forget(at(6))
    with database.read() as unit:
        left = unit.breaker.in_force(at(0))

    assert (1, [trip("e3")]) == (gone, left)


def test_only_scale_in_is_held_back(database: Database, alarm: Alarm) -> None:
    """The state changes as usual; an action that makes the group smaller waits, one that makes it larger goes."""
    hold(database, trip())
    scale_in = enter(database, alarm, State.ALARM, seconds=1)
    scale_out = enter(database, alarm, State.OK, seconds=2)

    assert (DeliveryState.HELD, "held back: too much") == (scale_in.state, scale_in.last_error)
    assert (DeliveryState.PENDING, "") == (scale_out.state, scale_out.last_error)


def test_nothing_is_held_back_once_it_has_ended(database: Database, alarm: Alarm) -> None:
    """An evaluator that died holds nothing back for longer than it has said."""
    hold(database, trip(until_s=30))

    assert DeliveryState.PENDING is enter(database, alarm, State.ALARM, seconds=30).state


def test_what_was_held_goes_when_it_still_holds(database: Database, alarm: Alarm) -> None:
    """What the alarm still says is delivered, under the same id."""
    hold(database, trip())
    held = enter(database, alarm, State.ALARM, seconds=1)
    with database.write() as unit:
        released = unit.outbox.release_held(at(40))
        [claimed] = unit.outbox.claim(now=at(40), owner="n1", lease_s=30, limit=9).notifications

    assert (1, 0, 0) == (released.pending, released.superseded, released.expired)
    assert held.event_id == claimed.event_id


@pytest.mark.parametrize("body", [[], {}, "alarm", 7])
def test_a_spoilt_body_keeps_nothing_held(database: Database, alarm: Alarm, body: object) -> None:
    """Of what tells no state that can be read nobody knows that it still holds, and the others are released."""
    hold(database, trip())
    enter(database, alarm, State.ALARM, seconds=10)
    with database.write() as unit:
        unit.connection.execute(update(outbox).values(body=body))
        released = unit.outbox.release_held(at(30))

    assert (1, 1) == (released.superseded, released.count)


def test_a_repeat_takes_the_place_of_what_is_held(database: Database, alarm: Alarm) -> None:
    """An alarm that repeats itself while the breaker is open leaves one to be released; other lanes keep theirs."""
    hold(database, trip())
    first = enter(database, alarm, State.ALARM, seconds=1)
    with database.write() as unit:
        unit.outbox.add([replace(first, event_id=EventId("other"), alarm_id=AlarmId("other"))])
    enter(database, alarm, State.ALARM, seconds=2)
    with database.read() as unit:
        found = {one.event_id: one for one in unit.outbox.find(OutboxQuery())}
        held = unit.outbox.held()

    assert DeliveryState.HELD is found[EventId("other")].state
    assert (DeliveryState.SUPERSEDED, at(2)) == (found[first.event_id].state, found[first.event_id].finished_at)
    assert (2, 3) == (held, len(found))


def test_what_is_too_late_is_held_no_more(database: Database, alarm: Alarm) -> None:
    """It ends while the breaker is open, the oldest first and no more than asked for."""
    hold(database, trip())
    first = enter(database, alarm, State.ALARM, seconds=1)
    lates = [
        replace(
            first, event_id=EventId(name), alarm_id=AlarmId(name), not_after=at(seconds), created_at=at(min(seconds, 4))
        )
        for name, seconds in (("b", 3), ("a", 2), ("c", 9))
    ]
    with database.write() as unit:
        unit.outbox.add(lates)
        counts = [unit.outbox.expire_held(at(5), limit=1) for _ in range(3)]
        found = {str(one.event_id): one for one in unit.outbox.find(OutboxQuery(states=("expired",)))}

    assert ([1, 1, 0], {"a", "b"}) == (counts, set(found))
    assert "held back since 2026-01-01T09:00:02+00:00; 3 s too late" == found["a"].last_error
