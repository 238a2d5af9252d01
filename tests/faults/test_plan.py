# SPDX-License-Identifier: Apache-2.0
"""Whoever wants the machine gets it, nobody else waits longer than need be, and no two share a server."""

import threading
from collections.abc import Callable, Sequence

import pytest

from tests.faults.campaign import CASES, play
from tests.faults.case import Case, Outcome
from tests.faults.evidence import Findings
from tests.faults.plan import Part, Plan, gaps_of, parts_of
from tests.faults.scene import POSTGRESQL, SQLITE, Stage
from tests.support.servers import ServerMissing

#: For how long one waits at most for another that is to come, and for one that is not.
_MEETS_S, _MISSES_S = 10.0, 0.1


class _Watchers:
    """Who is played beside whom."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: set[str] = set()
        self.began: list[str] = []
        self.beside: dict[str, set[str]] = {}

    def case(self, name: str, wait: Callable[[], object] = lambda: None, **options: object) -> Case:
        """Return a case that does nothing but wait."""

        def playing(_stage: Stage) -> Outcome:
            with self._lock:
                self._now.add(name)
                self.began.append(name)
                self.beside[name] = set()
                for each in self._now - {name}:
                    self.beside[each].add(name)
                    self.beside[name].add(each)
            wait()
            with self._lock:
                self._now.remove(name)
            return Outcome(injections=1, findings=Findings())

        return Case(name=name, title=name, play=playing, **options)  # type: ignore[arg-type]  # as the test says


@pytest.fixture
def watchers() -> _Watchers:
    """Nobody is played yet."""
    return _Watchers()


def _played(cases: Sequence[Case], *, jobs: int, short: bool = False, database: str = SQLITE) -> list[str]:
    plan = Plan(parts=[(case, database) for case in cases], short=short, seed=1)
    rows = [row for rows in play(plan, tell=lambda _text: None, jobs=jobs) for row in rows]
    assert all(row.is_good for row in rows), rows
    return [row.case.name for row in rows]


def test_one_that_wants_the_machine_has_nobody_beside_it(watchers: _Watchers) -> None:
    """The others meet, and only when they have gone it begins."""
    both, nobody = threading.Barrier(2), threading.Event()
    cases = [
        # All of them stay for a while, for whoever should come in between.
        watchers.case("heavy", lambda: nobody.wait(_MISSES_S), alone=True),
        watchers.case("one", lambda: (both.wait(_MEETS_S), nobody.wait(_MISSES_S))),
        watchers.case("two", lambda: (both.wait(_MEETS_S), nobody.wait(_MISSES_S))),
        watchers.case("heavier", lambda: nobody.wait(_MISSES_S), alone=True),
    ]

    assert {"heavy", "heavier", "one", "two"} == set(_played(cases, jobs=4))
    assert {"heavy": set(), "heavier": set(), "one": {"two"}, "two": {"one"}} == watchers.beside


def test_the_short_form_leaves_nobody_alone(watchers: _Watchers) -> None:
    """With few injections even those are played side by side."""
    both = threading.Barrier(2)
    cases = [watchers.case(name, lambda: both.wait(_MEETS_S), alone=True) for name in ("heavy", "heavier")]

    assert {"heavy", "heavier"} == set(_played(cases, jobs=2, short=True))


def test_the_longest_begins_first(watchers: _Watchers) -> None:
    """What takes long is not what everybody waits for in the end; what takes as long as others keeps its place."""
    lengths = {"brief": 10.0, "usual": 90.0, "common": 90.0, "endless": 900.0}
    _played([watchers.case(name, lasts_s=lasts_s) for name, lasts_s in lengths.items()], jobs=1)

    assert ["endless", "usual", "common", "brief"] == watchers.began


def test_no_two_cases_share_a_server() -> None:
    """A case may stop its PostgreSQL without anybody else missing it; one that is free is lent again."""
    both = threading.Barrier(2)
    had: dict[str, str] = {}

    def case(name: str, wait: Callable[[], object]) -> Case:
        def playing(stage: Stage) -> Outcome:
            with stage.store() as (environ, _):
                had[name] = environ["ALARMD_STORE__URL"].partition("?host=")[2]
                wait()
            return Outcome(injections=1, findings=Findings())

        return Case(name=name, title=name, play=playing)

    cases = [case("one", lambda: both.wait(_MEETS_S)), case("two", lambda: both.wait(_MEETS_S)), case("late", bool)]
    try:
        _played(cases, jobs=2, database=POSTGRESQL)
    except ServerMissing as missing:
        pytest.skip(str(missing))

    assert had["one"] != had["two"]
    assert had["late"] in {had["one"], had["two"]}


def test_what_is_not_played_is_told() -> None:
    """A case is left out of the short form, and of databases that it knows nothing of; nothing is said of the rest."""
    cases = {case.name: case for case in CASES}
    storm, kills, restart = cases["storm"], cases["kills"], cases["postgres-restart"]
    everywhere: list[Part] = [(kills, SQLITE), (kills, POSTGRESQL)]

    assert everywhere == parts_of([storm, kills], short=True)
    assert ["storm is no part of the short form; --database plays it there, with few injections."] == gaps_of(
        [storm, kills], short=True
    )
    assert [] == gaps_of([storm, kills], short=True, databases=[SQLITE])
    assert [] == gaps_of([storm, kills, restart], short=False)
    assert ["postgres-restart is played on postgresql only."] == gaps_of(
        [restart, kills], short=False, databases=[SQLITE]
    )
