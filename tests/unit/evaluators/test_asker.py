# SPDX-License-Identifier: Apache-2.0
import sys
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import pytest
from structlog.testing import capture_logs

from alarmd.clock import ManualClock
from alarmd.evaluators.asking.asker import Asker
from alarmd.evaluators.asking.asking import Answer, NoAnswer, Refused
from alarmd.evaluators.asking.desk import Desk as OneDesk
from alarmd.evaluators.asking.desk import Wanted
from alarmd.telemetry import REGISTRY
from tests.support.asking import DEADLINE_S, Bell, Oracle, PlainQuestion


def a_question(text: str = "a", server: str = "oracle") -> PlainQuestion:
    return PlainQuestion(text=text, server=server)


class Desk:
    """An asker with what it was made of."""

    def __init__(self, *, spread: float = 0.5, **servers: Oracle) -> None:
        self.clock = ManualClock()
        self.bell = Bell()
        self.asker = Asker(servers, clock=self.clock, ring=self.bell.ring, spread=lambda: spread)

    def take(self, number: int) -> list[Any]:
        return [said for _, said in self.bell.take(self.asker, number)]


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()


@pytest.fixture
def desk(oracle: Oracle) -> Iterator[Desk]:
    desk = Desk(oracle=oracle)
    yield desk
    desk.asker.close()


def count_of(outcome: str, server: str = "oracle") -> float:
    labels = {"server": server, "outcome": outcome}
    return REGISTRY.get_sample_value("alarmd_questions_total", labels) or 0.0


def waiting_for(server: str) -> float | None:
    return REGISTRY.get_sample_value("alarmd_questions_waiting", {"server": server})


def test_a_new_question_is_asked_at_once(desk: Desk) -> None:
    """Whoever wants something new need not wait for an interval."""
    desk.asker.want(a_question("hello"))

    assert [Answer(at=desk.clock.now(), values="HELLO")] == desk.take(1)


def test_equal_questions_are_asked_once(desk: Desk, oracle: Oracle) -> None:
    """However many hold a question, the server hears it once an interval, until the last has let it go."""
    for _ in range(50):
        desk.asker.want(a_question("a"))
        desk.asker.want(a_question("b"))
    desk.take(2)
    for _ in range(49):
        desk.asker.drop(a_question("a"))
    for _ in range(50):
        desk.asker.drop(a_question("b"))
    desk.clock.advance(10)
    desk.take(1)

    assert 1 == len(desk.asker)
    assert ["a", "a", "b"] == sorted(oracle.asked)


def test_questions_are_asked_again_each_interval_from_a_place_of_their_own(desk: Desk) -> None:
    """The second time comes within the first interval, wherever chance says; from then on the rhythm stays."""
    desk.asker.want(a_question())
    moments = []
    for second in range(40):
        assert [] == desk.asker.take_news()
        if waiting_for("oracle"):
            moments.append(second)
            desk.take(1)
        desk.clock.advance(1)

    assert [0, 5, 15, 25, 35] == moments


def test_a_tick_that_comes_late_asks_once(desk: Desk, oracle: Oracle) -> None:
    """Turns that were missed are not made up for."""
    desk.asker.want(a_question())
    desk.take(1)
    desk.clock.advance(1000)
    desk.take(1)

    assert [] == desk.asker.take_news()
    assert 2 == len(oracle.asked)


def test_a_question_under_way_is_not_asked_again_and_nobody_waits_for_it() -> None:
    """A server that hangs keeps its own pool busy: the tick goes on, and other servers answer."""
    gate = threading.Event()
    hung = Oracle(say=lambda _text: gate.wait(DEADLINE_S), concurrency=2)
    desk = Desk(hung=hung, well=Oracle())
    for text in "abc":
        desk.asker.want(a_question(text, "hung"))
    desk.asker.want(a_question("x", "well"))
    for _ in range(5):
        desk.take(1)
        desk.clock.advance(10)

    assert 3 == waiting_for("hung")
    assert len(hung.asked) <= 2
    gate.set()
    assert 3 <= len(desk.take(3))
    assert sorted("abc") == sorted(hung.asked[:3])
    desk.asker.close()


def test_what_nobody_wants_any_more_is_no_news() -> None:
    """An answer to a question that was dropped meanwhile is thrown away, and a newcomer gets one of its own."""
    gate = threading.Event()
    slow = Oracle(say=lambda text: gate.wait(DEADLINE_S) and text.upper())
    desk = Desk(oracle=slow)
    desk.asker.want(a_question("a"))
    desk.asker.want(a_question("b"))
    desk.asker.take_news()
    desk.asker.drop(a_question("a"))
    gate.set()

    assert ["B"] == [said.values for said in desk.take(1)]
    while waiting_for("oracle"):
        desk.asker.take_news()
    assert [] == desk.asker.take_news()
    desk.asker.want(a_question("a"))
    assert ["A"] == [said.values for said in desk.take(1)]
    desk.asker.close()


def test_an_error_is_news_too_and_told_once_until_it_changes(desk: Desk, oracle: Oracle) -> None:
    """People are told of a server's error once, of another one, and of its end; not at every turn."""
    said = iter(["no route", "no route", "timeout", "", ""])

    def say(_text: str) -> str:
        if error := next(said):
            raise NoAnswer(error)
        return "fine"

    oracle.say = say
    before = count_of("failed")
    desk.asker.want(a_question())
    with capture_logs() as logs:
        news = []
        for _ in range(5):
            news += desk.take(1)
            desk.clock.advance(10)

    assert ["no route", "no route", "timeout"] == [one.message for one in news if isinstance(one, NoAnswer)]
    assert [("server_failed", "no route"), ("server_failed", "timeout"), ("server_recovered", None)] == [
        (line["event"], line.get("error")) for line in logs
    ]
    assert 3 == count_of("failed") - before


def test_a_refusal_says_nothing_of_the_server(desk: Desk, oracle: Oracle) -> None:
    """One question that is refused is told once, and is no trouble of the server's."""

    def refuse(_text: str) -> str:
        raise Refused("no such function")

    oracle.say = refuse
    before = count_of("refused")
    desk.asker.want(a_question())
    with capture_logs() as logs:
        for _ in range(3):
            assert isinstance(desk.take(1)[0], Refused)
            desk.clock.advance(10)

    assert ["question_refused"] == [line["event"] for line in logs]
    assert 3 == count_of("refused") - before


def test_a_fault_of_our_own_is_no_answer_and_stops_nothing(desk: Desk, oracle: Oracle) -> None:
    """What nobody expected is logged with its traceback, and the question is asked again."""
    said = iter([ZeroDivisionError(), None])

    def say(_text: str) -> str:
        if error := next(said):
            raise error
        return "fine"

    oracle.say = say
    desk.asker.want(a_question())
    with capture_logs() as logs:
        [first] = desk.take(1)
        desk.clock.advance(10)
        [second] = desk.take(1)

    assert isinstance(first, NoAnswer)
    assert "ZeroDivisionError" in first.message
    assert "fine" == second.values
    assert "question_failed" in [line["event"] for line in logs]


def test_a_question_that_comes_while_a_hand_leaves_is_asked() -> None:
    """However close the two are: it is seen by who leaves, or by somebody who comes for it."""
    came: SimpleQueue[Any] = SimpleQueue()
    desk = OneDesk("oracle", Oracle(concurrency=1), note=lambda _, said: came.put(said), clock=ManualClock())
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for number in range(1_000):
            desk.put(Wanted(question=a_question(str(number)), holders=1))
            desk.see_to_hands()

            assert str(number) == came.get(timeout=DEADLINE_S).values
    finally:
        sys.setswitchinterval(interval_s)
        desk.close()


def test_a_server_that_is_not_configured_never_answers(desk: Desk) -> None:
    """The reason names the section of the settings that is missing."""
    desk.asker.want(a_question(server="delphi"))
    [said] = desk.take(1)

    assert isinstance(said, NoAnswer)
    assert "[delphi]" in said.message


def test_closing_waits_for_nobody() -> None:
    """What is under way is left to itself, what has not begun never begins, and servers are let go of."""
    gate = threading.Event()
    hung = Oracle(say=lambda _text: gate.wait(DEADLINE_S), concurrency=1)
    desk = Desk(hung=hung)
    for text in "abc":
        desk.asker.want(a_question(text, "hung"))
    desk.asker.take_news()
    desk.asker.close()
    gate.set()

    assert hung.is_closed
    assert len(hung.asked) <= 1


def test_a_flood_of_questions_is_spread_over_several_calls() -> None:
    """However many are due, one call has little to do; all are asked in the end but what was dropped."""
    gate = threading.Event()
    slow = Oracle(say=lambda text: gate.wait(DEADLINE_S) and text.upper(), concurrency=2)
    desk = Desk(oracle=slow)
    for number in range(12_000):
        desk.asker.want(a_question(str(number)))
    waiting = []
    for _ in range(4):
        desk.asker.take_news()
        waiting.append(waiting_for("oracle"))
    for number in range(11_000):
        desk.asker.drop(a_question(str(number)))
    gate.set()
    news = desk.bell.take(desk.asker, 1000)
    desk.asker.close()

    assert [5_000, 10_000, 12_000, 12_000] == waiting
    assert {a_question(str(number)) for number in range(11_000, 12_000)} == {question for question, _ in news}
    assert len(slow.asked) <= 1000 + 2
