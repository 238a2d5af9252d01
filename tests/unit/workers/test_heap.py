# SPDX-License-Identifier: Apache-2.0
"""When the search for cyclic garbage stays away."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from alarmd.workers.heap import filling, search_rarely


class _Knot:
    """Garbage as soon as nobody else knows it, that only the search finds."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _thaw() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_is_no_garbage_is_rarely_searched() -> None:
    """Whoever makes thousands of objects in one go is not held up by a search for garbage among them."""
    before = gc.get_threshold()
    try:
        search_rarely()
        searches = gc.get_stats()[0]["collections"]
        kept = [[number] for number in range(10_000)]
        searched = gc.get_stats()[0]["collections"] - searches
    finally:
        gc.set_threshold(*before)

    assert 10_000 == len(kept)
    assert searched <= 1


def test_nothing_is_searched_while_the_heap_is_filled() -> None:
    """Within there is no search; afterwards what was filled is passed over, and searches go on."""
    with filling():
        within = gc.isenabled()
        kept = [_Knot() for _ in range(10)]

    assert (within, gc.isenabled()) == (False, True)
    assert gc.get_freeze_count() > len(kept)


def test_what_was_filled_before_may_go() -> None:
    """Who fills the heap again gets rid of what was in it."""
    with filling():
        knot = _Knot()
    gone = weakref.ref(knot)
    del knot
    with filling():
        pass

    assert gone() is None


def test_searches_go_on_after_a_failure() -> None:
    """An error within changes nothing for good."""
    with pytest.raises(ValueError, match="within"), filling():
        raise ValueError("within")

    assert gc.isenabled()
