# SPDX-License-Identifier: Apache-2.0
"""What `/openapi.json` says of Aodh's API, v2."""

from alarmd.api.openapi_examples import QUERY_EXAMPLES
from alarmd.api.openapi_terms import (
    LIMIT,
    MARKER,
    Part,
    answer,
    headers,
    list_of,
    nothing,
    operation,
    operation_for_all,
    parameter,
    ref,
    repeated,
)
from alarmd.model.alarm import State

_STATE: Part = {"type": "string", "enum": [str(state) for state in State]}
_ALARM_ID = parameter("alarm_id", "the alarm", where="path")
_IF_MATCH = parameter(
    "If-Match", "versions (ETag) that the change may start from; * for any", where="header", example="*"
)
_IF_NONE_MATCH = parameter("If-None-Match", "versions (ETag) that the client has already", where="header")
_LISTING = [
    repeated("q.field", "what a condition is about; the n-th field, op, value and type belong together"),
    repeated("q.op", "eq by default; history: lt, le, gt, ge for timestamp"),
    repeated("q.value", "what it is compared with"),
    repeated("q.type", "integer, float, string, boolean or datetime; may be left out"),
    LIMIT,
    MARKER,
    repeated("sort", "KEY or KEY:asc or KEY:desc"),
]
#: What can be done with an alarm once it has been created.
_LINKS: Part = {
    name: {"operationId": name, "parameters": {"alarm_id": "$response.body#/alarm_id"}}
    for name in ("show_alarm", "replace_alarm", "delete_alarm", "show_state", "set_state", "list_history")
}


def _alarm() -> Part:
    return answer(ref("AlarmView"), named=headers("ETag"))


def _page_of(name: str) -> Part:
    return answer(list_of(name), named=headers("Link"))


def v2_paths(examples: Part) -> Part:
    """Return the paths of v2; the examples are alarms."""
    return _alarms(examples) | _queries() | _quotas()


def _alarms(examples: Part) -> Part:
    created = answer(ref("AlarmView"), description="Created.", named=headers("ETag", "Location"))
    return {
        "/v2/alarms": {
            "get": operation(
                "list_alarms",
                "List alarms, by default all of the caller's project, newest first.",
                {200: _page_of("AlarmView")},
                parameters=_LISTING,
            ),
            "post": operation(
                "create_alarm",
                "Create an alarm.",
                {201: created | {"links": _LINKS}},
                body=ref("AlarmBody"),
                examples=examples,
            ),
        },
        "/v2/alarms/{alarm_id}": {
            "parameters": [_ALARM_ID],
            "get": operation(
                "show_alarm",
                "Return one alarm.",
                {200: _alarm(), 304: nothing("The client has this version already.", "ETag")},
                errors=[404],
                parameters=[_IF_NONE_MATCH],
            ),
            "put": operation(
                "replace_alarm",
                "Replace an alarm's whole definition: what is left out goes back to its default.",
                {200: _alarm()},
                errors=[404, 409, 412],
                parameters=[_IF_MATCH],
                body=ref("AlarmBody"),
                examples=examples,
            ),
            "delete": operation(
                "delete_alarm",
                "Delete an alarm.",
                {204: nothing("Deleted.")},
                errors=[404, 409, 412],
                parameters=[
                    _IF_MATCH,
                    parameter(
                        "cascade",
                        "whether composite alarms that refer to it are deleted too; refused (409) otherwise",
                        schema={"type": "boolean", "default": False},
                    ),
                ],
            ),
        },
        "/v2/alarms/{alarm_id}/state": {
            "parameters": [_ALARM_ID],
            "get": operation(
                "show_state",
                "Return an alarm's state.",
                {
                    200: answer(_STATE, named=headers("ETag")),
                    304: nothing("The client has this version already.", "ETag"),
                },
                errors=[404],
                parameters=[_IF_NONE_MATCH],
            ),
            "put": operation(
                "set_state",
                "Set an alarm's state by hand; no action is taken.",
                {200: answer(_STATE, named=headers("ETag"))},
                errors=[404, 412],
                parameters=[_IF_MATCH, parameter("state", "the state, instead of a body", schema=_STATE)],
                body=_STATE,
                body_required=False,
            ),
        },
        "/v2/alarms/{alarm_id}/history": {
            "parameters": [_ALARM_ID],
            "get": operation(
                "list_history",
                "List what was recorded about an alarm, newest first.",
                {200: _page_of("AlarmChangeView")},
                errors=[404],
                parameters=_LISTING,
            ),
        },
    }


def _queries() -> Part:
    return {
        "/v2/query/alarms": {
            "post": operation(
                "query_alarms",
                "List alarms that a complex query asks for.",
                {200: _page_of("AlarmView")},
                parameters=[MARKER],
                body=ref("ComplexQueryBody"),
                examples=QUERY_EXAMPLES,
            ),
        },
        "/v2/query/alarms/history": {
            "post": operation(
                "query_history",
                "List changes that a complex query asks for, those of deleted alarms too.",
                {200: _page_of("AlarmChangeView")},
                parameters=[MARKER],
                body=ref("ComplexQueryBody"),
                examples=QUERY_EXAMPLES,
            ),
        },
    }


def _quotas() -> Part:
    project_id = parameter("project_id", "the project, by default the caller's")
    return {
        "/v2/capabilities": {
            "get": operation(
                "show_capabilities",
                "What this server can be asked; anybody may know.",
                {200: answer(ref("CapabilitiesView"))},
            )
            | {"security": []},
        },
        "/v2/quotas": {
            "get": operation(
                "show_quotas",
                "Return how many alarms a project may have.",
                {200: answer(ref("QuotasView"))},
                parameters=[project_id],
            ),
            "post": operation(
                "update_quotas",
                "Set how many alarms a project may have; without quotas, return what it has.",
                {201: answer(ref("QuotasView"), description="Stored.")},
                body=ref("QuotasBody"),
                examples={"thirty": {"value": {"project_id": "p1", "quotas": [{"resource": "alarms", "limit": 30}]}}},
            ),
        },
        "/v2/quotas/{project_id}": {
            "parameters": [parameter("project_id", "the project", where="path")],
            "delete": operation(
                "delete_quotas", "Give a project the default again.", {204: nothing("It has the default.")}
            ),
        },
        "/v2/metrics": {
            "get": operation(
                "list_results",
                "How often the evaluation of each alarm led to which state; 403 unless that is counted.",
                {200: answer(ref("ResultsView"), named=headers("Link"))},
                parameters=[
                    parameter("all_projects", "of all projects (administrators)", schema={"type": "boolean"}),
                    LIMIT,
                    MARKER,
                ],
            ),
        },
        "/healthcheck": {
            "get": operation_for_all(
                "show_healthcheck",
                "Whether this process answers, as Aodh says it: with nothing.",
                {
                    200: {
                        "description": "It does.",
                        "content": {"text/plain": {"schema": {"type": "string", "maxLength": 0}}},
                    }
                },
            )
        },
        "/": {
            "get": operation_for_all(
                "show_versions", "Which versions of the API there are.", {200: answer(ref("VersionsView"))}
            )
        },
    }
