# SPDX-License-Identifier: Apache-2.0
"""`/openapi.json`: the API in OpenAPI 3.1, from the same shapes that requests are read and answers are built with."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from alarmd.api import schemas
from alarmd.api.alarm_body import AlarmBody
from alarmd.model.alarm import State

_REF = "#/components/schemas/{model}"
_JSON = "application/json"

_ERRORS = {
    400: "The request cannot be understood; the text says why.",
    401: "The request names another project or user than the caller's own.",
    403: "The caller says not who it is, or lacks the role.",
    404: "There is no such thing for this caller.",
    413: "The body is larger than allowed.",
    415: "The body is not declared as JSON.",
    500: "alarmd made a mistake.",
    503: "Something that alarmd depends on does not answer.",
}

_SHAPES: tuple[type[BaseModel], ...] = (
    schemas.ErrorView,
    schemas.ThresholdRuleBody,
    schemas.AlarmView,
    schemas.AlarmChangeView,
    schemas.PushBody,
    schemas.PushView,
    schemas.PushErrorView,
    schemas.SeriesListView,
    schemas.SeriesDataView,
    schemas.DeliveryView,
    schemas.DeliveryListView,
    schemas.ReadinessView,
)


def describe() -> dict[str, Any]:
    """Return the whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "alarmd",
            "version": version("alarmd"),
            "description": "Autoscaling alarms: Aodh's API v2 for alarms, v3 for samples, series and deliveries.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        # Relative: it holds below whatever prefix alarmd is mounted.
        "servers": [{"url": "."}],
        "paths": _paths(),
        "components": {"schemas": _schemas(), "securitySchemes": _SECURITY},
        "security": [{}, {"user": [], "project": [], "roles": []}],
    }


_SECURITY = {
    "user": {"type": "apiKey", "in": "header", "name": "X-User-Id"},
    "project": {"type": "apiKey", "in": "header", "name": "X-Project-Id"},
    "roles": {"type": "apiKey", "in": "header", "name": "X-Roles"},
}


def _schemas() -> dict[str, Any]:
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((shape, "serialization" if shape.__name__.endswith("View") else "validation") for shape in _SHAPES),
        (AlarmBody, "validation"),
    ]
    _, document = models_json_schema(wanted, ref_template=_REF)
    found: dict[str, Any] = document["$defs"]
    rule = {"$ref": _REF.format(model="ThresholdRuleBody")}
    found["AlarmBody"]["properties"]["threshold_rule"] = rule
    found["AlarmView"]["properties"]["threshold_rule"] = rule
    return found


def _paths() -> dict[str, Any]:
    alarm_id = _parameter("alarm_id", "the alarm", where="path")
    event_id = _parameter("event_id", "the delivery", where="path")
    return {
        "/": {"get": _operation("show_versions", "Which versions of the API there are.", {200: _free("object")})},
        "/v2/alarms": {
            "get": _operation(
                "list_alarms",
                "List alarms, by default all of the caller's project, newest first.",
                {200: _list_of("AlarmView")},
                errors=(400, 401, 403, 503),
                parameters=[*_SIMPLE_QUERY, *_PAGING, _SORT],
            ),
            "post": _operation(
                "create_alarm",
                "Create an alarm.",
                {201: _shape("AlarmView", headers=_LOCATION)},
                errors=(400, 401, 403, 413, 415, 503),
                body="AlarmBody",
            ),
        },
        "/v2/alarms/{alarm_id}": {
            "parameters": [alarm_id],
            "get": _operation(
                "show_alarm", "Return one alarm.", {200: _shape("AlarmView")}, errors=(400, 401, 403, 404, 503)
            ),
            "put": _operation(
                "replace_alarm",
                "Replace an alarm's whole definition: what is left out goes back to its default.",
                {200: _shape("AlarmView")},
                errors=(400, 401, 403, 404, 413, 415, 503),
                body="AlarmBody",
            ),
            "delete": _operation("delete_alarm", "Delete an alarm.", {204: None}, errors=(400, 401, 403, 404, 503)),
        },
        "/v2/alarms/{alarm_id}/state": {
            "parameters": [alarm_id],
            "get": _operation(
                "show_state", "Return an alarm's state.", {200: _content(_STATE)}, errors=(400, 401, 403, 404, 503)
            ),
            "put": _operation(
                "set_state",
                "Set an alarm's state by hand; no action is taken.",
                {200: _content(_STATE)},
                errors=(400, 401, 403, 404, 413, 415, 503),
                body=_STATE,
                parameters=[_parameter("state", "the state, instead of a body", schema=_STATE)],
                body_required=False,
            ),
        },
        "/v2/alarms/{alarm_id}/history": {
            "parameters": [alarm_id],
            "get": _operation(
                "list_history",
                "List what was recorded about an alarm, newest first.",
                {200: _list_of("AlarmChangeView")},
                errors=(400, 401, 403, 404, 503),
                parameters=[*_SIMPLE_QUERY, *_PAGING, _SORT],
            ),
        },
        "/v3/samples": {
            "post": _operation(
                "push_samples",
                "Take samples; a bad one costs only itself. 202 means that they have been made safe.",
                {202: _shape("PushView")},
                errors=(400, 403, 413, 415, 503),
                body="PushBody",
                shapes={400: "PushErrorView"},
            ),
        },
        "/v3/series": {
            "get": _operation(
                "list_series",
                "List the series that have samples in a span (the last ten minutes when it is not named).",
                {200: _shape("SeriesListView")},
                errors=(400, 401, 403, 503),
                parameters=[_parameter("metric", "its name"), _parameter("resource_id", "its id"), *_SERIES],
            ),
        },
        "/v3/series/data": {
            "get": _operation(
                "list_points",
                "List the points of one metric of one resource in a span.",
                {200: _shape("SeriesDataView")},
                errors=(400, 401, 403, 503),
                parameters=[
                    _parameter("metric", "its name", required=True),
                    _parameter("resource_id", "its id", required=True),
                    *_SERIES,
                ],
            ),
        },
        "/v3/deliveries": {
            "get": _operation(
                "list_deliveries",
                "List deliveries, newest first.",
                {200: _shape("DeliveryListView")},
                errors=(400, 401, 403, 503),
                parameters=[
                    _parameter("alarm_id", "of this alarm"),
                    _parameter("state", "in this state", schema={"$ref": _REF.format(model="DeliveryState")}),
                    _parameter("project_id", "of this project"),
                    *_PAGING,
                ],
            ),
        },
        "/v3/deliveries/{event_id}": {
            "parameters": [event_id],
            "get": _operation(
                "show_delivery", "Return one delivery.", {200: _shape("DeliveryView")}, errors=(400, 401, 403, 404, 503)
            ),
        },
        "/v3/deliveries/{event_id}/retry": {
            "parameters": [event_id],
            "post": _operation(
                "retry_delivery",
                "Put a buried delivery back in the queue, to be tried at once.",
                {200: _shape("DeliveryView")},
                errors=(400, 401, 403, 404, 503),
            ),
        },
        "/healthz": {"get": _operation("show_health", "Whether this process answers.", {200: _free("object")})},
        "/readyz": {
            "get": _operation(
                "show_readiness",
                "Whether everything that a request may need answers.",
                {200: _shape("ReadinessView"), 503: _shape("ReadinessView")},
            )
        },
        "/metrics": {
            "get": _operation(
                "show_metrics",
                "The metrics of all processes, for Prometheus.",
                {200: {"description": "Fine.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
            )
        },
        "/openapi.json": {"get": _operation("show_openapi", "This description.", {200: _free("object")})},
    }


def _operation(
    name: str,
    summary: str,
    answers: Mapping[int, dict[str, Any] | None],
    *,
    errors: tuple[int, ...] = (),
    parameters: list[dict[str, Any]] | None = None,
    body: str | dict[str, Any] | None = None,
    body_required: bool = True,
    shapes: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """Return one operation; `shapes` names the errors that look different from the others."""
    responses = {str(status): answer or {"description": "Done."} for status, answer in answers.items()}
    for status in (*errors, 500):
        own = (shapes or {}).get(status)
        schema: dict[str, Any] = {"$ref": _REF.format(model="ErrorView")}
        if own is not None:
            schema = {"anyOf": [schema, {"$ref": _REF.format(model=own)}]}
        responses.setdefault(str(status), {"description": _ERRORS[status], "content": {_JSON: {"schema": schema}}})
    operation: dict[str, Any] = {"operationId": name, "summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = parameters
    if body is not None:
        schema = {"$ref": _REF.format(model=body)} if isinstance(body, str) else body
        operation["requestBody"] = {"required": body_required, "content": {_JSON: {"schema": schema}}}
    return operation


def _content(schema: dict[str, Any], headers: dict[str, Any] | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "Fine.", "content": {_JSON: {"schema": schema}}}
    if headers:
        answer["headers"] = headers
    return answer


def _shape(name: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    return _content({"$ref": _REF.format(model=name)}, headers)


def _list_of(name: str) -> dict[str, Any]:
    return _content({"type": "array", "items": {"$ref": _REF.format(model=name)}})


def _free(kind: str) -> dict[str, Any]:
    return _content({"type": kind})


def _parameter(
    name: str, description: str, *, where: str = "query", required: bool = False, schema: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "name": name,
        "in": where,
        "required": required or where == "path",
        "description": description,
        "schema": schema or {"type": "string"},
    }


def _repeated(name: str, description: str) -> dict[str, Any]:
    return _parameter(name, description, schema={"type": "array", "items": {"type": "string"}})


_STATE: dict[str, Any] = {"type": "string", "enum": [str(state) for state in State]}
_LOCATION = {"Location": {"description": "URL of the new alarm", "schema": {"type": "string"}}}
_LIMIT = _parameter("limit", "how many at most", schema={"type": "integer", "minimum": 0})
_PAGING = [_LIMIT, _parameter("marker", "id of the last item of the page before")]
_SORT = _repeated("sort", "KEY or KEY:asc or KEY:desc")
_SIMPLE_QUERY = [
    _repeated("q.field", "what a condition is about; the n-th field, op, value and type belong together"),
    _repeated("q.op", "eq by default; history: lt, le, gt, ge for timestamp"),
    _repeated("q.value", "what it is compared with"),
    _repeated("q.type", "integer, float, string, boolean or datetime; may be left out"),
]
_TIME = {"type": "string"}
_SERIES = [
    _parameter("user_id", "of this user"),
    _parameter("project_id", "of this project (administrators)"),
    _parameter("all_projects", "of all projects (administrators)", schema={"type": "boolean"}),
    _parameter("start", "ISO 8601 (no zone: UTC) or epoch seconds", schema=_TIME),
    _parameter("end", "likewise", schema=_TIME),
    _LIMIT,
]
