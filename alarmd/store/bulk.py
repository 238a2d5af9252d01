# SPDX-License-Identifier: Apache-2.0
"""Many rows in one go: what a tick that turns 10,000 alarms needs.

Row by row, half of the time of such a tick would go into binding parameters and talking to the server. So PostgreSQL
gets all rows of a statement as one JSON document, and SQLite gets them spelt as its driver stores them.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeAlias

from sqlalchemy import JSON, Column, Connection, Table, text

from alarmd.store.columns import UtcDateTime, in_utc
from alarmd.store.json import to_json

#: One row: the same columns in every row of a call.
Row = Mapping[str, Any]
#: Uses the connection, and returns once the database has done it.
Write: TypeAlias = Callable[[], None]


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
    values = ", ".join("?" * len(names))
    statement = f"INSERT INTO {table.name} ({columns}) VALUES ({values})"  # noqa: S608  # names from the code
    return _each(connection, statement, table, names, rows)


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
    changes = ", ".join(f'"{name}" = ?' for name in names)
    statement = f'UPDATE {table.name} SET {changes} WHERE "{key}" = ?'  # noqa: S608  # names from the code
    return _each(connection, statement, table, [*names, key], rows)


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


def _each(connection: Connection, statement: str, table: Table, names: Sequence[str], rows: Sequence[Row]) -> Write:
    spellings = [_spelling_of(table.c[name]) for name in names]
    columns = [
        [row[name] for row in rows] if spell is None else [spell(row[name]) for row in rows]
        for name, spell in zip(names, spellings, strict=True)
    ]
    spelt = list(zip(*columns, strict=True))
    return lambda: _run_each(connection, statement, spelt)


def _run_each(connection: Connection, statement: str, rows: list[tuple[Any, ...]]) -> None:
    connection.exec_driver_sql(statement, rows)


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
