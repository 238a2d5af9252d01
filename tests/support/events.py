# SPDX-License-Identifier: Apache-2.0
"""Events for tests, and a slow, obvious judgement of which rule an event meets."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from alarmd.api.event_body import EventRules, read_events
from alarmd.model.event import Event

_TRUE, _FALSE = ["1", "t", "true", "on", "y", "yes"], ["0", "f", "false", "off", "n", "no"]


def a_push(*traits: Any, **more: Any) -> dict[str, Any]:
    """Return an event as it is pushed."""
    return {
        "event_type": "compute.instance.update",
        "message_id": str(uuid4()),
        "generated": "2026-01-01T12:00:00",
        "traits": list(traits),
    } | more


def as_event(pushed: dict[str, Any], *, project_id: str = "p1") -> Event:
    """Return a pushed event as alarms see it."""
    [event], [] = read_events([pushed], EventRules(project_id=project_id, max_bytes=65_536))
    return event


def an_event(*traits: Any, project_id: str = "p1", **more: Any) -> Event:
    """Return an event as alarms see it."""
    return as_event(a_push(*traits, **more), project_id=project_id)


def meets(rule: dict[str, Any], pushed: dict[str, Any]) -> bool:
    """Return whether a pushed event (traits as lists, types as numbers) meets a rule; written from the description.

    Of wildcards it knows `*` at the end only.
    """
    wanted, given = rule["event_type"], pushed["event_type"]
    if not (given.startswith(wanted[:-1]) if wanted.endswith("*") else given == wanted):
        return False
    return all(_holds(condition, _found(condition["field"], pushed)) for condition in rule["query"])


def _found(field: str, pushed: dict[str, Any]) -> Any:
    if not field.startswith("traits."):
        found = pushed.get(field)
        if field == "generated" and found is not None and _moment(found) is not None:
            return _moment(found)
        return None if isinstance(found, list | dict) else found
    value = None
    for name, type_, raw in pushed["traits"]:
        if "traits." + name == field and raw is not None:
            value = [lambda: raw, lambda: str(raw), lambda: int(raw), lambda: float(raw), lambda: _moment(raw)][type_]()  # noqa: B023
    return value


def _holds(condition: dict[str, str], found: Any) -> bool:
    type_, text = condition["type"], condition["value"]
    pair: tuple[Any, Any] | None = None
    if found is None:
        return False
    if type_ == "boolean":
        word = str(found).lower()
        if not isinstance(found, datetime) and word in _TRUE + _FALSE:
            pair = (word in _TRUE, text.strip().lower() in _TRUE)
    elif isinstance(found, bool):
        word = text.strip().lower()
        if type_ == "" and word in _TRUE + _FALSE:
            pair = (found, word in _TRUE)
    elif isinstance(found, int | float):
        number = _number(text)
        if type_ in {"integer", "float"} or (type_ == "" and number is not None):
            pair = (found, number)
    elif type_ in {"string", ""}:
        pair = (found, text) if isinstance(found, str) else (found, _moment(text))
    if pair is None or pair[1] is None:
        return False
    left, right = pair
    answers = {
        "lt": left < right,
        "le": left <= right,
        "eq": left == right,
        "ne": left != right,
        "ge": left >= right,
        "gt": left > right,
    }
    return bool(answers[condition["op"]])


def _number(text: str) -> float | int | None:
    try:
        number = float(text)
    except ValueError:
        return None
    if number - number != 0:
        return None
    return int(text) if text.strip().lstrip("+-").isdigit() else number


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text).strip())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
