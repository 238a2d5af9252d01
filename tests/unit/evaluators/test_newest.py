# SPDX-License-Identifier: Apache-2.0
"""What newest sample a transition was found from, and which trace brought it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from alarmd.cache.window import Window, WindowLimits
from alarmd.evaluators.plan import Plan, PlanOptions
from alarmd.model.alarm import Alarm, State
from alarmd.model.rule import (
    Branch,
    Comparison,
    CompositeRule,
    Judgement,
    Leaf,
    Reading,
    Selector,
    Statistic,
    WindowRule,
)
from alarmd.model.samples import Resource
from alarmd.model.trace import new_traceparent
from alarmd.model.transition import Transition
from tests.support.alarms import an_alarm
from tests.support.samples import a_batch, a_resource

START = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = START - timedelta(days=1)
WEB = {"group": "web"}


class Bench:
    """A plan over a window with samples of many traces."""

    def __init__(self) -> None:
        self.window = Window(WindowLimits(length_s=600, lateness_s=4))
        self.plan = Plan(self.window, PlanOptions(lateness_s=4, repeat_interval_s=60))

    def put(self, rule: WindowRule | CompositeRule, **changes: Any) -> Alarm:
        alarm = an_alarm(project_id="", alarm_actions=("http://t",), **changes)
        self.plan.put(alarm, rule, now=START)
        return alarm

    def push(self, at_s: float, value: float, *resources: Resource) -> str:
        """Push a sample of each resource and return their trace."""
        traceparent, time_s = new_traceparent(), START.timestamp() + at_s
        batch = a_batch({one: {"cpu_util": value} for one in resources}, timestamp_s=time_s)
        self.window.append(replace(batch, traceparent=traceparent), now_s=time_s)
        return traceparent

    def decide(self, at_s: float) -> list[Transition]:
        return self.plan.decide(now=START + timedelta(seconds=at_s), watching_since=LONG_AGO)


def above(threshold: float, *, resource_id: str | None = None, labels: dict[str, str] | None = None) -> WindowRule:
    selector = Selector(
        metric="cpu_util", project_id="", resource_id=resource_id, labels=tuple(sorted((labels or {}).items()))
    )
    return WindowRule(
        reading=Reading(selector=selector, period_s=10, over_time=Statistic.AVG),
        judgement=Judgement(comparison=Comparison.GT, threshold=threshold, evaluation_periods=1),
    )


def told(transitions: list[Transition]) -> list[tuple[State, float | None, str]]:
    """Return the new states, how long after the start the newest sample was taken, and its trace."""
    ages_s = [(one.sampled_at - START).total_seconds() if one.sampled_at else None for one in transitions]
    return [(one.current, age_s, one.traceparent) for one, age_s in zip(transitions, ages_s, strict=True)]


def test_a_transition_has_the_moment_and_the_trace_of_the_sample() -> None:
    """Of one series it is its newest sample, whatever else has come."""
    bench = Bench()
    bench.put(above(50, resource_id="vm-1"))
    bench.push(0, 90, a_resource("vm-1"))
    newest = bench.push(2, 95, a_resource("vm-1"))
    bench.push(3, 95, a_resource("vm-2"))

    assert [(State.ALARM, 2.0, newest)] == told(bench.decide(3))


def test_of_a_group_the_newest_member_counts() -> None:
    """A group goes by the sample that came last of any of its members."""
    bench = Bench()
    bench.put(above(50, labels=WEB))
    bench.push(0, 90, a_resource("vm-1", labels=WEB), a_resource("vm-2", labels=WEB))
    newest = bench.push(4, 95, a_resource("vm-2", labels=WEB))
    bench.push(3, 95, a_resource("vm-1", labels=WEB))

    assert [(State.ALARM, 4.0, newest)] == told(bench.decide(5))


def test_of_a_composite_the_newest_leaf_counts() -> None:
    """A composite goes by the newest sample that any of its rules reads."""
    bench = Bench()
    leaves = [Leaf(rule=above(50, resource_id=f"vm-{number}"), wire={}) for number in (1, 2)]
    bench.put(CompositeRule(root=Branch(at_least=2, nodes=tuple(leaves)), form=""))
    newest = bench.push(3, 95, a_resource("vm-1"))
    bench.push(1, 90, a_resource("vm-2"))

    assert [(State.ALARM, 3.0, newest)] == told(bench.decide(4))


def test_silence_has_no_sample_behind_it() -> None:
    """Nothing has brought what is found from nothing."""
    bench = Bench()
    bench.put(above(50, resource_id="vm-1"), state=State.OK)
    bench.push(0, 10, a_resource("vm-1"))

    assert [(State.INSUFFICIENT_DATA, None, "")] == told(bench.decide(60))


def test_a_repeat_goes_by_the_sample_of_today() -> None:
    """What is repeated is said of the newest sample, not of the one that it began with."""
    bench = Bench()
    alarm = bench.put(above(50, resource_id="vm-1"), repeat_actions=True)
    bench.push(0, 90, a_resource("vm-1"))
    [first] = bench.decide(0)
    bench.plan.enter(alarm.alarm_id, state=first.current, state_version=1, at=first.at)
    newest = bench.push(60, 90, a_resource("vm-1"))

    assert [(State.ALARM, 60.0, newest)] == told(bench.decide(61))
