# SPDX-License-Identifier: Apache-2.0
"""Makes alarms, changes and quotas of what an Aodh has stored, or says why that cannot be."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from alarmd.errors import InvalidInput
from alarmd.importing.gnocchi_query import unwrapped
from alarmd.importing.source import Record
from alarmd.importing.trust_urls import ACTION_LISTS, needs_trust, trust_of, without_trusts
from alarmd.model.alarm import NOT_EVALUATED_REASON, Alarm, AlarmId, Severity, State
from alarmd.model.history import AlarmChange, ChangeType
from alarmd.model.rule import CompoundRuleType, DoubtfulRuleType, RuleType
from alarmd.model.shard import shard_of
from alarmd.store.columns import is_storable

_Choice = TypeVar("_Choice", bound=StrEnum)

#: What indexes of databases can hold, in characters.
_LONGEST_KEY = 255
_WRAPPED_TYPE = "gnocchi_aggregation_by_resources_threshold"
#: What Aodh's server adds to rules that ask Prometheus, and never shows.
_SCOPE = "scope_to_project"


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """An alarm, and what a person should know about it."""

    alarm: Alarm
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """Knows what alarmd understands. Every method raises `InvalidInput` with the reason for what cannot be brought."""

    rule_types: Mapping[str, RuleType]
    #: Returns time constraints complete and in wire form; raises `InvalidInput`.
    normalise_constraints: Callable[[Sequence[Mapping[str, Any]]], tuple[Mapping[str, Any], ...]]
    #: URL schemes that are delivered to.
    schemes: frozenset[str]
    #: Whether the source shows which rules its server had confined to a project. Where it does not, all of them are.
    shows_confinement: bool

    def alarm(self, record: Record, *, now: datetime) -> Converted:
        """Return an alarm as it is kept here: with its ids, its moments and its state."""
        type_, project_id = _text(record, "type"), _text(record, "project_id")
        rule_type = self.rule_types.get(type_)
        if rule_type is None:
            raise InvalidInput(f"alarmd has no alarms of the type {type_!r}")
        raw, confined = _rule_of(record, type_, project_id)
        confined = confined or not self.shows_confinement
        rule = rule_type.normalise(raw, project_id=project_id, confined=confined)
        if isinstance(rule_type, CompoundRuleType) and rule_type.refers_to(rule):
            raise InvalidInput("its rule refers to other alarms, which no Aodh knows: create it anew in alarmd")
        actions, trusts = _actions_of(record)
        timestamp = _moment(record, "timestamp") or now
        alarm = Alarm(
            alarm_id=AlarmId(_text(record, "alarm_id")),
            name=_text(record, "name"),
            description=_text(record, "description") or rule_type.describe(rule),
            enabled=record.get("enabled") is not False,
            type=type_,
            rule=rule,
            confined=confined,
            project_id=project_id,
            user_id=_text(record, "user_id"),
            severity=_choice(Severity, record, Severity.LOW),
            **actions,
            repeat_actions=bool(record.get("repeat_actions")),
            time_constraints=self.normalise_constraints(_json(record, "time_constraints", list) or []),
            trust_id=next(iter(trusts), ""),
            timestamp=timestamp,
            state=_choice(State, record, State.INSUFFICIENT_DATA),
            state_reason=_text(record, "state_reason") or NOT_EVALUATED_REASON,
            state_timestamp=_moment(record, "state_timestamp") or timestamp,
            evaluate_timestamp=_moment(record, "evaluate_timestamp"),
            shard=shard_of(rule_type.reads_project(rule, project_id=project_id)),
        )
        _check(alarm)
        return Converted(alarm=alarm, notes=tuple(self._notes(alarm, trusts)))

    def reads(self, alarm: Alarm) -> str:
        """Return the project whose series an alarm reads."""
        rule_type = self.rule_types.get(alarm.type)
        if rule_type is None:
            return alarm.project_id
        return rule_type.reads_project(alarm.rule, project_id=alarm.project_id)

    def _notes(self, alarm: Alarm, trusts: Sequence[str]) -> list[str]:
        urls = [*alarm.ok_actions, *alarm.alarm_actions, *alarm.insufficient_data_actions]
        schemes = sorted({url.partition(":")[0] for url in urls} - self.schemes)
        notes = [f"alarmd does not deliver to {scheme}: yet" for scheme in schemes]
        if needs_trust(urls) and not trusts:
            notes.append("it has trust+ actions, whose trust this source does not show; they need it, or a new one")
        if len(trusts) > 1:
            notes.append(f"it has {len(trusts)} trusts; alarmd keeps one for each alarm, the first")
        rule_type: object = self.rule_types.get(alarm.type)
        if isinstance(rule_type, DoubtfulRuleType):
            notes += rule_type.doubts(alarm.rule)
        return notes


def change_of(record: Record) -> AlarmChange:
    """Return a change of an alarm's history. Raises `InvalidInput` for what is none."""
    timestamp = _moment(record, "timestamp")
    if timestamp is None:
        raise InvalidInput("it has no timestamp")
    detail = without_trusts(_json(record, "detail", dict) or {})
    change = AlarmChange(
        event_id=_text(record, "event_id"),
        alarm_id=AlarmId(_text(record, "alarm_id")),
        type=_choice(ChangeType, record, None),
        detail=detail,
        user_id=_text(record, "user_id"),
        project_id=_text(record, "project_id"),
        on_behalf_of=_text(record, "on_behalf_of"),
        timestamp=timestamp,
        severity=_choice(Severity, record, None) if record.get("severity") else None,
    )
    if not is_storable([change.event_id, change.user_id, change.project_id, change.on_behalf_of, detail]):
        raise InvalidInput("it holds text that no database of alarmd's can store")
    return change


def quota_of(record: Record) -> tuple[str, int]:
    """Return a project and how many alarms it may have. Raises `InvalidInput` for what is no quota."""
    project_id, limit = _text(record, "project_id"), record.get("limit")
    if not isinstance(limit, int) or limit < -1 or not is_storable(project_id):
        raise InvalidInput(f"a limit of {limit!r} alarms is none")
    return project_id, limit


# --- parts of an alarm ---------------------------------------------------------------------------------------------
def _rule_of(record: Record, type_: str, project_id: str) -> tuple[Mapping[str, Any], bool]:
    """Return the rule as its user wrote it, and whether it may read its own project only."""
    rule = _json(record, "rule", dict) or {}
    confined = _SCOPE not in rule or rule[_SCOPE] is not None
    rule = _without_scope(rule)
    if type_ == _WRAPPED_TYPE and isinstance(rule.get("query"), str):
        query, confined = unwrapped(rule["query"], project_id=project_id)
        rule |= {"query": query}
    return rule, confined


def _without_scope(rule: Any) -> Any:
    """Return a rule without what only Aodh's server adds to it, also within the rules of a composite."""
    if isinstance(rule, list):
        return [_without_scope(part) for part in rule]
    if not isinstance(rule, dict):
        return rule
    return {
        key: _without_scope(value) if key in {"and", "or"} else value for key, value in rule.items() if key != _SCOPE
    }


def _actions_of(record: Record) -> tuple[dict[str, Any], list[str]]:
    """Return the three lists of actions, and the trusts that were in them."""
    lists: dict[str, Any] = {}
    trusts: dict[str, None] = {}
    for key in ACTION_LISTS:
        urls = _json(record, key, list) or []
        try:
            split = [trust_of(url) for url in urls]
        except (ValueError, AttributeError) as error:
            raise InvalidInput(f"its {key} hold what is no URL") from error
        lists[key] = tuple(dict.fromkeys(url for url, _ in split))
        trusts |= {trust: None for _, trust in split if trust}
    return lists, list(trusts)


def _check(alarm: Alarm) -> None:
    if not alarm.alarm_id:
        raise InvalidInput("it has no alarm_id")
    urls = [*alarm.ok_actions, *alarm.alarm_actions, *alarm.insufficient_data_actions]
    texts = [alarm.alarm_id, alarm.name, alarm.description, alarm.project_id, alarm.user_id, alarm.state_reason, urls]
    if not is_storable([*texts, dict(alarm.rule), list(alarm.time_constraints)]):
        raise InvalidInput("it holds text that no database of alarmd's can store")
    for key in ("name", "project_id", "user_id"):
        if len(getattr(alarm, key)) > _LONGEST_KEY:
            raise InvalidInput(f"its {key} has more than {_LONGEST_KEY} characters")


# --- columns -------------------------------------------------------------------------------------------------------
def _text(record: Record, key: str) -> str:
    value = record.get(key)
    return "" if value is None else str(value)


def _moment(record: Record, key: str) -> datetime | None:
    """Return a moment, which Aodh keeps in UTC without saying so."""
    value = record.get(key)
    if value is None:
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise InvalidInput(f"its {key} {value!r} is no moment") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _json(record: Record, key: str, kind: type) -> Any:
    """Return a list or an object, decoded; None when there is none."""
    value = record.get(key)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"its {key} is no JSON") from error
    if value is not None and not isinstance(value, kind):
        raise InvalidInput(f"its {key} is no {'list' if kind is list else 'object'}")
    return value


def _choice(choices: type[_Choice], record: Record, default: _Choice | None) -> _Choice:
    """Return one of a few words; the column is named after them."""
    key = {Severity: "severity", State: "state", ChangeType: "type"}[choices]
    value = record.get(key)
    if value is None and default is not None:
        return default
    try:
        return choices(str(value))
    except ValueError as error:
        raise InvalidInput(f"its {key} {value!r} is none of {', '.join(choices)}") from error
