# SPDX-License-Identifier: Apache-2.0
"""`/v3/silences`: for a while, the actions of some alarms are not taken."""

from typing import Any

from flask import Blueprint, Response, request
from pydantic import ValidationError

from alarmd.alarms import SilenceDraft
from alarmd.api.access import caller
from alarmd.api.arguments import boolean_argument, limit_argument, only_arguments, text_argument
from alarmd.api.context import context
from alarmd.api.json_body import read_json, refuse_unstorable
from alarmd.api.silence_schemas import SilenceBody, SilenceListView, SilenceView
from alarmd.api.wire import wire_time
from alarmd.complaints import complaint
from alarmd.errors import InvalidInput
from alarmd.model.silence import Silence
from alarmd.store.silences import SilenceQuery

blueprint = Blueprint("silences", __name__)


@blueprint.post("/v3/silences")
def create_silence() -> tuple[dict[str, Any], int, dict[str, str]]:
    """Begin a silence, or have it begin later."""
    only_arguments()
    data = read_json(request, max_bytes=context().limits.max_body_bytes)
    silence = context().silences.create(_read_draft(data), caller())
    return _view(silence).model_dump(), 201, {"Location": f"{request.url_root}v3/silences/{silence.silence_id}"}


@blueprint.get("/v3/silences")
def list_silences() -> dict[str, Any]:
    """List silences, newest first; those that are over on request."""
    only_arguments("project_id", "alarm_id", "ended", "limit", "marker")
    given = context()
    query = SilenceQuery(
        project_id=text_argument("project_id"),
        alarm_id=text_argument("alarm_id"),
        marker=text_argument("marker"),
        limit=limit_argument(maximum=given.limits.page_limit),
    )
    found = given.silences.find(query, caller(), with_ended=boolean_argument("ended", default=False))
    return SilenceListView(silences=[_view(silence) for silence in found]).model_dump()


@blueprint.get("/v3/silences/<silence_id>")
def show_silence(silence_id: str) -> dict[str, Any]:
    """Return one silence."""
    only_arguments()
    return _view(context().silences.get(silence_id, caller())).model_dump()


@blueprint.delete("/v3/silences/<silence_id>")
def end_silence(silence_id: str) -> Response:
    """End a silence now. It stays for the record."""
    only_arguments()
    context().silences.end(silence_id, caller())
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def _read_draft(data: Any) -> SilenceDraft:
    """Return the silence that a decoded body asks for; raises `InvalidInput`."""
    if not isinstance(data, dict):
        raise InvalidInput("Invalid input for field/attribute data. The body should be an object with a silence")
    refuse_unstorable(data)
    try:
        body = SilenceBody.model_validate(data)
    except ValidationError as error:
        raise complaint(error) from error
    return SilenceDraft(
        comment=body.comment,
        project_id=body.project_id,
        all_projects=bool(body.all_projects),
        alarm_id=body.alarm_id,
        labels=body.labels or {},
        direction=body.direction,
        everything=bool(body.everything),
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        duration_s=body.duration,
        time_constraints=tuple(body.time_constraints or ()),
    )


def _view(silence: Silence) -> SilenceView:
    return SilenceView(
        silence_id=silence.silence_id,
        project_id=silence.project_id,
        author=silence.author,
        comment=silence.comment,
        alarm_id=silence.alarm_id,
        labels=dict(silence.labels),
        direction=silence.direction,
        starts_at=wire_time(silence.starts_at),
        ends_at=wire_time(silence.ends_at),
        time_constraints=[dict(constraint) for constraint in silence.time_constraints],
        created_at=wire_time(silence.created_at),
        ended_by=silence.ended_by or None,
        state=context().silences.state_of(silence),
        warning=context().silences.trouble_of(silence),
    )
