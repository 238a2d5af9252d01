# SPDX-License-Identifier: Apache-2.0
"""Every kind of rule over the window, and random samples for them, to hold several ways of evaluating them together."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import numpy as np

from alarmd.cache.window import WindowLimits
from alarmd.evaluators.plan import PlanOptions
from alarmd.model.alarm import Alarm
from alarmd.model.samples import Batch, Kind, Metric, Resource, labels_of
from alarmd.model.shard import shard_of
from tests.support.alarms import an_alarm
from tests.support.rest import rule_families

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
LATENESS_S = 5.0
WINDOW = WindowLimits(length_s=600, lateness_s=LATENESS_S)
PLAN = PlanOptions(lateness_s=LATENESS_S, repeat_interval_s=20)
FAMILIES = rule_families()

#: A project whose samples stand in the same shard.
NEIGHBOUR = next(name for name in map(str, count()) if shard_of(name) == shard_of("p1"))

CPU = Metric(name="cpu_util", unit="%")
TIME = Metric(name="cpu", unit="ns", kind=Kind.CUMULATIVE)
OTHER = Metric(name="memory.usage", unit="MB")


def threshold(**changes: Any) -> dict[str, Any]:
    """A threshold rule on the CPU of a group."""
    return {
        "meter_name": "cpu_util",
        "threshold": 50.0,
        "comparison_operator": "gt",
        "period": 10,
        "query": [{"field": "labels.group", "value": "web"}],
    } | changes


def leaf(**changes: Any) -> dict[str, Any]:
    """The same as a leaf of a composite."""
    return {"type": "threshold"} | threshold(**changes)


#: What rules of the gnocchi types have in common.
GNOCCHI = {
    "aggregation_method": "mean",
    "granularity": 10,
    "evaluation_periods": 2,
    "comparison_operator": "gt",
    "threshold": 50.0,
}


def one_machine(number: int = 1) -> dict[str, Any]:
    """What makes a rule one on a single series."""
    return {"query": [{"field": "resource_id", "value": f"vm-{number}"}]}


#: Every kind of rule over the window: its type and itself.
RULES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "single": ("threshold", threshold(**one_machine())),
    "periods": ("threshold", threshold(**one_machine(), evaluation_periods=3, period=7)),
    "group": ("threshold", threshold()),
    "min": ("threshold", threshold(statistic="min", threshold=20.0)),
    "max": ("threshold", threshold(statistic="max", threshold=90.0, evaluation_periods=2)),
    "sum": ("threshold", threshold(statistic="sum", threshold=400.0)),
    "count": ("threshold", threshold(statistic="count", threshold=5.0, comparison_operator="lt")),
    "last": ("threshold", threshold(statistic="last")),
    "stddev": ("threshold", threshold(statistic="stddev", threshold=25.0)),
    "percentile": ("threshold", threshold(statistic="p90", threshold=80.0)),
    "members": ("threshold", threshold(statistic="max", group_statistic="avg", threshold=70.0)),
    "rate": ("threshold", threshold(meter_name="cpu", statistic="rate", threshold=50.0, period=20)),
    "delta": ("threshold", threshold(meter_name="cpu", statistic="delta", group_statistic="max", threshold=600.0)),
    "outliers": ("threshold", threshold(exclude_outliers=True, evaluation_periods=2)),
    "some of them": ("threshold", threshold(evaluation_periods=4, datapoints_to_alarm=2, period=5)),
    "missing is bad": ("threshold", threshold(treat_missing_data="breaching", period=5)),
    "missing is good": ("threshold", threshold(treat_missing_data="not_breaching", period=5, evaluation_periods=2)),
    "missing is ignored": ("threshold", threshold(treat_missing_data="ignore", period=5, evaluation_periods=2)),
    "hysteresis": ("threshold", threshold(recovery_threshold=35.0)),
    "hold": ("threshold", threshold(hold_for=10, period=5)),
    "keep": ("threshold", threshold(keep_for=15, period=5)),
    "coverage": ("threshold", threshold(minimum_coverage=0.6, period=5)),
    "and": ("composite", {"and": [leaf(), leaf(statistic="max", threshold=90.0)]}),
    "or": ("composite", {"or": [leaf(**one_machine(1)), leaf(**one_machine(2)), leaf(period=30, threshold=60.0)]}),
    "not": ("composite", {"not": {"and": [leaf(), leaf(evaluation_periods=3, period=5)]}}),
    "at least": (
        "composite",
        {"at_least": {"count": 2, "of": [leaf(**one_machine(number)) for number in (1, 2, 3)]}},
    ),
    "gnocchi, one resource": (
        "gnocchi_resources_threshold",
        {"metric": "cpu_util", "resource_id": "vm-1", "resource_type": "instance", **GNOCCHI},
    ),
    "gnocchi, a group's rate": (
        "gnocchi_aggregation_by_resources_threshold",
        {
            "metric": "cpu",
            "resource_type": "instance",
            "query": '{"=": {"server_group": "web"}}',
            **GNOCCHI,
            "aggregation_method": "rate:mean",
        },
    ),
    "two metrics": ("composite", {"and": [leaf(), {"or": [leaf(meter_name="memory.usage", threshold=500.0)]}]}),
}


@dataclass(frozen=True)
class Push:
    """What is pushed together, and when it comes."""

    at_s: float
    batches: list[Batch]


def pushes(seed: int, *, length_s: int) -> list[Push]:
    """Random samples of a group that grows and shrinks: jitter, gaps, late ones, duplicates, counters that restart."""
    chance = random.Random(seed)
    start_s = START.timestamp()
    made: list[Push] = []
    counter = [chance.uniform(0, 1000) for _ in range(4)]
    level = [chance.uniform(0, 100) for _ in range(4)]
    at_ms = 0
    while (at_ms := at_ms + chance.choice([200, 997, 1000, 1500, 3000, 5003])) < length_s * 1000:
        if chance.random() < 0.02:
            at_ms += 40_000
            continue
        machines = [number for number in range(1, 4) if chance.random() < 0.7]
        for number in machines:
            level[number] = min(max(level[number] + chance.gauss(0, 25), 0), 100)
            counter[number] = 0.0 if chance.random() < 0.03 else counter[number] + chance.uniform(0, 300)
        if not machines:
            continue
        at_s = start_s + at_ms / 1000
        batches = [_batch(at_s, machines, [level[n] for n in machines], [counter[n] for n in machines])]
        if chance.random() < 0.1:
            late_s = at_s - chance.choice([0.001, 1, 4.5, 12])
            batches.append(_batch(late_s, machines[:1], [chance.uniform(0, 100)], [counter[machines[0]]]))
        if chance.random() < 0.2:
            batches.append(_batch(at_s, [1, 2], [99.0, 1.0], [0.0, 1e9], project_id=NEIGHBOUR))
        made.append(Push(at_s, batches))
    return made


def _batch(
    at_s: float, machines: list[int], levels: list[float], counters: list[float], *, project_id: str = "p1"
) -> Batch:
    labels = labels_of([("group", "web"), ("server_group", "web")])
    resources = tuple(Resource(id=f"vm-{number}", project_id=project_id, labels=labels) for number in machines)
    rows = [[level, counter, level * 10] for level, counter in zip(levels, counters, strict=True)]
    return Batch(
        source="test",
        timestamp_s=round(at_s, 3),
        metrics=(CPU, TIME, OTHER),
        resources=resources,
        values=np.array(rows, np.float64),
        expected=len(resources),
    )


def an_alarm_of(name: str, **changes: Any) -> Alarm:
    """An alarm with the rule of a name."""
    type_, rule = RULES[name]
    return an_alarm(
        name=name,
        type=type_,
        rule=FAMILIES[type_].normalise(rule, project_id="p1"),
        state_timestamp=START,
        timestamp=START,
        **changes,
    )
