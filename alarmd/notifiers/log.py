# SPDX-License-Identifier: Apache-2.0
"""The `log` scheme: one line in alarmd's own log, for trying things out and for alarms that only people care about."""

import structlog

from alarmd.clock import Clock
from alarmd.model.notification import Notification
from alarmd.notifiers.scheme import Attempt, Reason, SchemePlugin
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.plugins import Options

_log = structlog.get_logger()


class LogOptions(Options):
    """There is nothing to say about it."""


class LogScheme:
    """Writes notifications into the log."""

    #: Nothing is waited for.
    deadline_s = 1.0

    def __init__(self, *, options: LogOptions, clock: Clock, policy: TargetPolicy, signer: Signer) -> None:
        del options, clock, policy, signer  # What the seam offers and a log line does not need.

    def deliver(self, notification: Notification) -> Attempt:
        body = notification.body
        _log.info(
            "alarm_notified",
            alarm_name=body.get("alarm_name"),
            alarm_id=notification.alarm_id,
            severity=body.get("severity"),
            previous=body.get("previous"),
            current=body.get("current"),
            reason=body.get("reason"),
            event_id=notification.event_id,
        )
        return Attempt(reason=Reason.OK, retryable=False)

    def close(self) -> None:
        pass


def _check(target: str, *, policy: TargetPolicy) -> None:
    """Accept anything: `log:` and `log://whatever` mean the same."""
    del target, policy


PLUGIN = SchemePlugin(options=LogOptions, build=LogScheme, check=_check)
