# SPDX-License-Identifier: Apache-2.0
"""What evidence there is for scaling in, slowly: one rule at a time, in plain Python, from the description alone."""

from collections.abc import Sequence
from math import floor

from alarmd.model.rule import MissingData, Statistic, WindowRule
from tests.support.reference_reading import ReferenceSeries, is_selected, spans_of, values_in, values_of

#: The share of its usual number of samples that a period has at least which was seen as a whole.
_USUAL_SHARE = 0.8


def has_fresh_evidence(
    rule: WindowRule,
    series: Sequence[ReferenceSeries],
    *,
    periods: int,
    now_ms: int,
    lateness_s: float,
    member_memory_s: float,
    share: float,
) -> bool:
    """Whether enough members have reported in every period that is judged; so many periods are read."""
    reading, judgement = rule.reading, rule.judgement
    members = [one for one in series if one.samples and is_selected(reading.selector, one.resource, one.metric.name)]
    if not members:
        return False
    watermark_ms = max(max(one.samples) for one in members)
    if reading.is_aligned:
        watermark_ms = min(watermark_ms, now_ms)
    if watermark_ms < now_ms - reading.period_s * 1000 - lateness_s * 1000:
        return False
    read = values_of(
        reading,
        series,
        periods=periods,
        wanted=judgement.reach_periods,
        missing=judgement.missing,
        now_ms=now_ms,
        lateness_s=lateness_s,
        member_memory_s=member_memory_s,
    )
    judged = _judged(rule, read.periods, silent_ms=now_ms - lateness_s * 1000 - watermark_ms)
    reach_ms = max(periods * reading.period_s, member_memory_s) * 1000
    known = [one for one in members if max(one.samples) >= watermark_ms - reach_ms]
    spans = spans_of(reading, periods=periods, now_ms=now_ms, watermark_ms=watermark_ms)
    counts = [values_in(reading, one, spans, now_ms) for one in known]
    if not judged:
        return False
    return all(_is_enough(sum(_has_reported(rule, count, k) for count in counts), len(known), share) for k in judged)


def _is_enough(reported: int, members: int, share: float) -> bool:
    return reported > 0 and reported + 1e-9 >= share * members


def _judged(rule: WindowRule, found: Sequence[float | None], *, silent_ms: float) -> list[int] | None:
    """Return which periods are judged, 0 being the newest; None when one of them has no value that must have one."""
    wanted, reading = rule.judgement.reach_periods, rule.reading
    if rule.judgement.missing is MissingData.MISSING:
        return [k for k, value in enumerate(found) if value is not None][:wanted]
    first = 0
    if reading.is_aligned:
        first = int(reading.complete_only)
    elif floor(silent_ms / (reading.period_s * 1000)) > 0:
        return None
    places = list(range(first, first + wanted))
    return places if all(k < len(found) and found[k] is not None for k in places) else None


def _has_reported(rule: WindowRule, counts: Sequence[int], period: int) -> bool:
    """Whether a member has reported in a period, given how many values it has in each."""
    if not counts[period]:
        return False
    if rule.reading.over_time not in {Statistic.SUM, Statistic.COUNT}:
        return True
    # What falls for want of samples has to be seen as a whole: from before it began, and about as often as usual.
    usual = max(counts)
    return any(counts[period + 1 :]) and (counts[period] >= usual - 1 or counts[period] >= _USUAL_SHARE * usual)
