# SPDX-License-Identifier: Apache-2.0
"""A server to ask that stands in the test's own process, and a bell to wait for its answers by."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from alarmd.evaluators.asking.asker import Asker, News
from alarmd.evaluators.asking.asking import Answer, AskedRule, Finding, WayOut
from alarmd.model.alarm import State
from alarmd.model.verdict import Outcome

DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainQuestion:
    """A question that is nothing but a text."""

    text: str
    server: str = "oracle"


@dataclass(kw_only=True)
class Oracle:
    """Answers with what a function says, which may raise `NoAnswer`, wait, or do anything else."""

    say: Callable[[str], Any] = str.upper
    interval_s: float = 10.0
    concurrency: int = 4
    timeout_s: float = 5.0
    asked: list[str] = field(default_factory=list)
    is_closed: bool = False

    def ask(self, question: PlainQuestion, *, now: datetime) -> Answer:
        self.asked.append(question.text)
        return Answer(at=now, values=self.say(question.text))

    def close(self) -> None:
        self.is_closed = True


class Bell:
    """Rung by an asker; waits until all that was expected has come."""

    def __init__(self) -> None:
        self._rung = threading.Semaphore(0)

    def ring(self) -> None:
        self._rung.release()

    def take(self, asker: Asker, number: int) -> list[News]:
        """Return so much news, once it has come."""
        news = asker.take_news()
        while len(news) < number:
            assert self._rung.acquire(timeout=DEADLINE_S), f"only {len(news)} of {number} came"
            news += asker.take_news()
        return news


def settle(asker: Asker) -> None:
    """Return once all that is due has been asked, and has come back."""
    asker._ask_due()
    desks = asker._desks.values()
    for desk in desks:
        desk.see_to_hands()
    end_s = time.monotonic() + DEADLINE_S
    while any(desk._queue.qsize() or desk._at_work for desk in desks):
        assert time.monotonic() < end_s
        time.sleep(0)  # the hands' turn


@dataclass(frozen=True, slots=True, kw_only=True)
class LongerThan:
    """A rule: whether the answer is longer than this; half of it while in alarm."""

    question: PlainQuestion
    length: int

    def judge(self, answer: Answer, *, state: State) -> Finding:
        limit = self.length / 2 if state is State.ALARM else self.length
        outside = len(answer.values) > limit
        return Finding(
            outcome=Outcome.ALL_OUTSIDE if outside else Outcome.NONE_OUTSIDE,
            outside=int(outside),
            latest=len(answer.values),
        )

    def ways_out(self, answer: Answer, *, state: State) -> Sequence[WayOut]:
        is_outside = self.judge(answer, state=state).outside
        becomes = State.OK if is_outside else State.ALARM
        return (WayOut(becomes=becomes, needs=f"{'no' if is_outside else 'an'} answer longer than {self.length}"),)


def longer_than(length: int, text: str) -> AskedRule:
    """Return a rule over one question."""
    return LongerThan(question=PlainQuestion(text=text), length=length)
