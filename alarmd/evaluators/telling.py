# SPDX-License-Identifier: Apache-2.0
"""What operators are told of transitions that have been stored."""

import structlog

from alarmd import telemetry
from alarmd.model.trace import trace_id_of
from alarmd.model.transition import Transition

_logger = structlog.get_logger()


def tell(transition: Transition, *, sequence: int) -> None:
    """Count and log a transition that took effect, with the alarm's sequence number then; repeats pass in silence."""
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
        sequence=sequence,
        **trace,
    )
