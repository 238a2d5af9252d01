# SPDX-License-Identifier: Apache-2.0
"""Aodh's simple query (`q.field`, `q.op`, `q.value`, `q.type`: repeated, matched by position), paging and sorting."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any

from flask import request

from alarmd.api.arguments import asked_limit, only_arguments, text_argument
from alarmd.api.pages import PageSize
from alarmd.api.wire import read_boolean, read_iso
from alarmd.errors import InvalidInput
from alarmd.model.alarm import AlarmId
from alarmd.store.alarms import AlarmQuery
from alarmd.store.history import HistoryQuery

_PARTS = ("q.field", "q.op", "q.value", "q.type")
_PAGING = ("limit", "marker", "sort")
_ALARM_FIELDS = frozenset(
    {"all_projects", "user_id", "project_id", "type", "name", "enabled", "state", "severity", "timestamp"}
    | {"repeat_actions"}
)
_HISTORY_FIELDS = frozenset(
    {"timestamp", "type", "user", "user_id", "project", "project_id", "severity", "search_offset"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition of a simple query."""

    field: str
    op: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmListing:
    """What a list of alarms was asked for."""

    query: AlarmQuery
    all_projects: bool
    size: PageSize


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryListing:
    """What an alarm's history was asked for."""

    query: HistoryQuery
    size: PageSize


def alarm_listing(*, page_limit: int) -> AlarmListing:
    """Return what the query string of `GET /v2/alarms` asks for; raises `InvalidInput`.

    A type, state or severity that there is not matches nothing, as in Aodh.
    """
    # Of a field that is named twice the last one counts, as in Aodh.
    wanted = {condition.field: condition.value for condition in _conditions(_ALARM_FIELDS)}
    size = PageSize(wanted=asked_limit(), maximum=page_limit)
    query = AlarmQuery(
        project_id=wanted.get("project_id"),
        user_id=wanted.get("user_id"),
        name=wanted.get("name"),
        type=wanted.get("type"),
        enabled=_boolean_of(wanted, "enabled"),
        state=wanted.get("state"),
        severity=wanted.get("severity"),
        repeat_actions=_boolean_of(wanted, "repeat_actions"),
        timestamp=_moment("timestamp", wanted["timestamp"]) if "timestamp" in wanted else None,
        sort=_sort(),
        marker=text_argument("marker"),
        limit=size.to_fetch,
    )
    return AlarmListing(query=query, all_projects=_boolean_of(wanted, "all_projects") or False, size=size)


def history_listing(alarm_id: str, *, page_limit: int) -> HistoryListing:
    """Return what the query string of an alarm's history asks for; raises `InvalidInput`."""
    conditions = _conditions(_HISTORY_FIELDS, range_field="timestamp")
    wanted = {condition.field: condition.value for condition in conditions}
    moments = [(each.op, _moment("timestamp", each.value)) for each in conditions if each.field == "timestamp"]
    offset = timedelta(minutes=_minutes(wanted.get("search_offset"), has_moments=bool(moments)))
    size = PageSize(wanted=asked_limit(), maximum=page_limit)
    query = HistoryQuery(
        alarm_id=AlarmId(alarm_id),
        user_id=wanted.get("user_id", wanted.get("user")),
        project_id=wanted.get("project_id", wanted.get("project")),
        type=wanted.get("type"),
        severity=wanted.get("severity"),
        timestamps=tuple((op, _widened(op, at, offset)) for op, at in moments),
        sort=_sort(),
        marker=text_argument("marker"),
        limit=size.to_fetch,
    )
    return HistoryListing(query=query, size=size)


def _conditions(fields: Iterable[str], *, range_field: str | None = None) -> list[Condition]:
    """Return the conditions of the query string; operators other than `eq` belong to the range field only."""
    only_arguments(*_PARTS, *_PAGING)
    columns = [request.args.getlist(part) for part in _PARTS]
    conditions = []
    for field, op, value, kind in zip_longest(*columns):
        if not field:
            raise InvalidInput("Invalid input for field/attribute q.field. Value: 'None'. Mandatory field missing.")
        if field not in fields:
            known = ", ".join(sorted(fields))
            raise InvalidInput(
                f'Unknown argument: "{field}": unrecognized field in query: {field}, valid keys: {known}'
            )
        if value is None:
            raise InvalidInput("Invalid input for field/attribute q.value. Value: 'None'. Mandatory field missing.")
        operators = ("lt", "le", "gt", "ge") if field == range_field else ("eq",)
        # A range field has no default operator: `eq` on a moment never matches anything anybody means.
        if (op or "eq") not in operators:
            raise InvalidInput(
                f"Invalid input for field/attribute q.op. Value: '{op or 'eq'}'. "
                f"unimplemented operator for {field}; Value should be one of: {', '.join(operators)}"
            )
        _check_type(value, kind)
        conditions.append(Condition(field=field, op=op or "eq", value=value))
    return conditions


def _check_type(value: str, kind: str | None) -> None:
    """Raise `InvalidInput` unless the value is what its `q.type` says."""
    if not kind:
        return
    check = _TYPES.get(kind)
    if check is None:
        raise InvalidInput(
            f"Invalid input for field/attribute q.type. Value: '{kind}'. "
            f"Value should be one of: {', '.join(sorted(_TYPES))}"
        )
    try:
        check(value)
    except ValueError:
        raise InvalidInput(f"Unable to convert the value {value} to the expected data type {kind}.") from None


def _boolean(value: str) -> bool:
    truth = read_boolean(value)
    if truth is None:
        raise ValueError(value)
    return truth


def _datetime(value: str) -> datetime:
    moment = read_iso(value)
    if moment is None:
        raise ValueError(value)
    return moment


_TYPES: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "float": float,
    "string": str,
    "boolean": _boolean,
    "datetime": _datetime,
}


def _boolean_of(wanted: dict[str, str], field: str) -> bool | None:
    if field not in wanted:
        return None
    try:
        return _boolean(wanted[field])
    except ValueError:
        raise InvalidInput(
            f"Unable to convert the value {wanted[field]} to the expected data type boolean. "
            f"Value of {field} should be true or false"
        ) from None


def _moment(field: str, value: str) -> datetime:
    try:
        return _datetime(value)
    except ValueError:
        raise InvalidInput(
            f"Invalid input for field/attribute {field}. Value: '{value}'. Value should be ISO 8601, "
            "e.g. 2026-01-31T12:00:00"
        ) from None


def _minutes(value: str | None, *, has_moments: bool) -> float:
    if value is None:
        return 0.0
    if not has_moments:
        raise InvalidInput("search_offset cannot be used without timestamp")
    try:
        minutes = int(value)
    except ValueError:
        raise InvalidInput(f"Unable to convert the value {value} to the expected data type integer.") from None
    if not 0 <= minutes <= 525_600:
        raise InvalidInput(
            f"Invalid input for field/attribute search_offset. Value: '{value}'. Value should be 0 to 525600 minutes"
        )
    return float(minutes)


def _widened(op: str, at: datetime, offset: timedelta) -> datetime:
    """Return the bound of a span that is longer by an offset on both sides."""
    try:
        return at - offset if op in {"gt", "ge"} else at + offset
    except OverflowError:
        # At the end of the calendar there is nothing to widen into.
        return at


def _sort() -> tuple[tuple[str, str], ...]:
    """Return the order asked for: `key` or `key:direction`, repeatable; by default the newest first."""
    pairs = []
    for text in filter(None, request.args.getlist("sort")):
        key, _, direction = text.partition(":")
        pairs.append((key.strip(), direction.strip().lower() or "asc"))
    return tuple(pairs) or (("timestamp", "desc"),)
