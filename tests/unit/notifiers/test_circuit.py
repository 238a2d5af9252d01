# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from alarmd.notifiers.circuit import CircuitPolicy, Circuits
from alarmd.notifiers.scheme import Attempt, Reason
from alarmd.store.queues import Queue
from tests.support.notifications import BUSY, GONE, TAKEN

ONE, OTHER = Queue("http://h", "p1"), Queue("http://h", "p2")
POLICY = CircuitPolicy(failures=3, first_pause_s=2, max_pause_s=8)


def failed(reason: Reason = Reason.TIMEOUT) -> Attempt:
    return Attempt(reason=reason, retryable=True)


@pytest.fixture
def circuits() -> Circuits:
    return Circuits(POLICY)


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with capture_logs() as captured:
        yield captured


def test_a_project_that_fails_alone_is_left_alone_alone(circuits: Circuits) -> None:
    """Failures of one project in a row stop what it has for a receiver, and nothing that others have for it."""
    for _ in range(9):
        circuits.note(ONE, failed(), 0)

    assert {} == circuits.origins(0)
    assert {ONE: False} == circuits.queues(0)


def test_a_receiver_that_fails_several_is_left_alone(circuits: Circuits, lines: list[Any]) -> None:
    """Failures in a row of more than one project stop all that waits for a receiver, and are told."""
    for queue in (ONE, OTHER, ONE):
        circuits.note(queue, failed(Reason.SERVER_ERROR), 0)

    assert {"http://h": False} == circuits.origins(1.9)
    assert [("circuit_opened", "http://h", 3)] == [(one["event"], one["origin"], one["failures"]) for one in lines]


def test_a_receiver_that_cannot_be_reached_is_left_alone(circuits: Circuits) -> None:
    """No connection is nobody's own fault, so one project is witness enough."""
    for _ in range(3):
        circuits.note(ONE, failed(Reason.CONNECTION), 0)

    assert {"http://h": False} == circuits.origins(0)


@pytest.mark.parametrize("answer", [TAKEN, GONE, BUSY])
def test_an_answer_in_between_begins_anew(circuits: Circuits, answer: Attempt) -> None:
    """A receiver that answers, whatever it says, is there: only failures in a row count."""
    for attempt in (failed(), failed(), answer, failed(), failed()):
        circuits.note(ONE, attempt, 0)

    assert {} == circuits.queues(0)


@pytest.mark.parametrize("reason", [Reason.CRASHED, Reason.REFUSED, Reason.INVALID, Reason.TRUST])
def test_what_says_nothing_about_the_receiver(circuits: Circuits, reason: Reason) -> None:
    """What fails on this side neither opens a circuit nor closes one."""
    for _ in range(5):
        circuits.note(ONE, failed(reason), 0)
    before = circuits.queues(0)
    for _ in range(3):
        circuits.note(ONE, failed(), 0)
    circuits.note(ONE, failed(reason), 0)

    assert ({}, {ONE: False}) == (before, circuits.queues(0))


def test_pauses_grow_up_to_a_bound(circuits: Circuits) -> None:
    """Each time that the receiver is asked in vain the pause doubles; what was under way before says nothing."""
    for _ in range(3):
        circuits.note(ONE, failed(), 0)
    circuits.note(ONE, failed(), 1)
    pauses, now_s = [], 0.0
    for _ in range(5):
        began_s = now_s
        while not circuits.queues(now_s)[ONE]:
            now_s += 0.5
        pauses.append(now_s - began_s)
        circuits.note(ONE, failed(), now_s)

    assert [2, 4, 8, 8, 8] == pauses


def test_an_answer_closes_it(circuits: Circuits, lines: list[Any]) -> None:
    """Once the receiver has answered, everything that failed with it is tried again, and it is told."""
    for queue in (ONE, OTHER) * 3:
        circuits.note(queue, failed(Reason.CONNECTION), 0)
    circuits.note(ONE, TAKEN, 5)

    assert ({}, {}) == (circuits.origins(5), circuits.queues(5))
    assert {("circuit_closed", 5.0)} == {(one["event"], one["open_s"]) for one in lines if "open_s" in one}


def test_a_receiver_that_asks_for_quiet_gets_it(circuits: Circuits) -> None:
    """`Retry-After` stops what the project has for the receiver, within the bound, and nobody else's."""
    circuits.note(ONE, Attempt(reason=Reason.BUSY, retryable=True, retry_after_s=5), 0)
    circuits.note(OTHER, Attempt(reason=Reason.BUSY, retryable=True, retry_after_s=9_999), 0)

    assert {ONE: False, OTHER: False} == circuits.queues(4.9)
    assert {OTHER: False} == circuits.queues(5)
    assert ({}, {}) == (circuits.queues(8), circuits.origins(4))


def test_circuits_can_be_switched_off() -> None:
    """With no number of failures nothing is ever left alone."""
    circuits = Circuits(CircuitPolicy(failures=0))
    for _ in range(99):
        circuits.note(ONE, failed(Reason.CONNECTION), 0)

    assert ({}, {}) == (circuits.origins(0), circuits.queues(0))


def test_what_is_no_longer_heard_of_is_forgotten(circuits: Circuits) -> None:
    """A receiver that nothing waits for any more does not stay in mind for ever."""
    for _ in range(3):
        circuits.note(ONE, failed(Reason.CONNECTION), 0)
    circuits.measure(100)
    kept = circuits.origins(100)
    circuits.measure(8 * 20 + 1)

    assert ({"http://h": True}, {}) == (kept, circuits.origins(200))
