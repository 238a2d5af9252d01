# SPDX-License-Identifier: Apache-2.0
"""History: who changed what about an alarm, and when."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from alarmd.model.alarm import Alarm, AlarmId, Severity


class ChangeType(StrEnum):
    """What happened to the alarm."""

    CREATION = "creation"
    RULE_CHANGE = "rule change"
    STATE_TRANSITION = "state transition"
    DELETION = "deletion"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmChange:
    """One row of an alarm's history (Aodh's `AlarmChange`)."""

    event_id: str
    alarm_id: AlarmId
    type: ChangeType
    #: What changed, in Aodh's keys; shown on the wire as a string that holds JSON.
    detail: Mapping[str, Any]
    #: Who did it; empty for the evaluator.
    user_id: str
    project_id: str
    #: The project that owns the alarm.
    on_behalf_of: str
    timestamp: datetime
    severity: Severity | None
    #: What an evaluator's transition was found from. Left out of lists: it may be long.
    evidence: Mapping[str, Any] | None = None


#: What an alarm's history shows of it, in this order.
_DETAIL = (
    *("alarm_id", "name", "description", "enabled", "ok_actions", "alarm_actions", "insufficient_data_actions"),
    *("repeat_actions", "type", "time_constraints", "project_id", "user_id", "timestamp", "state", "state_timestamp"),
    *("state_reason", "severity", "rule"),
)


#: What Aodh knows nothing of, by its name on the wire; shown where it is set.
_ADDITIONS = {
    "labels": "labels",
    "directions": "directions",
    "repeat_interval": "repeat_interval_s",
    "signing_secret": "signing_secret",
}


def additions_of(alarm: Alarm) -> dict[str, Any]:
    """Return what an alarm says beyond Aodh's attributes, as clients know it: plain JSON, only what is set."""
    return {name: _plain(value) for name, key in _ADDITIONS.items() if (value := getattr(alarm, key))}


def detail_of(alarm: Alarm) -> dict[str, Any]:
    """Return an alarm as its history shows it: plain JSON, moments in UTC without a zone."""
    return {key: _plain(getattr(alarm, key)) for key in _DETAIL} | additions_of(alarm)


def changes_between(before: Alarm, after: Alarm) -> dict[str, Any]:
    """Return what the history says of a new definition: what has another value now; null is what is set no more."""
    return dict(_changes(detail_of(before), detail_of(after)))


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in dict.fromkeys([*new, *old]):
        if key not in {"timestamp", "state_timestamp"} and old.get(key) != new.get(key):
            yield key, new.get(key)


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.replace(tzinfo=None).isoformat()
        case Mapping():
            return {str(key): _plain(part) if isinstance(part, StrEnum) else part for key, part in value.items()}
        case tuple():
            return [_plain(item) for item in value]
        case StrEnum():
            return str(value)
        case _:
            return value
