# SPDX-License-Identifier: Apache-2.0
"""What Gnocchi answers, slowly and obviously: aggregates a bucket, and those of several series as one.

Written from the contract (telemetry.md §5.1 to §5.3), not from alarmd and not from Gnocchi; the tests hold both against
it. Moments are in seconds since the epoch, buckets are named by their start.
"""

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

#: Moments and values in order, each moment once.
Points: TypeAlias = Sequence[tuple[float, float]]
#: A value a bucket, in order.
Buckets: TypeAlias = dict[int, float]

RATE: Final = "rate:"


def as_points(written: Iterable[tuple[float, float]]) -> Points:
    """Return what was written in the order of time; of two values for one moment the later written one counts."""
    return sorted(dict(written).items())


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value at (n - 1) * percent / 100 among the sorted ones, between two of them by the straight line."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def _std(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


_OVER_TIME: Final[Mapping[str, Callable[[Sequence[float]], float | None]]] = {
    "mean": statistics.fmean,
    "sum": math.fsum,
    "min": min,
    "max": max,
    "median": statistics.median,
    "std": _std,
    "count": lambda values: float(len(values)),
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
}

_OVER_MEMBERS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "mean": statistics.fmean,
    "sum": math.fsum,
    "min": min,
    "max": max,
    "median": statistics.median,
    "std": statistics.pstdev,
    "count": lambda values: float(len(values)),
}


def archived(points: Points, method: str, *, granularity_s: int) -> Buckets:
    """Return what Gnocchi keeps of a series: one value a bucket, where there is one."""
    if method.startswith(RATE):
        changes = [(time_s, value - before) for (_, before), (time_s, value) in itertools.pairwise(points)]
        return archived(changes, method.removeprefix(RATE), granularity_s=granularity_s)
    gathered: dict[int, list[float]] = {}
    for time_s, value in points:
        gathered.setdefault(bucket_of(time_s, granularity_s), []).append(value)
    aggregated = {bucket: _aggregate(values, method) for bucket, values in gathered.items()}
    return {bucket: value for bucket, value in sorted(aggregated.items()) if value is not None}


def _aggregate(values: Sequence[float], method: str) -> float | None:
    if method.endswith("pct"):
        return percentile(values, float(method.removesuffix("pct")))
    return _OVER_TIME[method](values)


def bucket_of(time_s: float, granularity_s: int) -> int:
    """Return the start of the bucket that a moment lies in."""
    return math.floor(time_s / granularity_s) * granularity_s


def between(buckets: Buckets, *, start_s: float, stop_s: float, granularity_s: int) -> Buckets:
    """Return the buckets that a question for a span is answered with: the one that it begins in, up to its end."""
    first = bucket_of(start_s, granularity_s)
    return {bucket: value for bucket, value in buckets.items() if first <= bucket < stop_s}


def across(members: Sequence[Buckets], method: str) -> Buckets:
    """Return the members' values of each bucket as one; `rate:` forms are what that changes from one to the next."""
    if method.startswith(RATE):
        whole = list(across(members, method.removeprefix(RATE)).items())
        return {bucket: value - before for (_, before), (bucket, value) in itertools.pairwise(whole)}
    together: dict[int, list[float]] = {}
    for member in members:
        for bucket, value in member.items():
            together.setdefault(bucket, []).append(value)
    return {bucket: _OVER_MEMBERS[method](values) for bucket, values in sorted(together.items())}
