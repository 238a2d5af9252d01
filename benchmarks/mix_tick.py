# SPDX-License-Identifier: Apache-2.0
"""One tick over a mix of alarms: when every machine has reported since the last one, and when a tenth of them has."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from alarmd.clock import Clock
from alarmd.evaluators.plan import Plan
from alarmd.model.alarm import Alarm
from alarmd.model.rule import Leaf, Node, WindowRule
from benchmarks.changes import BARS as CHANGE_BARS
from benchmarks.changes import Change, changes
from benchmarks.definitions import definition
from benchmarks.fleet import INTERVAL_S, TURNS, Fleet
from benchmarks.mix import Machines, Mix, Rule, Sort
from benchmarks.passes import START_S, Feed, Pass, floor_ms, median_ms, run, step
from benchmarks.report import Bar, Report, Value, tell

#: Passes before the measured ones: the longest rules look at ten minutes, and few of them are all the same then.
_WARM_UP = 6
#: How many alarms of each sort are added, changed and deleted after the measured passes.
_CHANGES = 3
_BARS = (Bar(key="tick_ms", at_most=250.0), *CHANGE_BARS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """An alarm and what is evaluated for it."""

    alarm: Alarm
    sort: Sort
    rule: Rule

    def put(self, plan: Plan, feed: Feed) -> None:
        """Compile it."""
        plan.put(self.alarm, self.rule, now=feed.started)


def mix_tick(*, alarms: int, series: int, passes: int, clock: Clock) -> Report:
    """Measure a tick over so many alarms of all sorts, on so many series."""
    machines = Machines(series)
    tell(f"filling a window of {series:,} series")
    feed = Feed(Fleet(series=series, start_s=START_S, resources=machines.resources, staggered=True))
    mix = Mix(machines)
    placed = [_placed(mix, feed, number) for number in range(alarms)]
    changing = list(_changing(mix, feed, alarms))

    plan = _compiled(placed, feed)
    first = step(plan, feed, clock)
    for _ in range(1, _WARM_UP):
        step(plan, feed, clock)
    tell(f"measuring {passes} passes")
    measured = [step(plan, feed, clock) for _ in range(passes)]
    tell("measuring second by second")
    seconds = [one for _ in range(-(-passes // 3)) for one in _seconds(plan, feed, clock)]
    tell("measuring changes")
    changed = changes(plan, feed, changing, clock)
    tick_ms, durations_ms = median_ms(measured), [one.duration_ms for one in seconds]
    floor = floor_ms(alarms=alarms, samples=_samples_read(placed, machines), clock=clock)
    readings = {reading for one in placed for reading in _readings(one.rule)}
    sizes = [len(group.members) for group in machines.groups]
    values: dict[str, Value] = {
        "alarms": alarms,
        "series": series,
        "projects": len(machines.projects),
        "groups": len(machines.groups),
        "largest_group": max(sizes, default=0),
        "members_mean": _members_mean(placed, machines),
        "combinations": len({reading[1:] for reading in readings}),
        "readings": len(readings),
        "passes": passes,
        "tick_ms": tick_ms,
        "tick_p95_ms": float(np.percentile([one.duration_ms for one in measured], 95)),
        "tick_cpu_ms": float(np.median([one.cpu_ms for one in measured])),
        "cores": len(os.sched_getaffinity(0)),
        "second_ms": float(np.median(durations_ms)),
        "second_p95_ms": float(np.percentile(durations_ms, 95)),
        "second_cpu_ms": float(np.median([one.cpu_ms for one in seconds])),
        "first_tick_ms": first.duration_ms,
        "ns_per_alarm": tick_ms * 1e6 / alarms,
        "flips_per_tick": float(np.mean([one.flips for one in measured])) / alarms,
        "floor_ms": floor,
        "floor_ratio": tick_ms / floor,
        **changed,
    }
    del plan
    tell("measuring each sort alone")
    for sort in Sort:
        values[f"{sort}_ms"] = _alone_ms([one for one in placed if one.sort is sort], feed, clock)
    return Report(name="mix", values=values, bars=_BARS)


def _placed(mix: Mix, feed: Feed, number: int) -> _Placed:
    sort = mix.sort(number)
    project_id, rule = mix.rule(sort)
    return _Placed(alarm=definition(number, project_id=project_id, at=feed.started), sort=sort, rule=rule)


def _changing(mix: Mix, feed: Feed, first: int) -> Iterator[Change]:
    """Yield further alarms, some of each sort."""
    numbers = range(first, first + 100)
    for sort in Sort:
        for number in [number for number in numbers if mix.sort(number) is sort][:_CHANGES]:
            one = _placed(mix, feed, number)
            yield Change(alarm=one.alarm, first=one.rule, second=mix.rule(sort)[1])


def _compiled(placed: Iterable[_Placed], feed: Feed) -> Plan:
    plan = feed.plan()
    for one in placed:
        one.put(plan, feed)
    return plan


def _seconds(plan: Plan, feed: Feed, clock: Clock) -> Iterator[Pass]:
    """Take a round turn by turn and yield a pass after each."""
    for turn in range(TURNS):
        feed.turn(turn)
        yield run(plan, feed, clock)


def _alone_ms(placed: Sequence[_Placed], feed: Feed, clock: Clock) -> float:
    """Return what a pass over some of the alarms takes when there are no others."""
    plan = _compiled(placed, feed)
    step(plan, feed, clock)
    return median_ms([step(plan, feed, clock) for _ in range(3)])


def _window_rules(rule: Rule) -> Iterator[WindowRule]:
    if isinstance(rule, WindowRule):
        yield rule
        return
    waiting: list[Node] = [rule.root]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, Leaf):
            waiting += node.nodes
        elif isinstance(node.rule, WindowRule):
            yield node.rule


def _readings(rule: Rule) -> Iterator[tuple[object, ...]]:
    """Yield what is computed for a rule: of which series, and how."""
    for one in _window_rules(rule):
        reading = one.reading
        how = (reading.over_time, reading.over_members, reading.period_s, one.judgement.evaluation_periods)
        yield reading.selector, *how


def _samples_read(placed: Iterable[_Placed], machines: Machines) -> int:
    """Return how many samples lie in the periods that any alarm looks at."""
    samples = np.zeros(len(machines.resources), np.int64)
    for one in placed:
        for rule in _window_rules(one.rule):
            wanted = round(rule.reading.period_s * rule.judgement.evaluation_periods / INTERVAL_S)
            members = machines.members(rule.reading.selector)
            samples[members] = np.maximum(samples[members], wanted)
    return int(samples.sum())


def _members_mean(placed: Iterable[_Placed], machines: Machines) -> float | None:
    """Return how many members the groups have that alarms look at."""
    sizes = [
        len(machines.members(one.rule.reading.selector))
        for one in placed
        if one.sort is Sort.GROUP and isinstance(one.rule, WindowRule)
    ]
    return float(np.mean(sizes)) if sizes else None
