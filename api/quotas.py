# SPDX-License-Identifier: Apache-2.0
"""`/v2/quotas`: how many alarms a project may have."""

from typing import Any

from flask import Blueprint, Response, request
from pydantic import ValidationError

from alarmd.api.access import caller
from alarmd.api.arguments import only_arguments, text_argument
from alarmd.api.context import context
from alarmd.api.json_body import read_json, refuse_unstorable
from alarmd.api.schemas import Quota, QuotasBody, QuotasView
from alarmd.complaints import complaint
from alarmd.errors import InvalidInput

blueprint = Blueprint("quotas", __name__)


@blueprint.get("/v2/quotas")
def show_quotas() -> dict[str, Any]:
    """Return the quotas of a project, by default the caller's. Other arguments are passed over, as in Aodh."""
    who = caller()
    project_id = text_argument("project_id")
    limit = context().quotas.get(project_id, who)
    return _view(who.project_id if project_id is None else project_id, limit)


@blueprint.post("/v2/quotas")
def update_quotas() -> tuple[dict[str, Any], int]:
    """Set the quotas of a project; without any, return what it has."""
    only_arguments()
    given = context()
    body = _body(read_json(request, max_bytes=given.limits.max_body_bytes))
    limit = body.quotas[-1].limit if body.quotas else None
    return _view(body.project_id, given.quotas.set(body.project_id, limit, caller())), 201


@blueprint.delete("/v2/quotas/<project_id>")
def delete_quotas(project_id: str) -> Response:
    """Give a project the default again."""
    only_arguments()
    context().quotas.delete(project_id, caller())
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def _body(data: Any) -> QuotasBody:
    if not isinstance(data, dict):
        raise InvalidInput("Invalid input for field/attribute body. The body should be an object with quotas")
    refuse_unstorable(data)
    try:
        return QuotasBody.model_validate(data)
    except ValidationError as error:
        raise complaint(error, argument="body") from error


def _view(project_id: str, limit: int) -> dict[str, Any]:
    return QuotasView(project_id=project_id, quotas=[Quota(resource="alarms", limit=limit)]).model_dump()
