# SPDX-License-Identifier: Apache-2.0
"""Pushed events: from JSON to `Event`, each checked on its own, so that one bad event costs only itself.

An event is taken as Ceilometer publishes it. Its traits are ``[name, type, value]`` or ``{"name", "type"?, "value"}``;
the type is Ceilometer's number or a word for it, and without one the value is taken for what JSON makes of it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from alarmd.api.json_body import refuse_unstorable
from alarmd.api.pushes import Rejection
from alarmd.api.wire import shown
from alarmd.errors import InvalidInput
from alarmd.model.event import Event, Value, read_moment


class _Type(IntEnum):
    """What a trait is, by Ceilometer's numbers."""

    NONE = 0
    TEXT = 1
    INTEGER = 2
    FLOAT = 3
    DATETIME = 4


_TYPES: Final[Mapping[object, _Type]] = {
    **{type_.value: type_ for type_ in _Type},
    **{type_.name.lower(): type_ for type_ in _Type},
    "string": _Type.TEXT,
    "int": _Type.INTEGER,
}
_TYPE_WORDS: Final = ", ".join(f"{type_.name.lower()} ({type_})" for type_ in _Type)
_OWNERS: Final = ("tenant_id", "project_id")
_MAX_NAME: Final = 255
_MAX_DEPTH: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRules:
    """What a caller may push."""

    #: Owner of events that name none.
    project_id: str
    #: Bytes of one event as JSON: it goes to every receiver.
    max_bytes: int


def read_events(items: Sequence[Any], rules: EventRules) -> tuple[list[Event], list[Rejection]]:
    """Return the events that can be taken, and why the others cannot."""
    events: list[Event] = []
    rejected: list[Rejection] = []
    for index, item in enumerate(items):
        try:
            events.append(_read(item, rules))
        except InvalidInput as error:
            rejected.append(Rejection(index=index, reason=error.message, kind="malformed"))
    return events, rejected


def _read(item: Any, rules: EventRules) -> Event:
    if not isinstance(item, dict):
        raise InvalidInput(f"an event must be an object, not {shown(item)}")
    _refuse_unbounded(item, max_bytes=rules.max_bytes)
    given = item.get("traits")
    if not isinstance(given, list | None):
        raise InvalidInput(f"traits must be a list, not {shown(given)}")
    triples = [_triple(trait) for trait in given or []]
    traits = {name: value for name, type_, raw in triples if (value := _value(name, type_, raw)) is not None}
    return Event(
        event_type=_name(item, "event_type"),
        message_id=_name(item, "message_id"),
        project_id=_owner(item, triples, default=rules.project_id),
        traits=traits,
        document=item | {"traits": [[name, int(type_), raw] for name, type_, raw in triples]},
    )


def _owner(item: Mapping[str, Any], triples: Sequence[tuple[str, _Type, Any]], *, default: str) -> str:
    """Return whose event it is: its last trait that says so tells, then the event itself, then who pushes it."""
    named = [raw for name, _, raw in triples if name in _OWNERS]
    owner = next((raw for raw in [*reversed(named), item.get("project_id")] if raw is not None and raw != ""), default)
    if not isinstance(owner, str) or len(owner) > _MAX_NAME:
        raise InvalidInput(f"the project must be text of 1 to {_MAX_NAME} characters, not {shown(owner)}")
    return owner


def _triple(trait: Any) -> tuple[str, _Type, Any]:
    """Return name, Ceilometer's number of the type, and value of a trait."""
    if isinstance(trait, list) and len(trait) == 3:
        name, type_, value = trait
    elif isinstance(trait, dict) and {"name", "value"} <= trait.keys() <= {"name", "type", "value"}:
        name, type_, value = trait["name"], trait.get("type"), trait["value"]
    else:
        form = 'write ["name", type, value] or {"name": …, "type": …, "value": …}'
        raise InvalidInput(f"{shown(trait)} is no trait: {form}")
    if not isinstance(name, str) or not 1 <= len(name) <= _MAX_NAME:
        raise InvalidInput(f"a trait's name must be text of 1 to {_MAX_NAME} characters, not {shown(name)}")
    if not isinstance(value, str | int | float | None):
        raise InvalidInput(f"the value of trait {shown(name)} must be text, a number or a boolean, not {shown(value)}")
    if type_ is None:
        return name, _type_of(value), value
    if isinstance(type_, bool) or not isinstance(type_, str | int) or type_ not in _TYPES:
        raise InvalidInput(f"the type of trait {shown(name)} must be one of {_TYPE_WORDS}, not {shown(type_)}")
    return name, _TYPES[type_], value


def _type_of(value: Any) -> _Type:
    """Return the type of a value that was sent without one. Ceilometer has none for booleans."""
    match value:
        case str():
            return _Type.TEXT
        case bool() | None:
            return _Type.NONE
        case int():
            return _Type.INTEGER
        case _:
            return _Type.FLOAT


def _value(name: str, type_: _Type, raw: Any) -> Value | None:
    """Return the value of a trait as its type has it, None when it says nothing."""
    if raw is None:
        return None
    try:
        match type_:
            case _Type.TEXT:
                return str(raw)
            case _Type.INTEGER:
                return int(raw)
            case _Type.FLOAT:
                return float(raw)
            case _Type.DATETIME:
                moment = read_moment(str(raw))
            case _:
                value: Value = raw
                return value
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise InvalidInput(f"the value of trait {shown(name)} is not of its type {type_.name.lower()}: {shown(raw)}")
    return moment


def _name(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_NAME:
        what = "is missing" if value is None else f"must be text of 1 to {_MAX_NAME} characters, not {shown(value)}"
        raise InvalidInput(f"{key} {what}")
    return value


def _refuse_unbounded(item: Mapping[str, Any], *, max_bytes: int) -> None:
    level: list[Any] = [item]
    for _ in range(_MAX_DEPTH):
        level = [
            part
            for each in level
            for part in (each.values() if isinstance(each, dict) else each)
            if isinstance(part, dict | list)
        ]
    if level:
        raise InvalidInput(f"an event may be nested {_MAX_DEPTH} levels deep, this one is deeper")
    size = len(json.dumps(item))
    if size > max_bytes:
        raise InvalidInput(f"an event may have {max_bytes} bytes (setting api.max_event_bytes), this one has {size}")
    refuse_unstorable(item)
