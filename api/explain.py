# SPDX-License-Identifier: Apache-2.0
"""`GET /v3/alarms/{id}/explain`: why an alarm is in its state."""

from typing import Any

from flask import Blueprint

from alarmd.api.access import caller
from alarmd.api.arguments import only_arguments
from alarmd.api.context import context
from alarmd.api.verdict_schemas import (
    ChangeView,
    DisabledActionView,
    ExplainedAlarmView,
    ExplainedRuleView,
    ExplanationView,
    HoursView,
    LastTransitionView,
    MembersView,
    PeriodView,
    QuietView,
    VerdictView,
    WayView,
)
from alarmd.api.wire import wire_time
from alarmd.evaluators.answers.closeup import CloseUp
from alarmd.evaluators.answers.explained import ExplainedLeaf
from alarmd.evaluators.answers.explanation import Disabled, Explanation, Hours, LastTransition, Quiet
from alarmd.model.alarm import Alarm

blueprint = Blueprint("explain", __name__)


@blueprint.get("/v3/alarms/<alarm_id>/explain")
def explain_alarm(alarm_id: str) -> dict[str, Any]:
    """Return why an alarm is in its state, and what would change it."""
    only_arguments()
    given = context()
    alarm = given.alarms.get(alarm_id, caller())
    return _view(alarm, given.explanations.explain(alarm)).model_dump()


def _view(alarm: Alarm, found: Explanation) -> ExplanationView:
    verdict = found.verdict
    return ExplanationView(
        alarm_id=alarm.alarm_id,
        name=alarm.name,
        type=alarm.type,
        enabled=alarm.enabled,
        state=alarm.state,
        state_since=wire_time(alarm.state_timestamp),
        state_reason=alarm.state_reason,
        at=wire_time(found.at),
        sentence=found.sentence,
        rule=found.rule,
        verdict=None
        if verdict is None
        else VerdictView(state=verdict.state, reason=verdict.reason, reason_data=dict(verdict.reason_data)),
        form=found.form,
        rules=[_rule_view(leaf) for leaf in found.leaves],
        would_change=[ChangeView(to=one.to, when=one.when) for one in found.changes],
        time_constraints=_hours_view(found.hours),
        last_transition=_last_view(found.last),
        silences=[_quiet_view(one) for one in found.silences],
        disabled_actions=[_disabled_view(one) for one in found.disabled],
        notes=list(found.notes),
    )


def _rule_view(leaf: ExplainedLeaf) -> ExplainedRuleView:
    seen, other = leaf.close_up, leaf.other
    return ExplainedRuleView(
        name=leaf.name,
        rule=leaf.rule,
        outcome=leaf.outcome_in_words,
        counts_for=str(leaf.truth),
        is_negated=leaf.is_negated,
        threshold=leaf.bound,
        values=list(seen.values) if seen else [],
        series=_members_view(seen) if seen else None,
        periods=_period_views(seen) if seen else [],
        lacking=seen.lacking if seen else "",
        would_change=[WayView(counts_for=str(way.truth), when=way.needs) for way in leaf.ways],
        alarm=ExplainedAlarmView(alarm_id=other.alarm_id, name=other.name, state=other.state) if other else None,
        server=leaf.server,
        error=leaf.error,
        evidence=dict(leaf.evidence),
    )


def _members_view(seen: CloseUp) -> MembersView:
    return MembersView(
        known=seen.known,
        remembered=seen.remembered,
        reporting=seen.reporting,
        missing=seen.missing,
        missing_named=list(seen.missing_named),
        newest_sample=wire_time(seen.newest) if seen.newest else None,
    )


def _period_views(seen: CloseUp) -> list[PeriodView]:
    return [
        PeriodView(
            start=wire_time(one.start),
            end=wire_time(one.end),
            value=one.value,
            samples=one.samples,
            reporting=one.reporting,
            coverage=round(one.coverage, 4),
            counts=one.counts,
            because=one.because,
        )
        for one in seen.periods
    ]


def _hours_view(hours: Hours | None) -> HoursView | None:
    if hours is None:
        return None
    return HoursView(is_open=hours.is_open, changes_at=wire_time(hours.changes_at) if hours.changes_at else None)


def _last_view(last: LastTransition | None) -> LastTransitionView | None:
    if last is None:
        return None
    return LastTransitionView(
        at=wire_time(last.at),
        previous=last.previous,
        current=last.current,
        reason=last.reason,
        evidence=None if last.evidence is None else dict(last.evidence),
        silenced_by=last.silenced_by or None,
    )


def _quiet_view(quiet: Quiet) -> QuietView:
    silence = quiet.silence
    return QuietView(
        silence_id=silence.silence_id,
        author=silence.author,
        comment=silence.comment,
        states=list(quiet.states),
        ends_at=wire_time(silence.ends_at),
        recurs=bool(silence.time_constraints),
    )


def _disabled_view(disabled: Disabled) -> DisabledActionView:
    return DisabledActionView(
        action=disabled.action.action,
        states=list(disabled.states),
        reason=disabled.action.reason,
        disabled_at=wire_time(disabled.action.disabled_at),
    )
