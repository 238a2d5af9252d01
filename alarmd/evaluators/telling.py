# SPDX-License-Identifier: Apache-2.0
"""What operators are told of transitions that have been stored."""

from collections.abc import Iterable

import structlog

from alarmd import telemetry
from alarmd.model.notification import DeliveryState
from alarmd.model.trace import trace_id_of
from alarmd.model.transition import Transition
from alarmd.store.transitions import AppliedTransition

_logger = structlog.get_logger()


#: How many transitions are logged one by one; of more only their number. The history has all of them.
_LOGGED = 1_000


def tell(stored: Iterable[tuple[Transition, AppliedTransition]]) -> None:
    """Count and log transitions that took effect, as they have been stored.

    Of repeats only what was silenced, or what gave way, counts. Of very many at once most are logged as a number:
    writing 10,000 lines takes as long as storing what they tell.
    """
    changed = 0
    for transition, applied in stored:
        if applied.silenced:
            telemetry.NOTIFICATIONS.labels(outcome=str(DeliveryState.SILENCED), reason="silence").inc(applied.silenced)
        if applied.superseded:
            telemetry.NOTIFICATIONS.labels(outcome=str(DeliveryState.SUPERSEDED), reason="").inc(applied.superseded)
        if transition.is_repeat:
            continue
        telemetry.TRANSITIONS.labels(state=str(transition.current)).inc()
        changed += 1
        if changed <= _LOGGED:
            _log(transition, applied)
    if changed > _LOGGED:
        _logger.info("alarms_transitioned", more=changed - _LOGGED)


def _log(transition: Transition, applied: AppliedTransition) -> None:
    trace = {"trace_id": trace_id_of(transition.traceparent)} if transition.traceparent else {}
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
