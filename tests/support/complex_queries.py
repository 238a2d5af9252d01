# SPDX-License-Identifier: Apache-2.0
"""What a complex query means, in plain Python over what the wire shows: slow, obvious, and knows no database."""

import json
import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from alarmd.api.alarms import alarm_view, change_view
from alarmd.model.alarm import Alarm
from alarmd.model.history import AlarmChange

_LEVELS = ["low", "moderate", "critical"]
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    "=<": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=>": operator.ge,
    "=~": lambda stored, pattern: re.search(pattern, stored) is not None,
}


def alarm_item(alarm: Alarm) -> dict[str, Any]:
    """Return an alarm as queries know it: as it is shown, its rule under one name, and labels that may be none."""
    return alarm_view(alarm) | {"rule": dict(alarm.rule), "labels": dict(alarm.labels)}


def change_item(change: AlarmChange) -> dict[str, Any]:
    """Return a change as it is shown, its detail read, and the severity, which is not shown."""
    return change_view(change) | {"detail": dict(change.detail), "severity": change.severity}


def holds(condition: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    """Return whether a decoded filter is true of an item."""
    [(name, operand)] = condition.items()
    match name.lower():
        case "and":
            return all(holds(part, item) for part in operand)
        case "or":
            return any(holds(part, item) for part in operand)
        case "not":
            return not holds(operand, item)
    [(field, value)] = operand.items()
    field = {"user": "user_id", "project": "project_id"}.get(field, field)
    if item[field] is None:
        return False
    if name.lower() == "in":
        return any(_compare("=", field, item[field], single) for single in value)
    return _compare(name, field, item[field], value)


def _compare(name: str, field: str, stored: Any, value: Any) -> bool:
    if isinstance(stored, bool):
        stored, value = int(stored), int(str(value).lower() in {"true", "1", "1.0", "yes", "on"})
    elif field.endswith("timestamp"):
        stored, value = _moment(stored), _moment(value)
    elif field == "severity" and name not in {"=", "!=", "=~"}:
        if value not in _LEVELS:
            return False
        stored, value = _LEVELS.index(stored), _LEVELS.index(value)
    elif isinstance(stored, list | dict):
        stored, value = json.dumps(stored, separators=(",", ":")), str(value)
    else:
        stored, value = str(stored), value if isinstance(value, str) else json.dumps(value)
    return _COMPARISONS[name](stored, value)


def _moment(told: str) -> datetime:
    moment = datetime.fromisoformat(told)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
