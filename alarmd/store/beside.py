# SPDX-License-Identifier: Apache-2.0
"""Work beside one's own: while the database works on one piece of a large transaction, the next one is made ready."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

_T = TypeVar("_T")


class Beside(Protocol):
    """Has jobs done that use the connection, one after the other."""

    def __call__(self, job: Callable[[], _T], /) -> Callable[[], _T]:
        """Have a job done, at once or soon; return what waits for it and tells its result, or raises its error."""
        ...


@contextmanager
def beside(*, pieces: int) -> Iterator[Beside]:
    """Give what has jobs done beside one's own work; all are done when the block ends, or it raises.

    While a job is under way the connection is the job's alone. A server has hands of its own, and SQLite, which works
    in this process, lets go of the interpreter for as long as a statement takes. Where there is but one piece, nothing
    is won: a job is done before it is answered for.
    """
    if pieces < 2:
        yield _at_once
        return
    begun: list[Future[Any]] = []
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as worker:

        def soon(job: Callable[[], _T], /) -> Callable[[], _T]:
            doing = worker.submit(job)
            begun.append(doing)
            return doing.result

        try:
            yield soon
            for one in begun:
                one.result()
        except BaseException:
            # After the first failure the transaction takes no more.
            worker.shutdown(wait=True, cancel_futures=True)
            raise


def _at_once(job: Callable[[], _T], /) -> Callable[[], _T]:
    result = job()
    return lambda: result
