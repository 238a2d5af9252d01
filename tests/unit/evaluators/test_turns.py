# SPDX-License-Identifier: Apache-2.0
"""Turns: no project has all of what is computed for people who ask."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from alarmd.errors import TooMany
from alarmd.evaluators.answers.turns import TurnLimits, Turns
from tests.support.threads import run_together

#: Longer than anything here takes.
LONG_S = 30.0


def the_turns(**limits: Any) -> Turns:
    """Return turns whose limits are those of previews in a process of 16 threads, unless said otherwise."""
    given: dict[str, Any] = {"at_once": 1, "most": 4, "most_of_one": 1, "patience_s": LONG_S}
    return Turns(TurnLimits(**given | limits), what="previews")


class Visits:
    """Callers in threads of their own, each of which stays until it is told to go."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._threads = ThreadPoolExecutor(8)
        self._ends: list[Event] = []
        #: The projects in the order of their turns.
        self.served: list[str] = []

    def come(self, project_id: str) -> tuple[Event, Event, Future[None]]:
        """Return what tells that somebody has its turn, what makes it go, and what comes of it."""
        began, end = Event(), Event()
        self._ends.append(end)

        def stay() -> None:
            with self._turns.turn(project_id):
                self.served.append(project_id)
                began.set()
                end.wait(LONG_S)

        return began, end, self._threads.submit(stay)

    def wait_for(self, project_id: str) -> tuple[Event, Event, Future[None]]:
        """Let somebody come who has to wait, and return once it does."""
        waiting = len(self._turns._waiting)
        visit = self.come(project_id)
        with self._turns._changed:
            assert self._turns._changed.wait_for(lambda: len(self._turns._waiting) > waiting, LONG_S)
        return visit

    def close(self) -> None:
        """Let everybody go."""
        for end in self._ends:
            end.set()
        self._threads.shutdown()


@pytest.fixture
def visit() -> Iterator[Callable[[Turns], Visits]]:
    """Make callers, who go with the test."""
    made: list[Visits] = []

    def make(turns: Turns) -> Visits:
        made.append(Visits(turns))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_project_has_its_share_and_no_more(visit: Callable[[Turns], Visits]) -> None:
    """A second one of the same project is told so at once; once the first is gone there is room again."""
    turns = the_turns()
    visits = visit(turns)
    began, end, first = visits.come("p1")
    assert began.wait(LONG_S)
    with pytest.raises(TooMany, match=r"^Project 'p1' has 1 previews under way .* which is its share; try again"):
        visits.come("p1")[2].result(LONG_S)
    end.set()
    first.result(LONG_S)

    assert visits.come("p1")[0].wait(LONG_S)


def test_projects_have_their_turns_one_after_another(visit: Callable[[Turns], Visits]) -> None:
    """Whoever asks again without a pause comes after those who have waited meanwhile."""
    visits = visit(the_turns(most_of_one=2))
    began, end, _ = visits.come("p1")
    assert began.wait(LONG_S)
    waiting = [visits.wait_for(project_id) for project_id in ("p2", "p1", "p3")]
    end.set()
    for began, end, _ in waiting:
        assert began.wait(LONG_S)
        end.set()

    assert ["p1", "p2", "p1", "p3"] == visits.served


def test_a_project_that_is_served_lets_others_pass(visit: Callable[[Turns], Visits]) -> None:
    """Of two places one stays free for whoever comes, however many wait of the first project."""
    visits = visit(the_turns(at_once=2, most_of_one=2))
    first = visits.come("p1")
    assert first[0].wait(LONG_S)
    second = visits.wait_for("p1")
    other = visits.come("p2")

    assert other[0].wait(LONG_S)
    assert not second[0].is_set()
    first[1].set()
    assert second[0].wait(LONG_S)


def test_what_waits_is_bounded_over_all_projects(visit: Callable[[Turns], Visits]) -> None:
    """Threads of the API are left for those who ask for less."""
    visits = visit(the_turns(most=2))
    assert visits.come("p1")[0].wait(LONG_S)
    visits.wait_for("p2")
    with pytest.raises(TooMany, match=r"^2 previews are under way or wait in this process, and no more may") as refused:
        visits.come("p3")[2].result(LONG_S)

    assert 2 == refused.value.facts["retry_after_s"]


def test_nobody_waits_for_ever(visit: Callable[[Turns], Visits]) -> None:
    """What has waited in vain leaves its place to others."""
    turns = the_turns(patience_s=0.01)
    visits = visit(turns)
    began, end, first = visits.come("p1")
    assert began.wait(LONG_S)
    with pytest.raises(TooMany, match=r"^Other previews have been under way in this process for 0.01 s; try again"):
        visits.come("p2")[2].result(LONG_S)
    end.set()
    first.result(LONG_S)

    assert visits.come("p2")[0].wait(LONG_S)


def test_a_fault_ends_a_turn() -> None:
    """Whatever happens while something is computed, the next one is let in."""
    turns, served = the_turns(), []
    with pytest.raises(ZeroDivisionError), turns.turn("p1"):
        1 // 0  # noqa: B018  # what is computed fails
    with turns.turn("p1"):
        served.append("p1")

    assert ["p1"] == served


def test_many_at_once_are_served_within_the_bounds() -> None:
    """Never more at a time than may be, never two of a project, and in the end everybody."""
    turns = the_turns(at_once=2, most=8, most_of_one=4)
    inside: list[str] = []
    seen: list[list[str]] = []

    def work(project_id: str) -> None:
        for _ in range(20):
            with turns.turn(project_id):
                inside.append(project_id)
                seen.append(sorted(inside))
                inside.remove(project_id)

    run_together(*[lambda project_id=f"p{number % 3}": work(project_id) for number in range(8)])

    assert 160 == len(seen)
    assert all(len(one) <= 2 and len(set(one)) == len(one) for one in seen)
    assert not turns._present
