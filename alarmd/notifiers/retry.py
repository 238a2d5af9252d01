# SPDX-License-Identifier: Apache-2.0
"""What becomes of a notification after a try: a pure decision. It never waits and never writes."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from zlib import crc32

from alarmd.clock import NOT_AHEAD, Ahead
from alarmd.model.notification import DeliveryState, Notification, Settlement
from alarmd.notifiers.scheme import Attempt, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential backoff with jitter, bounded in time.

    An order to scale that arrives hours late does harm, so the bound is meant to be hours, not days; most of the time
    a newer state of the alarm has taken the notification's place by then.
    """

    #: Pause after the first try.
    first_delay_s: float = 1.0
    #: By how much the pause grows with each further try.
    factor: float = 2.0
    #: The longest pause, unless the receiver asks for a longer one.
    max_delay_s: float = 60.0
    #: No try is made later than this after the transition.
    give_up_after_s: float = 3600.0
    #: By which part of itself a pause is lengthened at most, so that receivers which come back are not met by all
    #: notifications at once.
    jitter: float = 0.2

    def __post_init__(self) -> None:
        positive = self.first_delay_s > 0 and self.max_delay_s > 0 and self.give_up_after_s >= 0
        if not (positive and self.factor >= 1 and 0 <= self.jitter <= 1):
            raise ValueError("delays have to be positive, the factor 1 or more, the jitter between 0 and 1")

    @property
    def longest_pause_s(self) -> float:
        """No pause between two tries is longer, whatever a receiver asks for."""
        return self.give_up_after_s

    def decide(
        self, attempt: Attempt, notification: Notification, now: datetime, *, ahead: Ahead = NOT_AHEAD
    ) -> Settlement:
        """Return what has become of a notification by an attempt that has just ended."""
        error = "" if attempt.ok else f"{attempt.reason}: {attempt.detail}" if attempt.detail else str(attempt.reason)
        state, next_attempt_at = DeliveryState.DELIVERED, now
        if not attempt.ok:
            made_at = notification.created_at
            give_up_at = ahead.end_of(made_at + timedelta(seconds=self.give_up_after_s), written_at=made_at)
            if not attempt.retryable:
                state = DeliveryState.BURIED
            elif now >= give_up_at:
                state = DeliveryState.BURIED
                error = f"given up after {notification.attempts + 1} tries in {self.give_up_after_s:g} s; {error}"
            else:
                state = DeliveryState.PENDING
                # The last try falls on the last moment, so that a pause never cuts off the rest of the time.
                next_attempt_at = min(now + self._pause(attempt, notification), give_up_at)
                if notification.not_after is not None:
                    # From then on the outbox ends it.
                    next_attempt_at = min(next_attempt_at, ahead.end_of(notification.not_after, written_at=made_at))
        return Settlement(
            event_id=notification.event_id,
            state=state,
            next_attempt_at=next_attempt_at,
            last_status=attempt.status,
            last_error=error,
            at=now,
            disables_target=attempt.reason is Reason.GONE,
        )

    def _pause(self, attempt: Attempt, notification: Notification) -> timedelta:
        # The exponent is bounded because floats are: factor ** 64 is far beyond any longest pause.
        pause_s = min(self.first_delay_s * self.factor ** min(notification.attempts, 64), self.max_delay_s)
        pause_s = max(pause_s, attempt.retry_after_s or 0.0)
        # No pause is longer than all tries together; a plugin's `retry_after_s` may be anything.
        return timedelta(seconds=min(pause_s * (1 + self.jitter * _roll(notification)), self.give_up_after_s))


def brought_back(settlement: Settlement, now: datetime) -> Settlement:
    """Return a settlement as of now if it is of the future: the clock was set back since."""
    if settlement.at <= now:
        return settlement
    return replace(settlement, at=now, next_attempt_at=settlement.next_attempt_at - (settlement.at - now))


def asked_pause_s(retry_after: str, now: datetime) -> float | None:
    """Return how long a receiver asks to wait: seconds or a date, as HTTP has them; None for anything else."""
    asked = retry_after.strip()
    if asked.isascii() and asked.isdigit():
        return float(asked[:12])
    try:
        moment = parsedate_to_datetime(asked)
    except (ValueError, OverflowError):
        return None
    # A date without a zone is taken as what HTTP demands.
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)


def _roll(notification: Notification) -> float:
    """Return a number in [0, 1) that is spread like chance over notifications and tries, yet can be computed again."""
    return crc32(f"{notification.event_id}:{notification.attempts}".encode()) / 2**32
