# SPDX-License-Identifier: Apache-2.0
"""A receiver that is gone, a round and a real database: what was heard and what follows from it are one transaction."""

from functools import partial

from alarmd.clock import ManualClock
from alarmd.model.notification import DeliveryState, event_id_of
from alarmd.notifiers.fairness import Shares
from alarmd.notifiers.recording import RecordingScheme
from alarmd.notifiers.retry import RetryPolicy
from alarmd.notifiers.round import DeliveryRound
from alarmd.notifiers.scheme import Attempt, Reason
from alarmd.store.database import Database
from tests.support.alarms import MORNING, an_alarm
from tests.support.daemon import wait_until
from tests.support.transitions import turn

GONE = Attempt(reason=Reason.GONE, retryable=False, status=410, detail="HTTP 410 Gone")
TAKEN = Attempt(reason=Reason.OK, retryable=False, status=200)


def test_who_says_410_is_not_called_again_by_any_round(database: Database) -> None:
    """The delivery is buried and its target disabled at once; the other target goes on."""
    with database.write() as unit:
        alarm = unit.alarms.add(an_alarm(alarm_actions=("gone://a", "here://b")))
    schemes = {"gone": RecordingScheme(lambda _: GONE), "here": RecordingScheme(lambda _: TAKEN)}
    made = DeliveryRound(
        database=database,
        schemes=schemes,
        policy=RetryPolicy(),
        clock=ManualClock(MORNING),
        owner="notifier-1",
        shares=Shares(threads=4, per_origin=4, per_project=4),
        lease_s=60.0,
        batch=16,
    )

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
