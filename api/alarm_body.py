# SPDX-License-Identifier: Apache-2.0
"""The alarm as clients send it: Aodh's attributes, leniency and complaints."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from alarmd.alarms import LONGEST_REPEAT_S, AlarmDraft
from alarmd.api.json_body import refuse_unstorable
from alarmd.api.wire import MomentField, read_moment
from alarmd.complaints import complaint, invalid
from alarmd.errors import InvalidInput
from alarmd.model.alarm import Severity, State
from alarmd.model.direction import Direction

_RULE = "_rule"

_Value = TypeVar("_Value")


def _text_or_null(value: Any) -> Any:
    """Let a read-only attribute pass, whatever it holds: clients send back what they got."""
    return value if isinstance(value, str) else None


def _flag(value: Any) -> Any:
    """Take any whole number for a boolean, as Aodh does."""
    return bool(value) if isinstance(value, int) else value


#: Null means "not given", and text is taken too.
_Flag = Annotated[bool | None, BeforeValidator(_flag)]
#: What people sort alarms by.
Labels = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=64)], Annotated[str, Field(max_length=255)]],
    Field(max_length=32),
]
_ReadOnly = Annotated[str | None, BeforeValidator(_text_or_null)]


class AlarmBody(BaseModel):
    """The attributes of an alarm that do not depend on its type.

    Strings are taken for booleans ("false"), as Aodh does; null means "not given" wherever there is a default, since
    Heat sends an explicit null for everything that its template leaves out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    type: str
    description: str | None = None
    enabled: _Flag = None
    ok_actions: list[str] | None = None
    alarm_actions: list[str] | None = None
    insufficient_data_actions: list[str] | None = None
    repeat_actions: _Flag = None
    time_constraints: list[dict[str, Any]] | None = None
    #: These four are alarmd's own. Left out of a PUT they stay as they are; null takes them away.
    labels: Labels | None = None
    directions: dict[State, Direction] | None = Field(
        default=None, description="where the actions of a state lead; by default what the rule's comparison says"
    )
    repeat_interval: int | None = Field(
        default=None, ge=1, le=LONGEST_REPEAT_S, description="seconds between repeats; evaluator.tick_s at the least"
    )
    signing_secret: str | None = Field(
        default=None, max_length=255, description="name of the project's secret that webhooks are signed with"
    )
    project_id: str | None = None
    user_id: str | None = None
    #: These two are refused as null: Aodh does so, and a null state would reset the alarm.
    state: State = State.INSUFFICIENT_DATA
    severity: Severity = Severity.LOW
    evaluate_timestamp: MomentField = None
    #: Read-only; tolerated since clients send back what GET gave them.
    alarm_id: _ReadOnly = None
    timestamp: _ReadOnly = None
    state_reason: _ReadOnly = None
    #: Read-only as well; tells an echoed state from a wanted one.
    state_timestamp: _ReadOnly = None


def read_draft(data: Any, *, rule_types: frozenset[str]) -> AlarmDraft:
    """Return the alarm that a decoded body asks for; raises `InvalidInput` in Aodh's words."""
    if not isinstance(data, dict):
        raise InvalidInput("Invalid input for field/attribute data. The body should be an object with an alarm")
    refuse_unstorable(data)
    attributes, rules = _parted(data, rule_types)
    try:
        body = AlarmBody.model_validate(attributes)
    except ValidationError as error:
        raise complaint(error) from error
    if body.type not in rule_types:
        raise invalid("type", body.type, f"Value should be one of: {', '.join(sorted(rule_types))}")
    given = body.model_fields_set
    return AlarmDraft(
        name=body.name,
        type=body.type,
        rule=_rule_of(body.type, rules),
        description=body.description,
        enabled=body.enabled,
        severity=body.severity if "severity" in given else None,
        ok_actions=_frozen(body.ok_actions),
        alarm_actions=_frozen(body.alarm_actions),
        insufficient_data_actions=_frozen(body.insufficient_data_actions),
        repeat_actions=body.repeat_actions,
        time_constraints=_frozen(body.time_constraints),
        labels=_or_none_at_all(body.labels, {}, is_given="labels" in given),
        directions=_or_none_at_all(body.directions, {}, is_given="directions" in given),
        repeat_interval_s=_or_none_at_all(body.repeat_interval, 0, is_given="repeat_interval" in given),
        signing_secret=_or_none_at_all(body.signing_secret, "", is_given="signing_secret" in given),
        project_id=body.project_id,
        user_id=body.user_id,
        state=body.state if "state" in given else None,
        state_timestamp=read_moment(body.state_timestamp),
        evaluate_timestamp=body.evaluate_timestamp,
    )


def _parted(data: Mapping[str, Any], rule_types: frozenset[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes that every alarm has, and the rules."""
    attributes: dict[str, Any] = {}
    rules: dict[str, Any] = {}
    for key, value in data.items():
        is_rule = key.endswith(_RULE) and key.removesuffix(_RULE) in rule_types
        (rules if is_rule else attributes)[key] = value
    return attributes, rules


def _rule_of(type_: str, rules: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the rule of the alarm's own type; an empty one of another type is as good as none."""
    own = f"{type_}{_RULE}"
    rule = rules.get(own)
    if rule is None:
        raise InvalidInput(f"{own} must be set for {type_} type alarm")
    for other, value in rules.items():
        if other != own and value:
            raise InvalidInput(f"{own} and {other} cannot be set at the same time")
    if not isinstance(rule, Mapping):
        raise invalid(own, rule, "Value should be an object")
    return rule


def _or_none_at_all(value: _Value | None, empty: _Value, *, is_given: bool) -> _Value | None:
    """Return an attribute that stays as it is unless it is given; null is as much as empty."""
    return empty if is_given and value is None else value


def _frozen(items: list[Any] | None) -> tuple[Any, ...] | None:
    return tuple(items) if items is not None else None
