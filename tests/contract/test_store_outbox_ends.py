# SPDX-License-Identifier: Apache-2.0
"""The contract of how notifications end without having been delivered, on every database."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from alarmd.model.alarm import Alarm, State
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState, EventId, Notification, event_id_of
from alarmd.store.database import Database
from alarmd.store.held import Released
from tests.support.alarms import MORNING, an_alarm
from tests.support.stock import add, stored


def at(seconds: float) -> datetime:
    return MORNING + timedelta(seconds=seconds)


def a_notification(alarm: Alarm, sequence: int = 1, *, target: str = "http://h/1", **changes: Any) -> Notification:
    values: dict[str, Any] = {
        "event_id": EventId(f"{event_id_of(alarm.alarm_id, sequence, 0)}-{target[-1]}"),
        "alarm_id": alarm.alarm_id,
        "project_id": alarm.project_id,
        "sequence": sequence,
        "target": target,
        "body": {"current": str(alarm.state)},
        "created_at": at(sequence),
        "next_attempt_at": at(sequence),
        "direction": Direction.IN,
    }
    return Notification(**(values | changes))


def release(database: Database, now: datetime, *, limit: int = 100) -> Released:
    with database.write() as unit:
        return unit.outbox.release_held(now, limit=limit)


@pytest.fixture
def alarm(database: Database) -> Alarm:
    """A stored alarm that has gone off."""
    with database.write() as unit:
        actions = tuple(f"http://h/{number}" for number in range(5))
        [made] = unit.alarms.add_all([an_alarm(state=State.ALARM, alarm_actions=actions)])
    return made


def test_what_is_held_back_is_not_handed_out(database: Database, alarm: Alarm) -> None:
    """While the breaker is open nobody gets what it holds back, and it is counted apart from what waits."""
    add(database, a_notification(alarm, state=DeliveryState.HELD))
    with database.write() as unit:
        claimed = unit.outbox.claim(now=at(99), owner="n1", lease_s=30, limit=9)
        counts = unit.outbox.depth(), unit.outbox.held(), unit.outbox.oldest()

    assert ([], (0, 1, None)) == (list(claimed.notifications), counts)


def test_what_is_still_true_goes_out_when_the_breaker_closes(database: Database, alarm: Alarm) -> None:
    """A notification that tells the state the alarm is in still waits to be delivered, at once."""
    held = a_notification(alarm, state=DeliveryState.HELD, not_after=at(100))
    add(database, held)
    released = release(database, at(50))
    found = stored(database, held)

    assert Released(pending=1) == released
    assert (DeliveryState.PENDING, at(50), "", None) == (
        found.state,
        found.next_attempt_at,
        found.last_error,
        found.finished_at,
    )
    assert Released() == release(database, at(51))


def test_of_repeats_that_were_held_back_one_goes_out(database: Database, alarm: Alarm) -> None:
    """Of several for one target the newest goes out; for another target one is enough, whatever its number."""
    add(database, *(a_notification(alarm, number, state=DeliveryState.HELD) for number in (1, 2, 3)))
    add(database, a_notification(alarm, 2, target="http://h/2", state=DeliveryState.HELD))
    released = release(database, at(50))
    states = [stored(database, a_notification(alarm, number)).state for number in (1, 2, 3)]

    assert Released(pending=2, superseded=2) == released
    assert [DeliveryState.SUPERSEDED, DeliveryState.SUPERSEDED, DeliveryState.PENDING] == states


@pytest.mark.parametrize("newer", [DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.SILENCED])
def test_what_was_told_since_wins(database: Database, alarm: Alarm, newer: DeliveryState) -> None:
    """Once the alarm has told the target something newer, what was held back is superseded, and says why."""
    add(database, a_notification(alarm, state=DeliveryState.HELD), a_notification(alarm, 2, state=newer))
    released = release(database, at(50))
    found = stored(database, a_notification(alarm))

    assert Released(superseded=1) == released
    assert (DeliveryState.SUPERSEDED, at(50)) == (found.state, found.finished_at)
    assert found.last_error == f"held back since {at(1).isoformat(timespec='seconds')}; the alarm has moved on"


def test_an_alarm_that_is_fine_again_scales_nothing_in(database: Database, alarm: Alarm) -> None:
    """An alarm without an action for its new state has told nothing newer, and still its old order is not given."""
    add(database, a_notification(alarm, state=DeliveryState.HELD, body={"current": "ok"}))

    assert Released(superseded=1) == release(database, at(50))


def test_what_an_alarm_that_is_gone_had_held_back(database: Database, alarm: Alarm) -> None:
    """Nothing is sent for an alarm that is no longer there."""
    orphan = a_notification(replace(alarm, alarm_id=type(alarm.alarm_id)("gone")), state=DeliveryState.HELD)
    add(database, orphan)

    assert Released(superseded=1) == release(database, at(50))
    assert stored(database, orphan).last_error.endswith("the alarm is gone")


def test_what_was_held_back_for_too_long(database: Database, alarm: Alarm) -> None:
    """What is too late when the breaker closes is never sent, and says by how much."""
    add(database, a_notification(alarm, state=DeliveryState.HELD, not_after=at(20)))
    released = release(database, at(50))
    found = stored(database, a_notification(alarm))

    assert (Released(expired=1), DeliveryState.EXPIRED, at(50)) == (released, found.state, found.finished_at)
    assert found.last_error.endswith("; 30 s too late")


def test_letting_go_piece_by_piece(database: Database, alarm: Alarm) -> None:
    """What was held back is let go of oldest first, in transactions of a bounded size."""
    targets = [f"http://h/{number}" for number in range(5)]
    add(
        database,
        *(
            a_notification(alarm, target=target, state=DeliveryState.HELD, created_at=at(number))
            for number, target in enumerate(targets)
        ),
    )
    counts = [release(database, at(50), limit=2).count for _ in range(4)]
    with database.write() as unit:
        claims = unit.outbox.claim(now=at(50), owner="n1", lease_s=30, limit=9)
        handed_out = [each.target for each in claims.notifications]

    assert [2, 2, 1, 0] == counts
    assert targets == sorted(handed_out)


def test_dropping(database: Database, alarm: Alarm) -> None:
    """What waits, for its first try or another, or is held back can be taken out; what is being sent or over, not."""
    waiting = a_notification(alarm, target="http://h/0", attempts=3, next_attempt_at=at(99))
    held = a_notification(alarm, target="http://h/1", state=DeliveryState.HELD)
    sent = a_notification(alarm, target="http://h/2")
    over = a_notification(alarm, target="http://h/3", state=DeliveryState.BURIED, finished_at=at(1))
    add(database, waiting, held, sent, over)
    with database.write() as unit:
        unit.outbox.claim(now=at(5), owner="n1", lease_s=30, limit=9)
    dropped = {}
    for each in (waiting, held, sent, over):
        with database.write() as unit:
            dropped[each.target[-1]] = unit.outbox.drop(each.event_id, at(6))
    with database.write() as unit:
        nothing = [unit.outbox.drop(event_id, at(6)) for event_id in ("no", "\0", waiting.event_id)]
    found = stored(database, waiting)

    assert {"0": True, "1": True, "2": False, "3": False} == dropped
    assert [False, False, False] == nothing
    assert (DeliveryState.DROPPED, at(6), "dropped by an operator", 3) == (
        found.state,
        found.finished_at,
        found.last_error,
        found.attempts,
    )


def test_what_is_dropped_lets_the_next_go(database: Database, alarm: Alarm) -> None:
    """The next notification of a lane is handed out once the one before it was taken out."""
    add(database, a_notification(alarm, 1), a_notification(alarm, 2))
    with database.write() as unit:
        unit.outbox.drop(a_notification(alarm, 1).event_id, at(5))
        [claimed] = unit.outbox.claim(now=at(5), owner="n1", lease_s=30, limit=9).notifications

    assert 2 == claimed.sequence


def test_burying_what_is_held_back(database: Database, alarm: Alarm) -> None:
    """What waits and what is held back of an alarm is given up together."""
    add(database, a_notification(alarm, 1), a_notification(alarm, 2, state=DeliveryState.HELD))
    with database.write() as unit:
        buried = unit.outbox.bury_waiting(alarm.alarm_id, reason="the alarm was deleted", now=at(6))

    assert 2 == buried
    assert {DeliveryState.BURIED} == {stored(database, a_notification(alarm, number)).state for number in (1, 2)}


def test_every_end_is_pruned(database: Database, alarm: Alarm) -> None:
    """Whatever has ended goes with time, whichever way it ended; what waits or is held back stays."""
    open_states = {DeliveryState.PENDING, DeliveryState.HELD}
    for number, state in enumerate(DeliveryState):
        finished_at = None if state in open_states else at(1)
        add(database, a_notification(alarm, number, state=state, finished_at=finished_at))
    with database.write() as unit:
        gone = unit.outbox.prune(at(2), limit=99)

    assert len(DeliveryState) - len(open_states) == gone


def test_the_oldest(database: Database, alarm: Alarm) -> None:
    """The age of the backlog is that of its oldest notification, when it was made and not when it is tried next."""
    add(database, a_notification(alarm, 7, next_attempt_at=at(7)))
    add(database, a_notification(alarm, 3, target="http://h/2", next_attempt_at=at(900)))
    add(database, a_notification(alarm, 1, state=DeliveryState.DELIVERED, finished_at=at(1)))
    with database.read() as unit:
        oldest = unit.outbox.oldest()

    assert at(3) == oldest
