# SPDX-License-Identifier: Apache-2.0
"""A slow and obvious evaluator, written from the description of the rules and not from the plan.

It looks at one alarm at a time, keeps every sample in a dictionary and does its sums in plain Python. The product is
held against it by property tests.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil, sqrt
from typing import Any

from alarmd.model.alarm import State
from alarmd.model.rule import Comparison, Selector, Statistic, WindowRule
from alarmd.model.samples import Resource
from tests.support.aodh_schedule import is_open_in_aodh

COMPARE: dict[Comparison, Callable[[float, float], bool]] = {
    Comparison.LT: lambda value, threshold: value < threshold,
    Comparison.LE: lambda value, threshold: value <= threshold,
    Comparison.EQ: lambda value, threshold: value == threshold,
    Comparison.NE: lambda value, threshold: value != threshold,
    Comparison.GE: lambda value, threshold: value >= threshold,
    Comparison.GT: lambda value, threshold: value > threshold,
}

STATISTIC: dict[Statistic, Callable[[list[float]], float]] = {
    Statistic.AVG: lambda values: sum(values) / len(values),
    Statistic.SUM: sum,
    Statistic.MIN: min,
    Statistic.MAX: max,
    Statistic.COUNT: lambda values: float(len(values)),
}


@dataclass
class ReferenceSeries:
    """All samples of one series by their time in milliseconds."""

    resource: Resource
    metric: str
    samples: dict[int, float] = field(default_factory=dict)

    def take(self, time_ms: int, value: float, *, lateness_s: float) -> None:
        """Take a sample unless it comes too late."""
        if self.samples and time_ms < max(self.samples) - lateness_s * 1000:
            return
        self.samples[time_ms] = value


@dataclass(frozen=True)
class ReferenceVerdict:
    """What should become of an alarm; `reason` and `reason_data` are None when nothing is to be said."""

    state: State
    reason: str | None = None
    reason_data: dict[str, Any] | None = None
    #: What the evaluation is counted under; None when it led to no state, or there was none.
    counted: State | None = None


def is_selected(selector: Selector, series: ReferenceSeries) -> bool:
    """Whether a selector means a series."""
    resource = series.resource
    if selector.metric != series.metric or selector.project_id != resource.project_id:
        return False
    if selector.resource_id is not None and selector.resource_id != resource.id:
        return False
    if selector.user_id is not None and selector.user_id != resource.user_id:
        return False
    return all(label in resource.labels for label in selector.labels)


def points_of(rule: WindowRule, series: list[ReferenceSeries], *, lateness_s: float) -> tuple[list[float], int]:
    """Return the values that count, oldest first, and the time of the newest sample (0: there is none)."""
    samples = [(t, v) for one in series if is_selected(rule.reading.selector, one) for t, v in one.samples.items()]
    if not samples:
        return [], 0
    watermark = max(t for t, _ in samples)
    length = rule.reading.period_s * 1000
    look_back = max(1, ceil(lateness_s / rule.reading.period_s))
    if rule.reading.exclude_outliers:
        look_back = max(look_back, rule.judgement.evaluation_periods)
    periods = []
    for k in range(rule.judgement.evaluation_periods + look_back):
        values = [v for t, v in samples if watermark - (k + 1) * length < t <= watermark - k * length]
        if values:
            periods.append(values)
    if rule.reading.exclude_outliers and periods:
        counts = [len(values) for values in periods]
        mean = sum(counts) / len(counts)
        deviation = sqrt(sum((count - mean) ** 2 for count in counts) / len(counts))
        periods = [values for values in periods if abs(len(values) - mean) <= 2 * deviation]
    kept = periods[: rule.judgement.evaluation_periods]
    return [float(STATISTIC[rule.reading.over_time](values)) for values in reversed(kept)], watermark


def evaluate(
    rule: WindowRule,
    state: State,
    series: list[ReferenceSeries],
    *,
    now_s: float,
    watching_since_s: float,
    lateness_s: float,
    constraints: Sequence[Mapping[str, Any]] = (),
) -> ReferenceVerdict:
    """Return what should become of an alarm that does not repeat its actions."""
    if not is_open_in_aodh(constraints, datetime.fromtimestamp(now_s, UTC)):
        return ReferenceVerdict(state)
    values, watermark_ms = points_of(rule, series, lateness_s=lateness_s)
    latest = values[-1] if values else None
    if (
        len(values) < rule.judgement.evaluation_periods
        or now_s - watermark_ms / 1000 > rule.reading.period_s + lateness_s
    ):
        watched_s = now_s - watching_since_s
        if watched_s <= rule.reading.period_s * rule.judgement.evaluation_periods + lateness_s:
            return ReferenceVerdict(state)
        if state is State.INSUFFICIENT_DATA:
            return ReferenceVerdict(state, counted=State.INSUFFICIENT_DATA)
        data = {
            "type": "threshold",
            "disposition": "unknown",
            "count": rule.judgement.evaluation_periods,
            "most_recent": latest,
        }
        reason = f"{rule.judgement.evaluation_periods} datapoints are unknown"
        return ReferenceVerdict(State.INSUFFICIENT_DATA, reason, data, State.INSUFFICIENT_DATA)
    outside = [COMPARE[rule.judgement.comparison](value, rule.judgement.threshold) for value in values]
    counted = None
    if all(outside):
        new = counted = State.ALARM
    elif not any(outside):
        new = counted = State.OK
    elif state is State.INSUFFICIENT_DATA:
        new = State.ALARM if outside[-1] else State.OK
    else:
        new = state
    if new is state:
        return ReferenceVerdict(state, counted=counted)
    disposition = "inside" if new is State.OK else "outside"
    count = outside.count(new is not State.OK)
    return ReferenceVerdict(
        new,
        f"Transition to {new} due to {count} samples {disposition} threshold, most recent: {latest}",
        {"type": "threshold", "disposition": disposition, "count": count, "most_recent": latest},
        counted,
    )
