# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
from threading import Event
from typing import Any

import libvirt
import pytest

from alarmd.clock import SystemClock
from alarmd.pollers.libvirt_lines import Lines, LinesTaken

DEADLINE_S = 5.0


class Connection:
    """Stands for one connection; counts how it is treated."""

    def __init__(self) -> None:
        self.alive = True
        self.closed = Event()

    def isAlive(self) -> bool:  # noqa: N802  # libvirt's name
        return self.alive

    def close(self) -> None:
        self.closed.set()


class Exchange:
    """Opens connections and remembers them."""

    def __init__(self) -> None:
        self.opened: list[Connection] = []

    def connect(self, _uri: str) -> Connection:
        self.opened.append(Connection())
        return self.opened[-1]


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


@pytest.fixture
def lines(exchange: Exchange) -> Iterator[Lines]:
    lines = Lines("test:///", connect=exchange.connect, stuck_calls=2, clock=SystemClock())
    yield lines
    lines.close(wait_s=DEADLINE_S)


def ask(lines: Lines, question: Any, *, patience_s: float = 0.02, wait_s: float = DEADLINE_S) -> Any:
    return lines.ask(question, patience_s=patience_s, until_s=SystemClock().monotonic_s() + wait_s)


def test_one_connection_serves_all_questions(lines: Lines, exchange: Exchange) -> None:
    """As long as answers come, one line is enough."""
    answers = [ask(lines, lambda connection: connection) for _ in range(5)]

    assert answers == [exchange.opened[0]] * 5


def test_a_stuck_line_is_left_to_its_fate(lines: Lines, exchange: Exchange) -> None:
    """When the first line is stuck the second answers; the first closes itself when its call ends."""
    release = Event()

    def question(connection: Connection) -> Connection:
        if connection is exchange.opened[0]:
            release.wait(DEADLINE_S)
        return connection

    answer = ask(lines, question)
    stuck = lines.stuck
    release.set()

    assert answer is exchange.opened[1]
    assert stuck == 1
    assert exchange.opened[0].closed.wait(DEADLINE_S)
    assert ask(lines, question) is exchange.opened[1]


def test_a_slow_line_still_wins_over_a_stuck_one(lines: Lines, exchange: Exchange) -> None:
    """Whichever line answers first is heard, be it the first."""
    release = Event()

    def question(connection: Connection) -> Connection:
        if connection is exchange.opened[0]:
            release.wait(DEADLINE_S)
        else:
            release.set()
            Event().wait(0.2)
        return connection

    assert ask(lines, question) is exchange.opened[0]


def test_stuck_calls_are_bounded(lines: Lines, exchange: Exchange) -> None:
    """With as many calls stuck as may be, none is added; when they end, it goes on."""
    release = Event()

    def stuck(_connection: Connection) -> bool:
        return release.wait(DEADLINE_S)

    with pytest.raises(TimeoutError):
        ask(lines, stuck, wait_s=0.1)
    with pytest.raises(LinesTaken):
        ask(lines, stuck, wait_s=0.1)

    assert len(exchange.opened) == 2
    release.set()
    for connection in list(exchange.opened):
        assert connection.closed.wait(DEADLINE_S)
    while lines.stuck:
        Event().wait(0.01)

    assert ask(lines, lambda _: "well") == "well"


def test_a_dead_connection_is_opened_anew(lines: Lines, exchange: Exchange) -> None:
    """A question that finds its connection dead is asked again on a new one; an error on a live one is the answer."""

    def question(connection: Connection) -> Connection:
        if connection is exchange.opened[0]:
            connection.alive = False
            raise libvirt.libvirtError("the other end has gone")
        return connection

    def refused(_connection: Connection) -> None:
        raise libvirt.libvirtError("no")

    ask(lines, lambda connection: connection)

    assert ask(lines, question) is exchange.opened[1]
    with pytest.raises(libvirt.libvirtError, match="no"):
        ask(lines, refused)
    assert len(exchange.opened) == 2


def test_what_a_question_raises_reaches_the_asker(lines: Lines) -> None:
    """Any error of a question is raised where it was asked, and the line lives on."""
    with pytest.raises(ZeroDivisionError):
        ask(lines, lambda _: 1 / 0)

    assert ask(lines, lambda _: "well") == "well"
