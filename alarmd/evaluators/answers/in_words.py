# SPDX-License-Identifier: Apache-2.0
"""Rules over the window in words, for people who ask what an alarm looks at."""

from collections.abc import Iterator

from alarmd.evaluators.verdicts.comparing import condition_in_words
from alarmd.model.rule import (
    Differences,
    Judgement,
    Measure,
    MissingData,
    Percentile,
    Reading,
    Selector,
    Statistic,
    WindowRule,
)

_MISSING = {
    MissingData.IGNORE: "periods without data may be on either side",
    MissingData.BREACHING: "periods without data count as outside",
    MissingData.NOT_BREACHING: "periods without data count as inside",
}


def rule_in_words(rule: WindowRule) -> str:
    """Return a rule in words, e.g. ``avg of cpu_util of labels.group=web over 10 s > 80``."""
    reading, judgement = rule.reading, rule.judgement
    bound = condition_in_words(judgement.comparison, judgement.threshold)
    what = f"{_measure(reading)} {number(reading.period_s)} s {bound}"
    return "; ".join([what + _periods(judgement), *_more(reading, judgement)])


def number(value: float) -> str:
    """Return a number without a needless fraction."""
    return repr(value).removesuffix(".0")


def _measure(reading: Reading) -> str:
    over_time, scale = _name(reading.over_time), reading.scale
    if reading.over_time is Statistic.RATE and scale == reading.period_s != 1:
        over_time, scale = "change", 1.0
    elif reading.differences is not Differences.NONE and reading.over_time is not Statistic.RATE:
        over_time = f"{over_time} of the changes"
    words = f"{over_time} of {_selector(reading.selector)} over"
    if reading.over_members is not None:
        words = f"{_name(reading.over_members)} over members of the {words}"
    if scale != 1.0:
        words = f"{number(scale)} times the {words}"
    return f"difference between periods of the {words}" if reading.difference_of_results else words


def _name(measure: Measure) -> str:
    return f"p{number(measure.percent)}" if isinstance(measure, Percentile) else str(measure)


def _selector(selector: Selector) -> str:
    if selector.any_of:
        named = ", ".join(f"{metric} of {resource_id}" for resource_id, metric in selector.any_of[:3])
        return f"{named}, …" if len(selector.any_of) > 3 else named
    if not selector.metric:
        return "nothing (what it names is not known here)"
    conditions = [f"labels.{name}={value}" for name, value in selector.labels]
    if selector.resource_id is not None:
        conditions.insert(0, selector.resource_id)
    if selector.user_id is not None:
        conditions.append(f"user {selector.user_id}")
    if selector.condition is not None:
        conditions.append("what its query finds")
    metric = f"metrics like {selector.metric}" if selector.is_pattern else selector.metric
    return f"{metric} of {' and '.join(conditions)}" if conditions else metric


def _periods(judgement: Judgement) -> str:
    wanted, needed = judgement.evaluation_periods, judgement.datapoints_to_alarm
    if needed is not None:
        return f", in {needed} of the last {wanted} periods"
    return f", in each of the last {wanted} periods" if wanted > 1 else ""


def _more(reading: Reading, judgement: Judgement) -> Iterator[str]:
    if judgement.recovery_threshold is not None:
        yield f"while in alarm the threshold is {number(judgement.recovery_threshold)}"
    if judgement.hold_periods:
        yield f"it must have held for {judgement.hold_periods * reading.period_s} s more"
    if judgement.keep_periods:
        yield f"alarm is kept for {judgement.keep_periods * reading.period_s} s"
    if judgement.missing in _MISSING:
        yield _MISSING[judgement.missing]
    if reading.minimum_coverage:
        yield f"{reading.minimum_coverage:.0%} of the members must have reported"
    if reading.exclude_outliers:
        yield "periods with unusually few or many samples are passed over"
    if reading.is_aligned:
        yield "periods are those of the clock"
