# SPDX-License-Identifier: Apache-2.0
"""Work abreast: the compiled walk holds no lock of Python's, so large pieces of it share the processor's cores."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import cache
from typing import TypeVar

_T = TypeVar("_T")

#: More would wait for memory.
_MOST_CORES = 4


def abreast(tasks: Sequence[Callable[[], _T]]) -> list[_T]:
    """Run tasks that do not depend on each other, on as many cores as there are; return what each has returned.

    Settings that belong to a context, such as numpy's about errors, hold for all of them. Raises what the first of
    them that fails raises, once all have ended.
    """
    cores = min(len(os.sched_getaffinity(0)), _MOST_CORES)
    if cores == 1 or len(tasks) < 2:
        return [task() for task in tasks]
    begun = [_hands(os.getpid(), cores).submit(copy_context().run, task) for task in tasks]
    # Before anything is raised: what they read may be moved once nobody is thought to read it any more.
    wait(begun)
    return [one.result() for one in begun]


@cache
def _hands(_process: int, cores: int) -> ThreadPoolExecutor:
    """Return the threads of a process; those of its parent do not come along when it forks."""
    return ThreadPoolExecutor(cores, thread_name_prefix="walk")
