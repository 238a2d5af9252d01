# SPDX-License-Identifier: Apache-2.0
"""Where questions wait for one server, and the threads that ask them."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Final

import structlog

from alarmd.clock import Clock
from alarmd.evaluators.asking.asking import Answer, NoAnswer, Question, Server

_logger = structlog.get_logger()

#: What came of a question that nobody wanted any more when it was its turn.
UNASKED: Final = NoAnswer("Nobody wants to know.")


@dataclass(slots=True, kw_only=True, eq=False)
class Wanted:
    """A question that somebody holds, or that is still under way for nobody."""

    question: Question
    holders: int = 0
    is_under_way: bool = False
    #: Whether it has its place within the interval.
    has_place: bool = False
    #: What the server's refusal said the last time, so that it is told once.
    refusal: str = ""


@dataclass(slots=True, eq=False)
class _Hand:
    """A thread's turn: it asks what waits until nothing does."""

    #: What it asks just now.
    wanted: Wanted | None = None


class Desk:
    """Asks one server. What it is given comes back through `note`, called by the thread that has asked.

    Threads are there only while there is something to ask.
    """

    def __init__(
        self, name: str, server: Server, *, note: Callable[[Wanted, Answer | NoAnswer], None], clock: Clock
    ) -> None:
        self._name = name
        self._server = server
        self._note = note
        self._clock = clock
        self._queue: SimpleQueue[Wanted] = SimpleQueue()
        self._pool: ThreadPoolExecutor | None = None
        #: How many hands will look at the queue again. Whoever leaves does so while nobody counts, so what is put
        #: here is always seen: by a hand that has not left yet, or by one that is taken on for it.
        self._at_work = 0
        self._counting = Lock()
        self._is_closed = False

    def put(self, wanted: Wanted) -> None:
        """Have a question asked as soon as there is a hand free."""
        self._queue.put(wanted)

    def see_to_hands(self) -> None:
        """Take on as many hands as there is work for; to be called after questions were put here, now and then."""
        with self._counting:
            missing = max(0, min(self._server.concurrency - self._at_work, self._queue.qsize()))
            self._at_work += missing
        if missing > 0 and self._pool is None:
            self._pool = ThreadPoolExecutor(self._server.concurrency, thread_name_prefix=f"ask-{self._name}")
        for _ in range(missing):
            if self._pool is not None:
                hand = _Hand()
                self._pool.submit(self._work, hand).add_done_callback(partial(self._discharge, hand))

    def close(self) -> None:
        """Begin nothing more, and let go of the server. What is under way goes on within the server's timeout."""
        self._is_closed = True
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._server.close()

    def _work(self, hand: _Hand) -> None:
        while not self._is_closed and (wanted := self._next()) is not None:
            hand.wanted = wanted
            if not wanted.holders:
                self._note(wanted, UNASKED)
                continue
            try:
                # The moment is that at which it is asked, however long it has waited.
                said: Answer | NoAnswer = self._server.ask(wanted.question, now=self._clock.now())
            except NoAnswer as error:
                said = error
            hand.wanted = None
            self._note(wanted, said)

    def _next(self) -> Wanted | None:
        """Return what is asked next; None: whoever wanted to know has left."""
        with self._counting:
            try:
                return self._queue.get_nowait()
            except Empty:
                self._at_work -= 1
                return None

    def _discharge(self, hand: _Hand, future: "Future[None]") -> None:
        """See to what a hand has dropped by a fault of alarmd's own; it is asked again at its next turn."""
        error = None if future.cancelled() else future.exception()
        if error is None:
            return
        with self._counting:
            self._at_work -= 1
        _logger.error("question_failed", server=self._name, exc_info=error)
        if hand.wanted is not None:
            said = f"What {self._name} answered could not be read ({type(error).__name__}); alarmd's log tells more."
            self._note(hand.wanted, NoAnswer(said))
