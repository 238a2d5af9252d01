# SPDX-License-Identifier: Apache-2.0
"""Passes: rounds of samples taken into a window, and what a plan needs to go over all its alarms after each.

Every pass that is measured is a whole one, on samples that have just come: the window is read, every rule is held
against its threshold, and the states are compared. What it finds is entered, so the next pass starts from real states.
"""

import gc
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import psutil

from alarmd.cache.window import Window, WindowLimits
from alarmd.clock import Clock
from alarmd.evaluators.plan import Plan, PlanOptions
from alarmd.model.samples import Batch
from benchmarks.fleet import INTERVAL_S, TURNS, Fleet

#: When the first sample is taken. Any moment would do; the same one makes runs alike.
START_S = 1_800_000_000.0
WINDOW_S = 3600.0
LATENESS_S = 10.0
#: How many rounds fill the window.
ROUNDS = round(WINDOW_S / INTERVAL_S)
_FLOOR_ROUNDS = 21


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What a pass took and found."""

    duration_ms: float
    #: Processor time. Less than the duration when other programs were in the way.
    cpu_ms: float
    flips: int


class Feed:
    """A window and the fleet that reports into it, round by round."""

    def __init__(self, fleet: Fleet, *, rounds: int = ROUNDS) -> None:
        self.fleet = fleet
        self.window = Window(WindowLimits(length_s=WINDOW_S, lateness_s=LATENESS_S))
        self.started = datetime.fromtimestamp(fleet.start_s, UTC)
        self.now = self.started
        self._next = 0
        for _ in range(rounds):
            self.round()

    def round(self) -> None:
        """Take a whole round."""
        self._take(TURNS - 1, self.fleet.report(self._next))
        self._next += 1

    def turn(self, turn: int) -> None:
        """Take a turn of a round; the last one ends it."""
        self._take(turn, self.fleet.report(self._next, turn))
        self._next += turn == TURNS - 1

    def _take(self, turn: int, batches: Iterable[Batch]) -> None:
        now_s = self.fleet.moment_s(self._next, turn)
        for batch in batches:
            self.window.append(batch, now_s=now_s)
        self.now = datetime.fromtimestamp(now_s, UTC)

    def plan(self) -> Plan:
        """Return a plan without alarms over the window."""
        return Plan(self.window, PlanOptions(lateness_s=LATENESS_S, repeat_interval_s=60.0))


@contextmanager
def one_core() -> Iterator[None]:
    """Have everything done on one core, whatever the machine has."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def run(plan: Plan, feed: Feed, clock: Clock) -> Pass:
    """Go over all alarms of a plan as of now, and enter what is found."""
    started_s, started_cpu_s = clock.monotonic_s(), time.process_time()
    transitions = plan.decide(now=feed.now, watching_since=feed.started)
    duration_s, cpu_s = clock.monotonic_s() - started_s, time.process_time() - started_cpu_s
    for one in transitions:
        plan.enter(one.alarm_id, state=one.current, state_version=one.state_version + 1, at=feed.now)
    return Pass(duration_ms=duration_s * 1000, cpu_ms=cpu_s * 1000, flips=len(transitions))


def step(plan: Plan, feed: Feed, clock: Clock) -> Pass:
    """Take a round and go over all alarms."""
    feed.round()
    return run(plan, feed, clock)


def median_ms(passes: Iterable[Pass]) -> float:
    """Return what passes took, in the middle."""
    return float(np.median([one.duration_ms for one in passes]))


def floor_ms(*, alarms: int, samples: int, clock: Clock) -> float:
    """Return how long it takes to read, once and in order, as many bytes as a pass cannot do without, in ms."""
    # Of every alarm its unit, its threshold and its state; a sample is a time in four bytes and a value in eight.
    columns = [np.ones(alarms, dtype) for dtype in (np.int32, np.float64, np.int8)]
    columns += [np.ones(samples, np.uint32), np.ones(samples, np.float64)]
    durations_ms = []
    for _ in range(_FLOOR_ROUNDS):
        started_s = clock.monotonic_s()
        for column in columns:
            column.max()
        durations_ms.append((clock.monotonic_s() - started_s) * 1000)
    return float(np.median(durations_ms))


def resident() -> int:
    """Return how much memory this process holds, in bytes."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)
