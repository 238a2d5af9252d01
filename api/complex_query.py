# SPDX-License-Identifier: Apache-2.0
"""Aodh's complex query: a filter and an order, each as JSON within a string of the body.

    filter  := {"and": [filter, filter, …]} | {"or": [filter, filter, …]} | {"not": filter}
             | {COMPARISON: {FIELD: value}} | {"in": {FIELD: [value, …]}}
    orderby := [{FIELD: "asc" or "desc"}, …]

Names of operators and directions may be in any case. Every value is brought to what its field holds, so that no
database ever has to compare things of different kinds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alarmd.api.json_body import refuse_unstorable
from alarmd.api.pages import PageSize
from alarmd.api.wire import read_boolean, read_iso, shown
from alarmd.errors import InvalidInput
from alarmd.store.expression import And, Compare, Expression, In, Kind, Not, Operator, Or, Search, Value

#: The bounds of a filter. Databases bound the depth of what they parse, and every comparison costs time on every row.
MAX_TEXT = 1_000_000
MAX_DEPTH = 64
MAX_COMPARISONS = 500
MAX_VALUES = 10_000
MAX_PATTERN = 1_000
MAX_SORT_FIELDS = 16

_KEYS = ("filter", "orderby", "limit")
_ALIASES = {"user": "user_id", "project": "project_id"}
_COMPARISONS = {str(operator): operator for operator in Operator} | {"=<": Operator.LE, "=>": Operator.GE}
_NEWEST_FIRST = (("timestamp", "desc"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplexQuery:
    """What a complex query asks for."""

    search: Search
    size: PageSize


def read_complex_query(
    data: Any, *, kinds: Mapping[str, Kind], page_limit: int, marker: str | None = None
) -> ComplexQuery:
    """Return what a decoded body asks for, of fields that hold these kinds; raises `InvalidInput` in Aodh's words."""
    if not isinstance(data, dict):
        raise InvalidInput(f"The body must be an object with any of {', '.join(_KEYS)}, not {shown(data)}.")
    unknown = next((key for key in data if key not in _KEYS), None)
    if unknown is not None:
        raise InvalidInput(f"Unknown attribute for argument body: {unknown}. Known here: {', '.join(_KEYS)}.")
    size = PageSize(wanted=_limit(data.get("limit")), maximum=page_limit)
    search = Search(
        expression=_expression(data.get("filter"), kinds),
        sort=_sort(data.get("orderby"), kinds),
        marker=marker,
        limit=size.to_fetch,
    )
    return ComplexQuery(search=search, size=size)


def _expression(text: Any, kinds: Mapping[str, Kind]) -> Expression | None:
    try:
        decoded = _decoded("filter", text)
        return None if decoded is None else _Reader(kinds).expression(decoded[0], depth=1)
    except _Wrong as wrong:
        raise InvalidInput(f"Filter expression not valid: {wrong}") from None


def _sort(text: Any, kinds: Mapping[str, Kind]) -> tuple[tuple[str, str], ...]:
    try:
        decoded = _decoded("orderby", text)
        return _NEWEST_FIRST if decoded is None else _sort_of(decoded[0], kinds)
    except _Wrong as wrong:
        raise InvalidInput(f"Order-by expression not valid: {wrong}") from None


def _limit(value: Any) -> int | None:
    """Return how many items are wanted at most; None when that is not said."""
    if value is None:
        return None
    try:
        # What is not whole (1.5, true, a list) is not taken for something near it.
        limit = int(value) if isinstance(value, str) or (type(value) in {int, float} and value == int(value)) else 0
    except (ValueError, OverflowError):
        limit = 0
    if limit <= 0:
        raise InvalidInput(f"Limit should be positive: a whole number from 1 up, not {shown(value)}.")
    return limit


class _Wrong(Exception):
    """Part of a query cannot be understood."""


def _decoded(name: str, text: Any) -> tuple[Any] | None:
    """Return the decoded JSON of an attribute, boxed: null inside of it is not the same as nothing given."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise _Wrong(f"{name} must be JSON within a string, as in {_EXAMPLES[name]}, not {shown(text)}.")
    if len(text) > MAX_TEXT:
        raise _Wrong(f"{name} is longer than {MAX_TEXT} characters.")
    try:
        decoded = json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise _Wrong(f"{name} is nested too deeply.") from None
    except ValueError as error:
        raise _Wrong(f"{name} is not JSON: {error}.") from None
    refuse_unstorable(decoded)
    return (decoded,)


_EXAMPLES = {"filter": '"{\\"=\\": {\\"name\\": \\"cpu_high\\"}}"', "orderby": '"[{\\"name\\": \\"asc\\"}]"'}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; of a key that stands there twice, one would be lost without a word."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Wrong("an object has the same key twice.")
    return found


def _sort_of(decoded: Any, kinds: Mapping[str, Kind]) -> tuple[tuple[str, str], ...]:
    if not isinstance(decoded, list):
        raise _Wrong(f"it must be a list as in {_EXAMPLES['orderby']}, not {shown(decoded)}.")
    if len(decoded) > MAX_SORT_FIELDS:
        raise _Wrong(f"it names more than {MAX_SORT_FIELDS} fields.")
    pairs = []
    for item in decoded:
        name, direction = _pair(item, "a field and its direction")
        if not isinstance(direction, str) or direction.lower() not in {"asc", "desc"}:
            raise _Wrong(f"the direction of {name} should be one of: asc, desc; not {shown(direction)}.")
        pairs.append((_field(name, kinds), direction.lower()))
    return tuple(pairs)


class _Reader:
    """Reads one filter, and counts what it holds."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds
        self._comparisons = 0
        self._values = 0

    def expression(self, data: Any, *, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise _Wrong(f"it is nested deeper than {MAX_DEPTH} levels.")
        name, operand = _pair(data, "an operator and what it is about")
        match name.lower():
            case "and":
                return And(parts=self._parts(name, operand, depth))
            case "or":
                return Or(parts=self._parts(name, operand, depth))
            case "not":
                return Not(part=self.expression(operand, depth=depth + 1))
            case "in":
                return self._in(operand)
            case sign if sign in _COMPARISONS:
                return self._compare(_COMPARISONS[sign], operand)
            case _:
                known = ", ".join(("and", "or", "not", "in", *_COMPARISONS))
                raise _Wrong(f"there is no operator {shown(name)}; known: {known}.")

    def _parts(self, name: str, operands: Any, depth: int) -> tuple[Expression, ...]:
        if not isinstance(operands, list) or len(operands) < 2:
            raise _Wrong(f"{name} takes a list of two operands or more, not {shown(operands)}.")
        return tuple(self.expression(operand, depth=depth + 1) for operand in operands)

    def _compare(self, operator: Operator, operand: Any) -> Compare:
        field, value = self._leaf(str(operator), operand)
        self._count(1)
        if operator is Operator.MATCHES:
            return Compare(field=field, operator=operator, value=self._pattern(field, value))
        return Compare(field=field, operator=operator, value=self._value(field, value))

    def _in(self, operand: Any) -> In:
        field, values = self._leaf("in", operand)
        if not isinstance(values, list) or not values:
            raise _Wrong(f"in takes a list of one value or more for {field}, not {shown(values)}.")
        self._count(len(values))
        if any(isinstance(value, bool) for value in values):
            raise _Wrong(f"in takes strings and numbers for {field}; write the booleans as strings.")
        return In(field=field, values=tuple(self._value(field, value) for value in values))

    def _leaf(self, operator: str, operand: Any) -> tuple[str, Any]:
        name, value = _pair(operand, f"the field that {operator} compares and a value")
        return _field(name, self._kinds), value

    def _count(self, values: int) -> None:
        self._comparisons += 1
        self._values += values
        if self._comparisons > MAX_COMPARISONS:
            raise _Wrong(f"it holds more than {MAX_COMPARISONS} comparisons; in takes many values in one.")
        if self._values > MAX_VALUES:
            raise _Wrong(f"it holds more than {MAX_VALUES} values.")

    def _pattern(self, field: str, value: Any) -> str:
        if self._kinds[field] in {Kind.BOOLEAN, Kind.MOMENT}:
            raise _Wrong(f"=~ compares text, and {field} is a {self._kinds[field]}.")
        pattern = _text(field, value)
        if len(pattern) > MAX_PATTERN:
            raise _Wrong(f"the pattern for {field} is longer than {MAX_PATTERN} characters.")
        return pattern

    def _value(self, field: str, value: Any) -> Value:
        match self._kinds[field]:
            case Kind.BOOLEAN:
                return _boolean(field, value)
            case Kind.MOMENT:
                moment = read_iso(value) if isinstance(value, str) else None
                if moment is None:
                    raise InvalidInput(
                        f"Failed to parse the timestamp value {shown(value)} of {field}; "
                        "it should be ISO 8601 in a string, e.g. 2026-01-31T12:00:00"
                    )
                return moment
            case _:
                return _text(field, value)


def _pair(data: Any, meaning: str) -> tuple[str, Any]:
    if not isinstance(data, dict) or len(data) != 1:
        raise _Wrong(f"an object with exactly one key should stand for {meaning}, not {shown(data)}.")
    return next(iter(data.items()))


def _field(name: str, kinds: Mapping[str, Kind]) -> str:
    field = _ALIASES.get(name, name)
    if field not in kinds:
        raise _Wrong(f"there is no field {shown(name)}; known: {', '.join(sorted({*kinds, *_ALIASES}))}.")
    return field


def _boolean(field: str, value: Any) -> bool:
    truth = read_boolean(value) if isinstance(value, str) else None
    if isinstance(value, int | float) and value in {0, 1}:
        truth = bool(value)
    if truth is None:
        raise InvalidInput(
            f"Unable to convert the value {shown(value)} to the expected data type boolean. "
            f"Value of {field} should be true or false"
        )
    return truth


def _text(field: str, value: Any) -> str:
    """Return a value as text: numbers and booleans as JSON spells them."""
    if isinstance(value, str):
        return value
    if not isinstance(value, int | float):
        raise _Wrong(f"{field} is compared with a string, a number or a boolean, not {shown(value)}.")
    return json.dumps(value)
