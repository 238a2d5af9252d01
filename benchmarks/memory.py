# SPDX-License-Identifier: Apache-2.0
"""Memory: what an alarm and what a retained sample take.

Each is measured in a process of its own, as the growth of its resident memory, since what one measurement has let go
of would be there for the next one for nothing.
"""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, TypeVar

from alarmd.clock import SystemClock
from benchmarks.definitions import definition
from benchmarks.fleet import Fleet
from benchmarks.mix import Machines, Mix, Sort
from benchmarks.passes import START_S, Feed, resident, step
from benchmarks.report import Bar, Report, Value, tell
from benchmarks.tick import fill

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: Rounds that alarms look at. What the window holds beside them is not theirs.
_ROUNDS = 30
_BYTES_AN_ALARM, _BYTES_A_SAMPLE = 1536.0, 12.0


def memory(*, alarms: int, more_alarms: int, composites: int, series: int) -> Report:
    """Measure an hour of series, alarms on a series each, more of them unless that is 0, composites, and a mix."""
    tell(f"measuring {series:,} series for an hour")
    window_bytes, column_bytes, samples = _apart(sample_bytes, series)
    values: dict[str, Value] = {
        "series": series,
        "samples": samples,
        "bytes_per_sample": column_bytes / samples,
        "resident_bytes_per_sample": window_bytes / samples,
        "alarms": alarms,
        "bytes_per_alarm": _bytes_per_alarm(alarms),
        "more_alarms": more_alarms,
        "bytes_per_alarm_of_more": _bytes_per_alarm(more_alarms) if more_alarms else None,
        "composites": composites,
        "bytes_per_composite": _bytes_per_composite(composites),
        "bytes_per_alarm_of_mix": _bytes_per_alarm_of_mix(alarms),
    }
    bars = [
        Bar(key="bytes_per_alarm", at_most=_BYTES_AN_ALARM),
        Bar(key="bytes_per_alarm_of_mix", at_most=_BYTES_AN_ALARM),
        Bar(key="bytes_per_sample", at_most=_BYTES_A_SAMPLE),
    ]
    if more_alarms:
        bars.insert(1, Bar(key="bytes_per_alarm_of_more", at_most=_BYTES_AN_ALARM))
    return Report(name="memory", values=values, bars=tuple(bars))


def sample_bytes(series: int) -> tuple[int, int, int]:
    """Return what a full window adds to this process, what its columns take of that, and how many samples it holds."""
    fleet = Fleet(series=series, start_s=START_S)
    before = resident()
    feed = Feed(fleet)
    window_bytes = resident() - before
    samples = sum(len(feed.window.rings.points(one.number)[0]) for one in feed.window.directory)
    return window_bytes, feed.window.rings.nbytes, samples


def alarm_bytes(alarms: int) -> int:
    """Return what alarms add to this process that watch a series each, the first pass over them included."""
    feed = Feed(Fleet(series=alarms, start_s=START_S), rounds=_ROUNDS)
    before = resident()
    plan = feed.plan()
    fill(plan, feed, range(alarms))
    step(plan, feed, SystemClock())
    return resident() - before


def composite_bytes(composites: int) -> int:
    """Return what composite alarms add to this process, the first pass over them included."""
    return _bytes_of_sorts([Sort.COMPOSITE] * composites)


def mix_bytes(alarms: int) -> int:
    """Return what a mix of alarms adds to this process, on as many series, the first pass over them included."""
    return _bytes_of_sorts([Mix.sort(number) for number in range(alarms)])


def _bytes_of_sorts(sorts: Sequence[Sort]) -> int:
    machines = Machines(max(len(sorts), 100))
    feed = Feed(Fleet(series=len(machines.resources), start_s=START_S, resources=machines.resources), rounds=_ROUNDS)
    mix = Mix(machines)
    before = resident()
    plan = feed.plan()
    for number, sort in enumerate(sorts):
        project_id, rule = mix.rule(sort)
        plan.put(definition(number, project_id=project_id, at=feed.started), rule, now=feed.started)
    step(plan, feed, SystemClock())
    return resident() - before


def _bytes_per_alarm(alarms: int) -> float:
    tell(f"measuring {alarms:,} alarms")
    return _apart(alarm_bytes, alarms) / alarms


def _bytes_per_composite(composites: int) -> float:
    tell(f"measuring {composites:,} composite alarms")
    return _apart(composite_bytes, composites) / composites


def _bytes_per_alarm_of_mix(alarms: int) -> float:
    tell(f"measuring a mix of {alarms:,} alarms")
    return _apart(mix_bytes, alarms) / alarms


def _apart(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Return what work returns in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *args, **kwargs).result()
