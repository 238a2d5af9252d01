# SPDX-License-Identifier: Apache-2.0
"""A receiver that is gone, a round and a real database: what was heard and what follows from it are one transaction."""

from collections.abc import Mapping
from functools import partial

from alarmd.clock import ManualClock
from alarmd.model.notification import DeliveryState, Notification, event_id_of
from alarmd.notifiers.fairness import Shares
from alarmd.notifiers.recording import RecordingScheme
from alarmd.notifiers.retry import RetryPolicy
from alarmd.notifiers.round import DeliveryRound
from alarmd.notifiers.scheme import Attempt, Reason, Scheme
from alarmd.store.database import Database
from alarmd.telemetry import REGISTRY
from tests.support.alarms import MORNING, an_alarm
from tests.support.daemon import wait_until
from tests.support.transitions import turn

GONE = Attempt(reason=Reason.GONE, retryable=False, status=410, detail="HTTP 410 Gone")
TAKEN = Attempt(reason=Reason.OK, retryable=False, status=200)


def a_round(database: Database, schemes: Mapping[str, Scheme]) -> DeliveryRound:
    """Return a round with some schemes."""
    return DeliveryRound(
        database=database,
        schemes=schemes,
        policy=RetryPolicy(),
        clock=ManualClock(MORNING),
        owner="notifier-1",
        shares=Shares(threads=4, per_origin=4, per_project=4),
        lease_s=60.0,
        batch=16,
    )


def test_who_says_410_is_not_called_again_by_any_round(database: Database) -> None:
    """The delivery is buried and its target disabled at once; the other target goes on."""
    with database.write() as unit:
        alarm = unit.alarms.add(an_alarm(alarm_actions=("gone://a", "here://b")))
    schemes = {"gone": RecordingScheme(lambda _: GONE), "here": RecordingScheme(lambda _: TAKEN)}
    made = a_round(database, schemes)

    def ended(sequence: int, index: int) -> DeliveryState | None:
        with database.read() as unit:
            found = unit.outbox.get(event_id_of(alarm.alarm_id, sequence, index))
        return found.state if found is not None and found.finished_at is not None else None

    try:
        [first] = turn(database, alarm.alarm_id, at=MORNING).applied
        made.run()
        states = [wait_until(partial(ended, 1, place), what="its end") for place in (0, 1)]
        with database.read() as unit:
            disabled = [one.action for one in unit.disabled_targets.of(alarm)]
        [second] = turn(database, alarm.alarm_id, at=MORNING).applied
        made.run()
        later = wait_until(lambda: ended(2, 1), what="its end")
    finally:
        made.drain(10)
        made.close()

    assert [DeliveryState.BURIED, DeliveryState.DELIVERED] == states
    assert ["gone://a"] == disabled
    assert (2, 1, DeliveryState.DELIVERED) == (first.notifications, second.notifications, later)
    assert 1 == len(schemes["gone"].notifications)


def test_what_waits_for_a_receiver_that_is_gone_is_counted(database: Database) -> None:
    """The one that was tried counts as such, the one that was given up with it by a reason of its own."""
    with database.write() as unit:
        alarm = unit.alarms.add(an_alarm(alarm_actions=("gone://a",)))

    def say_gone(_: Notification) -> Attempt:
        turn(database, alarm.alarm_id, at=MORNING)
        return GONE

    before = {reason: buried(reason) for reason in ("gone", "disabled")}
    made = a_round(database, {"gone": RecordingScheme(say_gone)})
    try:
        turn(database, alarm.alarm_id, at=MORNING)
        made.run()
        wait_until(lambda: buried("disabled") > before["disabled"], what="the end of the one that waits")
    finally:
        made.drain(10)
        made.close()

    assert {"gone": 1, "disabled": 1} == {reason: buried(reason) - count for reason, count in before.items()}


def buried(reason: str) -> float:
    """Return how many notifications were buried for a reason."""
    labels = {"outcome": "buried", "reason": reason}
    return REGISTRY.get_sample_value("alarmd_notifications_total", labels) or 0.0
