# SPDX-License-Identifier: Apache-2.0
"""What operators are told of transitions that have been stored."""

import structlog

from alarmd import telemetry
from alarmd.model.notification import DeliveryState
from alarmd.model.trace import trace_id_of
from alarmd.model.transition import Transition
from alarmd.store.transitions import AppliedTransition

_logger = structlog.get_logger()


def tell(transition: Transition, applied: AppliedTransition) -> None:
    """Count and log a transition that took effect, as it has been stored; of repeats only what was silenced counts."""
    if applied.silenced:
        telemetry.NOTIFICATIONS.labels(outcome=str(DeliveryState.SILENCED), reason="silence").inc(applied.silenced)
    if transition.is_repeat:
        return
    trace = {"trace_id": trace_id_of(transition.traceparent)} if transition.traceparent else {}
    telemetry.TRANSITIONS.labels(state=str(transition.current)).inc()
    _logger.info(
        "alarm_transitioned",
        alarm_id=transition.alarm_id,
        previous=str(transition.previous),
        current=str(transition.current),
        reason=transition.reason,
        sequence=applied.sequence,
        **({"silenced": applied.silenced} if applied.silenced else {}),
        **trace,
    )
