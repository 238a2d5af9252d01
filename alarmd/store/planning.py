# SPDX-License-Identifier: Apache-2.0
"""What PostgreSQL is told where it plans worse than it could.

What it knows of a table that fills within a second is out of date: it takes any index for as good as the right one,
or all of the table for next to nothing. SQLite does not guess, and is told nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import ColumnElement, Connection, func, select

#: Its settings, both on unless somebody says otherwise: whether it thinks of reading all of a table, and of sorting.
_READS_ALL, _SORTS = "enable_seqscan", "enable_sort"


def no_whole_table() -> ColumnElement[str]:
    """Return what has the rest of a transaction read no whole table, to be selected along with something else."""
    return _set(_READS_ALL, is_on=False)


@contextmanager
def in_the_order_of_an_index(connection: Connection) -> Iterator[None]:
    """Have what is read within the block be read in the order that is asked for; on any database."""
    if connection.dialect.name != "postgresql":
        yield
        return
    connection.execute(select(_set(_READS_ALL, is_on=False), _set(_SORTS, is_on=False)))
    yield
    connection.execute(select(_set(_READS_ALL, is_on=True), _set(_SORTS, is_on=True)))


def _set(setting: str, *, is_on: bool) -> ColumnElement[str]:
    is_for_this_transaction = True
    return func.set_config(setting, "on" if is_on else "off", is_for_this_transaction)
