# SPDX-License-Identifier: Apache-2.0
"""A slow and obvious evaluator, written from the description of the rules and not from the plan.

It looks at one alarm at a time, keeps every sample in a dictionary (`reference_reading`), judges what comes of them
(`reference_judgement`) and does its sums in plain Python. The product is held against it by property tests.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import ceil
from typing import Any

from alarmd.model.alarm import State
from alarmd.model.rule import (
    AlarmReference,
    CompositeRule,
    Leaf,
    MissingData,
    Node,
    WindowRule,
)
from tests.support.aodh_schedule import is_open_in_aodh
from tests.support.reference_asked import AskedSaid, ReferenceAnswer, said_of_answer, words_of_pool
from tests.support.reference_evidence import has_fresh_evidence
from tests.support.reference_judgement import ALARM, NOTHING, OK, TREND_ALARM, TREND_OK, UNKNOWN, next_of, said_of
from tests.support.reference_reading import ReferenceSeries, values_of


@dataclass(frozen=True)
class ReferenceVerdict:
    """What should become of an alarm; `reason` and `reason_data` are None when nothing is to be said."""

    state: State
    reason: str | None = None
    reason_data: dict[str, Any] | None = None
    #: What the evaluation is counted under; None when it led to no state, or there was none.
    counted: State | None = None
    #: The values that a server told, newest first, where they are the evidence.
    values: tuple[float | None, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When something is evaluated, and what is known by then."""

    now_s: float
    watching_since_s: float
    lateness_s: float
    member_memory_s: float = 600.0
    #: States of other alarms; those that are not there do not exist.
    states: Mapping[str, State] = field(default_factory=dict)
    #: What other people's servers answered last, by what they were asked; what nobody has answered is not there.
    answers: Mapping[Any, ReferenceAnswer] = field(default_factory=dict)
    #: The share of members that must have reported where an alarm scales in.
    scale_in_coverage: float = 0.9
    #: The rules of other alarms.
    rules: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Said:
    """What a rule says of its values."""

    said: str
    wanted: int
    outside: int = 0
    latest: Any = None
    #: Whether anything could be said of it at all.
    is_evaluated: bool = True
    #: The reason where nothing is known.
    unknown: str = ""
    #: What was said of the answer of a server that was asked.
    asked: AskedSaid | None = None


def _look_back_periods(rule: WindowRule, lateness_s: float) -> int:
    if rule.look_back_periods is not None:
        return rule.look_back_periods
    periods = max(1, ceil(lateness_s / rule.reading.period_s))
    return max(periods, rule.judgement.evaluation_periods) if rule.reading.exclude_outliers else periods


def _said_of_rule(rule: WindowRule, state: State, series: list[ReferenceSeries], moment: Moment) -> _Said:
    judgement, period_s = rule.judgement, rule.reading.period_s
    read = values_of(
        rule.reading,
        series,
        periods=judgement.reach_periods + _look_back_periods(rule, moment.lateness_s),
        wanted=judgement.reach_periods,
        missing=judgement.missing,
        now_ms=round(moment.now_s * 1000),
        lateness_s=moment.lateness_s,
        member_memory_s=moment.member_memory_s,
    )
    values, latest = read.values, read.values[0]
    watched_s = moment.now_s - moment.watching_since_s
    wanted = judgement.evaluation_periods
    if judgement.missing is not MissingData.MISSING:
        if watched_s <= period_s * (judgement.reach_periods + rule.reading.is_aligned) + moment.lateness_s:
            # What nobody would have seen may have been either.
            judgement = replace(judgement, missing=MissingData.IGNORE)
        said, outside = said_of(values, judgement, state)
        # Where nothing has come, and nothing is taken for it, there is nothing to go by.
        is_evaluated = judgement.missing is not MissingData.IGNORE or set(values[:wanted]) != {None}
        return _Said(said=said, wanted=wanted, outside=outside, latest=latest, is_evaluated=is_evaluated)
    if not read.known or None in values[: judgement.evaluation_periods]:
        periods = judgement.evaluation_periods + rule.reading.is_aligned
        is_evaluated = watched_s > period_s * periods + moment.lateness_s
        unknown = f"{wanted} datapoints are unknown"
        return _Said(said=UNKNOWN, wanted=wanted, latest=latest, is_evaluated=is_evaluated, unknown=unknown)
    said, outside = said_of(values, judgement, state)
    return _Said(said=said, wanted=wanted, outside=outside, latest=latest)


def _said_of(rule: Any, state: State, series: list[ReferenceSeries], moment: Moment) -> _Said:
    if isinstance(rule, WindowRule):
        return _said_of_rule(rule, state, series, moment)
    answer = moment.answers.get(rule.question)
    if answer is None or moment.now_s > answer.counts_until_s:
        return _Said(said=NOTHING, wanted=0, is_evaluated=False)
    asked = said_of_answer(rule, answer, state)
    return _Said(
        said=asked.said,
        wanted=asked.wanted,
        outside=asked.outside,
        latest=asked.latest,
        unknown=asked.unknown,
        asked=asked,
    )


def evaluate(
    rule: Any,
    state: State,
    series: list[ReferenceSeries],
    moment: Moment,
    *,
    constraints: Sequence[Mapping[str, Any]] = (),
    is_due: bool = False,
    scales_in: Collection[State] = (),
) -> ReferenceVerdict:
    """Return what should become of an alarm that is no composite.

    `is_due` says that its actions are to be repeated, `scales_in` in which states they make its group smaller.
    """
    if not is_open_in_aodh(constraints, datetime.fromtimestamp(moment.now_s, UTC)):
        return ReferenceVerdict(state)
    found = _said_of(rule, state, series, moment)
    if not found.is_evaluated:
        return ReferenceVerdict(state)
    new = next_of(found.said, state)
    counted = new if found.said in {ALARM, OK, UNKNOWN} else None
    if new is state and not is_due:
        return ReferenceVerdict(state, counted=counted)
    if new in scales_in and not _is_fresh(rule, state, series, moment, set()):
        return ReferenceVerdict(state, counted=counted)
    if found.asked is not None and found.asked.unhealthy is not None:
        return ReferenceVerdict(new, *words_of_pool(rule, found.asked, state, new), counted)
    wanted, outside = found.wanted, 0 if found.said == UNKNOWN else found.outside
    count, disposition = (wanted - outside, "inside") if new is State.OK else (outside, "outside")
    verb = "Remaining as" if new is state else "Transition to"
    reason = f"{verb} {new} due to {count} samples {disposition} threshold, most recent: {found.latest}"
    if found.said == UNKNOWN and new is not state:
        count, disposition, reason = wanted, "unknown", found.unknown
    data = {"type": "threshold", "disposition": disposition, "count": count, "most_recent": found.latest}
    return ReferenceVerdict(new, reason, data, counted, found.asked.values if found.asked else None)


def evaluate_composite(
    rule: CompositeRule,
    state: State,
    series: list[ReferenceSeries],
    moment: Moment,
    *,
    constraints: Sequence[Mapping[str, Any]] = (),
    is_due: bool = False,
    scales_in: Collection[State] = (),
) -> ReferenceVerdict:
    """Return what should become of a composite alarm.

    `is_due` says that its actions are to be repeated, `scales_in` in which states they make its group smaller.
    """
    if not is_open_in_aodh(constraints, datetime.fromtimestamp(moment.now_s, UTC)):
        return ReferenceVerdict(state)
    found = [_leaf_value(leaf, state, series, moment, turned=turned) for leaf, turned in _leaves(rule.root)]
    leaves = [value for value, _ in found]
    value = _value_of(rule.root, iter(leaves))
    new, counted = (state, None) if value == NOTHING else (_STATES[value], _STATES[value])
    # Nothing is repeated while nothing is known, or while it is not known whether it still is so.
    is_sure = value != NOTHING or all(is_evaluated for _, is_evaluated in found)
    if new is state and not (is_due and is_sure and new is not State.INSUFFICIENT_DATA):
        return ReferenceVerdict(state, counted=counted)
    if new in scales_in:
        # What there is fresh evidence for has to decide it, whatever the rest would say.
        fresh = [
            said if _is_fresh(leaf.rule, _own_state(state, turned=turned), series, moment, set()) else NOTHING
            for (leaf, turned), said in zip(_leaves(rule.root), leaves, strict=True)
        ]
        if _value_of(rule.root, iter(fresh)) != value:
            return ReferenceVerdict(state, counted=counted)
    # A leaf that is negated speaks for the opposite of what it is.
    speaking = [
        (f"rule{number}", dict(leaf.wire))
        for number, ((leaf, turned), said) in enumerate(zip(_leaves(rule.root), leaves, strict=True), 1)
        if _STATES.get(_OPPOSITE[said] if turned else said) is new
    ]
    tail = {
        State.OK: "inside their threshold.",
        State.ALARM: "outside their threshold.",
        State.INSUFFICIENT_DATA: "state evaluated to unknown.",
    }[new]
    named = ", ".join(sorted(name for name, _ in speaking))
    verb = "remaining as" if new is state else "transition to"
    return ReferenceVerdict(
        new,
        f"Composite rule alarm with composition form: {rule.form} {verb} {new}, due to rules: {named} {tail}",
        {"type": "composite", "composition_form": rule.form, "causative_rules": dict(speaking)},
        counted,
    )


def _is_fresh(rule: Any, state: State, series: list[ReferenceSeries], moment: Moment, seen: set[str]) -> bool:
    """Whether there is fresh evidence for a rule; of an alarm, for all that its rule goes by."""
    if isinstance(rule, AlarmReference):
        if rule.alarm_id in seen or rule.alarm_id not in moment.rules:
            return True
        seen.add(rule.alarm_id)
        return _is_fresh(moment.rules[rule.alarm_id], moment.states[rule.alarm_id], series, moment, seen)
    if isinstance(rule, CompositeRule):
        return all(
            _is_fresh(leaf.rule, _own_state(state, turned=turned), series, moment, seen)
            for leaf, turned in _leaves(rule.root)
        )
    if isinstance(rule, WindowRule):
        return has_fresh_evidence(
            rule,
            series,
            periods=rule.judgement.reach_periods + _look_back_periods(rule, moment.lateness_s),
            now_ms=round(moment.now_s * 1000),
            lateness_s=moment.lateness_s,
            member_memory_s=moment.member_memory_s,
            share=moment.scale_in_coverage,
        )
    answer = moment.answers.get(rule.question)
    if answer is None or moment.now_s > answer.counts_until_s or not answer.is_latest:
        return False
    return said_of_answer(rule, answer, state).is_whole


_STATES = {ALARM: State.ALARM, OK: State.OK, UNKNOWN: State.INSUFFICIENT_DATA}
_OPPOSITE = {ALARM: OK, OK: ALARM, UNKNOWN: UNKNOWN, NOTHING: NOTHING}


def _leaves(node: Node, *, turned: bool = False) -> Iterator[tuple[Leaf, bool]]:
    """Yield the leaves from the left, each with whether an odd number of negations stands above it."""
    if isinstance(node, Leaf):
        yield node, turned
        return
    for below in node.nodes:
        yield from _leaves(below, turned=turned != node.is_negated)


def _leaf_value(
    leaf: Leaf, composite: State, series: list[ReferenceSeries], moment: Moment, *, turned: bool
) -> tuple[str, bool]:
    """Return what a leaf counts for, alarm, ok, unknown, or nothing yet; and whether anything could be said of it."""
    if isinstance(leaf.rule, AlarmReference):
        known = moment.states.get(leaf.rule.alarm_id, State.INSUFFICIENT_DATA)
        return {State.OK: OK, State.ALARM: ALARM, State.INSUFFICIENT_DATA: UNKNOWN}[known], True
    own = _own_state(composite, turned=turned)
    found = _said_of(leaf.rule, own, series, moment)
    if not found.is_evaluated:
        return NOTHING, False
    if found.said in {TREND_ALARM, TREND_OK}:
        return ALARM if next_of(found.said, own) is State.ALARM else OK, True
    return found.said, True


def _own_state(composite: State, *, turned: bool) -> State:
    """Return what a leaf would be in if it alone kept the composite where it is."""
    return {State.ALARM: State.OK, State.OK: State.ALARM}.get(composite, composite) if turned else composite


def _value_of(node: Node, leaves: Iterator[str]) -> str:
    """Return what a node counts for; takes the values of its leaves from the left."""
    if isinstance(node, Leaf):
        return next(leaves)
    below = [_value_of(one, leaves) for one in node.nodes]
    if below.count(ALARM) >= node.at_least:
        value = ALARM
    elif len(below) - below.count(OK) < node.at_least:
        value = OK
    else:
        value = NOTHING if NOTHING in below else UNKNOWN
    return _OPPOSITE[value] if node.is_negated else value
