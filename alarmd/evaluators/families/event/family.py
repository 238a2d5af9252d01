# SPDX-License-Identifier: Apache-2.0
"""The `event` family: an event of a type has come, and what it says meets every condition."""

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from alarmd.complaints import in_words, shown
from alarmd.errors import InvalidInput
from alarmd.evaluators.families.event.matching import BOOLEANS, EventRule, compile_rule
from alarmd.evaluators.families.rule_body import MAX_CONDITIONS, KeptFamily, LongText, Name, RuleBody, read_rule
from alarmd.evaluators.family import TickedRule
from alarmd.model.rule import Comparison

#: Means any type of event; so does an empty one.
_ANY: Final = "*"
_FIELD: Final = "^[a-zA-Z.',0-9_-]*$"


def _field(value: str) -> str:
    if not re.fullmatch(_FIELD, value):
        raise in_words(
            f"Query value or traits invalid: the field '{value}' may hold letters, digits and any of . ' , _ - only"
        )
    return value


def _is_integer(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def _is_float(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False


#: Whether a text can be taken for a value of a type. Without a type it is taken for what the event has.
_CONVERTS: Final[Mapping[str, Callable[[str], bool]]] = {
    "integer": _is_integer,
    "float": _is_float,
    "boolean": lambda text: text.strip().lower() in BOOLEANS,
    "string": lambda _text: True,
    "": lambda _text: True,
}


def _one_of(*known: str) -> Callable[[object], object]:
    """Return what refuses other words than these, in Aodh's words; what is no text is left to the type's own check."""

    def check(value: object) -> object:
        if isinstance(value, str) and value not in known:
            words = ", ".join(repr(str(word)) for word in known)
            raise in_words(f"Query value or traits invalid: '{shown(value)}'. Value should be one of: {words}")
        return value

    return check


class EventCondition(RuleBody):
    """One condition on an event; all must hold."""

    field: Annotated[Name, AfterValidator(_field), Field(json_schema_extra={"pattern": _FIELD})]
    op: Annotated[Comparison, BeforeValidator(_one_of(*Comparison))] = Comparison.EQ
    value: LongText
    type: Annotated[Literal["string", "integer", "float", "boolean", ""], BeforeValidator(_one_of(*_CONVERTS))]

    @model_validator(mode="after")
    def _value_is_of_its_type(self) -> Self:
        if not _CONVERTS[self.type](self.value):
            raise in_words(f"Unable to convert the value {shown(self.value)} to the expected data type {self.type}.")
        return self


class EventRuleBody(RuleBody):
    """An `event_rule` on the wire."""

    #: May hold wildcards, as a shell knows them.
    event_type: Annotated[Name, BeforeValidator(lambda value: _ANY if value == "" else value)] = _ANY
    query: list[EventCondition] = Field(default=[], max_length=MAX_CONDITIONS)


class EventFamily(KeptFamily):
    """Checks and words `event` rules; what comes is held against them as soon as it comes, and not by the tick."""

    name = "event"
    body = EventRuleBody
    is_evaluated = True

    def describe(self, rule: Mapping[str, Any]) -> str:
        return f"Alarm when {rule['event_type']} event occurred."

    def parse(self, rule: Mapping[str, Any], *, project_id: str, confined: bool = True) -> TickedRule:
        del rule, project_id, confined
        raise InvalidInput("Alarms of type event wait for events; no samples are evaluated for them.")


def read_event_rule(rule: Mapping[str, Any]) -> EventRule:
    """Return a stored rule, ready for events. Raises `InvalidInput` when it is none that would be accepted today."""
    return compile_rule(read_rule(EventRuleBody, rule, type_=EventFamily.name).model_dump(mode="json"))


PLUGIN = EventFamily
