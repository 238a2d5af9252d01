# SPDX-License-Identifier: Apache-2.0
"""One tick: how long a pass over all alarms takes, and how much memory window and alarms hold.

Every pass that is measured is a whole one, on samples that have just come: the window is read, every rule is held
against its threshold, and the states are compared. What it finds is entered, so the next pass starts from real states.
"""

import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import psutil

from alarmd.cache.window import Window, WindowLimits
from alarmd.clock import Clock
from alarmd.evaluators.plan import Plan, PlanOptions
from alarmd.model.alarm import Alarm, AlarmId, Severity, State
from alarmd.model.rule import Comparison, Judgement, Reading, Selector, Statistic, WindowRule
from alarmd.model.samples import Resource
from alarmd.model.shard import shard_of
from benchmarks.fleet import INTERVAL_S, METRIC, Fleet
from benchmarks.prometheus import find_prometheus, measure_prometheus
from benchmarks.report import Bar, Report, Value, tell

PERIOD_S = 60
PERIODS = 3
#: When the first sample is taken. Any moment would do; the same one makes runs alike.
_START_S = 1_800_000_000.0
_WINDOW_S = 3600.0
_LATENESS_S = 10.0
#: Passes before the measured ones. In its first three minutes an alarm's state owes more to the start than to the load.
_WARM_UP = 20
#: How often an alarm is added between two passes, after the measured ones.
_CHANGES = 3
_BYTES_A_SAMPLE = 12
#: What a pass reads of every alarm: its unit, its threshold and its state.
_COLUMNS = (np.int32, np.float64, np.int8)
_MIB = 2**20


def tick(*, alarms: int, series: int, passes: int, prometheus_rules: int, clock: Clock) -> Report:
    """Measure a tick over so many alarms on so many series, and Prometheus over so many rules unless that is 0."""
    if prometheus_rules:
        find_prometheus()
    before = _resident()
    fleet = Fleet(series=series, start_s=_START_S)
    window = Window(WindowLimits(length_s=_WINDOW_S, lateness_s=_LATENESS_S))
    rounds = round(_WINDOW_S / INTERVAL_S)
    tell(f"filling a window of {series:,} series with {rounds} samples each")
    for number in range(rounds):
        _take(window, fleet, number)
    window_bytes = _resident() - before

    before = _resident()
    plan = Plan(window, PlanOptions(lateness_s=_LATENESS_S, repeat_interval_s=60.0))
    _fill(plan, fleet, range(alarms))
    plan_bytes = _resident() - before

    watch = _Watch(plan=plan, window=window, fleet=fleet, clock=clock)
    first = watch.step(rounds)
    for number in range(1, _WARM_UP):
        watch.step(rounds + number)
    tell(f"measuring {passes} passes")
    steps = [watch.step(rounds + _WARM_UP + number) for number in range(passes)]

    after_change_ms = []
    for number in range(_CHANGES):
        _fill(plan, fleet, range(alarms + number, alarms + number + 1), user_id="")
        after_change_ms.append(watch.step(rounds + _WARM_UP + passes + number).duration_ms)

    durations_ms = [step.duration_ms for step in steps]
    tick_ms = float(np.median(durations_ms))
    floor_ms = _floor_ms(alarms=alarms, samples=series * PERIODS * round(PERIOD_S / INTERVAL_S), clock=clock)
    retained = sum(len(window.rings.points(one.number)[0]) for one in window.directory)
    values: dict[str, Value] = {
        "alarms": alarms,
        "series": series,
        "passes": passes,
        "tick_ms": tick_ms,
        "tick_p95_ms": float(np.percentile(durations_ms, 95)),
        "tick_cpu_ms": float(np.median([step.cpu_ms for step in steps])),
        "first_tick_ms": first.duration_ms,
        "tick_after_change_ms": float(np.median(after_change_ms)),
        "ns_per_alarm": tick_ms * 1e6 / alarms,
        "flips_per_tick": float(np.mean([step.flips for step in steps])) / alarms,
        "floor_ms": floor_ms,
        "floor_ratio": tick_ms / floor_ms,
        "memory_mib": (window_bytes + plan_bytes) / _MIB,
        "bytes_per_alarm": plan_bytes / alarms,
        "bytes_per_sample": window.rings.nbytes / retained,
        "resident_bytes_per_sample": window_bytes / retained,
    }
    bars = _bars(alarms)
    if prometheus_rules:
        values |= _compared(values, rules=prometheus_rules, series=series, clock=clock)
        bars += (Bar(key="ratio", at_most=0.01),)
    return Report(name="tick", values=values, bars=bars)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What a pass took and found."""

    duration_ms: float
    #: Processor time. Less than the duration when other programs were in the way.
    cpu_ms: float
    flips: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watch:
    """Feeds rounds of samples and measures what a pass over them takes."""

    plan: Plan
    window: Window
    fleet: Fleet
    clock: Clock

    def step(self, number: int) -> _Step:
        """Take a round of samples and run a pass over it."""
        _take(self.window, self.fleet, number)
        now = datetime.fromtimestamp(self.fleet.moment_s(number), UTC)
        since = datetime.fromtimestamp(self.fleet.start_s, UTC)
        started_s, started_cpu_s = self.clock.monotonic_s(), time.thread_time()
        transitions = self.plan.decide(now=now, watching_since=since)
        duration_s, cpu_s = self.clock.monotonic_s() - started_s, time.thread_time() - started_cpu_s
        for one in transitions:
            self.plan.enter(one.alarm_id, state=one.current, state_version=one.state_version + 1, at=now)
        return _Step(duration_ms=duration_s * 1000, cpu_ms=cpu_s * 1000, flips=len(transitions))


def _take(window: Window, fleet: Fleet, number: int) -> None:
    for batch in fleet.report(number):
        window.append(batch, now_s=fleet.moment_s(number))


def _fill(plan: Plan, fleet: Fleet, numbers: range, *, user_id: str | None = None) -> None:
    """Compile alarms; those that ask for a user as well share no computation with those that do not."""
    now = datetime.fromtimestamp(fleet.start_s, UTC)
    thresholds = fleet.thresholds(numbers.stop)[numbers.start :]
    for number, threshold in zip(numbers, thresholds.tolist(), strict=True):
        resource = fleet.resources[number % len(fleet.resources)]
        selector = Selector(
            metric=METRIC.name, project_id=resource.project_id, resource_id=resource.id, user_id=user_id
        )
        plan.put(_alarm(number, resource, now), _rule(selector, threshold), now=now)
        if (number + 1) % 100_000 == 0:
            tell(f"compiled {number + 1:,} alarms")


def _rule(selector: Selector, threshold: float) -> WindowRule:
    return WindowRule(
        reading=Reading(selector=selector, period_s=PERIOD_S, over_time=Statistic.AVG),
        judgement=Judgement(comparison=Comparison.GT, threshold=threshold, evaluation_periods=PERIODS),
    )


def _alarm(number: int, resource: Resource, now: datetime) -> Alarm:
    return Alarm(
        alarm_id=AlarmId(f"{number:08x}-0000-4000-8000-000000000000"),
        name=f"alarm-{number}",
        description="",
        enabled=True,
        type="threshold",
        rule={},
        project_id=resource.project_id,
        user_id="",
        severity=Severity.LOW,
        ok_actions=(),
        alarm_actions=(),
        insufficient_data_actions=(),
        repeat_actions=False,
        time_constraints=(),
        timestamp=now,
        state=State.INSUFFICIENT_DATA,
        state_reason="",
        state_timestamp=now,
        evaluate_timestamp=None,
        shard=shard_of(resource.project_id),
    )


def _floor_ms(*, alarms: int, samples: int, clock: Clock) -> float:
    """Return how long it takes to read, once and in order, as many bytes as a pass cannot do without, in ms."""
    columns = [np.ones(alarms, dtype) for dtype in _COLUMNS]
    # A sample is a time in four bytes and a value in eight.
    columns += [np.ones(samples, np.uint32), np.ones(samples, np.float64)]
    durations_ms = []
    for _ in range(21):
        started_s = clock.monotonic_s()
        for column in columns:
            column.max()
        durations_ms.append((clock.monotonic_s() - started_s) * 1000)
    return float(np.median(durations_ms))


def _resident() -> int:
    """Return how much memory this process holds, in bytes."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)
