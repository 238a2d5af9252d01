# SPDX-License-Identifier: Apache-2.0
"""The round, the breaker's release and repeats when somebody sets the clock."""

from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from alarmd.clock import ManualClock
from alarmd.cluster.local_doorbell import LocalDoorbell
from alarmd.evaluators.safety import Release
from alarmd.model.breaker import Trip
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState, Notification
from alarmd.notifiers.recording import RecordingScheme
from alarmd.notifiers.scheme import Attempt
from alarmd.store.database import Database
from tests.support.notifications import BUSY, CREATED_AT, TAKEN, a_notification
from tests.support.rounds import Rounds

HOUR_S = 3600.0


def scale_in(made_at: datetime = CREATED_AT, **changes: Any) -> Notification:
    """Return what is to be sent within five minutes."""
    times = {"created_at": made_at, "next_attempt_at": made_at, "not_after": made_at + timedelta(seconds=300)}
    return a_notification(direction=Direction.IN, **{**times, **changes})


def _has_attempts(attempts: int, one: Notification) -> bool:
    return one.attempts == attempts


def refusing(times: int) -> RecordingScheme:
    answers = [BUSY] * times
    return RecordingScheme(lambda _: answers.pop() if answers else TAKEN)


@pytest.mark.parametrize("step_s", [0.5, 60.0, HOUR_S, 100 * HOUR_S])
def test_a_fresh_scale_in_survives_a_clock_that_is_set_ahead(rounds: Rounds, step_s: float) -> None:
    """One that waits for its next try is tried again after the jump, and delivered."""
    made = rounds({"http": refusing(1)})
    rounds.add(scale_in())
    made.run()
    rounds.wait_until("alarm-1_1_0", lambda one: one.attempts == 1)
    rounds.clock.step(step_s)
    rounds.clock.advance(10)
    made.run()
    found = rounds.wait_until("alarm-1_1_0", lambda one: one.attempts == 2)

    assert (DeliveryState.DELIVERED, 200) == (found.state, found.last_status)


def test_a_scale_in_is_late_in_time_although_the_clock_was_set_ahead(rounds: Rounds) -> None:
    """Five minutes after it was made it ends, and its pauses until then are as long as ever."""
    made = rounds({"http": refusing(99)})
    rounds.add(scale_in())
    made.run()
    rounds.wait_until("alarm-1_1_0", lambda one: one.attempts == 1)
    rounds.clock.step(HOUR_S)
    tries = []
    for attempts, pause_s in ((2, 10), (3, 20), (4, 40), (5, 80), (6, 100)):
        rounds.clock.advance(pause_s)
        made.run()
        tries.append(rounds.wait_until("alarm-1_1_0", partial(_has_attempts, attempts)))
    due = made.next_due()
    rounds.clock.advance(50)
    made.run()
    ended = rounds.get("alarm-1_1_0")

    assert CREATED_AT + timedelta(seconds=HOUR_S + 300) == due == tries[-1].next_attempt_at
    assert DeliveryState.EXPIRED is ended.state
    assert ended.last_error.startswith(
        "not sent: it had to be there by 2026-01-01T01:05:00+00:00, 0 s ago; after 6 tries"
    )


def test_tries_end_in_time_although_the_clock_was_set_ahead(rounds: Rounds) -> None:
    """Nobody gives up on a notification since an hour has seemingly gone by."""
    made = rounds({"http": refusing(2)})
    rounds.add(a_notification())
    made.run()
    rounds.wait_until("alarm-1_1_0", lambda one: one.attempts == 1)
    rounds.clock.step(HOUR_S)
    made.run()
    postponed = rounds.wait_until("alarm-1_1_0", lambda one: one.attempts == 2)
    rounds.clock.advance(20)
    made.run()
    found = rounds.wait_until("alarm-1_1_0", lambda one: one.attempts == 3)

    assert DeliveryState.PENDING is postponed.state
    assert rounds.clock.now() == postponed.next_attempt_at
    assert DeliveryState.DELIVERED is found.state


def test_what_comes_after_a_jump_goes_by_the_clock_as_it_is(rounds: Rounds) -> None:
    """A scale-in that was made since is late five minutes later, by the clock that it was made by."""
    made = rounds({"http": refusing(99)})
    made.run()
    rounds.clock.step(HOUR_S)
    made.run()
    rounds.clock.advance(1)
    rounds.add(scale_in(rounds.clock.now()))
    made.run()
    rounds.wait_until("alarm-1_1_0", lambda one: one.attempts == 1)
    rounds.clock.advance(300)
    made.run()

    assert DeliveryState.EXPIRED is rounds.get("alarm-1_1_0").state


def test_a_retry_does_not_wait_until_the_clock_has_caught_up(rounds: Rounds) -> None:
    """What was postponed while the clock was an hour ahead is tried at once when it is set right; that is told."""
    made = rounds({"http": refusing(1)})
    rounds.clock.step(HOUR_S)
    rounds.add(scale_in())
    made.run()
    postponed = rounds.wait_until("alarm-1_1_0", lambda one: one.attempts == 1)
    rounds.clock.step(-HOUR_S)
    rounds.clock.advance(1)
    with capture_logs() as told:
        made.run()
        found = rounds.wait_until("alarm-1_1_0", lambda one: one.attempts == 2)
    jumps = [(entry["event"], entry.get("seconds"), entry.get("called_back")) for entry in told]

    assert CREATED_AT + timedelta(seconds=HOUR_S + 10) == postponed.next_attempt_at
    assert DeliveryState.DELIVERED is found.state
    assert [("clock_jumped", -HOUR_S, None), ("future_corrected", None, 1)] == jumps[:2]


def test_small_steps_disturb_nobody_until_they_add_up(rounds: Rounds) -> None:
    """Pauses that receivers have asked for are kept where the clock goes back by less than a second."""
    made = rounds({"http": refusing(1)})
    rounds.add(a_notification())
    made.run()
    rounds.wait_until("alarm-1_1_0", lambda one: one.attempts == 1)
    waits = []
    for _ in range(3):
        rounds.clock.step(-0.4)
        made.run()
        waits.append(rounds.get("alarm-1_1_0"))
    rounds.wait_until("alarm-1_1_0", lambda one: one.attempts == 2)

    assert [CREATED_AT + timedelta(seconds=10)] * 2 == [one.next_attempt_at for one in waits[:2]]


def test_a_try_that_ends_after_the_clock_was_set_back(rounds: Rounds) -> None:
    """How long to wait was decided by the old clock, and is kept by the new one."""

    def deliver(_: Notification) -> Attempt:
        rounds.clock.step(-HOUR_S)
        return BUSY

    made = rounds({"http": RecordingScheme(deliver)})
    rounds.add(a_notification())
    made.run()
    found = rounds.wait_until("alarm-1_1_0", lambda one: one.attempts == 1)

    assert rounds.clock.now() + timedelta(seconds=10) == found.next_attempt_at


def test_what_was_made_by_a_clock_that_was_ahead_is_sent_at_once(rounds: Rounds) -> None:
    """A notification of the future does not wait for it, and is late five minutes from now."""
    made = rounds({"http": refusing(99)})
    made.run()
    rounds.add(scale_in(CREATED_AT + timedelta(seconds=HOUR_S)))
    rounds.clock.advance(1)
    made.run()
    found = rounds.wait_until("alarm-1_1_0", lambda one: one.attempts == 1)

    now = CREATED_AT + timedelta(seconds=1)
    assert (now, now + timedelta(seconds=300)) == (found.created_at, found.not_after)


def test_a_notifier_that_starts_later_finds_what_lies_too_far_ahead(rounds: Rounds) -> None:
    """It has seen no jump, but nothing waits for longer than tries last in all, and no lease for longer than one."""
    far = rounds.clock.now() + timedelta(seconds=5_000)
    rounds.add(
        scale_in(alarm_id="alarm-1", attempts=1, next_attempt_at=far),
        scale_in(alarm_id="alarm-2", attempts=1, next_attempt_at=rounds.clock.now() + timedelta(seconds=1000)),
        a_notification(alarm_id="alarm-3"),
    )
    with rounds.database.write() as unit:
        unit.outbox.claim(now=rounds.clock.now(), owner="dead", lease_s=5_000, limit=10)
    made = rounds({"http": RecordingScheme()})
    made.run()
    rounds.wait_until("alarm-1_1_0", lambda one: one.state is DeliveryState.DELIVERED)
    in_hand = rounds.get("alarm-3_1_0")
    rounds.clock.advance(900)
    made.run()
    rounds.wait_until("alarm-3_1_0", lambda one: one.state is DeliveryState.DELIVERED)

    assert (DeliveryState.PENDING, 0) == (in_hand.state, in_hand.attempts)
    assert 1 == rounds.get("alarm-2_1_0").attempts


def test_a_longer_lease_of_another_host_is_left_alone(rounds: Rounds) -> None:
    """Its notifier may be given more time for a delivery than this one, and may be sending still."""
    rounds.add(a_notification())
    with rounds.database.write() as unit:
        unit.outbox.claim(now=CREATED_AT, owner="patient", lease_s=600, limit=10)
    made = rounds({"http": refusing(0)}, lease_s=60)
    made.run()

    assert CREATED_AT + timedelta(seconds=600) == made.next_due()


def test_sleep_makes_a_scale_in_old(rounds: Rounds) -> None:
    """After a machine has slept for an hour nobody wants to scale in as was right an hour ago."""
    made = rounds({"http": refusing(1)})
    rounds.add(scale_in())
    made.run()
    rounds.wait_until("alarm-1_1_0", lambda one: one.attempts == 1)
    rounds.clock.sleep(HOUR_S)
    made.run()

    assert DeliveryState.EXPIRED is rounds.get("alarm-1_1_0").state


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S])
def test_what_the_breaker_holds_back_survives_a_jump(database: Database, tmp_path: Path, step_s: float) -> None:
    """It is neither let go of nor too late because somebody has set the clock."""
    clock = ManualClock(CREATED_AT)
    trip = Trip(owner="e", reason="r", since=CREATED_AT, until=CREATED_AT + timedelta(seconds=60))
    with database.write() as unit:
        unit.breaker.hold(trip)
        unit.outbox.add([scale_in(state=DeliveryState.HELD)])
    with closing(LocalDoorbell(tmp_path)) as doorbell:
        release = Release(database=database, doorbell=doorbell, clock=clock)
        clock.advance(1)
        release.run()
        clock.step(step_s)
        clock.advance(1)
        release.run()
    with database.read() as unit:
        found = unit.outbox.get("alarm-1_1_0")

    assert found is not None
    assert DeliveryState.HELD is found.state
