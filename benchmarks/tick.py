# SPDX-License-Identifier: Apache-2.0
"""One tick: how long a pass over all alarms takes when each watches a single series, and how much memory they hold."""

from collections.abc import Iterator, Mapping

import numpy as np

from alarmd.clock import Clock
from alarmd.evaluators.plan import Plan
from alarmd.model.alarm import Alarm
from alarmd.model.rule import Comparison, Judgement, Reading, Selector, Statistic, WindowRule
from benchmarks.changes import BARS as CHANGE_BARS
from benchmarks.changes import Change, changes
from benchmarks.definitions import definition
from benchmarks.fleet import INTERVAL_S, METRIC, Fleet
from benchmarks.passes import START_S, Feed, floor_ms, median_ms, one_core, resident, step
from benchmarks.prometheus import find_prometheus, measure_prometheus
from benchmarks.report import Bar, Report, Value, tell
from benchmarks.slope import slope

PERIOD_S = 60
PERIODS = 3
#: Passes before the measured ones. In its first three minutes an alarm's state owes more to the start than to the load.
_WARM_UP = 20
#: How many alarms are added, changed and deleted after the measured passes.
_CHANGES = 9
_BYTES_A_SAMPLE = 12
_MIB = 2**20


def tick(
    *, alarms: int, series: int, passes: int, prometheus_rules: int, with_slope: bool = False, clock: Clock
) -> Report:
    """Measure a tick over so many alarms on so many series, and Prometheus over so many rules unless that is 0."""
    if prometheus_rules:
        find_prometheus()
    bars = (*_bars(alarms), *CHANGE_BARS)
    with one_core():
        tick_ms, values = _measured(alarms=alarms, series=series, passes=passes, clock=clock)
        if with_slope:
            smaller = [(size, max(size * series // alarms, 1)) for size in (alarms // 10, alarms // 3) if size]
            points = [(size, tick_of(alarms=size, series=few, passes=passes, clock=clock)) for size, few in smaller]
            values |= slope([*points, (alarms, tick_ms)])
    if prometheus_rules:
        values |= _compared(values, rules=prometheus_rules, series=series, clock=clock)
        bars += (Bar(key="ratio", at_most=0.01),)
    return Report(name="tick", values=values, bars=bars)


def _measured(*, alarms: int, series: int, passes: int, clock: Clock) -> tuple[float, dict[str, Value]]:
    before = resident()
    tell(f"filling a window of {series:,} series")
    feed = Feed(Fleet(series=series, start_s=START_S))
    window_bytes = resident() - before

    before = resident()
    plan = feed.plan()
    fill(plan, feed, range(alarms))
    plan_bytes = resident() - before

    first = step(plan, feed, clock)
    for _ in range(1, _WARM_UP):
        step(plan, feed, clock)
    tell(f"measuring {passes} passes")
    measured = [step(plan, feed, clock) for _ in range(passes)]
    retained = _retained(feed)
    tick_ms = median_ms(measured)
    floor = floor_ms(alarms=alarms, samples=series * PERIODS * round(PERIOD_S / INTERVAL_S), clock=clock)
    return tick_ms, {
        "alarms": alarms,
        "series": series,
        "passes": passes,
        "tick_ms": tick_ms,
        "tick_p95_ms": float(np.percentile([one.duration_ms for one in measured], 95)),
        "tick_cpu_ms": float(np.median([one.cpu_ms for one in measured])),
        "first_tick_ms": first.duration_ms,
        "ns_per_alarm": tick_ms * 1e6 / alarms,
        "flips_per_tick": float(np.mean([one.flips for one in measured])) / alarms,
        "floor_ms": floor,
        "floor_ratio": tick_ms / floor,
        **changes(plan, feed, list(_changing(feed, alarms)), clock),
        "memory_mib": (window_bytes + plan_bytes) / _MIB,
        "bytes_per_alarm": plan_bytes / alarms,
        "bytes_per_sample": feed.window.rings.nbytes / retained,
        "resident_bytes_per_sample": window_bytes / retained,
    }


def tick_of(*, alarms: int, series: int, passes: int, clock: Clock) -> float:
    """Return what a pass over so many alarms takes, in ms."""
    tell(f"measuring {alarms:,} alarms on {series:,} series")
    feed = Feed(Fleet(series=series, start_s=START_S))
    plan = feed.plan()
    fill(plan, feed, range(alarms))
    for _ in range(_WARM_UP):
        step(plan, feed, clock)
    return median_ms([step(plan, feed, clock) for _ in range(passes)])


def fill(plan: Plan, feed: Feed, numbers: range) -> None:
    """Compile alarms."""
    thresholds = feed.fleet.thresholds(numbers.stop)
    for number in numbers:
        rule = _rule(_selector(feed.fleet, number), float(thresholds[number]))
        plan.put(_alarm(feed, number), rule, now=feed.started)
        if (number + 1) % 100_000 == 0:
            tell(f"compiled {number + 1:,} alarms")


def _changing(feed: Feed, alarms: int) -> Iterator[Change]:
    """Yield alarms that read in turn what no other alarm reads, next to what all others read."""
    for number in range(alarms, alarms + _CHANGES):
        mine, others = (_selector(feed.fleet, one, user_id="") for one in (number, number + 1))
        yield Change(alarm=_alarm(feed, number), first=_rule(mine, 80.0), second=_rule(others, 80.0))


def _selector(fleet: Fleet, number: int, *, user_id: str | None = None) -> Selector:
    """Return the machine that an alarm watches; who asks for a user as well shares no computation with who does not."""
    resource = fleet.resources[number % len(fleet.resources)]
    return Selector(metric=METRIC.name, project_id=resource.project_id, resource_id=resource.id, user_id=user_id)


def _rule(selector: Selector, threshold: float) -> WindowRule:
    return WindowRule(
        reading=Reading(selector=selector, period_s=PERIOD_S, over_time=Statistic.AVG),
        judgement=Judgement(comparison=Comparison.GT, threshold=threshold, evaluation_periods=PERIODS),
    )


def _alarm(feed: Feed, number: int) -> Alarm:
    project_id = feed.fleet.resources[number % len(feed.fleet.resources)].project_id
    return definition(number, project_id=project_id, at=feed.started)


def _retained(feed: Feed) -> int:
    """Return how many samples the window holds."""
    return sum(len(feed.window.rings.points(one.number)[0]) for one in feed.window.directory)


def _compared(ours: Mapping[str, Value], *, rules: int, series: int, clock: Clock) -> dict[str, Value]:
    """Measure Prometheus, and return what it took beside what alarmd took."""
    theirs = measure_prometheus(rules=rules, series=series, period_s=PERIOD_S, periods=PERIODS, clock=clock)
    return {
        "prometheus_version": theirs.version,
        "prometheus_rules": theirs.rules,
        "prometheus_evaluations": theirs.evaluations,
        "prometheus_evaluation_ms": theirs.evaluation_s * 1000,
        "prometheus_firing": theirs.firing,
        "prometheus_ns_per_alarm": theirs.ns_per_alarm,
        "ratio": float(ours["ns_per_alarm"] or 0.0) / theirs.ns_per_alarm,
    }


def _bars(alarms: int) -> tuple[Bar, ...]:
    limits_ms = [limit_ms for size, limit_ms in ((100_000, 50.0), (1_000_000, 500.0)) if alarms <= size]
    return (
        *(Bar(key="tick_ms", at_most=limit_ms) for limit_ms in limits_ms[:1]),
        Bar(key="bytes_per_alarm", at_most=1536.0),
        Bar(key="bytes_per_sample", at_most=float(_BYTES_A_SAMPLE)),
    )
