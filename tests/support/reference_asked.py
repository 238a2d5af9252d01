# SPDX-License-Identifier: Apache-2.0
"""What other people's servers say of rules, slowly and from the description of the types, not from the product."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, inf
from typing import Any

from alarmd.evaluators.families.gnocchi.question import GnocchiRule
from alarmd.evaluators.families.loadbalancer.family import LoadbalancerRule
from alarmd.evaluators.families.prometheus.family import PrometheusRule, WhichSeries
from alarmd.model.alarm import State
from alarmd.model.rule import MissingData
from tests.support.reference_judgement import ALARM, COMPARE, OK, TREND_ALARM, TREND_OK, UNKNOWN, said_of

#: The name that a group and a stack have in all rules here.
GROUP, STACK = "g", "s"


@dataclass(frozen=True, kw_only=True)
class ReferenceAnswer:
    """What a server answered last, and until when that counts."""

    asked_at_s: float
    counts_until_s: float
    #: Whether the last try brought it; else none has come since.
    is_latest: bool = True
    #: What it said: the values of each series, oldest first; buckets by their starts; whose pool, and its members.
    said: Any


@dataclass(frozen=True, kw_only=True)
class AskedSaid:
    """What a rule says of an answer."""

    said: str
    #: How many values are outside, of how many, and the newest.
    wanted: int = 0
    outside: int = 0
    latest: Any = None
    #: The reason where nothing is known.
    unknown: str = ""
    #: Members that are in error, where that is what the type tells.
    unhealthy: tuple[Mapping[str, Any], ...] | None = None
    #: Whether all that was judged was answered, and nothing taken for it.
    is_whole: bool = True
    #: The values that were judged, newest first, where evidence of them is kept.
    values: tuple[float | None, ...] | None = None


def said_of_answer(rule: Any, answer: ReferenceAnswer, state: State) -> AskedSaid:
    """Return what is said of an answer for an alarm in a state."""
    if isinstance(rule, PrometheusRule):
        return _of_series(rule, answer.said)
    if isinstance(rule, GnocchiRule):
        return _of_buckets(rule, answer.said, answer.asked_at_s, state)
    return _of_pool(rule, answer.said)


def words_of_pool(rule: LoadbalancerRule, said: AskedSaid, before: State, after: State) -> tuple[str, dict[str, Any]]:
    """Return the reason and its data, which this type has of its own."""
    unhealthy = list(said.unhealthy or ())
    last = unhealthy[-1] if unhealthy else None
    data = {
        "type": "loadbalancer_member_health",
        "count": len(unhealthy),
        "most_recent": last,
        "unhealthy_members": unhealthy,
        "pool_id": rule.question.pool_id,
        "stack_id": STACK,
        "asg_id": GROUP,
    }
    if said.said == UNKNOWN:
        return said.unknown, data
    if before is after:
        return f"Remaining as {after}", data
    return f"Transition to {after} due to {len(unhealthy)} members unhealthy, most recent: {last}", data


def _of_series(rule: PrometheusRule, answered: Sequence[Sequence[float]]) -> AskedSaid:
    points = rule.question.points
    series = [values for values in answered if len(values) >= points]
    if not series:
        # Of series that a server does not have, Aodh tells no number.
        return AskedSaid(said=UNKNOWN, unknown="datapoints are unknown")
    outside = [[COMPARE[rule.comparison](value, rule.threshold) for value in values] for values in series]
    if rule.which is WhichSeries.ANY:
        culprits = [values for values, sides in zip(series, outside, strict=True) if False not in sides]
        newest = (culprits or series)[-1][-1]
        said = ALARM if culprits else OK
        return AskedSaid(said=said, wanted=len(series), outside=len(culprits), latest=_in_json(newest))
    every = [side for sides in outside for side in sides]
    if True not in every:
        said = OK
    elif False not in every:
        said = ALARM
    else:
        said = TREND_ALARM if every[-1] else TREND_OK
    return AskedSaid(said=said, wanted=len(every), outside=every.count(True), latest=_in_json(series[-1][-1]))


def _of_buckets(
    rule: GnocchiRule, answered: Mapping[float, float | None], asked_at_s: float, state: State
) -> AskedSaid:
    judgement, length_s = rule.judgement, rule.question.granularity_s
    known = {
        start_s: value
        for start_s, value in answered.items()
        if value is not None and not (rule.complete_only and asked_at_s < start_s + length_s)
    }
    values: list[float | None] = [known[start_s] for start_s in sorted(known, reverse=True)]
    if judgement.missing is not MissingData.MISSING:
        # At their place in time, beginning with one that is there, or that would be had it not failed to come.
        bucket_s: float = floor((asked_at_s - rule.lateness_s) / length_s) * length_s - length_s
        bucket_s = max([bucket_s, *known])
        values = [known.get(bucket_s - ago * length_s) for ago in range(judgement.reach_periods)]
    # All that is judged stands side by side, and was to be had lately: a period, the lateness and a minute ago at most.
    newest_s = max(known, default=-inf)
    side_by_side = {newest_s - ago * length_s for ago in range(judgement.reach_periods)} <= known.keys()
    is_recent = asked_at_s - (newest_s + length_s) <= length_s + rule.lateness_s + 60
    values = values[: judgement.reach_periods]
    said, outside = said_of(values, judgement, state)
    wanted = judgement.evaluation_periods
    is_empty = not [value for value in values if value is not None]
    return AskedSaid(
        said=said,
        wanted=wanted,
        outside=outside,
        latest=values[0] if values else None,
        unknown=f"No datapoint for granularity {length_s}" if is_empty else f"{wanted} datapoints are unknown",
        is_whole=None not in values and side_by_side and is_recent,
        values=tuple(values),
    )


def _of_pool(rule: LoadbalancerRule, answered: tuple[str, Sequence[Mapping[str, Any]]] | None) -> AskedSaid:
    if answered is None or rule.project_id not in {None, answered[0]}:
        unknown = f"Octavia knows no pool {rule.question.pool_id} of this project"
        return AskedSaid(said=UNKNOWN, unknown=unknown, unhealthy=())
    unhealthy = tuple(one for one in answered[1] if one["admin_state_up"] and one["operating_status"] == "ERROR")
    return AskedSaid(said=ALARM if unhealthy else OK, unhealthy=unhealthy)


def _in_json(value: float) -> float | str:
    return {inf: "+Inf", -inf: "-Inf"}.get(value, value)
