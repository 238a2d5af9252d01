# SPDX-License-Identifier: Apache-2.0
"""Pages of a list: sorted by what the client asks for, made stable by a unique key, continued behind a marker."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, false, or_, select, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from alarmd.errors import InvalidInput
from alarmd.store.columns import is_storable

#: A sort key and ``asc`` or ``desc``.
Sort = tuple[str, str]


def matches(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    """Return the condition that a column equals a value; text that cannot be stored matches nothing."""
    return false() if isinstance(value, str) and not is_storable(value) else column == value


class Unindexed(GenericFunction[Any]):
    """A column, to be compared without its index: beside a condition that leaves fewer rows.

    SQLite knows nothing of how many rows a value has, and of two indexes takes the one that also sorts. PostgreSQL
    counts, and needs no telling.
    """

    name = "alarmd_unindexed"
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        self.type = column.type
        super().__init__(column)


@compiles(Unindexed)
def _plainly(element: Unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(Unindexed, "sqlite")
def _with_a_sign(element: Unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


class Pager:
    """Sorts and continues the lists of one table."""

    def __init__(self, *, keys: Mapping[str, ColumnElement[Any]], marker: str, tie: ColumnElement[Any]) -> None:
        """Take the keys that clients may sort by, which of them is the marker, and the unique tie-breaker."""
        self._keys = keys
        self._marker = marker
        self._tie = tie

    def page(
        self,
        connection: Connection,
        statement: Select[Any],
        *,
        visible: Sequence[ColumnElement[bool]],
        sort: Sequence[Sort],
        marker: str | None,
        limit: int | None,
    ) -> Select[Any]:
        """Return the statement, sorted and cut to the page.

        A marker has to be among the rows that are `visible`, so that it tells nothing about others. Raises
        `InvalidInput` for an unknown key, direction or marker.
        """
        order = [self._resolve(key, direction) for key, direction in sort]
        # Ties go the way of the last key, so that one index serves the whole order.
        order.append((self._tie, order[-1][1] if order else False))
        if marker:
            statement = statement.where(self._behind(connection, marker, visible, order))
        statement = statement.order_by(*(column.desc() if down else column.asc() for column, down in order))
        return statement if limit is None else statement.limit(limit)

    def _resolve(self, key: str, direction: str) -> tuple[ColumnElement[Any], bool]:
        if key not in self._keys:
            known = ", ".join(sorted(self._keys))
            raise InvalidInput(
                f"Invalid input for field/attribute sort. Value: '{key}'. Value should be one of: {known}", key=key
            )
        if direction.lower() not in {"asc", "desc"}:
            raise InvalidInput(
                f"Invalid input for field/attribute sort. Value: '{key}:{direction}'. The direction should be one of: "
                "asc, desc",
                direction=direction,
            )
        return self._keys[key], direction.lower() == "desc"

    def _behind(
        self,
        connection: Connection,
        marker: str,
        visible: Sequence[ColumnElement[bool]],
        order: Sequence[tuple[ColumnElement[Any], bool]],
    ) -> ColumnElement[bool]:
        columns = [column.label(f"key_{index}") for index, (column, _) in enumerate(order)]
        its_row = select(*columns).where(matches(self._keys[self._marker], marker), *visible)
        found = connection.execute(its_row).first()
        if found is None:
            raise InvalidInput(
                f"Marker {marker} not found. It must be the {self._marker} of the last entry of the page before.",
                marker=marker,
            )
        branches: list[ColumnElement[bool]] = []
        equal: ColumnElement[bool] = true()
        for (column, down), value in zip(order, found, strict=True):
            branches.append(and_(equal, column < value if down else column > value))
            equal = and_(equal, column == value)
        # The bound on the first key says nothing new, but lets the database start in its index at the marker.
        first, down = order[0]
        bound = first <= found[0] if down else first >= found[0]
        return and_(bound, or_(false(), *branches))
