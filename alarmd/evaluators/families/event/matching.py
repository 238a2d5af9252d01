# SPDX-License-Identifier: Apache-2.0
"""Whether an event meets an event rule: pure, and never in doubt.

A condition holds only where the event has its field, as a value of the condition's type. Then numbers are compared as
numbers, moments in time, text by its letters, and `false` comes before `true`. Where there is nothing to compare, no
condition holds, `ne` neither: an alarm fires on what an event says, not on what it leaves out.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from math import isfinite
from typing import Any, Final

from alarmd.evaluators.verdicts.comparing import COMPARE
from alarmd.model.event import Event, Value, read_moment
from alarmd.model.rule import Comparison

#: What counts as a boolean in text.
BOOLEANS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(["1", "t", "true", "on", "y", "yes"], True),
    **dict.fromkeys(["0", "f", "false", "off", "n", "no"], False),
}


class _Kind(StrEnum):
    """What can be compared with each other."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    MOMENT = "moment"


@dataclass(frozen=True, slots=True)
class _Condition:
    field: str
    type: str
    compare: Callable[[Any, Any], bool]
    #: The text that it wants, and no other; None when more than one text will do, or none.
    text: str | None
    #: What the condition's value means beside a value of each kind; a kind that is not there it cannot be held against.
    wanted: Mapping[_Kind, Value]

    def holds(self, event: Event) -> bool:
        found = event.value_of(self.field)
        if self.type == "boolean":
            found = boolean_in(found)
        if found is None:
            return False
        wanted = self.wanted.get(_kind_of(found))
        return wanted is not None and self.compare(found, wanted)


@dataclass(frozen=True, slots=True)
class EventRule:
    """A compiled event rule."""

    event_type: str
    #: The conditions as JSON, for the reason.
    query: str
    conditions: tuple[_Condition, ...]

    @property
    def key(self) -> tuple[str, str] | None:
        """A field and the one text that it must have, where the rule wants that; moments may be written otherwise."""
        return next(((each.field, each.text) for each in self.conditions if each.text is not None), None)

    def is_met_by(self, event: Event) -> bool:
        """Return whether an event is of the rule's type and meets every condition."""
        return is_of_type(event.event_type, self.event_type) and self.conditions_hold(event)

    def conditions_hold(self, event: Event) -> bool:
        """Return whether an event meets every condition, whatever its type."""
        return all(condition.holds(event) for condition in self.conditions)


def is_of_type(event_type: str, wildcard: str) -> bool:
    """Return whether a type of event matches a shell's wildcard; capital letters count."""
    return fnmatchcase(event_type, wildcard)


def compile_rule(rule: Mapping[str, Any]) -> EventRule:
    """Return a rule in wire form as one that events are held against.

    The rule must be as `EventFamily.normalise` leaves it: then each value converts to its type.
    """
    conditions = tuple(
        _Condition(
            field=each["field"],
            type=each["type"],
            text=each["value"] if each["op"] == Comparison.EQ and each["type"] == "string" else None,
            compare=COMPARE[Comparison(each["op"])],
            wanted=_readings(each["value"], each["type"]),
        )
        for each in rule["query"]
    )
    return EventRule(rule["event_type"], json.dumps(rule["query"]), conditions)


def boolean_in(found: Value | None) -> bool | None:
    """Return the yes or no that a value stands for: itself, a word for it, 0 or 1; None when it stands for neither."""
    if isinstance(found, datetime | None):
        return None
    return BOOLEANS.get(str(found).strip().lower())


def _readings(value: str, type_: str) -> dict[_Kind, Value]:
    """Return what the value of a condition means beside values of each kind.

    Events have moments but conditions no type for them: beside a moment, text is one too. Without a type, the value
    is taken for what the event has.
    """
    readings: dict[_Kind, Value | None] = {}
    match type_:
        case "integer":
            readings = {_Kind.NUMBER: int(value)}
        case "float":
            readings = {_Kind.NUMBER: float(value)}
        case "boolean":
            readings = {_Kind.BOOLEAN: boolean_in(value)}
        case _:
            readings = {_Kind.TEXT: value, _Kind.MOMENT: read_moment(value)}
            if type_ == "":
                readings |= {_Kind.NUMBER: _number_in(value), _Kind.BOOLEAN: boolean_in(value)}
    return {kind: reading for kind, reading in readings.items() if reading is not None}


def _number_in(text: str) -> int | float | None:
    """Return the finite number that a text is, whole ones of any size exactly; None when it is none."""
    for read in (int, float):
        try:
            number: int | float = read(text)
        except ValueError:
            continue
        return number if isfinite(number) else None
    return None


def _kind_of(found: Value) -> _Kind:
    match found:
        case bool():
            return _Kind.BOOLEAN
        case int() | float():
            return _Kind.NUMBER
        case datetime():
            return _Kind.MOMENT
        case _:
            return _Kind.TEXT
