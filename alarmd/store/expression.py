# SPDX-License-Identifier: Apache-2.0
"""Conditions that callers put together as they like: a tree of comparisons, and the search that it belongs to."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from alarmd.store.paging import Sort

#: What a field is compared with: text, a boolean or an aware moment, as the kind of the field asks for.
Value: TypeAlias = str | bool | datetime


class Kind(StrEnum):
    """What a field holds, and so what it can be compared with."""

    #: Compared character by character, in the order of Unicode.
    TEXT = "text"
    BOOLEAN = "boolean"
    MOMENT = "datetime"
    #: Text, but smaller and greater go by meaning: low, moderate, critical.
    SEVERITY = "severity"
    #: Compared as JSON text in its shortest spelling (no blanks, what is not ASCII escaped).
    DOCUMENT = "document"


class Operator(StrEnum):
    """How a field is compared with a value."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    #: A regular expression matches somewhere. Of fields that hold text only.
    MATCHES = "=~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """True where a field has a value, and it compares like this."""

    field: str
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class In:
    """True where a field has one of these values; there is at least one."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    """True where all parts are; there is at least one."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    """True where any part is; there is at least one."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """True where the part is false, and so also where a field that it compares has no value."""

    part: "Expression"


Leaf: TypeAlias = Compare | In
Expression: TypeAlias = And | Or | Not | Leaf


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which items, in which order, and which page of them."""

    #: None: all.
    expression: Expression | None = None
    #: Only what belongs to this project, and a marker only from there; None for all projects.
    project_id: str | None = None
    #: Pairs of a field and ``asc`` or ``desc``. Ties, and everything when there are none, go by a unique key.
    sort: tuple[Sort, ...] = (("timestamp", "desc"),)
    #: The id of the last item of the page before.
    marker: str | None = None
    limit: int | None = None


def leaves(expression: Expression) -> Iterator[Leaf]:
    """Yield every comparison of an expression."""
    match expression:
        case And() | Or():
            for part in expression.parts:
                yield from leaves(part)
        case Not():
            yield from leaves(expression.part)
        case _:
            yield expression
