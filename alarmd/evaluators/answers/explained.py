# SPDX-License-Identifier: Apache-2.0
"""One rule explained, alone or as a leaf of a composite: what it sees, what that counts for, what would change it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from alarmd.cache.window import Window
from alarmd.evaluators.answers.closeup import CloseUp, close_up
from alarmd.evaluators.answers.in_words import rule_in_words
from alarmd.evaluators.answers.tree_truth import Truth, truth_of, truth_of_state
from alarmd.evaluators.asking.asking import AskedRule, Finding, NoAnswer, Server
from alarmd.evaluators.fresh_evidence import TooFew, lack_in
from alarmd.evaluators.plan import PlanOptions
from alarmd.evaluators.verdicts.comparing import condition_in_words
from alarmd.evaluators.verdicts.judgement import judge, threshold_of, what_would_flip
from alarmd.evaluators.verdicts.transition_table import STATE_CODES
from alarmd.evaluators.verdicts.wording import reason_of
from alarmd.evaluators.window_rules import WindowRules
from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.rule import AlarmReference, Leaf, WindowRule
from alarmd.model.verdict import Outcome

_OUTCOMES = {
    Outcome.UNKNOWN: "too little data to say anything",
    Outcome.ALL_OUTSIDE: "outside the threshold",
    Outcome.NONE_OUTSIDE: "inside the threshold",
    Outcome.MIXED_LATEST_OUTSIDE: "some values outside, the latest too",
    Outcome.MIXED_LATEST_INSIDE: "some values outside, the latest inside",
    Outcome.UNDECIDED: "nothing can be said yet, the state stays",
}
_TURNED = {Truth.ALARM: Truth.OK, Truth.OK: Truth.ALARM}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way in which what a leaf counts for would change."""

    truth: Truth
    needs: str

    @property
    def becomes(self) -> State:
        """The state that an alarm would be in that has nothing but this rule."""
        return next(state for state in State if truth_of_state(state) is self.truth)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedLeaf:
    """A rule, and what it says just now."""

    name: str
    #: In words; empty where the type's own description says more.
    rule: str
    #: As stored, of leaves.
    wire: Mapping[str, Any]
    is_negated: bool
    outcome: Outcome
    truth: Truth
    #: What values are held against as things are, e.g. ``> 80``; empty where there are none.
    bound: str = ""
    close_up: CloseUp | None = None
    #: The alarm that it stands for; None when it does not, or that is gone.
    other: Alarm | None = None
    #: The server that was asked, what came of it, and why nothing did.
    server: str = ""
    finding: Finding | None = None
    error: str = ""
    ways: tuple[Way, ...] = ()
    #: How many values are outside, of how many.
    outside: int = 0
    wanted: int = 1
    latest: float | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    #: Why nothing can be scaled in on what it says; empty where there is fresh evidence.
    lack: str = ""

    @property
    def outcome_in_words(self) -> str:
        """What the values come to."""
        return _OUTCOMES[self.outcome]

    def speaks_for(self, state: State) -> bool:
        """Whether a composite would name it as the cause of a state."""
        wanted = truth_of_state(state)
        return self.truth is (_TURNED.get(wanted, wanted) if self.is_negated else wanted)

    def words(self, previous: State, current: State) -> tuple[str, Mapping[str, Any]]:
        """Return the reason and the reason data of an alarm that has nothing but this rule."""
        if self.finding is not None:
            return self.finding.words(previous, current)
        if self.error:
            return self.error, {}
        return reason_of(
            previous=previous,
            current=current,
            outcome=self.outcome,
            outside=self.outside,
            wanted=self.wanted,
            latest=self.latest,
        )


class Explainer:
    """Explains rules over one window, at one moment."""

    def __init__(
        self,
        window: Window,
        options: PlanOptions,
        *,
        servers: Mapping[str, Server],
        others: Mapping[AlarmId, Alarm],
        now: datetime,
    ) -> None:
        """Take what can be known.

        Args:
            window: What samples there are.
            options: What a plan knows.
            servers: Who can be asked, by their names.
            others: The alarms that rules may refer to.
            now: The moment.
        """
        self._window = window
        self._options = options
        self._servers = servers
        self._others = others
        self._now = now

    def leaf(self, name: str, leaf: Leaf, *, state: State, is_negated: bool = False) -> ExplainedLeaf:
        """Return what a rule says, alone or as a leaf, whose alarm (`tree_truth.leaf_states`) is in a state."""
        kept = {"name": name, "wire": leaf.wire, "is_negated": is_negated}
        if isinstance(leaf.rule, WindowRule):
            return self._window_leaf(leaf.rule, state, kept)
        if isinstance(leaf.rule, AlarmReference):
            return self._reference(leaf.rule, kept)
        return self._asked(leaf.rule, state, kept)

    def _window_leaf(self, rule: WindowRule, state: State, kept: Mapping[str, Any]) -> ExplainedLeaf:
        outcome, evidence, lack = self._outcome(rule, state)
        seen = close_up(rule, evidence, now=self._now, lateness_s=self._options.lateness_s)
        judged = judge(seen.values, rule.judgement, state=state)
        judgement = rule.judgement
        ways = [
            Way(truth=truth_of_state(flip.becomes), needs=flip.needs)
            # What came back after a silence would be the first that counts.
            for flip in what_would_flip(() if seen.is_silent else seen.values, judgement, state=state)
        ]
        if seen.lasts_s is not None:
            needs = f"no further sample for {seen.lasts_s:.0f} s"
            ways.append(Way(truth=Truth.NEITHER, needs=needs))
        return ExplainedLeaf(
            **kept,
            rule=rule_in_words(rule),
            outcome=outcome,
            truth=truth_of(outcome, state=state),
            bound=condition_in_words(judgement.comparison, threshold_of(judgement, state=state)),
            close_up=seen,
            ways=tuple(ways),
            outside=judged.outside,
            wanted=judgement.evaluation_periods,
            latest=judged.latest,
            lack=lack,
        )

    def _outcome(self, rule: WindowRule, state: State) -> tuple[Outcome, Mapping[str, Any], str]:
        """Return what a plan says of a rule that it has watched for long enough to believe in silence.

        And what it was found from, and what is lacking for scaling in on it.
        """
        rules = WindowRules(
            self._window, lateness_s=self._options.lateness_s, member_memory_s=self._options.member_memory_s
        )
        rules.add_leaf(0, rule)
        rules.compute(now=self._now)
        outcomes, blind = np.zeros(1, np.int8), np.zeros(1, np.bool_)
        rules.fill_leaves(outcomes, blind, np.array([STATE_CODES[state]], np.int8), watched_s=np.inf)
        coverage, share = rules.leaf_coverage([0]), self._options.scale_in_coverage
        lack = ""
        if share and not coverage.is_enough(share)[0]:
            lack = str(TooFew(reported=int(coverage.reported[0]), members=int(coverage.members[0]), share=share))
        return Outcome(int(outcomes[0])), rules.leaf_evidence([0])[0], lack

    def _reference(self, rule: AlarmReference, kept: Mapping[str, Any]) -> ExplainedLeaf:
        other = self._others.get(AlarmId(rule.alarm_id))
        truth = Truth.NEITHER if other is None else truth_of_state(other.state)
        outcome = {Truth.ALARM: Outcome.ALL_OUTSIDE, Truth.OK: Outcome.NONE_OUTSIDE}.get(truth, Outcome.UNKNOWN)
        ways = [
            Way(truth=truth_of_state(state), needs=f"the alarm {rule.alarm_id} in {state}")
            for state in State
            if other is not None and state is not other.state
        ]
        words = f"the alarm {other.name!r} ({rule.alarm_id})" if other and other.name else f"the alarm {rule.alarm_id}"
        error = "There is no such alarm any more." if other is None else ""
        return ExplainedLeaf(
            **kept, rule=words, outcome=outcome, truth=truth, other=other, error=error, ways=tuple(ways)
        )

    def _asked(self, rule: AskedRule, state: State, kept: Mapping[str, Any]) -> ExplainedLeaf:
        """Ask once, now."""
        name = rule.question.server
        server = self._servers.get(name)
        finding, error = None, ""
        ways: tuple[Way, ...] = ()
        if server is None:
            error = f"The server {name} is not configured here (setting {name}.url)."
        else:
            try:
                answer = server.ask(rule.question, now=self._now)
                finding = rule.judge(answer, state=state)
                ways = tuple(
                    Way(truth=truth_of_state(way.becomes), needs=way.needs)
                    for way in rule.ways_out(answer, state=state)
                )
            except NoAnswer as reason:
                error = reason.message
        outcome, share = Outcome.UNDECIDED if finding is None else finding.outcome, self._options.scale_in_coverage
        return ExplainedLeaf(
            **kept,
            rule="",
            outcome=outcome,
            truth=truth_of(outcome, state=state),
            server=name,
            finding=finding,
            error=error,
            ways=ways,
            evidence=finding.evidence if finding else {},
            lack=str(lack_in(finding, share=share) or "") if share else "",
        )
