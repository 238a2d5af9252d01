# SPDX-License-Identifier: Apache-2.0
"""Changes: what it costs when one alarm among many is added, changed and deleted.

Each time a pass without a change goes before the pass with one, so that what is compared lies next to each other.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from alarmd.clock import Clock
from alarmd.evaluators.plan import Plan
from alarmd.model.alarm import Alarm
from alarmd.model.rule import CompositeRule, WindowRule
from benchmarks.passes import Feed, run, step
from benchmarks.report import Bar, Value

BARS = tuple(Bar(key=f"{name}_ms", at_most=5.0) for name in ("add", "change", "delete"))

_Rule: TypeAlias = WindowRule | CompositeRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An alarm that is added with one rule and gets another."""

    alarm: Alarm
    first: _Rule
    second: _Rule


def changes(plan: Plan, feed: Feed, alarms: Sequence[Change], clock: Clock) -> dict[str, Value]:
    """Add each of these alarms, change its rule, and delete it; one change a pass.

    Returns what each kind of change adds to a tick: itself, and what the next pass takes beyond the one before.
    """
    costs_ms: dict[str, list[float]] = {}
    for one in alarms:
        todo: dict[str, Callable[[], None]] = {
            "add_ms": partial(plan.put, one.alarm, one.first, now=feed.now),
            "change_ms": partial(plan.put, one.alarm, one.second, now=feed.now),
            "delete_ms": partial(plan.remove, one.alarm.alarm_id),
        }
        for key, change in todo.items():
            costs_ms.setdefault(key, []).append(_cost_ms(plan, feed, change, clock))
    return {key: float(np.median(costs)) for key, costs in costs_ms.items()}


def _cost_ms(plan: Plan, feed: Feed, change: Callable[[], None], clock: Clock) -> float:
    # In processor time: the difference of two durations on a busy machine is noise.
    before = step(plan, feed, clock)
    feed.round()
    started_s = time.process_time()
    change()
    took_ms = (time.process_time() - started_s) * 1000
    return took_ms + run(plan, feed, clock).cpu_ms - before.cpu_ms
