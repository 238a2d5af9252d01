# SPDX-License-Identifier: Apache-2.0
"""Asks other people's servers, side by side and away from the tick, each question on its server's interval."""

import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from queue import Empty, SimpleQueue
from typing import TypeAlias

import structlog

from alarmd.clock import Clock
from alarmd.evaluators.asking.asking import Answer, NoAnswer, Question, Refused, Server
from alarmd.evaluators.asking.desk import UNASKED, Desk, Wanted
from alarmd.telemetry import QUESTIONS, QUESTIONS_WAITING

_logger = structlog.get_logger()

#: How much is begun, and how much is taken in, by one call: a flood is spread over the calls that follow.
_MOST_AT_ONCE = 5_000

#: What came of a question.
News: TypeAlias = tuple[Question, Answer | NoAnswer]


@dataclass(slots=True, kw_only=True)
class _Trouble:
    """What is wrong with a server."""

    error: str
    last_s: float


class Asker:
    """Asks what is wanted. Not safe for use by several threads, but it has threads of its own: make it after a fork.

    The thread that wants things calls `take_news` again and again, which also asks what has become due; nothing here
    waits for a server. What a server takes too long for delays other questions of the same server only.
    """

    def __init__(
        self,
        servers: Mapping[str, Server],
        *,
        clock: Clock,
        ring: Callable[[], None] = lambda: None,
        spread: Callable[[], float] = random.random,
    ) -> None:
        """Take the servers by their names.

        Args:
            servers: Who can be asked; closed together with this.
            clock: Tells when questions are due.
            ring: Called from any thread when there is news and there was none before.
            spread: Returns a share of the interval: where in it a question is asked from the second time on.
        """
        self._servers = servers
        self._clock = clock
        self._ring = ring
        self._spread = spread
        self._desks = {name: Desk(name, server, note=self._note, clock=clock) for name, server in servers.items()}
        self._wanted: dict[Question, Wanted] = {}
        #: When which question is due; those that nobody wants any more are passed over.
        self._due: list[tuple[float, int, Wanted]] = []
        self._order = count()
        self._finished: SimpleQueue[tuple[Wanted, Answer | NoAnswer]] = SimpleQueue()
        self._unknown: list[Question] = []
        self._waiting = dict.fromkeys(servers, 0)
        self._trouble: dict[str, _Trouble] = {}
        self._has_rung = False
        self._is_closed = False

    def __len__(self) -> int:
        return sum(wanted.holders > 0 for wanted in self._wanted.values())

    def want(self, question: Question) -> None:
        """Have a question asked from now on; once more for everybody who wants it, it is still asked once."""
        wanted = self._wanted.get(question)
        if wanted is None:
            wanted = self._wanted[question] = Wanted(question=question)
            if question.server in self._servers:
                self._set_due(wanted, self._clock.monotonic_s())
            else:
                self._unknown.append(question)
        wanted.holders += 1

    def drop(self, question: Question) -> None:
        """Have a question asked no more, as far as one of those is concerned who wanted it."""
        wanted = self._wanted[question]
        wanted.holders -= 1
        if not wanted.holders and not wanted.is_under_way:
            del self._wanted[question]

    def patience_s(self, question: Question) -> float:
        """Return for how long an answer counts: the server may fail to answer twice in between."""
        server = self._servers.get(question.server)
        return 3 * server.interval_s + server.timeout_s if server else 0.0

    def take_news(self) -> list[News]:
        """Return what has come back since the last call, and start to ask what is due. Returns at once."""
        news: list[News] = [(question, _no_server(question)) for question in self._unknown]
        self._unknown.clear()
        self._has_rung = False  # before looking: what comes from now on rings again
        with suppress(Empty):
            for _ in range(_MOST_AT_ONCE):
                wanted, came = self._finished.get_nowait()
                said = self._finish(wanted, came)
                if said is not None:
                    news.append((wanted.question, said))
            self._call()  # there may be more
        self._ask_due()
        for desk in self._desks.values():
            desk.see_to_hands()
        for name, number in self._waiting.items():
            QUESTIONS_WAITING.labels(name).set(number)
        return news

    def close(self) -> None:
        """Ask nothing more. What is under way goes on by itself, for as long as its server's timeout allows."""
        self._is_closed = True
        self._wanted.clear()
        self._due.clear()
        for desk in self._desks.values():
            desk.close()

    def _set_due(self, wanted: Wanted, due_s: float) -> None:
        heappush(self._due, (due_s, next(self._order), wanted))

    def _ask_due(self) -> None:
        now_s = self._clock.monotonic_s()
        for _ in range(_MOST_AT_ONCE):
            if not self._due or self._due[0][0] > now_s:
                return
            due_s, _, wanted = heappop(self._due)
            if self._wanted.get(wanted.question) is not wanted:
                continue
            interval_s = self._servers[wanted.question.server].interval_s
            if wanted.has_place:
                missed = (now_s - due_s) // interval_s
                self._set_due(wanted, due_s + (missed + 1) * interval_s)
            else:
                # All that are new together would stay together.
                wanted.has_place = True
                self._set_due(wanted, now_s + interval_s * (1 - self._spread()))
            if not wanted.is_under_way:
                self._ask(wanted)

    def _ask(self, wanted: Wanted) -> None:
        name = wanted.question.server
        wanted.is_under_way = True
        self._waiting[name] += 1
        self._desks[name].put(wanted)

    def _note(self, wanted: Wanted, said: Answer | NoAnswer) -> None:
        """Take note of what came of a question; called by the thread that has asked it."""
        self._finished.put((wanted, said))
        self._call()

    def _call(self) -> None:
        """Ring, unless that was done since the news was taken."""
        if not self._has_rung and not self._is_closed:
            self._has_rung = True
            self._ring()

    def _finish(self, wanted: Wanted, said: Answer | NoAnswer) -> Answer | NoAnswer | None:
        """Return what came of a question; None when nobody wants to know any more."""
        name = wanted.question.server
        wanted.is_under_way = False
        self._waiting[name] -= 1
        if not wanted.holders:
            if self._wanted.get(wanted.question) is wanted:
                del self._wanted[wanted.question]
            return None
        if said is UNASKED:  # somebody wants it again since
            self._ask(wanted)
            return None
        match said:
            case Answer():
                outcome, wanted.refusal = "answered", ""
                self._recover(name)
            case Refused():
                outcome = "refused"
                if wanted.refusal != said.message:
                    wanted.refusal = said.message
                    _logger.info("question_refused", server=name, error=said.message, **said.facts)
                self._recover(name)
            case NoAnswer():
                outcome = "failed"
                self._complain(name, said)
        QUESTIONS.labels(name, outcome).inc()
        return said

    def _complain(self, name: str, error: NoAnswer) -> None:
        trouble = self._trouble.get(name)
        if trouble is None or trouble.error != error.message:
            _logger.warning("server_failed", server=name, error=error.message, **error.facts)
        self._trouble[name] = _Trouble(error=error.message, last_s=self._clock.monotonic_s())

    def _recover(self, name: str) -> None:
        """Tell that a server is well again once it has answered without an error for an interval."""
        trouble = self._trouble.get(name)
        if trouble and self._clock.monotonic_s() - trouble.last_s >= self._servers[name].interval_s:
            del self._trouble[name]
            _logger.info("server_recovered", server=name)


def _no_server(question: Question) -> NoAnswer:
    return NoAnswer(f"Nobody can be asked: no {question.server} is configured (section [{question.server}]).")
