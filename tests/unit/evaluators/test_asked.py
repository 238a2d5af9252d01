# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator

import numpy as np
import pytest

from alarmd.clock import ManualClock
from alarmd.evaluators.asking.asked import AskedRows
from alarmd.evaluators.asking.asker import Asker
from alarmd.evaluators.asking.asking import NoAnswer
from alarmd.evaluators.verdicts.transition_table import STATE_CODES
from alarmd.model.alarm import State
from alarmd.model.verdict import Outcome
from tests.support.asking import Oracle, longer_than, settle


class Hall:
    """Rows over one oracle, whose alarms are all in one state unless told otherwise."""

    def __init__(self, oracle: Oracle) -> None:
        self.clock = ManualClock()
        self.asker = Asker({"oracle": oracle}, clock=self.clock, spread=lambda: 0.5)
        self.rows = AskedRows(self.asker)
        self.states = np.full(1000, STATE_CODES[State.OK], np.int8)

    def refresh(self) -> None:
        """Ask what is due, and take in all that comes of it."""
        self.rows.refresh(self.states, now_s=self.clock.time_s())
        settle(self.asker)
        self.rows.refresh(self.states, now_s=self.clock.time_s())


@pytest.fixture
def oracle() -> Oracle:
    return Oracle(concurrency=1)


@pytest.fixture
def hall(oracle: Oracle) -> Iterator[Hall]:
    hall = Hall(oracle)
    yield hall
    hall.asker.close()


def fail(_text: str) -> str:
    raise NoAnswer("it is down")


def test_rules_are_judged_by_the_answer_to_their_question(hall: Hall) -> None:
    """Before the answer nothing is said; after it each slot has its own outcome and finding."""
    short, long = hall.rows.join(longer_than(3, "aaaa")), hall.rows.join(longer_than(9, "aaaa"))
    before = (hall.rows.outcomes.tolist(), hall.rows.finding(short))
    hall.refresh()

    assert ([Outcome.UNDECIDED, Outcome.UNDECIDED], None) == before
    assert [Outcome.ALL_OUTSIDE, Outcome.NONE_OUTSIDE] == hall.rows.outcomes[[short, long]].tolist()
    finding = hall.rows.finding(short)
    assert finding is not None
    assert (4, 1) == (finding.latest, finding.outside)


def test_a_newcomer_with_a_known_question_is_judged_at_once(hall: Hall, oracle: Oracle) -> None:
    """What others were told counts for it too; nobody is asked."""
    hall.rows.join(longer_than(3, "aaaa"))
    hall.refresh()
    slot = hall.rows.join(longer_than(2, "aaaa"))
    hall.rows.refresh(hall.states, now_s=hall.clock.time_s())

    assert Outcome.ALL_OUTSIDE == hall.rows.outcomes[slot]
    assert ["aaaa"] == oracle.asked


def test_a_changed_state_has_its_rule_judged_again(hall: Hall) -> None:
    """A rule that depends on the state follows it without a new answer."""
    slot = hall.rows.join(longer_than(5, "aaaa"))
    hall.refresh()
    before = hall.rows.outcomes[slot]
    hall.states[slot] = STATE_CODES[State.ALARM]
    hall.rows.refresh(hall.states, now_s=hall.clock.time_s())

    assert (Outcome.NONE_OUTSIDE, Outcome.ALL_OUTSIDE) == (before, hall.rows.outcomes[slot])


def test_an_error_leaves_the_last_answer_until_it_is_too_old(hall: Hall, oracle: Oracle) -> None:
    """After three intervals and the timeout without an answer nothing is said any more; the error tells why."""
    slot = hall.rows.join(longer_than(3, "aaaa"))
    hall.refresh()
    oracle.say = fail
    seen = []
    for _ in range(5):
        hall.clock.advance(9)
        hall.refresh()
        seen.append(Outcome(int(hall.rows.outcomes[slot])))

    assert [Outcome.ALL_OUTSIDE] * 3 + [Outcome.UNDECIDED] * 2 == seen
    error = hall.rows.last_error(slot)
    assert hall.rows.finding(slot) is None
    assert error is not None
    assert "it is down" == error.message


def test_an_answer_after_an_error_counts_again(hall: Hall, oracle: Oracle) -> None:
    """A server that comes back is believed at once, and its error is forgotten."""
    oracle.say = fail
    slot = hall.rows.join(longer_than(3, "aaaa"))
    hall.refresh()
    before = (hall.rows.outcomes[slot], hall.rows.last_error(slot) is None)
    oracle.say = str.upper
    hall.clock.advance(10)
    hall.refresh()

    assert (Outcome.UNDECIDED, False) == before
    assert (Outcome.ALL_OUTSIDE, None) == (hall.rows.outcomes[slot], hall.rows.last_error(slot))


def test_slots_that_were_left_are_taken_again(hall: Hall) -> None:
    """A slot says nothing of the rule that had it before, and the others keep theirs."""
    slots = [hall.rows.join(longer_than(3, "a" * length)) for length in range(100)]
    hall.refresh()
    for slot in slots[:50]:
        hall.rows.leave(slot)
    kept = {slot: hall.rows.outcomes[slot] for slot in slots[50:]}
    fresh = [hall.rows.join(longer_than(3, "b" * length)) for length in range(50)]

    assert sorted(slots[:50]) == sorted(fresh)
    assert {Outcome.UNDECIDED} == set(hall.rows.outcomes[fresh].tolist())
    assert 100 == len(hall.rows) == len(hall.asker)
    hall.refresh()
    assert kept == {slot: hall.rows.outcomes[slot] for slot in slots[50:]}
    assert [Outcome.NONE_OUTSIDE] * 4 + [Outcome.ALL_OUTSIDE] * 46 == hall.rows.outcomes[fresh].tolist()


def test_an_answer_that_cannot_be_judged_is_no_answer(hall: Hall, oracle: Oracle) -> None:
    """A fault with one rule says nothing of its alarm and leaves the others alone; it is told as an error."""
    oracle.say = lambda text: None if text == "odd" else text
    odd, fine = hall.rows.join(longer_than(3, "odd")), hall.rows.join(longer_than(3, "fine"))
    hall.refresh()
    error = hall.rows.last_error(odd)

    assert (Outcome.UNDECIDED, Outcome.ALL_OUTSIDE) == (hall.rows.outcomes[odd], hall.rows.outcomes[fine])
    assert error is not None
    assert "could not be judged (TypeError)" in error.message
