# SPDX-License-Identifier: Apache-2.0
from datetime import timedelta

from alarmd.clock import ManualClock, Timekeeper
from alarmd.model.notification import DeliveryState
from alarmd.notifiers.recording import RecordingScheme
from alarmd.notifiers.retry import RetryPolicy
from alarmd.notifiers.tries import Result, Tries
from tests.support.notifications import BUSY, CREATED_AT, TAKEN, a_notification


def make(scheme: RecordingScheme, *, late_s: float | None = None, lease_s: float = 60) -> Result | None:
    clock = ManualClock(CREATED_AT)
    tries = Tries(schemes={"http": scheme}, policy=RetryPolicy(), clock=clock, timekeeper=Timekeeper(clock))
    not_after = None if late_s is None else CREATED_AT - timedelta(seconds=late_s)
    return tries.make(a_notification(not_after=not_after), until_s=clock.monotonic_s() + lease_s)


def test_a_try_tells_both_sides() -> None:
    """What comes of a try is how it went, for whoever shares out threads, and what to write back."""
    taken, refused = make(RecordingScheme()), make(RecordingScheme(lambda _: BUSY))

    assert taken is not None
    assert refused is not None
    assert (TAKEN.reason, DeliveryState.DELIVERED) == (taken.attempt.reason, taken.settlement.state)
    assert (BUSY, DeliveryState.PENDING) == (refused.attempt, refused.settlement.state)


def test_what_became_too_late_in_hand_is_not_sent() -> None:
    """A claimed notification whose time has run out while it waited for a thread is not tried."""
    scheme = RecordingScheme()

    assert make(scheme, late_s=0) is None
    assert make(scheme, late_s=-1) is not None
    assert 1 == len(scheme.notifications)


def test_no_try_outlives_its_lease() -> None:
    """A try that might still be under way when somebody else may claim the notification is not begun."""
    scheme = RecordingScheme(deadline_s=15)

    assert make(scheme, lease_s=14) is None
    assert make(scheme, lease_s=16) is not None
    assert 1 == len(scheme.notifications)
