# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from alarmd.notifiers.desk import Desk

PATIENCE_S = 10.0


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def work(desk: Desk, done: Event) -> None:
    """Do a piece of work at a desk."""
    with desk:
        done.set()


def test_one_thread_at_a_time_is_at_the_desk(threads: ThreadPoolExecutor) -> None:
    """Who comes to a desk that is taken waits until it is free."""
    desk, done = Desk(), Event()
    with desk:
        other = threads.submit(work, desk, done)
        came_in_between = done.wait(0.05)
    other.result(PATIENCE_S)

    assert (False, True) == (came_in_between, done.is_set())


def test_who_is_away_leaves_the_desk_to_others_and_comes_back_to_it(threads: ThreadPoolExecutor) -> None:
    """While one waits for something others work, and afterwards it has the desk to itself again."""
    desk, done = Desk(), Event()
    with desk:
        with desk.away():
            threads.submit(work, desk, done).result(PATIENCE_S)
            was_mine = desk.is_mine
        is_mine = desk.is_mine

    assert done.is_set()
    assert (False, True, False) == (was_mine, is_mine, desk.is_mine)


def test_going_away_changes_nothing_for_who_is_not_at_the_desk(threads: ThreadPoolExecutor) -> None:
    """One who waits for something without a desk does not take it from whoever has it."""
    desk, done = Desk(), Event()

    def wait_elsewhere() -> bool:
        with desk.away():
            return desk.is_mine

    with desk:
        was_theirs = threads.submit(wait_elsewhere).result(PATIENCE_S)
        other = threads.submit(work, desk, done)
        came_in_between = done.wait(0.05)
    other.result(PATIENCE_S)

    assert (False, False) == (was_theirs, came_in_between)


def test_a_failure_at_the_desk_or_away_leaves_it_free(threads: ThreadPoolExecutor) -> None:
    """Whatever goes wrong, the next one can work."""
    desk, done = Desk(), Event()
    with pytest.raises(TimeoutError), desk, desk.away():
        raise TimeoutError

    threads.submit(work, desk, done).result(PATIENCE_S)

    assert done.is_set()
