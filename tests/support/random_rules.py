# SPDX-License-Identifier: Apache-2.0
"""Hypothesis' strategies for rules with everything that they may say, and for what comes meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from hypothesis import strategies as st

from alarmd.evaluators.asking.asking import AskedRule
from alarmd.evaluators.families.gnocchi.family import GnocchiAggregation, GnocchiMetrics, GnocchiResources
from alarmd.evaluators.families.loadbalancer.family import LoadbalancerFamily
from alarmd.evaluators.families.prometheus.family import PrometheusFamily
from alarmd.evaluators.family import RuleFamilyFactory, RuleLimits
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
from tests.support.reference_asked import GROUP, STACK

#: A gauge and a counter, in the order of their names.
METRICS = (Metric(name="cpu_util"), Metric(name="packets", kind=Kind.CUMULATIVE))
#: What other servers are asked about: queries, metrics, pools.
TOPICS = ("a", "b")

AnyRule = WindowRule | AskedRule | CompositeRule


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
_TOPICS = st.sampled_from(TOPICS)
_LIMITS = RuleLimits(window_s=600, lateness_s=4)
_ASKING = replace(_LIMITS, servers=frozenset({"prometheus", "gnocchi", "octavia"}))
_PROMETHEUS = PrometheusFamily(_ASKING, lambda _name: None)
PROMETHEUS_RULES = st.builds(
    lambda periods, **rule: _PROMETHEUS.parse(rule | periods, project_id="p1"),
    st.sampled_from([{}, {}, {"evaluation_periods": 2, "granularity": 60}]),
    query=_TOPICS,
    comparison_operator=st.sampled_from([str(one) for one in Comparison]),
    threshold=st.integers(1, 3),
    series=st.sampled_from([None, "all", "any"]),
)


@st.composite
def gnocchi_rules(draw: st.DrawFn, limits: RuleLimits, *, methods: Sequence[str], metrics: Sequence[str]) -> Any:
    """Draw a rule of any of the gnocchi types, as a client writes it."""
    periods = draw(st.integers(1, 3))
    comparison = draw(st.sampled_from(Comparison))
    threshold = draw(st.integers(1, 3))
    step = {Comparison.GT: -1, Comparison.GE: -1, Comparison.LT: 1, Comparison.LE: 1}.get(comparison, 0)
    rule: dict[str, Any] = {
        "aggregation_method": draw(st.sampled_from(methods)),
        "granularity": draw(st.sampled_from([2, 5])),
        "evaluation_periods": periods,
        "comparison_operator": str(comparison),
        "threshold": threshold,
        "datapoints_to_alarm": draw(st.none() | st.integers(1, periods)),
        "treat_missing_data": draw(st.sampled_from([None, *map(str, MissingData)])),
        "recovery_threshold": threshold + step if step and draw(st.booleans()) else None,
        "hold_for": draw(st.sampled_from([None, None, 5])),
        "keep_for": draw(st.sampled_from([None, None, 7])),
    }
    metric = draw(st.sampled_from(metrics))
    kinds: list[RuleFamilyFactory] = [GnocchiResources, GnocchiMetrics, GnocchiAggregation]
    which = draw(st.sampled_from(kinds))
    family = which(limits, lambda _name: None)
    if which is GnocchiResources:
        rule |= {"metric": metric, "resource_id": draw(st.sampled_from(["vm-1", "vm-2"])), "resource_type": "x"}
    else:
        rule["group_statistic"] = draw(st.sampled_from([None, "avg", "max", "count", "p50"]))
        named = [metric] if "gnocchi" in limits.servers else [f"vm-1/{metric}", f"vm-2/{metric}"]
        found = {"metric": metric, "resource_type": "generic", "query": "{}"}
        rule |= {"metrics": named} if which is GnocchiMetrics else found
    return family.parse(family.normalise(rule, project_id=""), project_id="")


#: Over alarmd's own samples, of which fractions are exact here too.
GNOCCHI_RULES = gnocchi_rules(
    _LIMITS,
    methods=[
        *("mean", "min", "max", "sum", "count", "first", "last", "median", "75pct", "p75", "p0", "rate", "delta"),
        *("rate:max", "rate:sum", "rate:p50"),
    ],
    metrics=[metric.name for metric in METRICS],
)
ASKED_GNOCCHI_RULES = gnocchi_rules(_ASKING, methods=["mean", "sum", "rate:max"], metrics=TOPICS)
_LOADBALANCER = LoadbalancerFamily(_ASKING, lambda _name: None)
LOADBALANCER_RULES = st.builds(
    lambda pool_id, confined: _LOADBALANCER.parse(
        {"pool_id": pool_id, "stack_id": STACK, "autoscaling_group_id": GROUP}, project_id="p1", confined=confined
    ),
    _TOPICS,
    st.booleans(),
)
ASKED_RULES = PROMETHEUS_RULES | ASKED_GNOCCHI_RULES | LOADBALANCER_RULES
LEAVES: st.SearchStrategy[Node] = st.builds(
    Leaf,
    rule=WINDOW_RULES
    | GNOCCHI_RULES
    | PROMETHEUS_RULES
    | ASKED_GNOCCHI_RULES
    | st.builds(AlarmReference, alarm_id=st.sampled_from(["0", "1", "2", "gone"])),
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

_VALUES = [0.0, 1.0, 2.0, 3.0, 4.0]
#: Which server says of what something else from now on, and what (`told_servers`), None for an error.
ANSWERS_OF: dict[str, st.SearchStrategy[tuple[str, str, Any]]] = {
    "prometheus": st.tuples(
        st.just("prometheus"),
        _TOPICS,
        st.none() | st.lists(st.lists(st.sampled_from([*_VALUES, inf]), max_size=2), max_size=3),
    ),
    "gnocchi": st.tuples(
        st.just("gnocchi"),
        _TOPICS,
        st.none()
        | st.builds(
            lambda gaps, values: ["nothing"] * gaps + values,
            st.sampled_from([0, 0, 1, 2, 3]),
            st.lists(st.sampled_from([*_VALUES, *_VALUES, None, "nothing"]), max_size=6),
        ),
    ),
    "octavia": st.tuples(
        st.just("octavia"),
        _TOPICS,
        st.none()
        | st.just(())
        | st.tuples(
            st.sampled_from(["p1", "p1", "p2"]),
            st.lists(st.tuples(st.booleans(), st.sampled_from(["ONLINE", "ERROR", "ERROR"])), max_size=3),
        ),
    ),
}


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
