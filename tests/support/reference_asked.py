# SPDX-License-Identifier: Apache-2.0
"""What series of a Prometheus mean for a rule, slowly and from the description of the type, not from the product."""

from dataclasses import dataclass
from math import inf
from typing import Any

from alarmd.evaluators.families.prometheus.family import PrometheusRule, WhichSeries
from tests.support.reference_judgement import ALARM, COMPARE, OK, TREND_ALARM, TREND_OK, UNKNOWN


@dataclass(frozen=True, kw_only=True)
class ReferenceAnswer:
    """What a server answered last, and until when that counts."""

    counts_until_s: float
    #: Whether the last try brought it; else none has come since.
    is_latest: bool = True
    #: The values of each series, oldest first.
    series: tuple[tuple[float, ...], ...]


def said_of_answer(rule: PrometheusRule, answer: ReferenceAnswer) -> dict[str, Any]:
    """Return what is said of an answer, how many values are outside, of how many, and the newest."""
    points = rule.question.points
    series = [values for values in answer.series if len(values) >= points]
    if not series:
        return {"said": UNKNOWN, "wanted": 0}
    outside = [[COMPARE[rule.comparison](value, rule.threshold) for value in values] for values in series]
    if rule.which is WhichSeries.ANY:
        culprits = [values for values, sides in zip(series, outside, strict=True) if False not in sides]
        newest = (culprits or series)[-1][-1]
        said = ALARM if culprits else OK
        return {"said": said, "wanted": len(series), "outside": len(culprits), "latest": _in_json(newest)}
    every = [side for sides in outside for side in sides]
    if True not in every:
        said = OK
    elif False not in every:
        said = ALARM
    else:
        said = TREND_ALARM if every[-1] else TREND_OK
    return {"said": said, "wanted": len(every), "outside": every.count(True), "latest": _in_json(series[-1][-1])}


def _in_json(value: float) -> float | str:
    return {inf: "+Inf", -inf: "-Inf"}.get(value, value)
