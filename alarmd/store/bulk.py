# SPDX-License-Identifier: Apache-2.0
"""Many rows in one go: what a tick that turns 10,000 alarms needs.

Row by row, half of the time of such a tick would go into binding parameters and talking to the database. So PostgreSQL
gets all rows of a statement as one JSON document, and SQLite a thousand in a statement, each as its driver stores them:
it lets go of the interpreter once a statement, so it can work while something else is made ready (`store.beside`).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any, TypeAlias

from sqlalchemy import JSON, Column, Connection, Table, text

from alarmd.store.columns import UtcDateTime, in_utc
from alarmd.store.json import to_json

#: How many rows SQLite gets in one statement at most, and with how many values in all: what it takes by default.
_BLOCK_ROWS, _BLOCK_VALUES = 1_000, 32_766

#: One row: the same columns in every row of a call.
Row = Mapping[str, Any]
#: Uses the connection, and returns once the database has done it.
Write: TypeAlias = Callable[[], None]

#: Stands in a statement for SQLite where the rows come.
_VALUES = "{values}"


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows, all of them or none."""
    inserting(connection, table, rows)()


def update_rows(connection: Connection, table: Table, *, key: str, rows: Sequence[Row]) -> None:
    """Set the other columns of the rows with these keys."""
    updating(connection, table, key=key, rows=rows)()


def inserting(connection: Connection, table: Table, rows: Sequence[Row]) -> Write:
    """Spell what `insert_rows` sends, and return what sends it."""
    if not rows:
        return _nothing
    names = list(rows[0])
    columns = ", ".join(f'"{name}"' for name in names)
    if connection.dialect.name == "postgresql":
        statement = f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {_records(table)}"  # noqa: S608  # names from the code
        return _as_json(connection, statement, rows)
    statement = f"INSERT INTO {table.name} ({columns}) {_VALUES}"
    return _in_blocks(connection, statement, table, names, rows)


def updating(connection: Connection, table: Table, *, key: str, rows: Sequence[Row]) -> Write:
    """Spell what `update_rows` sends, and return what sends it."""
    if not rows:
        return _nothing
    names = [name for name in rows[0] if name != key]
    if connection.dialect.name == "postgresql":
        changes = ", ".join(f'"{name}" = changed."{name}"' for name in names)
        same = f'{table.name}."{key}" = changed."{key}"'
        statement = f"UPDATE {table.name} SET {changes} FROM {_records(table)} WHERE {same}"  # noqa: S608  # names from the code
        return _as_json(connection, statement, rows)
    # SQLite numbers what values stand in.
    changes = ", ".join(f'"{name}" = changed.column{number}' for number, name in enumerate(names, 2))
    same = f'{table.name}."{key}" = changed.column1'
    statement = f"UPDATE {table.name} SET {changes} FROM ({_VALUES}) AS changed WHERE {same}"  # noqa: S608  # names from the code
    return _in_blocks(connection, statement, table, [key, *names], rows)


def _nothing() -> None:
    """Write nothing."""


def _records(table: Table) -> str:
    # What all rows share is the record that each of them begins as.
    common = f"json_populate_record(CAST(NULL AS {table.name}), CAST(:common AS json))"
    return f"json_populate_recordset({common}, CAST(:rows AS json)) AS changed"


def _as_json(connection: Connection, statement: str, rows: Sequence[Row]) -> Write:
    common = _common(rows)
    varying = [name for name in rows[0] if name not in common]
    told = {"common": to_json(common), "rows": to_json([{name: row[name] for name in varying} for row in rows])}
    return lambda: _run(connection, statement, told)


def _common(rows: Sequence[Row]) -> Row:
    """Return what all rows have alike: in a storm most columns, which the server would read from each row anew."""
    first = rows[0]
    return {
        name: value
        for name, value in first.items()
        # Not of JSON: 1 and 1.0 are equal, but not spelt alike.
        if not isinstance(value, dict | list | tuple) and all(row[name] == value for row in rows)
    }


def _run(connection: Connection, statement: str, told: Mapping[str, str]) -> None:
    connection.execute(text(statement), told)


def _in_blocks(
    connection: Connection, statement: str, table: Table, names: Sequence[str], rows: Sequence[Row]
) -> Write:
    spellings = [_spelling_of(table.c[name]) for name in names]
    columns = [
        [row[name] for row in rows] if spell is None else [spell(row[name]) for row in rows]
        for name, spell in zip(names, spellings, strict=True)
    ]
    spelt = list(zip(*columns, strict=True))
    size = min(_BLOCK_ROWS, _BLOCK_VALUES // len(names))
    whole = len(spelt) - len(spelt) % size
    sends: list[tuple[str, Any]] = [
        (_of_rows(statement, len(names), size), tuple(chain.from_iterable(spelt[start : start + size])))
        for start in range(0, whole, size)
    ]
    if rest := spelt[whole:]:
        # Blocks of any other size would be as many statements to keep.
        sends.append((_of_rows(statement, len(names), 1), rest))
    return lambda: _send(connection, sends)


def _send(connection: Connection, sends: Sequence[tuple[str, Any]]) -> None:
    for statement, values in sends:
        connection.exec_driver_sql(statement, values)


@lru_cache(maxsize=64)  # as few as there are kinds of writes: the driver, too, knows a statement by its text
def _of_rows(statement: str, width: int, count: int) -> str:
    row = f"({', '.join('?' * width)})"
    return statement.replace(_VALUES, f"VALUES {', '.join([row] * count)}")


def _spelling_of(column: Column[Any]) -> Callable[[Any], Any] | None:
    if isinstance(column.type, JSON):
        return _spell_optional if column.nullable else to_json
    return _spell_moment if isinstance(column.type, UtcDateTime) else None


def _spell_optional(value: Any) -> str | None:
    return None if value is None else to_json(value)


@lru_cache(maxsize=1024)  # the rows of a tick share a handful of moments
def _spell_moment(moment: datetime | None) -> str | None:
    # As SQLAlchemy does: UTC without saying so, and all digits even when they are zeros.
    return None if moment is None else in_utc(moment).replace(tzinfo=None).isoformat(" ", "microseconds")
