# SPDX-License-Identifier: Apache-2.0
from alarmd.evaluators.telling import tell
from alarmd.model.alarm import State
from alarmd.store.transitions import AppliedTransition
from alarmd.telemetry import REGISTRY
from tests.support.alarms import MORNING, an_alarm
from tests.support.transitions import a_transition


def _count(outcome: str, reason: str) -> float:
    return REGISTRY.get_sample_value("alarmd_notifications_total", {"outcome": outcome, "reason": reason}) or 0.0


def test_what_is_silenced_and_what_gives_way_is_counted() -> None:
    """Each outcome by itself, of repeats too."""
    alarm = an_alarm(state=State.OK)
    done = AppliedTransition(
        alarm_id=alarm.alarm_id, state_version=1, sequence=1, notifications=2, silenced=2, superseded=1
    )
    before = _count("silenced", "silence"), _count("superseded", "")
    tell([(a_transition(alarm, at=MORNING), done)])

    assert (2, 1) == (_count("silenced", "silence") - before[0], _count("superseded", "") - before[1])
