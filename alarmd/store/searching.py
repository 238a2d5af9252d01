# SPDX-License-Identifier: Apache-2.0
"""Searches: from expressions to SQL that means the same on every database.

Logic has two values here: a field without a value compares false with everything, and `not` makes that true. SQL's
third value never shows.
"""

import json
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    RowMapping,
    Table,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    not_,
    or_,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from alarmd.model.alarm import Severity
from alarmd.store.columns import PlainText
from alarmd.store.expression import And, Compare, Expression, In, Kind, Not, Operator, Or, Search, Value, leaves
from alarmd.store.json import to_json
from alarmd.store.paging import Pager, Unindexed, matches
from alarmd.store.patterns import PATIENCE_S, Matches, bounded

_COMPARISONS: Mapping[Operator, Callable[[Any, Any], Any]] = {
    Operator.EQ: operator.eq,
    Operator.NE: operator.ne,
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
    Operator.MATCHES: Matches,
}
_ORDERING = frozenset({Operator.LT, Operator.LE, Operator.GT, Operator.GE})
_RANKS = {str(level): rank for rank, level in enumerate(Severity)}

#: Stands for a missing moment in an order: before all that are stored.
_LONG_AGO = datetime(1900, 1, 1, tzinfo=UTC)


class InByteOrder(GenericFunction[str]):
    """A text, to be compared byte by byte, whatever the locale of the database."""

    type = Text()
    name = "alarmd_in_byte_order"
    inherit_cache = True


@compiles(InByteOrder)
def _as_it_is(element: InByteOrder, compiler: SQLCompiler, **options: Any) -> str:
    return f"({compiler.process(element.clauses, **options)})"


@compiles(InByteOrder, "postgresql")
def _collated(element: InByteOrder, compiler: SQLCompiler, **options: Any) -> str:
    return f'({compiler.process(element.clauses, **options)} COLLATE "C")'


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """A column as it is searched."""

    column: Column[Any]
    kind: Kind

    def condition(self, comparison: Operator, value: Value) -> ColumnElement[bool]:
        left = self.order() if comparison in _ORDERING else self._plain()
        right = value if comparison is Operator.MATCHES else self._spelt(value)
        if self.kind is Kind.SEVERITY and comparison in _ORDERING:
            if value not in _RANKS:
                return false()
            right = _RANKS[str(value)]
        return self._told(_COMPARISONS[comparison](left, right))

    def one_of(self, values: tuple[Value, ...]) -> ColumnElement[bool]:
        return self._told(self._plain().in_([self._spelt(value) for value in values]))

    def order(self) -> ColumnElement[Any]:
        """Return what the field is sorted by; never NULL where the column sorts by itself."""
        if self.kind is Kind.SEVERITY:
            return self._rank()
        plain = self._plain()
        if self.kind is Kind.MOMENT:
            return func.coalesce(plain, _LONG_AGO) if self.column.nullable else plain
        # Explicit only where it must be, so that indexes serve.
        in_order = self.kind is Kind.BOOLEAN or self.column.type is PlainText
        return plain if in_order else InByteOrder(plain)

    def _plain(self) -> ColumnElement[Any]:
        match self.kind:
            case Kind.BOOLEAN:
                return cast(self.column, Integer)
            case Kind.DOCUMENT:
                return cast(self.column, Text)
            case _:
                return self.column

    def _rank(self) -> ColumnElement[int]:
        # What has no severity comes before all others.
        return case(_RANKS, value=self.column, else_=-1)

    def _spelt(self, value: Value) -> Any:
        match self.kind:
            case Kind.BOOLEAN:
                return int(bool(value))
            case Kind.DOCUMENT:
                return _as_stored(str(value))
            case _:
                return value

    def _told(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        return and_(self.column.is_not(None), condition) if self.column.nullable else condition


class Searchable:
    """One table as it is searched."""

    def __init__(
        self,
        table: Table,
        kinds: Mapping[str, Kind],
        *,
        hidden: Collection[str],
        unread: Collection[str] = (),
        owner: ColumnElement[str],
        narrow: Collection[str],
        marker: str,
        tie: ColumnElement[Any],
    ) -> None:
        """Take what its columns hold (text, where nothing is said), which are not to be searched, and how it pages.

        The unread columns are left out of the rows. The owner is the column with the project that a row belongs to;
        narrow are the fields with an index of which a value has few rows.
        """
        self._read = [column for column in table.c if column.name not in unread]
        self._fields = {
            column.name: _Field(column=column, kind=kinds.get(column.name, Kind.TEXT))
            for column in table.c
            if column.name not in hidden
        }
        self._owner = owner
        self._narrow = frozenset(narrow)
        keys = {name: field.order() for name, field in self._fields.items()}
        self._pager = Pager(keys=keys, marker=marker, tie=tie)
        #: What each field that can be searched holds.
        self.kinds: Mapping[str, Kind] = {name: field.kind for name, field in self._fields.items()}

    def rows(self, connection: Connection, search: Search, *, patience_s: float = PATIENCE_S) -> Sequence[RowMapping]:
        """Return the rows that a search asks for; raises `InvalidInput` as `Pager.page` and `bounded` do."""
        pinned = set() if search.expression is None else _pinned(search.expression)
        owner = Unindexed(self._owner) if pinned & self._narrow else self._owner
        visible = [] if search.project_id is None else [matches(owner, search.project_id)]
        statement = select(*self._read).where(*visible)
        patterns: list[str] = []
        if search.expression is not None:
            statement = statement.where(self._condition(search.expression))
            patterns = sorted(_patterns(search.expression))
        with bounded(connection, patterns, patience_s=patience_s):
            page = self._pager.page(
                connection, statement, visible=visible, sort=search.sort, marker=search.marker, limit=search.limit
            )
            return connection.execute(page).mappings().all()

    def _condition(self, expression: Expression) -> ColumnElement[bool]:
        match expression:
            case And():
                return and_(*(self._condition(part) for part in expression.parts))
            case Or():
                return or_(*(self._condition(part) for part in expression.parts))
            case Not():
                return not_(self._condition(expression.part))
            case Compare():
                return self._fields[expression.field].condition(expression.operator, expression.value)
            case In():
                return self._fields[expression.field].one_of(expression.values)


def _pinned(expression: Expression) -> set[str]:
    """Return the fields that have one of a few values wherever an expression is true."""
    match expression:
        case And():
            return {field for part in expression.parts for field in _pinned(part)}
        case Compare(operator=Operator.EQ) | In():
            return {expression.field}
        case _:
            return set()


def _patterns(expression: Expression) -> set[str]:
    return {
        str(leaf.value)
        for leaf in leaves(expression)
        if isinstance(leaf, Compare) and leaf.operator is Operator.MATCHES
    }


def _as_stored(document: str) -> str:
    """Return JSON as it is spelt in the database; text that is no list and no object, as it is."""
    if not document.lstrip().startswith(("[", "{")):
        return document
    try:
        return to_json(json.loads(document))
    except (ValueError, RecursionError):
        return document
