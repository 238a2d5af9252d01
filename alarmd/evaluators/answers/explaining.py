# SPDX-License-Identifier: Apache-2.0
"""Explanations: why an alarm is in its state, what its rule sees just now, and what would change it.

Everything is computed anew from the sample log, as a worker does that has just started; nothing is asked of one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from alarmd.cache.window import Window
from alarmd.errors import InvalidInput, Unavailable
from alarmd.evaluators.answers.explained import ExplainedLeaf, Explainer
from alarmd.evaluators.answers.explanation import (
    Change,
    Disabled,
    Explanation,
    Hours,
    LastTransition,
    Quiet,
    Verdict,
    sentence_of,
)
from alarmd.evaluators.answers.scope import Scope, leaves_of
from alarmd.evaluators.answers.surroundings import Surroundings
from alarmd.evaluators.answers.tree_truth import Truth, leaf_states, negations, state_after, truth_of_tree
from alarmd.evaluators.answers.turns import TurnLimits, Turns
from alarmd.evaluators.asking.asking import Server
from alarmd.evaluators.family import RuleFamily, TickedRule
from alarmd.evaluators.fresh_evidence import OpenRules
from alarmd.evaluators.schedules.hours import read_hours
from alarmd.evaluators.schedules.schedule import Schedule
from alarmd.evaluators.verdicts.wording import composite_reason
from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.direction import Direction
from alarmd.model.history import AlarmChange
from alarmd.model.rule import CompositeRule
from alarmd.model.samples import Batch
from alarmd.store.alarms import AlarmQuery
from alarmd.store.history import HistoryQuery
from alarmd.store.silencing import in_force_for

#: How often a schedule is looked at for when it opens or closes next: those that change rarely are a year away.
_MOST_LOOKS = 400
#: How many are computed at once; others wait.
_AT_ONCE = 2
#: How many entries of the history are looked through for the state before the last.
_LOOKED_THROUGH = 50


class Explanations:
    """Explains alarms. Safe to use from several threads."""

    def __init__(self, surroundings: Surroundings, *, servers: Mapping[str, Server]) -> None:
        """Take what the evaluators have, and who can be asked, by their names."""
        self._around = surroundings
        self._servers = servers
        limits = TurnLimits(
            at_once=_AT_ONCE,
            most=surroundings.most_answers,
            most_of_one=max(1, surroundings.most_answers // 2),
            patience_s=surroundings.timeout_s,
        )
        self._turns = Turns(limits, what="explanations")

    def close(self) -> None:
        """Let go of the connections to those who were asked. What is under way ends as its server ends it."""
        for server in self._servers.values():
            server.close()

    def explain(self, alarm: Alarm) -> Explanation:
        """Return why an alarm is in its state.

        Raises `LogUnavailable`, `StoreUnavailable`, `Unavailable` when it takes too long, and `TooMany` as `Turns`
        does.
        """
        with self._turns.turn(alarm.project_id):
            return self._explain(alarm, self._around.clock.now())

    def _explain(self, alarm: Alarm, now: datetime) -> Explanation:
        family = self._around.families.get(alarm.type)
        words = family.describe(alarm.rule) if family is not None else f"{alarm.type} rule"
        notes = [*_notes(alarm, family), *self._notes_on_actions(alarm, now)]
        found: _Found | None = None
        if family is not None and family.is_ticked:
            try:
                rule = family.parse(alarm.rule, project_id=alarm.project_id, confined=alarm.confined)
            except InvalidInput as error:
                notes.append(f"Its rule cannot be read any more, so it is not evaluated: {error.message}")
            else:
                found = self._found(alarm, rule, now)
                words = found.form or found.leaves[0].rule or words
        hours = _hours(alarm, now)
        return Explanation(
            at=now,
            rule=words,
            sentence=sentence_of(alarm, found.verdict if found else None, found.changes if found else (), hours),
            verdict=found.verdict if found else None,
            form=found.form if found else "",
            leaves=found.leaves if found else (),
            changes=found.changes if found else (),
            hours=hours,
            last=self._last_transition(alarm.alarm_id),
            silences=self._silences(alarm, now),
            disabled=self._disabled(alarm),
            notes=tuple(notes),
        )

    def _found(self, alarm: Alarm, rule: TickedRule, now: datetime) -> "_Found":
        scope = Scope.of(rule)
        explainer = Explainer(
            self._window(scope, now),
            self._around.plan,
            servers=self._servers,
            others=self._others(alarm, scope),
            now=now,
        )
        if isinstance(rule, CompositeRule):
            return _of_composite(alarm, rule, explainer)
        [leaf] = leaves_of(rule)
        explained = explainer.leaf("rule1", leaf, state=alarm.state)
        return _Found(
            verdict=_verdict_of_one(explained, alarm),
            form="",
            leaves=(explained,),
            changes=tuple(Change(to=one.becomes, when=one.needs) for one in explained.ways),
        )

    def _window(self, scope: Scope, now: datetime) -> Window:
        """Return the window as it is for what a rule reads."""
        limits = self._around.window
        window, now_s = Window(limits), now.timestamp()
        for batch in scope.only(self._in_time(scope.recorded(self._around.log, since_s=now_s - limits.length_s))):
            window.append(batch, now_s=now_s)
        return window

    def _in_time(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        clock, allowed_s = self._around.clock, self._around.timeout_s
        until_s = clock.monotonic_s() + allowed_s
        for batch in batches:
            if clock.monotonic_s() > until_s:
                raise Unavailable(
                    f"Reading the sample log takes longer than the {allowed_s:g} s allowed; try again when there is "
                    "less to do, or ask the operator to raise api.preview_timeout_s."
                )
            yield batch

    def _others(self, alarm: Alarm, scope: Scope) -> dict[AlarmId, Alarm]:
        """Return the alarms that the rule refers to; those of other projects without their names."""
        if not scope.alarm_ids:
            return {}
        with self._around.database.read() as unit:
            found = unit.alarms.find(AlarmQuery(alarm_ids=scope.alarm_ids, sort=()))
        return {one.alarm_id: one if one.project_id == alarm.project_id else replace(one, name="") for one in found}

    def _notes_on_actions(self, alarm: Alarm, now: datetime) -> Iterator[str]:
        with self._around.database.read() as unit:
            trips = unit.breaker.in_force(now)
        if trips and any(alarm.direction_of(state) is Direction.IN for state in State):
            yield (
                "Actions that make a group smaller are held back in the whole installation since "
                f"{trips[0].since:%Y-%m-%d %H:%M:%S} UTC: {trips[0].reason}."
            )

    def _disabled(self, alarm: Alarm) -> tuple[Disabled, ...]:
        with self._around.database.read() as unit:
            found = unit.disabled_targets.of(alarm)
        return tuple(
            Disabled(action=one, states=tuple(state for state in State if one.action in alarm.actions_for(state)))
            for one in found
        )

    def _last_transition(self, alarm_id: AlarmId) -> LastTransition | None:
        with self._around.database.read() as unit:
            newest = unit.history.latest_transition(alarm_id)
            recorded = unit.history.find(HistoryQuery(alarm_id=alarm_id, limit=_LOOKED_THROUGH))
        if newest is None:
            return None
        ids = [one.event_id for one in recorded]
        older = recorded[ids.index(newest.event_id) + 1 :] if newest.event_id in ids else []
        return LastTransition(
            at=newest.timestamp,
            previous=next((state for one in older if (state := _state_in(one))), None),
            current=_state_in(newest) or "",
            reason=str(newest.detail.get("transition_reason") or newest.detail.get("state_reason") or ""),
            evidence=newest.evidence,
            silenced_by=str(newest.detail.get("silenced_by") or ""),
        )

    def _silences(self, alarm: Alarm, now: datetime) -> tuple[Quiet, ...]:
        with self._around.database.read() as unit:
            found = unit.silences.within([alarm.project_id], since=now, until=now)
        in_force = in_force_for(alarm, found, at=now, read_hours=read_hours)
        return tuple(Quiet(silence=silence, states=silence.states_of(alarm)) for silence in in_force)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What was found of a rule."""

    verdict: Verdict
    form: str
    leaves: tuple[ExplainedLeaf, ...]
    changes: tuple[Change, ...]


def _verdict_of_one(leaf: ExplainedLeaf, alarm: Alarm) -> Verdict:
    becomes = state_after(leaf.truth, state=alarm.state)
    words = leaf.words(alarm.state, becomes)
    return _verdict(alarm, becomes, words, lack=leaf.lack if _scales_in(alarm, becomes) else "")


def _verdict(alarm: Alarm, becomes: State, words: tuple[str, Mapping[str, Any]], *, lack: str) -> Verdict:
    """Return what becomes of an alarm; when something is lacking for that, it stays."""
    if not lack:
        return Verdict(state=becomes, reason=words[0], reason_data=words[1])
    if becomes is alarm.state:
        return Verdict(state=becomes, reason=words[0], reason_data=words[1], wants=becomes, waits_for=lack)
    return Verdict(state=alarm.state, reason=lack[:1].upper() + lack[1:], reason_data={}, wants=becomes, waits_for=lack)


def _scales_in(alarm: Alarm, state: State) -> bool:
    """Whether an alarm makes a group smaller by entering a state, or goes on doing so."""
    is_said = state is not alarm.state or alarm.repeat_actions
    return is_said and alarm.direction_of(state) is Direction.IN


def _of_composite(alarm: Alarm, rule: CompositeRule, explainer: Explainer) -> _Found:
    states, is_negated = leaf_states(rule.root, state=alarm.state), negations(rule.root)
    leaves = [
        explainer.leaf(f"rule{number}", leaf, state=state, is_negated=negated)
        for number, (leaf, state, negated) in enumerate(zip(leaves_of(rule), states, is_negated, strict=True), start=1)
    ]
    truths = [leaf.truth for leaf in leaves]
    becomes = state_after(truth_of_tree(rule.root, truths), state=alarm.state)
    causative = [(one.name, one.wire) for one in leaves if one.speaks_for(becomes)]
    words = composite_reason(rule.form, alarm.state, becomes, causative)
    lack = ""
    if _scales_in(alarm, becomes):
        fresh = [Truth.OPEN if leaf.lack else leaf.truth for leaf in leaves]
        if truth_of_tree(rule.root, fresh) is not truth_of_tree(rule.root, truths):
            lack = str(OpenRules(tuple(leaf.name for leaf in leaves if leaf.lack)))
    changes: list[Change] = []
    for place, leaf in enumerate(leaves):
        for way in leaf.ways:
            turned = [*truths[:place], way.truth, *truths[place + 1 :]]
            after = state_after(truth_of_tree(rule.root, turned), state=becomes)
            if after is not becomes:
                changes.append(Change(to=after, when=f"{way.needs} ({leaf.name})"))
    return _Found(
        verdict=_verdict(alarm, becomes, words, lack=lack),
        form=rule.form,
        leaves=tuple(leaves),
        changes=tuple(changes),
    )


def _notes(alarm: Alarm, family: RuleFamily | None) -> Iterator[str]:
    if not alarm.enabled:
        yield "It is disabled: it is not evaluated, and keeps its state."
    if family is None:
        yield f"Rules of the type {alarm.type} are not known here."
    elif not family.is_evaluated:
        needs = f", until the operator sets {family.needs}" if family.needs else ""
        yield f"Alarms of the type {alarm.type} are kept, but not evaluated{needs}."
    elif not family.is_ticked:
        conditions = [
            f"{one['field']} {one['op']} {one['value']!r}" for one in alarm.rule.get("query", ()) if "field" in one
        ]
        where = f" with {' and '.join(conditions)}" if conditions else ""
        yield f"It waits for an event of the type {alarm.rule.get('event_type', '*')}{where}; samples do not matter."


def _hours(alarm: Alarm, now: datetime) -> Hours | None:
    if not alarm.time_constraints:
        return None
    try:
        schedule = Schedule.of(alarm.time_constraints)
    except InvalidInput:
        return None
    is_open, at = schedule.is_open(now), now
    for _ in range(_MOST_LOOKS):
        at = schedule.next_look(at)
        if schedule.is_open(at) is not is_open:
            # Schedules are looked at just after they may have changed.
            return Hours(is_open=is_open, changes_at=at.replace(microsecond=0))
    return Hours(is_open=is_open, changes_at=None)


def _state_in(change: AlarmChange) -> str | None:
    state = change.detail.get("state")
    return state if isinstance(state, str) else None
