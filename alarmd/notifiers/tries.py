# SPDX-License-Identifier: Apache-2.0
"""Tries: one attempt at one delivery, what has become of the notification by it, and who is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from traceback import extract_tb

import structlog

from alarmd.clock import Clock, Timekeeper
from alarmd.errors import SecretMissing
from alarmd.model.notification import DeliveryState, Notification, Settlement
from alarmd.notifiers.retry import RetryPolicy
from alarmd.notifiers.scheme import Attempt, Reason, Scheme, scheme_of
from alarmd.telemetry import DELIVERY_LAG_SECONDS, DELIVERY_SECONDS, NOTIFICATIONS, SAMPLE_TO_NOTIFY_SECONDS

_log = structlog.get_logger()

#: Metric label of a settlement's state.
_OUTCOMES = {
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.PENDING: "postponed",
    DeliveryState.BURIED: "buried",
    DeliveryState.SUPERSEDED: "superseded",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a try went, and what has become of the notification."""

    attempt: Attempt
    settlement: Settlement


class Tries:
    """Makes tries. Safe to use from several threads."""

    def __init__(
        self, *, schemes: Mapping[str, Scheme], policy: RetryPolicy, clock: Clock, timekeeper: Timekeeper
    ) -> None:
        """Take the notifiers by the name of their URL scheme, and what decides after a try."""
        self._schemes = dict(schemes)
        self._policy = policy
        self._clock = clock
        self._timekeeper = timekeeper

    def make(self, notification: Notification, *, until_s: float) -> Result | None:
        """Make a try and return how it went; None, without one, if it may not be sent any more.

        That is when it is too late for it, or when a try could last beyond a moment on the monotonic clock.
        """
        started_s = self._clock.monotonic_s()
        scheme = self._schemes.get(scheme_of(notification.target))
        if self._is_late(notification) or started_s + (scheme.deadline_s if scheme else 0.0) > until_s:
            return None
        attempt = self._attempt(scheme, notification)
        moment = self._timekeeper.moment()
        now = moment.now
        settlement = self._policy.decide(attempt, notification, now, ahead=moment.ahead)
        DELIVERY_SECONDS.observe(self._clock.monotonic_s() - started_s)
        NOTIFICATIONS.labels(outcome=_OUTCOMES[settlement.state], reason=attempt.reason).inc()
        if attempt.ok:
            DELIVERY_LAG_SECONDS.observe((now - notification.created_at).total_seconds())
            if notification.sampled_at is not None:
                SAMPLE_TO_NOTIFY_SECONDS.observe((now - notification.sampled_at).total_seconds())
        _tell(notification, settlement)
        return Result(attempt=attempt, settlement=settlement)

    def _is_late(self, notification: Notification) -> bool:
        if notification.not_after is None:
            return False
        moment = self._timekeeper.moment()
        return moment.ahead.end_of(notification.not_after, written_at=notification.created_at) <= moment.now

    def _attempt(self, scheme: Scheme | None, notification: Notification) -> Attempt:
        if scheme is None:
            name = scheme_of(notification.target)
            return Attempt(reason=Reason.INVALID, retryable=False, detail=f"no notifier serves the scheme {name!r}")
        try:
            return scheme.deliver(notification)
        except SecretMissing as error:
            return Attempt(reason=Reason.UNSIGNED, retryable=False, detail=error.message)
        except Exception as error:  # noqa: BLE001  # one of the three loops: a broken delivery harms itself alone
            frame = extract_tb(error.__traceback__)[-1]
            # Neither the message nor the variables: both may hold the target, which is a secret.
            _log.error(
                "delivery_crashed",
                event_id=notification.event_id,
                error=type(error).__name__,
                place=f"{frame.filename}:{frame.lineno}",
            )
            return Attempt(reason=Reason.CRASHED, retryable=True, detail=type(error).__name__)


def _tell(notification: Notification, settlement: Settlement) -> None:
    """Log an attempt: at a volume that fits what it means, and each new error once."""
    fields = {
        "event_id": notification.event_id,
        "alarm_id": notification.alarm_id,
        "attempts": notification.attempts + 1,
        "status": settlement.last_status,
    }
    match settlement.state:
        case DeliveryState.DELIVERED:
            _log.debug("notification_delivered", **fields)
        case DeliveryState.PENDING:
            tell = _log.debug if settlement.last_error == notification.last_error else _log.warning
            until = settlement.next_attempt_at.isoformat()
            tell("notification_postponed", **fields, error=settlement.last_error, until=until)
        case _:
            _log.warning("notification_buried", **fields, error=settlement.last_error)
