# SPDX-License-Identifier: Apache-2.0
"""What statements cost, counted in steps and not in seconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, text

from alarmd.store.database import Database


@contextmanager
def counting_steps(database: Database) -> Iterator[list[int]]:
    """Count what a database does: SQLite its machine's steps, PostgreSQL the rows that statements meet on the way."""
    engine = database._engine
    counted = [0]
    if engine.dialect.name == "sqlite":

        def note() -> int:
            counted[0] += 100
            return 0

        def begin(connection: Any) -> None:
            connection.connection.driver_connection.set_progress_handler(note, 100)

        event.listen(engine, "begin", begin)
        yield counted
        event.remove(engine, "begin", begin)
        return

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")) and "pg_" not in statement:
            with connection.connection.driver_connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
                counted[0] += met(cursor.fetchone()[0][0]["Plan"])

    event.listen(engine, "before_cursor_execute", explain)
    yield counted
    event.remove(engine, "before_cursor_execute", explain)


def analyse(database: Database) -> None:
    """Let PostgreSQL know what the outbox holds, as it would find out by itself a minute later."""
    if database._engine.dialect.name == "postgresql":
        with database.write() as unit:
            unit.connection.execute(text("ANALYZE outbox"))


def met(plan: dict[str, Any]) -> int:
    """Return how many rows a plan has met, below as above."""
    here = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    return int(here * plan["Actual Loops"]) + sum(met(part) for part in plan.get("Plans", ()))
