# SPDX-License-Identifier: Apache-2.0
"""`/v2/alarms`: Aodh's alarms."""

import json
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request

from alarmd.api.access import caller
from alarmd.api.alarm_body import read_draft
from alarmd.api.arguments import boolean_argument, only_arguments
from alarmd.api.conditions import versioned, versions_meant
from alarmd.api.context import context
from alarmd.api.json_body import read_json
from alarmd.api.pages import list_answer
from alarmd.api.schemas import AlarmChangeView, AlarmView
from alarmd.api.simple_query import alarm_listing, history_listing
from alarmd.api.wire import wire_time
from alarmd.errors import InvalidInput
from alarmd.model.alarm import Alarm, State
from alarmd.model.history import AlarmChange, additions_of
from alarmd.policy import Action

blueprint = Blueprint("alarms", __name__)


@blueprint.get("/v2/alarms")
def list_alarms() -> Response:
    """List alarms, by default all of the caller's project, newest first."""
    given = context()
    listing = alarm_listing(page_limit=given.limits.page_limit)
    found = given.alarms.find(listing.query, caller(), all_projects=listing.all_projects)
    return list_answer(found, listing.size, view=alarm_view, id_of=lambda alarm: alarm.alarm_id)


@blueprint.post("/v2/alarms")
def create_alarm() -> tuple[Response, int, dict[str, str]]:
    """Create an alarm."""
    only_arguments()
    alarm = context().alarms.create(_draft(), caller())
    return _answer(alarm), 201, {"Location": f"{request.url_root}v2/alarms/{alarm.alarm_id}"}


@blueprint.get("/v2/alarms/<alarm_id>")
def show_alarm(alarm_id: str) -> Response:
    """Return one alarm."""
    only_arguments()
    return _answer(context().alarms.get(alarm_id, caller()))


@blueprint.put("/v2/alarms/<alarm_id>")
def replace_alarm(alarm_id: str) -> Response:
    """Replace an alarm's whole definition: what is left out goes back to its default."""
    only_arguments()
    return _answer(context().alarms.replace(alarm_id, _draft(), caller(), versions=versions_meant()))


@blueprint.delete("/v2/alarms/<alarm_id>")
def delete_alarm(alarm_id: str) -> Response:
    """Delete an alarm, and on request those that refer to it."""
    only_arguments("cascade")
    cascade = boolean_argument("cascade", default=False)
    context().alarms.delete(alarm_id, caller(), versions=versions_meant(), cascade=cascade)
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


@blueprint.get("/v2/alarms/<alarm_id>/state")
def show_state(alarm_id: str) -> Response:
    """Return an alarm's state, as a bare JSON string."""
    only_arguments()
    alarm = context().alarms.get(alarm_id, caller(), action=Action.GET_ALARM_STATE)
    return versioned(jsonify(str(alarm.state)), alarm)


@blueprint.put("/v2/alarms/<alarm_id>/state")
def set_state(alarm_id: str) -> Response:
    """Set an alarm's state by hand; no action is taken."""
    only_arguments("state")
    alarm = context().alarms.set_state(alarm_id, _wanted_state(), caller(), versions=versions_meant())
    return versioned(jsonify(str(alarm.state)), alarm)


@blueprint.get("/v2/alarms/<alarm_id>/history")
def list_history(alarm_id: str) -> Response:
    """List what was recorded about an alarm, newest first."""
    given = context()
    listing = history_listing(alarm_id, page_limit=given.limits.page_limit)
    found = given.alarms.history(alarm_id, listing.query, caller())
    return list_answer(found, listing.size, view=change_view, id_of=lambda change: change.event_id)


def alarm_view(alarm: Alarm) -> dict[str, Any]:
    """Return an alarm as clients see it."""
    view = AlarmView(
        alarm_id=alarm.alarm_id,
        name=alarm.name,
        description=alarm.description,
        enabled=alarm.enabled,
        ok_actions=list(alarm.ok_actions),
        alarm_actions=list(alarm.alarm_actions),
        insufficient_data_actions=list(alarm.insufficient_data_actions),
        repeat_actions=alarm.repeat_actions,
        type=alarm.type,
        time_constraints=[dict(constraint) for constraint in alarm.time_constraints],
        project_id=alarm.project_id,
        user_id=alarm.user_id,
        timestamp=wire_time(alarm.timestamp),
        state=alarm.state,
        state_timestamp=wire_time(alarm.state_timestamp),
        state_reason=alarm.state_reason,
        severity=alarm.severity,
        evaluate_timestamp=wire_time(alarm.evaluate_timestamp) if alarm.evaluate_timestamp else None,
        **additions_of(alarm),
    )
    return view.model_dump(exclude_unset=True) | {f"{alarm.type}_rule": dict(alarm.rule)}


def change_view(change: AlarmChange) -> dict[str, Any]:
    """Return an entry of the history as clients see it; the detail is JSON within a string, as in Aodh."""
    return AlarmChangeView(
        event_id=change.event_id,
        alarm_id=change.alarm_id,
        type=change.type,
        detail=json.dumps(dict(change.detail)),
        project_id=change.project_id,
        user_id=change.user_id,
        on_behalf_of=change.on_behalf_of,
        timestamp=wire_time(change.timestamp),
    ).model_dump()


def _answer(alarm: Alarm) -> Response:
    return versioned(jsonify(alarm_view(alarm)), alarm)


def _draft() -> Any:
    data = read_json(request, max_bytes=context().limits.max_body_bytes)
    return read_draft(data, rule_types=current_app.extensions["alarmd.rule_types"])


def _wanted_state() -> State:
    """Return the state of the body, or of the query string when that is where it stands, as Aodh takes it too."""
    value: Any = request.args.get("state")
    if value is None:
        value = read_json(request, max_bytes=context().limits.max_body_bytes)
    if not isinstance(value, str):
        raise InvalidInput(f"state invalid: the body must be one of the JSON strings {_states()}")
    try:
        return State(value)
    except ValueError:
        raise InvalidInput(f"state invalid: the body must be one of the JSON strings {_states()}") from None


def _states() -> str:
    return ", ".join(f'"{state}"' for state in State)
