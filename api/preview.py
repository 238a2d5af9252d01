# SPDX-License-Identifier: Apache-2.0
"""`POST /v3/alarms/preview`: what an alarm would have done over the samples that there are, or over given ones."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from flask import Blueprint, current_app, request

from alarmd.api.access import caller
from alarmd.api.alarm_body import read_draft
from alarmd.api.arguments import only_arguments
from alarmd.api.context import context
from alarmd.api.json_body import read_json
from alarmd.api.pushes import bound_push
from alarmd.api.sample_body import SampleRules, read_samples
from alarmd.api.verdict_schemas import ActionsView, PreviewView, StretchView, TransitionView
from alarmd.api.wire import read_moment, wire_time
from alarmd.complaints import invalid
from alarmd.errors import InvalidInput
from alarmd.evaluators.answers.previews import Preview, Since
from alarmd.model.alarm import Alarm, State
from alarmd.model.samples import Sample
from alarmd.policy import is_admin

blueprint = Blueprint("preview", __name__)

#: What a body holds beside an alarm.
_OPTIONS = ("since", "samples")
#: What an alarm is called that nobody has named.
_NAME = "preview"
#: How many changes of state are listed.
_MOST_CHANGES = 1_000
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
#: How far ahead of now samples of a backtest may lie: as far as calendars are sure to go.
_FUTURE_S = 100 * 365 * 86400.0


@blueprint.post("/v3/alarms/preview")
def preview_alarm() -> dict[str, Any]:
    """Return what an alarm would have done. Nothing is stored, nobody is notified."""
    only_arguments()
    given, who = context(), caller()
    data = read_json(request, max_bytes=given.limits.max_body_bytes)
    if not isinstance(data, dict):
        raise InvalidInput("Invalid input for field/attribute data. The body should be an object with an alarm")
    wanted = {key: value for key, value in data.items() if key not in _OPTIONS}
    draft = read_draft({"name": _NAME, **wanted}, rule_types=current_app.extensions["alarmd.rule_types"])
    alarm = given.alarms.drafted(draft, who)
    since, samples = _since(data.get("since")), _samples(data.get("samples"), alarm)
    return _view(given.previews.run(alarm, since=since, samples=samples))


def _since(value: Any) -> Since:
    """Return when a span begins, by a moment or by its length."""
    if value is None:
        return None
    if isinstance(value, str):
        length = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*([smhd]?)\s*", value)
        if length is not None:
            return timedelta(**{_UNITS[length[2] or "s"]: float(length[1])})
        moment = read_moment(value)
        if moment is not None:
            return moment
    elif isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _FUTURE_S:
        return timedelta(seconds=value)
    raise invalid("since", value, 'Value should be a duration ("90s", "15m", "1h"; seconds) or an ISO 8601 timestamp')


def _samples(items: Any, alarm: Alarm) -> Sequence[Sample] | None:
    """Return the samples of a backtest; those that name no owner are the alarm's owner's."""
    if items is None:
        return None
    if not isinstance(items, list):
        raise invalid("samples", items, "Value should be a list of samples, as POST /v3/samples takes them")
    given = context()
    bound_push(items, thing="sample", maximum=given.limits.max_samples_per_push)
    now_s = given.clock.time_s()
    rules = SampleRules(
        now_s=now_s,
        past_s=now_s,
        future_s=_FUTURE_S,
        project_id=alarm.project_id,
        user_id=alarm.user_id,
        any_project=is_admin(given.policy, caller()),
    )
    samples, rejected = read_samples(items, rules)
    if rejected:
        raise InvalidInput(f"Sample {rejected[0].index} cannot be used: {rejected[0].reason}.")
    return samples


def _view(preview: Preview) -> dict[str, Any]:
    course = preview.course
    changes, stretches = course.changes, course.stretches()
    taken = {f"{_field(state)}_actions": times for state, times in course.taken().items()}
    return PreviewView(
        start=wire_time(course.start),
        end=wire_time(course.end),
        transitions=[
            TransitionView(
                at=wire_time(one.at),
                previous=one.previous,
                current=one.current,
                reason=one.reason,
                reason_data=dict(one.reason_data),
            )
            for one in changes[:_MOST_CHANGES]
        ],
        truncated=len(changes) > _MOST_CHANGES,
        states=[
            StretchView.model_validate({"state": one.state, "from": wire_time(one.start), "to": wire_time(one.end)})
            for one in stretches[: _MOST_CHANGES + 1]
        ],
        changes=len(changes),
        flaps=course.flaps,
        changes_per_hour=round(course.changes_per_hour, 3),
        shares=_rounded(course.shares()),
        would_notify=ActionsView(**taken),
        assumptions=list(preview.assumptions),
        samples_read=course.samples_read,
    ).model_dump()


def _field(state: State) -> str:
    return str(state).replace(" ", "_")


def _rounded(shares: Mapping[State, float]) -> dict[str, float]:
    return {str(state): round(share, 6) for state, share in shares.items()}
