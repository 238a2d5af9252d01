# SPDX-License-Identifier: Apache-2.0
"""The plan against the reference evaluator: rules with everything that they may say, alone and in composites."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from alarmd.cache.window import Window, WindowLimits
from alarmd.clock import ManualClock
from alarmd.evaluators.asking.asker import Asker
from alarmd.evaluators.asking.asking import Question
from alarmd.evaluators.plan import Plan, PlanOptions
from alarmd.evaluators.roster import COUNTS
from alarmd.model.alarm import AlarmId, State
from alarmd.model.direction import Direction
from alarmd.model.rule import (
    AlarmReference,
    Branch,
    Comparison,
    CompositeRule,
    Judgement,
    Leaf,
    Node,
    Reading,
    Selector,
    Statistic,
    WindowRule,
)
from tests.support.alarms import an_alarm
from tests.support.aodh_schedule import is_open_in_aodh
from tests.support.asking import settle
from tests.support.random_rules import (
    ANSWERS_OF,
    ARRIVALS,
    ASKED_RULES,
    COMPOSITES,
    GNOCCHI_RULES,
    METRICS,
    TERMS,
    WINDOW_RULES,
    AnyRule,
    Terms,
)
from tests.support.reference import Moment, ReferenceVerdict, evaluate, evaluate_composite
from tests.support.reference_reading import ReferenceSeries
from tests.support.samples import a_batch, a_resource
from tests.support.told_servers import ToldServer, told_servers

#: Some seconds before time constraints close, and half a minute more before they open again.
START = datetime(2026, 1, 1, 0, 0, 25, tzinfo=UTC)
START_MS = round(START.timestamp() * 1000)
LATENESS_S = 4.0
REPEAT_MS = 7_000


@dataclass
class Pair:
    """A plan and what the reference knows, fed alike."""

    rules: Mapping[str, AnyRule]
    terms: Mapping[str, Terms] = field(default_factory=dict)
    window: Window = field(default_factory=lambda: Window(WindowLimits(length_s=600, lateness_s=LATENESS_S)))
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    servers: Mapping[str, ToldServer] = field(default_factory=told_servers)
    series: dict[tuple[str, str], ReferenceSeries] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    entered_ms: dict[str, int] = field(default_factory=dict)
    #: When the actions of alarms that repeat them are due again.
    due_ms: dict[str, int] = field(default_factory=dict)
    counts: dict[str, Counter[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        options = PlanOptions(lateness_s=LATENESS_S, repeat_interval_s=REPEAT_MS / 1000, count_results=True)
        self.asker = Asker(self.servers, clock=self.clock, spread=lambda: 0.0)
        self.plan = Plan(self.window, options, self.asker)
        self.states = {alarm_id: self.terms.get(alarm_id, Terms()).state for alarm_id in self.rules}
        self.entered_ms = dict.fromkeys(self.rules, START_MS)
        for alarm_id in self.rules:
            self.put(alarm_id)

    def close(self) -> None:
        """Ask nobody any more."""
        self.plan.close()
        self.asker.close()

    def put(self, alarm_id: str) -> None:
        """Load an alarm anew, as an evaluator does that takes it over."""
        self.plan.remove(AlarmId(alarm_id))
        others = [question for one, rule in self.rules.items() if one != alarm_id for question in _questions(rule)]
        for question in {*_questions(self.rules[alarm_id])} - {*others}:
            # Nobody else wanted to know, so what was said has been forgotten.
            self.servers[question.server].said.pop(question, None)
        terms, entered_ms = self.terms.get(alarm_id, Terms()), self.entered_ms[alarm_id]
        alarm = an_alarm(
            alarm_id=AlarmId(alarm_id),
            state=self.states[alarm_id],
            state_timestamp=START + timedelta(milliseconds=entered_ms - START_MS),
            repeat_actions=terms.is_repeating,
            time_constraints=terms.constraints,
            directions={state: Direction.IN if state in terms.scales_in else Direction.NEUTRAL for state in State},
        )
        self.plan.put(alarm, self.rules[alarm_id], now=self.clock.now())
        if terms.is_repeating:
            passed = (self._now_ms() - entered_ms) // REPEAT_MS
            self.due_ms[alarm_id] = entered_ms + (passed + 1) * REPEAT_MS

    def sample(self, at_ms: int, value: float, resource_id: str) -> None:
        """Take a sample of each metric; a counter that falls has started anew."""
        resource = a_resource(resource_id)
        time_s = (START_MS + at_ms) / 1000
        batch = a_batch({resource: {metric.name: value for metric in METRICS}}, timestamp_s=time_s)
        self.window.append(replace(batch, metrics=METRICS), now_s=time_s)
        for metric in METRICS:
            one = self.series.setdefault((resource_id, metric.name), ReferenceSeries(resource, metric))
            one.take(START_MS + at_ms, value, lateness_s=LATENESS_S)

    def decide(self, now: datetime, since: datetime, step: int) -> list[str]:
        """Let both decide, compare, and enter what they found; return what kinds of changes there were."""
        self.clock.advance((now - self.clock.now()).total_seconds())
        for unheard in self.plan.unheard_of():
            self.plan.note(unheard, self.states.get(unheard))
        settle(self.asker)
        decided = {str(one.alarm_id): one for one in self.plan.decide(now=now, watching_since=since)}
        moment = Moment(
            now_s=now.timestamp(),
            watching_since_s=since.timestamp(),
            lateness_s=LATENESS_S,
            states=dict(self.states),
            answers={question: said for server in self.servers.values() for question, said in server.said.items()},
            rules=self.rules,
        )
        kinds = [f"{type(self.rules[alarm_id]).__name__} waits" for alarm_id in self.plan.waiting]
        for alarm_id, rule in self.rules.items():
            state = moment.states[alarm_id]
            expected = self._expected(alarm_id, moment)
            if expected.counted:
                self.counts.setdefault(alarm_id, Counter())[expected.counted.replace(" ", "_")] += 1
            found = decided.get(alarm_id)
            with _naming((rule, self.terms.get(alarm_id), state, moment)):
                assert expected.state == (found.current if found else state)
                assert expected.reason == (found.reason if found else None)
                assert expected.reason_data == (dict(found.reason_data) if found else None)
                assert expected.values is None or (found and list(expected.values) == found.evidence["values"])
            if found:
                kinds.append(f"{type(rule).__name__} {found.previous} to {found.current}")
                self._enter(alarm_id, expected.state, step)
        return kinds

    def counted(self) -> dict[str, Counter[str]]:
        """Return what the plan has counted."""
        counted = self.plan.take_counts()
        rows = zip(counted.alarm_ids, counted.counts.tolist(), strict=True)
        return {alarm_id: Counter(dict(zip(COUNTS, row, strict=True))) for alarm_id, row in rows}

    def _now_ms(self) -> int:
        return round(self.clock.time_s() * 1000)

    def _expected(self, alarm_id: str, moment: Moment) -> ReferenceVerdict:
        rule, terms = self.rules[alarm_id], self.terms.get(alarm_id, Terms())
        given: Any = {
            "constraints": terms.constraints,
            "is_due": self._is_due(alarm_id, terms),
            "scales_in": terms.scales_in,
        }
        state, series = moment.states[alarm_id], list(self.series.values())
        if isinstance(rule, CompositeRule):
            return evaluate_composite(rule, state, series, moment, **given)
        return evaluate(rule, state, series, moment, **given)

    def _is_due(self, alarm_id: str, terms: Terms) -> bool:
        """Whether actions are to be repeated; what fell due while the alarm was closed is left out."""
        if not terms.is_repeating:
            return False
        opened_ms = _opened_ms(terms.constraints, self._now_ms())
        while self.due_ms[alarm_id] < opened_ms:
            self.due_ms[alarm_id] += REPEAT_MS
        return self.due_ms[alarm_id] <= self._now_ms()

    def _enter(self, alarm_id: str, state: State, step: int) -> None:
        if state is not self.states[alarm_id]:
            self.entered_ms[alarm_id] = self._now_ms()
        self.states[alarm_id] = state
        # However late one repeat is, the others keep their rhythm.
        entered_ms = self.entered_ms[alarm_id]
        self.due_ms[alarm_id] = entered_ms + ((self._now_ms() - entered_ms) // REPEAT_MS + 1) * REPEAT_MS
        self.plan.enter(AlarmId(alarm_id), state=state, state_version=step, at=self.clock.now())


def _questions(rule: AnyRule) -> Iterator[Question]:
    """Yield what a rule asks, its leaves included."""
    waiting: list[Node] = [rule.root if isinstance(rule, CompositeRule) else Leaf(rule=rule, wire={})]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Branch):
            waiting += node.nodes
        elif not isinstance(node.rule, WindowRule | AlarmReference):
            yield node.rule.question


def _opened_ms(constraints: tuple[dict[str, Any], ...], now_ms: int) -> int:
    """Return since when an alarm has been open; it opens just after a whole minute, and closes on others."""
    minute_ms = now_ms // 60_000 * 60_000
    while constraints and minute_ms > START_MS:
        if not _is_open(constraints[0]["start"], constraints[0]["duration"], minute_ms):
            return minute_ms + 1
        minute_ms -= 60_000
    return START_MS


@cache
def _is_open(start: str, duration_s: int, at_ms: int) -> bool:
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return is_open_in_aodh([{"start": start, "duration": duration_s, "timezone": ""}], at)


@contextmanager
def _naming(what: object) -> Iterator[None]:
    try:
        yield
    except AssertionError as error:
        error.add_note(repr(what))
        raise


@settings(max_examples=200, deadline=None)
@given(
    alarms=st.lists(st.tuples(WINDOW_RULES | GNOCCHI_RULES | ASKED_RULES | COMPOSITES, TERMS), min_size=1, max_size=6),
    arrivals=ARRIVALS,
    answers=st.lists(st.one_of(*ANSWERS_OF.values()), max_size=6),
    every=st.integers(1, 3),
    pause_ms=st.sampled_from([0, 0, 3000, 20_000]),
    watching_s=st.sampled_from([-86_400.0, 0.0, 10.0]),
    churn=st.lists(st.integers(0, 7), max_size=4),
)
def test_the_plan_agrees_with_the_reference(
    *,
    alarms: list[tuple[AnyRule, Terms]],
    arrivals: list[tuple[int, int, str, float, int]],
    answers: list[tuple[str, str, Any]],
    every: int,
    pause_ms: int,
    watching_s: float,
    churn: list[int],
) -> None:
    """Whatever arrives, and whichever alarms go and come back, every state, word and count is that of the reference."""
    _play(alarms, arrivals, answers, every=every, pause_ms=pause_ms, watching_s=watching_s, churn=churn)


@settings(max_examples=100, deadline=None)
@given(
    alarms=st.lists(st.tuples(ASKED_RULES, TERMS), min_size=2, max_size=6),
    first=st.tuples(*(ANSWERS_OF[server] for server in ANSWERS_OF for _ in range(2))),
    answers=st.lists(st.one_of(*ANSWERS_OF.values()), max_size=6),
    passes_ms=st.lists(st.sampled_from([1000, 1000, 3000, 5000, 11_000]), min_size=1, max_size=12),
    churn=st.lists(st.integers(0, 7), max_size=2),
)
def test_what_servers_answer_is_judged_as_by_the_reference(
    *,
    alarms: list[tuple[AnyRule, Terms]],
    first: tuple[tuple[str, str, Any], ...],
    answers: list[tuple[str, str, Any]],
    passes_ms: list[int],
    churn: list[int],
) -> None:
    """Rules that ask a Prometheus, a Gnocchi or an Octavia, which answer, fall silent and answer something else."""
    arrivals = [(pass_ms, 0, "vm-1", 1.0, 1) for pass_ms in passes_ms]
    _play(alarms, arrivals, [*first, *answers], told=len(first), churn=churn)


def _play(
    alarms: Sequence[tuple[AnyRule, Terms]],
    arrivals: Sequence[tuple[int, int, str, float, int]],
    answers: Sequence[tuple[str, str, Any]],
    *,
    told: int = 0,
    every: int = 1,
    pause_ms: int = 0,
    watching_s: float = 0.0,
    churn: Sequence[int] = (),
) -> None:
    """Have both decide again and again; of the answers so many are told from the beginning on."""
    pair = Pair(
        {str(number): rule for number, (rule, _) in enumerate(alarms)},
        {str(number): terms for number, (_, terms) in enumerate(alarms)},
    )
    for server, topic, said in answers[:told]:
        pair.servers[server].say[topic] = said
    clock_ms = step = 0
    try:
        for pass_ms, back_ms, resource_id, value, times in arrivals:
            if answers:
                server, topic, said = answers[(told + step) % len(answers)]
                pair.servers[server].say[topic] = said
            for _ in range(times):
                clock_ms += pass_ms
                step += 1
                pair.sample(clock_ms - back_ms, value, resource_id)
                if step % every:
                    continue
                for number in churn[step % 5 : step % 5 + 2]:
                    pair.put(str(number % len(alarms)))
                now = START + timedelta(milliseconds=clock_ms + pause_ms)
                for kind in pair.decide(now, START + timedelta(seconds=watching_s), step):
                    event(kind)

        assert pair.counts == pair.counted()
    finally:
        pair.close()


BUSY = WindowRule(
    reading=Reading(
        selector=Selector(metric="cpu_util", project_id="", resource_id="vm-1"), period_s=1, over_time=Statistic.AVG
    ),
    judgement=Judgement(comparison=Comparison.GT, threshold=80.0, recovery_threshold=60.0),
)


@pytest.mark.parametrize(("turned", "first"), [(False, State.OK), (True, State.ALARM)])
def test_a_negated_leaf_recovers_as_the_same_leaf_alone_would(turned: bool, first: State) -> None:
    """Between threshold and recovery threshold a composite stays where it was, whether it says so or the opposite."""
    leaf = Leaf(rule=BUSY, wire={})
    pair = Pair({"0": CompositeRule(root=Branch(nodes=(leaf,), at_least=1, is_negated=turned), form="rule1")})
    seen = []
    for second, value in enumerate([70.0, 70.0, 90.0, 70.0, 70.0, 50.0, 70.0, 70.0]):
        pair.sample(second * 1000, value, "vm-1")
        pair.decide(START + timedelta(seconds=second), START - timedelta(days=1), second)
        seen.append(pair.states["0"])
    other = State.OK if first is State.ALARM else State.ALARM

    assert [first, first, other, other, other, first, first, first] == seen


@pytest.mark.parametrize(("turned", "first"), [(False, State.OK), (True, State.ALARM)])
def test_a_mixed_leaf_keeps_the_composite_where_it_is(turned: bool, first: State) -> None:
    """Values on both sides change nothing, negated or not."""
    rule = replace(BUSY, judgement=Judgement(comparison=Comparison.GT, threshold=80.0, evaluation_periods=2))
    leaf = Leaf(rule=rule, wire={})
    pair = Pair({"0": CompositeRule(root=Branch(nodes=(leaf,), at_least=1, is_negated=turned), form="rule1")})
    seen = []
    for second, value in enumerate([50.0, 50.0, 90.0, 50.0, 90.0, 90.0, 50.0, 50.0]):
        pair.sample(second * 1000, value, "vm-1")
        pair.decide(START + timedelta(seconds=second), START - timedelta(days=1), second)
        seen.append(pair.states["0"])
    other = State.OK if first is State.ALARM else State.ALARM

    assert [State.INSUFFICIENT_DATA, first, first, first, first, other, other, first] == seen
