# SPDX-License-Identifier: Apache-2.0
"""What a reading makes of samples, slowly: one unit at a time, in plain Python, from the description alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import floor, sqrt
from typing import NamedTuple

from alarmd.model.rule import Differences, Measure, MissingData, Percentile, Reading, Selector, Statistic
from alarmd.model.samples import Kind, Metric, Resource


@dataclass
class ReferenceSeries:
    """All samples of one series by their time in milliseconds."""

    resource: Resource
    metric: Metric
    samples: dict[int, float] = field(default_factory=dict)

    def take(self, time_ms: int, value: float, *, lateness_s: float) -> None:
        """Take a sample unless it comes too late."""
        if self.samples and time_ms < max(self.samples) - round(lateness_s * 1000):
            return
        self.samples[time_ms] = value


class ReadValues(NamedTuple):
    """What a reading comes to."""

    #: As many as were wanted, newest first; None where there is none.
    values: list[float | None]
    #: Whether the data are fresh enough to say something.
    known: bool
    #: The time of the newest sample, ms since the epoch; None without any.
    watermark_ms: int | None
    #: What each period comes to, newest first, before any is passed over or moved; None where it does not count.
    periods: list[float | None]


class _Value(NamedTuple):
    """One value of a series: a sample, or what changed since the one before."""

    time_ms: int
    value: float
    #: The seconds since the sample before; None when there is none that may be used.
    span_s: float | None


def is_selected(selector: Selector, resource: Resource, metric: str) -> bool:  # noqa: PLR0911  # one condition each
    """Whether a selector means a series."""
    if selector.project_id != resource.project_id:
        return False
    if selector.any_of:
        return (resource.id, metric) in selector.any_of
    if selector.is_pattern and not fnmatchcase(metric, selector.metric):
        return False
    if not selector.is_pattern and metric != selector.metric:
        return False
    if selector.resource_id is not None and selector.resource_id != resource.id:
        return False
    if selector.user_id is not None and selector.user_id != resource.user_id:
        return False
    if selector.condition is not None and not selector.condition.holds(resource):
        return False
    return all(label in resource.labels for label in selector.labels)


def values_of(
    reading: Reading,
    series: Iterable[ReferenceSeries],
    *,
    periods: int,
    wanted: int,
    missing: MissingData,
    now_ms: int,
    lateness_s: float,
    member_memory_s: float,
) -> ReadValues:
    """Return the last values of a reading over so many periods, the newest included."""
    members = [one for one in series if one.samples and is_selected(reading.selector, one.resource, one.metric.name)]
    length_ms = reading.period_s * 1000
    if not members:
        known = reading.is_aligned or missing is not MissingData.MISSING
        return ReadValues([None] * wanted, known, None, [None] * periods)
    watermark_ms = max(max(one.samples) for one in members)
    if reading.is_aligned:
        watermark_ms = min(watermark_ms, now_ms)
    spans = spans_of(reading, periods=periods, now_ms=now_ms, watermark_ms=watermark_ms)
    found = _periods(reading, members, spans, now_ms, watermark_ms, member_memory_s)
    if missing is MissingData.MISSING:
        values: list[float | None] = [value for value in found if value is not None]
        known = reading.is_aligned or watermark_ms >= now_ms - length_ms - lateness_s * 1000
    elif reading.is_aligned:
        values, known = found[1:] if reading.complete_only else found, True
    else:
        silent_ms = now_ms - lateness_s * 1000 - watermark_ms
        gone: list[float | None] = [None] * max(floor(silent_ms / length_ms), 0)
        values, known = gone + found, True
    return ReadValues((values + [None] * wanted)[:wanted], known, watermark_ms, found)


def spans_of(reading: Reading, *, periods: int, now_ms: int, watermark_ms: int) -> list[tuple[int, int]]:
    """Return the periods, newest first: from so many ms on, to before so many ms."""
    length_ms = reading.period_s * 1000
    if reading.is_aligned:
        bucket = floor(now_ms / length_ms)
        return [((bucket - k) * length_ms, (bucket - k + 1) * length_ms) for k in range(periods)]
    return [(watermark_ms - (k + 1) * length_ms + 1, watermark_ms - k * length_ms + 1) for k in range(periods)]


def values_in(reading: Reading, series: ReferenceSeries, spans: Sequence[tuple[int, int]], now_ms: int) -> list[int]:
    """Return how many values a series has in each period."""
    values = _values(reading, series, spans, now_ms)
    return [sum(start_ms <= one.time_ms < end_ms for one in values) for start_ms, end_ms in spans]


def _periods(  # noqa: PLR0917  # called from one place
    reading: Reading,
    members: Sequence[ReferenceSeries],
    spans: Sequence[tuple[int, int]],
    now_ms: int,
    watermark_ms: int,
    member_memory_s: float,
) -> list[float | None]:
    """Return the value of each period that counts, newest first."""
    own = [_values(reading, one, spans, now_ms) for one in members]
    reach_ms = max(len(spans) * reading.period_s, member_memory_s) * 1000
    counted = sum(max(one.samples) >= watermark_ms - reach_ms for one in members)
    values: list[float | None] = []
    sizes: list[int] = []
    for k, (start_ms, end_ms) in enumerate(spans):
        in_period = [[one for one in values if start_ms <= one.time_ms < end_ms] for values in own]
        reporting = [values for values in in_period if values]
        value = _value(reading, reporting)
        if value is not None:
            value *= reading.scale
        if reading.complete_only and reading.is_aligned and k == 0:
            value = None
        if len(reporting) / counted < reading.minimum_coverage:
            value = None
        values.append(value)
        sizes.append(sum(len(values) for values in reporting))
    if reading.exclude_outliers:
        _pass_over_outliers(values, sizes)
    if not reading.difference_of_results:
        return values
    return [
        None
        if value is None or not (older := [one for one in values[k + 1 :] if one is not None])
        else value - older[0]
        for k, value in enumerate(values)
    ]


def _pass_over_outliers(values: list[float | None], sizes: Sequence[int]) -> None:
    usable = [size for size, value in zip(sizes, values, strict=True) if value is not None]
    if not usable:
        return
    mean = sum(usable) / len(usable)
    deviation = sqrt(sum((size - mean) ** 2 for size in usable) / len(usable))
    for k, size in enumerate(sizes):
        if abs(size - mean) > 2 * deviation:
            values[k] = None


def _values(reading: Reading, series: ReferenceSeries, spans: Sequence[tuple[int, int]], now_ms: int) -> list[_Value]:
    """Return the values of a series in the periods that are read, oldest first."""
    start_ms, end_ms = spans[-1][0], spans[0][1]
    if reading.is_aligned:
        end_ms = min(end_ms, now_ms + 1)
    samples = [(time_ms, value) for time_ms, value in sorted(series.samples.items()) if start_ms <= time_ms < end_ms]
    differences, kind = reading.differences, series.metric.kind
    if reading.over_time is Statistic.RATE and differences is Differences.NONE:
        differences = Differences.RESET_SAFE
    if differences is Differences.NONE:
        return [_Value(time_ms, value, None) for time_ms, value in samples]
    values = []
    is_own_difference = kind is Kind.DELTA and differences is Differences.RESET_SAFE
    for place, (time_ms, value) in enumerate(samples):
        if place == 0:
            # Nobody knows over which time the first delta was collected, so it has no rate.
            if is_own_difference and reading.over_time is not Statistic.RATE:
                values.append(_Value(time_ms, value, None))
            continue
        before_ms, before = samples[place - 1]
        changed = value - before
        if is_own_difference or (changed < 0 and kind is Kind.CUMULATIVE and differences is Differences.RESET_SAFE):
            changed = value
        values.append(_Value(time_ms, changed, (time_ms - before_ms) / 1000))
    return values


def _value(reading: Reading, members: Sequence[Sequence[_Value]]) -> float | None:
    """Return the value of one period from the values of those members that have any."""
    if not members:
        return None
    if reading.over_members is None:
        return _measure(reading.over_time, [one for values in members for one in values])
    of_members = []
    for values in members:
        value = _measure(reading.over_time, values)
        if value is not None:
            of_members.append(_Value(max(one.time_ms for one in values), value, None))
    return _measure(reading.over_members, of_members) if of_members else None


def _measure(measure: Measure, values: Sequence[_Value]) -> float | None:  # noqa: C901, PLR0911  # one case each
    plain = [one.value for one in values]
    mean = sum(plain) / len(plain)
    squares = sum((value - mean) ** 2 for value in plain)
    if isinstance(measure, Percentile):
        return percentile(plain, measure.percent)
    match measure:
        case Statistic.AVG:
            return mean
        case Statistic.SUM:
            return sum(plain)
        case Statistic.MIN:
            return min(plain)
        case Statistic.MAX:
            return max(plain)
        case Statistic.COUNT:
            return float(len(plain))
        case Statistic.FIRST:
            # Of several at one moment any will do; it is the greatest, so that there is something to compare with.
            return max(values, key=lambda one: (-one.time_ms, one.value)).value
        case Statistic.LAST:
            return max(values, key=lambda one: (one.time_ms, one.value)).value
        case Statistic.STDDEV:
            return sqrt(squares / len(plain))
        case Statistic.SAMPLE_STDDEV:
            return sqrt(squares / (len(plain) - 1)) if len(plain) > 1 else None
        case Statistic.RATE:
            return sum(plain) / sum(one.span_s for one in values if one.span_s is not None)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile, interpolated linearly among the sorted values."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
