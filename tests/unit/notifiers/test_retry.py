# SPDX-License-Identifier: Apache-2.0
from datetime import datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alarmd.model.notification import DeliveryState, EventId
from alarmd.notifiers.retry import RetryPolicy, asked_pause_s
from alarmd.notifiers.scheme import Attempt, Reason
from tests.support.notifications import BUSY, CREATED_AT, GONE, TAKEN, a_notification

policies = st.builds(
    RetryPolicy,
    first_delay_s=st.floats(0.01, 100),
    factor=st.floats(1, 10),
    max_delay_s=st.floats(0.01, 1000),
    give_up_after_s=st.floats(0, 1e6),
    jitter=st.floats(0, 1),
)
failures = st.builds(
    Attempt,
    reason=st.sampled_from([Reason.BUSY, Reason.SERVER_ERROR, Reason.TIMEOUT, Reason.CONNECTION]),
    retryable=st.just(True),
    retry_after_s=st.none() | st.floats(0, 3600),
)


def _after(seconds: float) -> datetime:
    return CREATED_AT + timedelta(seconds=seconds)


def test_what_was_taken_is_delivered() -> None:
    """A 2xx ends the matter and leaves no error behind."""
    settlement = RetryPolicy().decide(TAKEN, a_notification(last_error="timeout"), _after(3))

    assert (DeliveryState.DELIVERED, 200, "") == (settlement.state, settlement.last_status, settlement.last_error)
    assert settlement.at == _after(3)


def test_what_another_try_cannot_help_is_buried_with_its_reason() -> None:
    """A final failure is buried at once and says why."""
    settlement = RetryPolicy().decide(GONE, a_notification(), CREATED_AT)

    assert settlement.state is DeliveryState.BURIED
    assert settlement.last_error == "client_error: HTTP 404 Not Found"


def test_the_pauses_grow_up_to_the_longest() -> None:
    """Without jitter the pauses are the powers of the factor, cut at the longest."""
    policy = RetryPolicy(first_delay_s=1, factor=3, max_delay_s=20, give_up_after_s=1000, jitter=0)

    pauses = [
        (policy.decide(BUSY, a_notification(attempts=attempts), CREATED_AT).next_attempt_at - CREATED_AT).seconds
        for attempts in range(5)
    ]

    assert pauses == [1, 3, 9, 20, 20]


def test_a_receiver_that_asks_for_more_time_gets_it() -> None:
    """`Retry-After` lengthens the pause beyond the longest of our own."""
    policy = RetryPolicy(max_delay_s=20, give_up_after_s=1000, jitter=0)
    patient = Attempt(reason=Reason.BUSY, retryable=True, retry_after_s=120)

    assert policy.decide(patient, a_notification(), CREATED_AT).next_attempt_at == _after(120)


def test_an_old_notification_is_given_up_and_says_how_often_it_was_tried() -> None:
    """Past its time a notification is buried even though another try might help."""
    settlement = RetryPolicy(give_up_after_s=60).decide(BUSY, a_notification(attempts=6), _after(60))

    assert settlement.state is DeliveryState.BURIED
    assert settlement.last_error == "given up after 7 tries in 60 s; busy: HTTP 429 Too Many Requests"


@given(policies, failures, st.integers(0, 10_000), st.floats(0, 2e6))
def test_a_retry_is_never_too_early_nor_too_late(
    policy: RetryPolicy, attempt: Attempt, attempts: int, age_s: float
) -> None:
    """A postponed try keeps at least the shortest pause and at most the longest with its jitter, within the bound."""
    now = _after(age_s)
    settlement = policy.decide(attempt, a_notification(attempts=attempts), now)
    give_up_at = _after(policy.give_up_after_s)

    if now >= give_up_at:
        assert settlement.state is DeliveryState.BURIED
        return
    assert settlement.state is DeliveryState.PENDING
    asked_s = attempt.retry_after_s or 0.0
    shortest_s = max(min(policy.first_delay_s, policy.max_delay_s), asked_s)
    longest_s = max(policy.max_delay_s, asked_s) * (1 + policy.jitter)
    rounding = timedelta(microseconds=1)
    assert min(now + timedelta(seconds=shortest_s), give_up_at) - rounding <= settlement.next_attempt_at
    assert settlement.next_attempt_at <= min(now + timedelta(seconds=longest_s) + rounding, give_up_at)


@given(policies, failures)
def test_retries_come_to_an_end(policy: RetryPolicy, attempt: Attempt) -> None:
    """However a receiver fails, the notification reaches a final state when its time is over."""
    assume(policy.give_up_after_s < 200 * min(policy.first_delay_s, policy.max_delay_s))
    now, attempts = CREATED_AT, 0
    while True:
        settlement = policy.decide(attempt, a_notification(attempts=attempts), now)
        if settlement.state is not DeliveryState.PENDING:
            break
        assert settlement.next_attempt_at > now
        now, attempts = settlement.next_attempt_at, attempts + 1

    assert settlement.state is DeliveryState.BURIED
    assert attempts <= 202


def test_a_receiver_cannot_ask_for_more_time_than_there_is() -> None:
    """Whatever pause is asked for, the last try falls on the last moment."""
    for_ever = Attempt(reason=Reason.BUSY, retryable=True, retry_after_s=float("inf"))
    settlement = RetryPolicy(give_up_after_s=60).decide(for_ever, a_notification(), CREATED_AT)

    assert settlement.next_attempt_at == CREATED_AT + timedelta(seconds=60)


def test_jitter_spreads_notifications_that_failed_together() -> None:
    """A hundred notifications that fail at one moment do not come back at one moment."""
    policy = RetryPolicy(jitter=0.5)
    moments = {
        policy.decide(BUSY, a_notification(event_id=EventId(f"a{n}_1_0")), CREATED_AT).next_attempt_at
        for n in range(100)
    }

    assert len(moments) > 90


def test_who_is_gone_is_given_up_and_disabled() -> None:
    """410 ends it, and tells the outbox to leave the target alone."""
    gone = Attempt(reason=Reason.GONE, retryable=False, status=410, detail="HTTP 410 Gone")
    settlement = RetryPolicy().decide(gone, a_notification(), CREATED_AT)
    other = RetryPolicy().decide(GONE, a_notification(), CREATED_AT)

    assert (DeliveryState.BURIED, True) == (settlement.state, settlement.disables_target)
    assert (DeliveryState.BURIED, False) == (other.state, other.disables_target)


@given(
    st.text(max_size=60)
    | st.from_regex(
        r"[A-Z][a-z]{2}, [0-9]{1,25} [A-Z][a-z]{2} [0-9]{1,25} [0-9]{1,3}(:[0-9]{1,3}){0,3} ([+-][0-9]{1,25}|[A-Z]{3})"
    )
    | st.integers().map(str)
)
def test_no_retry_after_does_harm(value: str) -> None:
    """Whatever stands in the header, it is a pause that is not negative, or none."""
    asked_s = asked_pause_s(value, CREATED_AT)

    assert asked_s is None or 0 <= asked_s < float("inf")


@pytest.mark.parametrize(
    "changes", [{"first_delay_s": 0}, {"factor": 0.5}, {"jitter": 1.5}, {"max_delay_s": -1}, {"give_up_after_s": -1}]
)
def test_a_policy_that_makes_no_sense_cannot_be_made(changes: dict[str, float]) -> None:
    """Pauses that would shrink or be negative are refused."""
    with pytest.raises(ValueError, match="have to be"):
        RetryPolicy(**changes)


def test_no_pause_lasts_longer_than_it_may_be_sent() -> None:
    """What may not be sent after some moment waits until then at most: from then on the outbox ends it."""
    policy = RetryPolicy(first_delay_s=60, jitter=0)
    settlement = policy.decide(BUSY, a_notification(not_after=_after(45)), _after(10))

    assert (DeliveryState.PENDING, _after(45)) == (settlement.state, settlement.next_attempt_at)
