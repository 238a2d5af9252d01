# SPDX-License-Identifier: Apache-2.0
"""Rules of the gnocchi types over the window: what groups, counters and buckets come to (telemetry 5.3)."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alarmd.cache.window import Window, WindowLimits
from alarmd.evaluators.families.gnocchi.family import GnocchiAggregation, GnocchiMetrics, GnocchiResources
from alarmd.evaluators.family import RuleFamilyFactory, RuleLimits
from alarmd.evaluators.plan import Plan, PlanOptions
from alarmd.model.alarm import State
from alarmd.model.samples import Kind, Metric, Resource, Sample, batches_of, labels_of
from alarmd.model.transition import Transition
from tests.support.alarms import an_alarm
from tests.support.rules import FAMILIES

#: A round minute.
NOON_S = 1_800_000_000
CPU = Metric(name="cpu", unit="ns", kind=Kind.CUMULATIVE)
UTIL = Metric(name="cpu_util", unit="%")
GROUP: dict[str, Any] = {"metric": "cpu", "resource_type": "instance", "query": '{"=": {"server_group": "web"}}'}


def vm(name: str, **labels: str) -> Resource:
    return Resource(
        id=name,
        project_id="p1",
        labels=labels_of({"server_group": "web", "resource_type": "instance", **labels}.items()),
    )


def counter(resource: Resource, *, start: float, load: float, since: int = 0, until: int = 600) -> list[Sample]:
    """Return a counter of nanoseconds that is read every 20 s, from so many seconds after noon on."""
    return [
        Sample(metric=CPU, resource=resource, timestamp_s=NOON_S + at, value=start + load * 1e9 * (at - since))
        for at in range(since, until + 1, 20)
    ]


def decided(
    factory: RuleFamilyFactory, samples: Iterable[Sample], *, after_s: float = 610, is_strict: bool = False, **rule: Any
) -> Transition:
    """Return how an alarm changes that nothing is known of yet."""
    window = Window(WindowLimits(length_s=3600, lateness_s=600))
    now = datetime.fromtimestamp(NOON_S + after_s, UTC)
    for batch in batches_of(samples, source="test"):
        window.append(batch, now_s=now.timestamp())
    family = factory(RuleLimits(window_s=3600, lateness_s=10, gnocchi_is_strict=is_strict), FAMILIES.get)
    judged = {"comparison_operator": "gt", "threshold": 0, "granularity": 60}
    normal = family.normalise(judged | rule, project_id="p1")
    plan = Plan(window, PlanOptions(lateness_s=10, repeat_interval_s=60))
    plan.put(an_alarm(type=family.name, rule=normal), family.parse(normal, project_id="p1"), now=now)
    [found] = plan.decide(now=now, watching_since=now - timedelta(hours=1))
    return found


def values(transition: Transition) -> list[float | None]:
    return list(transition.evidence["values"])


def test_who_joins_is_no_jump_of_a_rate() -> None:
    """Two busy machines and a new one: 48e9 ns a minute, each; to Gnocchi, the whole fell by five million million."""
    samples = [
        *counter(vm("a"), start=1e13, load=0.8),
        *counter(vm("b"), start=2e13, load=0.8),
        *counter(vm("c"), start=0, load=0.8, since=520),
    ]
    rule: dict[str, Any] = {**GROUP, "aggregation_method": "rate:mean", "evaluation_periods": 3}
    usual = decided(GnocchiAggregation, samples, after_s=599, **rule)
    strict = decided(GnocchiAggregation, samples, after_s=599, is_strict=True, **rule)

    assert values(usual) == pytest.approx([48e9, 48e9, 48e9])
    assert State.ALARM is usual.current
    assert min(value for value in values(strict) if value is not None) < -4e12


def test_a_counter_that_starts_anew_counts_from_nothing() -> None:
    """A machine that was restarted has not run backwards."""
    samples = [*counter(vm("a"), start=1e13, load=0.5, until=500), *counter(vm("a"), start=0, load=0.5, since=520)]
    rule: dict[str, Any] = {**GROUP, "aggregation_method": "rate:max", "evaluation_periods": 4}

    assert all(
        0 <= value <= 30.1e9 for value in values(decided(GnocchiAggregation, samples, **rule)) if value is not None
    )


def test_a_rate_of_one_is_that_of_its_samples() -> None:
    """As Gnocchi keeps it: its size is how often the counter is read."""
    rule: dict[str, Any] = {
        "metric": "cpu",
        "resource_id": "a",
        "resource_type": "x",
        "aggregation_method": "rate:mean",
    }
    found = decided(GnocchiResources, counter(vm("a"), start=5, load=1), **rule, evaluation_periods=2)

    assert values(found) == pytest.approx([20e9, 20e9])


def test_a_sum_counts_once_its_minute_is_over() -> None:
    """Usually; strictly it counts as soon as there is a sample."""
    samples = [Sample(metric=UTIL, resource=vm("a"), timestamp_s=NOON_S + at, value=10.0) for at in range(0, 611, 10)]
    rule: dict[str, Any] = {"metric": "cpu_util", "resource_id": "a", "resource_type": "x", "aggregation_method": "sum"}

    assert [60.0] == values(decided(GnocchiResources, samples, **rule))
    assert [20.0] == values(decided(GnocchiResources, samples, is_strict=True, **rule))


def test_members_are_those_that_the_query_and_the_type_mean() -> None:
    """Not the disks of the same machines, not other groups."""
    resources = [vm("a"), vm("b"), vm("b-vda", resource_type="instance_disk"), vm("c", server_group="db")]
    samples = [
        Sample(metric=UTIL, resource=each, timestamp_s=NOON_S + 600, value=10.0**number)
        for number, each in enumerate(resources)
    ]
    every = GROUP | {"metric": "cpu_*", "query": "{}", "resource_type": "generic"}

    assert [11.0] == values(
        decided(GnocchiAggregation, samples, **GROUP | {"metric": "cpu_util", "aggregation_method": "sum"}, after_s=661)
    )
    assert [4.0] == values(decided(GnocchiAggregation, samples, **every, aggregation_method="count", after_s=661))
    assert [1000.0] == values(decided(GnocchiAggregation, samples, **every, aggregation_method="max", after_s=605))


@pytest.mark.parametrize(
    ("method", "over_members", "expected"),
    [
        # In the minute before the last, a was 0, 6, 12, 18, 24 and 30, b ten times that.
        ("max", "avg", 165.0),
        ("mean", "max", 150.0),
        ("min", "sum", 0.0),
        ("p50", "min", 15.0),
        ("50pct", "p100", 150.0),
        ("p80", "p50", 132.0),
        ("count", "sum", 12.0),
        ("last", "count", 2.0),
        ("rate:max", "max", 60.0),
        ("rate:sum", "avg", 165.0),
    ],
)
def test_members_become_one_by_another_statistic(method: str, over_members: str, expected: float) -> None:
    """Of each what the method says, of these what the group's statistic says."""
    samples = [
        Sample(metric=UTIL, resource=vm(name), timestamp_s=NOON_S + 540 + at, value=at * size / 10)
        for name, size in (("a", 6.0), ("b", 60.0))
        for at in (0, 10, 20, 30, 40, 50)
    ]
    rule: dict[str, Any] = GROUP | {"metric": "cpu_util", "aggregation_method": method, "group_statistic": over_members}

    assert [expected] == pytest.approx(values(decided(GnocchiAggregation, samples, after_s=610, **rule)))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"aggregation_method": "rate"}, 0.6e9),
        ({"aggregation_method": "delta"}, 36e9),
        ({"aggregation_method": "rate", "group_statistic": "max"}, 0.8e9),
        ({"aggregation_method": "delta", "group_statistic": "sum"}, 72e9),
        ({"aggregation_method": "rate:mean"}, 36e9),
    ],
)
def test_what_counters_grow_by_does_not_depend_on_how_often_they_are_read(
    rule: dict[str, Any], expected: float
) -> None:
    """A second, or in a period; of each, and then of the group."""
    samples = [
        *counter(vm("a"), start=1e13, load=0.8),
        *counter(vm("b"), start=5, load=0.4)[::2],
    ]

    assert [expected] == pytest.approx(values(decided(GnocchiAggregation, samples, after_s=599, **GROUP | rule)))


def test_metrics_by_name_are_one() -> None:
    """Several of them, of resources that need not have anything in common."""
    samples = [
        Sample(metric=UTIL, resource=Resource(id=name, project_id=project), timestamp_s=NOON_S + 600, value=value)
        for name, project, value in (("rack/1", "p1", 10.0), ("b", "p1", 20.0), ("c", "p1", 90.0), ("b", "p2", 900.0))
    ]
    found = decided(
        GnocchiMetrics, samples, metrics=["rack/1/cpu_util", "b/cpu_util"], aggregation_method="mean", after_s=605
    )

    assert [15.0] == values(found)
    assert "Transition to alarm due to 1 samples outside threshold, most recent: 15.0" == found.reason


def test_strictly_a_difference_is_taken_from_wherever_the_sample_before_is() -> None:
    """Gnocchi knows it, however long ago it was; periods that old lend it, and have no values of their own."""
    samples = [Sample(metric=UTIL, resource=vm("a"), timestamp_s=NOON_S + at, value=at / 10) for at in (0, 100, 590)]
    rule: dict[str, Any] = {"metric": "cpu_util", "resource_id": "a", "resource_type": "x"}
    found = decided(GnocchiResources, samples, is_strict=True, aggregation_method="rate:mean", **rule)

    assert [49.0] == values(found)
    assert [49.0, None, None] == values(
        decided(
            GnocchiResources,
            samples,
            is_strict=True,
            aggregation_method="rate:mean",
            treat_missing_data="not_breaching",
            evaluation_periods=3,
            after_s=595,
            **rule,
        )
    )
