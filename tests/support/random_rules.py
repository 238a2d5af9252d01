# SPDX-License-Identifier: Apache-2.0
"""Hypothesis' strategies for rules with everything that they may say, and for what comes meanwhile."""

from dataclasses import dataclass
from math import inf
from typing import Any

from hypothesis import strategies as st

from alarmd.evaluators.families.prometheus.family import PrometheusFamily, PrometheusRule
from alarmd.evaluators.family import RuleLimits
from alarmd.model.alarm import State
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

#: A gauge and a counter, in the order of their names.
METRICS = (Metric(name="cpu_util"), Metric(name="packets", kind=Kind.CUMULATIVE))
#: What is asked of a Prometheus.
QUERIES = ("a", "b")

AnyRule = WindowRule | PrometheusRule | CompositeRule


@dataclass(frozen=True)
class Terms:
    """What an alarm has beside its rule: its first state, whether its actions are repeated, when it is evaluated."""

    state: State = State.INSUFFICIENT_DATA
    is_repeating: bool = False
    constraints: tuple[dict[str, Any], ...] = ()
    #: In which states its actions make its group smaller.
    scales_in: frozenset[State] = frozenset()


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
_ASKED = PrometheusFamily(RuleLimits(window_s=600, lateness_s=4, servers=frozenset({"prometheus"})), lambda _name: None)
ASKED_RULES = st.builds(
    lambda periods, **rule: _ASKED.parse(rule | periods, project_id="p1"),
    st.sampled_from([{}, {}, {"evaluation_periods": 2, "granularity": 60}]),
    query=st.sampled_from(QUERIES),
    comparison_operator=st.sampled_from([str(one) for one in Comparison]),
    threshold=st.integers(1, 3),
    series=st.sampled_from([None, "all", "any"]),
)
LEAVES: st.SearchStrategy[Node] = st.builds(
    Leaf,
    rule=WINDOW_RULES | ASKED_RULES | st.builds(AlarmReference, alarm_id=st.sampled_from(["0", "1", "2", "gone"])),
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

#: Of which query a Prometheus says something else from now on, and what: values of series, or None for an error.
ANSWERS = st.tuples(
    st.sampled_from(QUERIES),
    st.none() | st.lists(st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, inf]), max_size=2), max_size=3),
)


def _every(minutes: int, duration_s: int) -> dict[str, Any]:
    return {"name": "n", "description": "", "start": f"*/{minutes} * * * *", "duration": duration_s, "timezone": ""}


#: Closed for half a minute of every two, or for most of every five.
TERMS = st.builds(
    Terms,
    state=st.sampled_from(State),
    is_repeating=st.booleans(),
    constraints=st.sampled_from([(), (), (_every(2, 30),), (_every(5, 20),)]),
    scales_in=st.sampled_from([frozenset(), frozenset({State.ALARM}), frozenset({State.OK, State.ALARM})]),
)
