# SPDX-License-Identifier: Apache-2.0
"""Writing behind: while a server works on one piece of a large transaction, the next one is made ready."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeAlias

from sqlalchemy import Connection

#: Uses the connection, and returns once the database has done it.
Write: TypeAlias = Callable[[], None]


@contextmanager
def writing_behind(connection: Connection, *, pieces: int) -> Iterator[Callable[[Write], None]]:
    """Give a function that has a piece written, one after the other; all are when the block ends, or it raises.

    Within the block the connection is the writer's alone. Only a server has hands of its own: SQLite works in this
    process, so there, and where there is but one piece, it is written at once.
    """
    if pieces < 2 or connection.dialect.name == "sqlite":
        yield lambda write: write()
        return
    begun: list[Future[None]] = []
    with ThreadPoolExecutor(1, thread_name_prefix="writer") as writer:
        try:
            yield lambda write: begun.append(writer.submit(write))
            for one in begun:
                one.result()
        except BaseException:
            # After the first failure the transaction takes no more.
            writer.shutdown(wait=True, cancel_futures=True)
            raise
