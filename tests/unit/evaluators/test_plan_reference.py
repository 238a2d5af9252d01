# SPDX-License-Identifier: Apache-2.0
"""The plan against the reference evaluator: rules with everything that they may say, alone and in composites."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from alarmd.cache.window import Window, WindowLimits
from alarmd.evaluators.plan import Plan, PlanOptions
from alarmd.evaluators.roster import COUNTS
from alarmd.model.alarm import AlarmId, State
from alarmd.model.rule import (
    AlarmReference,
    Branch,
    Comparison,
    CompositeRule,
    Differences,
    Judgement,
    Leaf,
    Measure,
    MissingData,
    Node,
    Percentile,
    Reading,
    Selector,
    Statistic,
    WindowRule,
)
from alarmd.model.samples import Kind, Metric
from tests.support.alarms import an_alarm
from tests.support.reference import Moment, evaluate, evaluate_composite
from tests.support.reference_reading import ReferenceSeries
from tests.support.samples import a_batch, a_resource

START = datetime(2026, 1, 1, tzinfo=UTC)
START_MS = round(START.timestamp() * 1000)
LATENESS_S = 4.0

#: A gauge and a counter, in the order of their names.
METRICS = (Metric(name="cpu_util"), Metric(name="packets", kind=Kind.CUMULATIVE))

AnyRule = WindowRule | CompositeRule


@dataclass
class Pair:
    """A plan and what the reference knows, fed alike."""

    rules: Mapping[str, AnyRule]
    window: Window = field(default_factory=lambda: Window(WindowLimits(length_s=600, lateness_s=LATENESS_S)))
    series: dict[tuple[str, str], ReferenceSeries] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    counts: dict[str, Counter[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        options = PlanOptions(lateness_s=LATENESS_S, repeat_interval_s=60, count_results=True)
        self.plan = Plan(self.window, options)
        self.states = dict.fromkeys(self.rules, State.INSUFFICIENT_DATA)
        for alarm_id in self.rules:
            self.put(alarm_id)

    def put(self, alarm_id: str) -> None:
        """Load an alarm anew, as an evaluator does that takes it over."""
        self.plan.remove(AlarmId(alarm_id))
        alarm = an_alarm(alarm_id=AlarmId(alarm_id), state=self.states[alarm_id])
        self.plan.put(alarm, self.rules[alarm_id], now=START)

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
        for unheard in self.plan.unheard_of():
            self.plan.note(unheard, self.states.get(unheard))
        moment = Moment(
            now_s=now.timestamp(),
            watching_since_s=since.timestamp(),
            lateness_s=LATENESS_S,
            states=dict(self.states),
        )
        decided = {str(one.alarm_id): one for one in self.plan.decide(now=now, watching_since=since)}
        series = list(self.series.values())
        kinds = []
        for alarm_id, rule in self.rules.items():
            state = moment.states[alarm_id]
            expected = (
                evaluate_composite(rule, state, series, moment)
                if isinstance(rule, CompositeRule)
                else evaluate(rule, state, series, moment)
            )
            if expected.counted:
                self.counts.setdefault(alarm_id, Counter())[expected.counted.replace(" ", "_")] += 1
            found = decided.get(alarm_id)
            with _naming((rule, state, moment)):
                assert expected.state == (found.current if found else state)
                assert expected.reason == (found.reason if found else None)
                assert expected.reason_data == (dict(found.reason_data) if found else None)
            if found:
                kinds.append(f"{type(rule).__name__} {found.previous} to {found.current}")
                self.states[alarm_id] = expected.state
                self.plan.enter(AlarmId(alarm_id), state=found.current, state_version=step, at=now)
        return kinds

    def counted(self) -> dict[str, Counter[str]]:
        """Return what the plan has counted."""
        counted = self.plan.take_counts()
        rows = zip(counted.alarm_ids, counted.counts.tolist(), strict=True)
        return {alarm_id: Counter(dict(zip(COUNTS, row, strict=True))) for alarm_id, row in rows}


@contextmanager
def _naming(what: object) -> Iterator[None]:
    try:
        yield
    except AssertionError as error:
        error.add_note(repr(what))
        raise


@st.composite
def judgements(draw: st.DrawFn) -> Judgement:
    """Draw a judgement over few periods, with any of the optional attributes."""
    periods = draw(st.integers(1, 3))
    comparison = draw(st.sampled_from(Comparison))
    threshold = float(draw(st.integers(1, 3)))
    step = {Comparison.GT: -1.0, Comparison.GE: -1.0, Comparison.LT: 1.0, Comparison.LE: 1.0}.get(comparison)
    return Judgement(
        comparison=comparison,
        threshold=threshold,
        evaluation_periods=periods,
        datapoints_to_alarm=draw(st.none() | st.integers(1, periods)),
        missing=draw(st.sampled_from(MissingData)),
        recovery_threshold=threshold + step * draw(st.integers(0, 2)) if step and draw(st.booleans()) else None,
        hold_periods=draw(st.sampled_from([0, 0, 0, 1, 2])),
        keep_periods=draw(st.sampled_from([0, 0, 1, 3])),
    )


#: Those of which fractions are exact, so that the order of sums does not show.
MEASURES: list[Measure] = [
    *(Statistic.AVG, Statistic.MIN, Statistic.MAX, Statistic.SUM, Statistic.COUNT, Statistic.LAST),
    *(Percentile(50.0), Percentile(75.0)),
]
SELECTORS = st.builds(
    Selector,
    metric=st.sampled_from([metric.name for metric in METRICS]),
    project_id=st.just(""),
    resource_id=st.sampled_from([None, None, "vm-1", "vm-2"]),
)
_COMMON: dict[str, st.SearchStrategy[Any]] = {
    "selector": SELECTORS,
    "period_s": st.sampled_from([1, 2, 5]),
    "exclude_outliers": st.sampled_from([False, False, True]),
    "minimum_coverage": st.sampled_from([0.0, 0.0, 0.6, 1.0]),
}
READINGS = st.one_of(
    st.builds(Reading, over_time=st.sampled_from(MEASURES), **_COMMON),
    st.builds(Reading, over_time=st.sampled_from(MEASURES), over_members=st.sampled_from(MEASURES), **_COMMON),
    st.builds(
        Reading,
        over_time=st.sampled_from([Statistic.RATE, Statistic.SUM]),
        over_members=st.sampled_from(MEASURES),
        differences=st.just(Differences.RESET_SAFE),
        **_COMMON,
    ),
    st.builds(
        Reading,
        over_time=st.sampled_from(MEASURES),
        over_members=st.none() | st.sampled_from(MEASURES),
        differences=st.sampled_from(Differences),
        scale=st.sampled_from([1.0, 2.0]),
        is_aligned=st.just(True),
        complete_only=st.booleans(),
        difference_of_results=st.booleans(),
        **_COMMON,
    ),
)
WINDOW_RULES = st.builds(
    WindowRule, reading=READINGS, judgement=judgements(), look_back_periods=st.sampled_from([None, None, 0, 1])
)
_WIRE = st.integers(0, 99).map(lambda number: {"type": "threshold", "number": number})
LEAVES: st.SearchStrategy[Node] = st.builds(
    Leaf,
    rule=WINDOW_RULES | st.builds(AlarmReference, alarm_id=st.sampled_from(["0", "1", "2", "gone"])),
    wire=_WIRE,
)


@st.composite
def branches(draw: st.DrawFn, nodes: st.SearchStrategy[Node]) -> Node:
    """Draw a node over some others."""
    below = draw(st.lists(nodes, min_size=1, max_size=4))
    return Branch(nodes=tuple(below), at_least=draw(st.integers(1, len(below))), is_negated=draw(st.booleans()))


COMPOSITES = st.builds(
    CompositeRule, root=st.recursive(LEAVES, branches, max_leaves=6), form=st.sampled_from(["(rule1 or rule2)", "f"])
)
#: How much time passes, in eighths of seconds so that rates are exact, how late the sample is, whose it is, how large,
#: and how often so: values that last are not rare.
ARRIVALS = st.lists(
    st.tuples(
        st.sampled_from([0, 125, 750, 1000, 1000, 2500, 9000]),
        st.sampled_from([0, 0, 0, 250, 2000, 6000]),
        st.sampled_from(["vm-1", "vm-1", "vm-2"]),
        st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0]),
        st.integers(1, 6),
    ),
    max_size=15,
)


@settings(max_examples=150, deadline=None)
@given(
    rules=st.lists(WINDOW_RULES | COMPOSITES, min_size=1, max_size=6),
    arrivals=ARRIVALS,
    every=st.integers(1, 3),
    pause_ms=st.sampled_from([0, 0, 3000, 20_000]),
    watching_s=st.sampled_from([-86_400.0, 0.0, 10.0]),
    churn=st.lists(st.integers(0, 7), max_size=4),
)
def test_the_plan_agrees_with_the_reference(
    *,
    rules: list[AnyRule],
    arrivals: list[tuple[int, int, str, float, int]],
    every: int,
    pause_ms: int,
    watching_s: float,
    churn: list[int],
) -> None:
    """Whatever arrives, and whichever alarms go and come back, every state, word and count is that of the reference."""
    pair = Pair({str(number): rule for number, rule in enumerate(rules)})
    clock_ms = step = 0
    for pass_ms, back_ms, resource_id, value, times in arrivals:
        for _ in range(times):
            clock_ms += pass_ms
            step += 1
            pair.sample(clock_ms - back_ms, value, resource_id)
            if step % every:
                continue
            for number in churn[step % 5 : step % 5 + 2]:
                pair.put(str(number % len(rules)))
            now = START + timedelta(milliseconds=clock_ms + pause_ms)
            for kind in pair.decide(now, START + timedelta(seconds=watching_s), step):
                event(kind)

    assert pair.counts == pair.counted()


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
