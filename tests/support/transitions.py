# SPDX-License-Identifier: Apache-2.0
"""Builds transitions for tests, and has stored alarms make them."""

from datetime import timedelta
from typing import Any, Final

from alarmd.model.alarm import Alarm, State
from alarmd.model.transition import Transition
from alarmd.store.database import Database
from alarmd.store.gate import GateLimits
from alarmd.store.transitions import Applied, apply
from tests.support.alarms import MORNING

NOON: Final = MORNING + timedelta(hours=4)
REASON: Final = "Transition to alarm due to 1 samples outside threshold, most recent: 97.0"


def a_transition(alarm: Alarm, **changes: Any) -> Transition:
    """Return the transition of an alarm, as it is, to ``alarm`` at noon."""
    values: dict[str, Any] = {
        "alarm_id": alarm.alarm_id,
        "revision": alarm.revision,
        "state_version": alarm.state_version,
        "previous": alarm.state,
        "current": State.ALARM,
        "reason": REASON,
        "reason_data": {"type": "threshold", "disposition": "outside", "count": 1, "most_recent": 97.0},
        "at": NOON,
    }
    return Transition(**(values | changes))


def applied(database: Database, *transitions: Transition, limits: GateLimits | None = None) -> Applied:
    """Carry transitions out as an evaluator does, in one transaction; return what has become of them."""
    with database.write() as unit:
        return apply(unit, transitions, limits=limits or GateLimits())


def turn(database: Database, alarm_id: str, **changes: Any) -> Applied:
    """Have an alarm enter a state, or repeat itself there."""
    with database.write() as unit:
        stored = unit.alarms.get(alarm_id, for_update=True)
        assert stored is not None
        return apply(unit, [a_transition(stored, **changes)])
