# SPDX-License-Identifier: Apache-2.0
"""What servers said of rules that ask them: the part of the plan that needs no window.

A slot is one alarm's rule, or one leaf of a composite. Its outcome stands in a column, so that a pass costs a Python
step only for those of which something new is known.
"""

from dataclasses import dataclass, field

import numpy as np
import structlog
from numpy.typing import NDArray

from alarmd.evaluators.asking.asker import Asker
from alarmd.evaluators.asking.asking import Answer, AskedRule, Finding, NoAnswer, Question
from alarmd.evaluators.fresh_evidence import NO_ANSWER, Lack, lack_in
from alarmd.evaluators.verdicts.transition_table import STATES
from alarmd.model.verdict import Outcome

_logger = structlog.get_logger()

#: What may go wrong with an answer of a shape that nobody has thought of.
_FAULTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
#: What no state has for its code: judge it anew.
_NO_STATE = -1


@dataclass(slots=True, kw_only=True)
class _Topic:
    """One question, and the slots whose rules ask it."""

    patience_s: float
    slots: set[int] = field(default_factory=set)
    answer: Answer | None = None
    #: Why the last try brought no answer; None when it did.
    error: NoAnswer | None = None


class AskedRows:
    """Holds the last answers against the rules that wanted them. Not safe for use by several threads."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._topics: dict[Question, _Topic] = {}
        self._rules: list[AskedRule | None] = []
        self._findings: list[Finding | None] = []
        self._free: list[int] = []
        self._outcomes = np.zeros(0, np.int8)
        #: The state that a slot was judged in.
        self._judged = np.zeros(0, np.int8)
        #: Until when the answer counts, seconds since the epoch; minus infinity without one.
        self._until_s = np.zeros(0, np.float64)

    def __len__(self) -> int:
        return len(self._rules) - len(self._free)

    @property
    def outcomes(self) -> NDArray[np.int8]:
        """The outcomes by slot, `Outcome.UNDECIDED` where nothing is known. Slots that nobody has are among them."""
        return self._outcomes[: len(self._rules)]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether an answer counts, by slot; slots that nobody has are among them."""
        known: NDArray[np.bool_] = self._until_s[: len(self._rules)] > -np.inf
        return known

    def join(self, rule: AskedRule) -> int:
        """Take a rule in; return its slot, which stays the same until it leaves."""
        if self._free:
            slot = self._free.pop()
        else:
            slot = len(self._rules)
            self._rules.append(None)
            self._findings.append(None)
            self._grow()
        self._rules[slot] = rule
        topic = self._topics.get(rule.question)
        if topic is None:
            topic = self._topics[rule.question] = _Topic(patience_s=self._asker.patience_s(rule.question))
        topic.slots.add(slot)
        self._asker.want(rule.question)
        self._until_s[slot] = _end_of(topic)
        return slot

    def leave(self, slot: int) -> None:
        """Let a rule go; its slot may be another's from now on."""
        rule = self._rule(slot)
        topic = self._topics[rule.question]
        topic.slots.discard(slot)
        if not topic.slots:
            del self._topics[rule.question]
        self._asker.drop(rule.question)
        self._clear(slot)
        self._rules[slot] = None
        self._free.append(slot)

    def refresh(self, states: NDArray[np.int8], *, now_s: float) -> None:
        """Take in what has come and judge what it concerns.

        Args:
            states: The codes of the states that alarms are in (`transition_table.STATES`), by slot.
            now_s: Seconds since the epoch.
        """
        for question, said in self._asker.take_news():
            self._learn(question, said)
        until_s = self._until_s[: len(self._rules)]
        has_answer = until_s > -np.inf
        expired = has_answer & (until_s < now_s)
        for slot in np.flatnonzero(expired).tolist():
            self._topics[self._rule(slot).question].answer = None
            self._clear(slot)
        changed = has_answer & ~expired & (self._judged[: len(self._rules)] != states[: len(self._rules)])
        for slot in np.flatnonzero(changed).tolist():
            self._judge(slot, int(states[slot]))

    def finding(self, slot: int) -> Finding | None:
        """Return what was found last; None when nothing is known yet, or has not been for too long."""
        return self._findings[slot]

    def lack(self, slot: int, *, share: float) -> Lack | None:
        """Return what lacks for scaling in: that the last try brought an answer which counts, with all of it there."""
        return NO_ANSWER if self.last_error(slot) is not None else lack_in(self._findings[slot], share=share)

    def last_error(self, slot: int) -> NoAnswer | None:
        """Return why the last try brought no answer; None when it did, or there was none yet."""
        return self._topics[self._rule(slot).question].error

    def _learn(self, question: Question, said: Answer | NoAnswer) -> None:
        topic = self._topics.get(question)
        if topic is None:
            return
        if isinstance(said, NoAnswer):
            topic.error = said
            return
        topic.answer, topic.error = said, None
        slots = list(topic.slots)
        self._until_s[slots] = _end_of(topic)
        self._judged[slots] = _NO_STATE

    def _judge(self, slot: int, state: int) -> None:
        rule = self._rule(slot)
        answer = self._topics[rule.question].answer
        if answer is None:
            return
        try:
            finding = rule.judge(answer, state=STATES[state])
        except _FAULTS as error:
            # A fault of alarmd's own, which must not stop the alarms beside it; the next answer is judged again.
            server = rule.question.server
            _logger.exception("answer_not_judged", server=server)
            self._topics[rule.question].error = NoAnswer(
                f"What {server} answered could not be judged ({type(error).__name__}); alarmd's log tells more."
            )
            self._clear(slot)
            return
        self._findings[slot] = finding
        self._outcomes[slot] = finding.outcome
        self._judged[slot] = state

    def _clear(self, slot: int) -> None:
        self._findings[slot] = None
        self._outcomes[slot] = Outcome.UNDECIDED
        self._judged[slot] = _NO_STATE
        self._until_s[slot] = -np.inf

    def _rule(self, slot: int) -> AskedRule:
        rule = self._rules[slot]
        if rule is None:
            raise LookupError(f"nobody has the slot {slot}")
        return rule

    def _grow(self) -> None:
        """Make room for one more slot at the end."""
        size = len(self._outcomes)
        if len(self._rules) > size:
            size = len(self._rules) * 9 // 8 + 16
            self._outcomes = np.resize(self._outcomes, size)
            self._judged = np.resize(self._judged, size)
            self._until_s = np.resize(self._until_s, size)
        self._clear(len(self._rules) - 1)


def _end_of(topic: _Topic) -> float:
    return topic.answer.at.timestamp() + topic.patience_s if topic.answer else -np.inf
