# SPDX-License-Identifier: Apache-2.0
"""The words that `/openapi.json` is written in: operations, answers, errors, headers, parameters."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Part: TypeAlias = dict[str, Any]

JSON = "application/json"

_SCHEMA = "#/components/schemas/{}"
_ANSWER = "#/components/responses/{}"
_HEADER = "#/components/headers/{}"

#: What each error means, wherever it is answered.
_ERRORS: Mapping[int, str] = {
    400: "The request cannot be understood; the text says why.",
    401: "Who asks cannot be told, or the request names another project or user than the caller's own.",
    403: "The role is missing, or a quota is used up.",
    404: "There is no such thing for this caller.",
    405: "There is no such method on this path.",
    406: "The client does not take JSON.",
    409: "Other alarms refer to it.",
    412: "It has changed since it was read: `If-Match` names another version.",
    413: "The body is larger than allowed; the text names the setting that allows more.",
    415: "The body is declared as something else than JSON.",
    429: "The project asks more often than it may.",
    500: "alarmd made a mistake, which its log explains.",
    503: "Something that alarmd depends on does not answer.",
}
#: Errors that any request to the API proper may meet.
_ALWAYS = (400, 401, 403, 405, 406, 429, 500, 503)
#: Errors that a request without identity or arguments may meet.
_BARE = (405, 500)

_OWN_HEADERS: Mapping[int, tuple[str, ...]] = {401: ("WWW-Authenticate",), 405: ("Allow",), 429: ("Retry-After",)}

HEADERS: Mapping[str, Part] = {
    "x-openstack-request-id": {
        "description": "The id of this request, for questions about it.",
        "required": True,
        "schema": {"type": "string", "pattern": "^req-"},
    },
    "ETag": {
        "description": "The version of the alarm, for If-Match and If-None-Match.",
        "required": True,
        "schema": {"type": "string", "pattern": '^".+"$'},
    },
    "Location": {"description": "URL of the new alarm.", "required": True, "schema": {"type": "string"}},
    "Link": {
        "description": 'Where the list goes on, `<URL>; rel="next"`; only where it does.',
        "schema": {"type": "string"},
    },
    "Allow": {"description": "The methods that there are.", "required": True, "schema": {"type": "string"}},
    "Retry-After": {
        "description": "Seconds to wait before asking again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"description": "How to prove oneself.", "schema": {"type": "string"}},
}


def operation(
    name: str,
    summary: str,
    answers: Mapping[int, Part],
    *,
    errors: Sequence[int] = (),
    parameters: Sequence[Part] = (),
    body: Part | None = None,
    body_required: bool = True,
    examples: Part | None = None,
) -> Part:
    """Return an operation of the API proper; `errors` are those beyond what every request may meet."""
    met = [*_ALWAYS, *errors, *((413, 415) if body is not None else ())]
    found = operation_for_all(name, summary, answers, errors=met, parameters=parameters)
    for answer in found["responses"].values():
        if "$ref" not in answer:
            answer["headers"] = headers("x-openstack-request-id") | answer.get("headers", {})
    if body is not None:
        content = {"schema": body} | ({"examples": examples} if examples else {})
        found["requestBody"] = {"required": body_required, "content": {JSON: content}}
    return found


def operation_for_all(
    name: str,
    summary: str,
    answers: Mapping[int, Part],
    *,
    errors: Sequence[int] | None = None,
    parameters: Sequence[Part] = (),
) -> Part:
    """Return an operation that anybody may ask for: without `errors` it bears no request id and cannot be refused."""
    responses = {str(status): dict(answer) for status, answer in answers.items()}
    for status in sorted(_BARE if errors is None else errors):
        name_of_error = f"{'Bare' if errors is None else ''}Error{status}"
        responses.setdefault(str(status), {"$ref": _ANSWER.format(name_of_error)})
    found: Part = {"operationId": name, "summary": summary, "responses": responses}
    if errors is None:
        found["security"] = []
    if parameters:
        found["parameters"] = list(parameters)
    return found


def errors() -> Part:
    """Return the answers that operations share, by name."""
    proper = {
        f"Error{status}": error(status, headers("x-openstack-request-id", *_OWN_HEADERS.get(status, ())))
        for status in _ERRORS
    }
    return proper | {f"BareError{status}": error(status, headers(*_OWN_HEADERS.get(status, ()))) for status in _BARE}


def error(status: int, named: Part, *, schema: Part | None = None) -> Part:
    """Return what an error looks like."""
    return answer(schema or ref("ErrorView"), description=_ERRORS[status], named=named)


def answer(schema: Part, *, description: str = "Fine.", named: Part | None = None) -> Part:
    """Return an answer in JSON."""
    found: Part = {"description": description, "content": {JSON: {"schema": schema}}}
    return found | {"headers": named} if named else found


def nothing(description: str, *names: str) -> Part:
    """Return an answer without a body."""
    return {"description": description} | ({"headers": headers(*names)} if names else {})


def headers(*names: str) -> Part:
    """Return headers by their names."""
    return {name: {"$ref": _HEADER.format(name)} for name in names}


def ref(name: str) -> Part:
    """Return a reference to a schema."""
    return {"$ref": _SCHEMA.format(name)}


def list_of(name: str) -> Part:
    """Return the schema of a list."""
    return {"type": "array", "items": ref(name)}


def parameter(
    name: str,
    description: str,
    *,
    where: str = "query",
    required: bool = False,
    schema: Part | None = None,
    example: str | None = None,
) -> Part:
    """Return a parameter; text unless said otherwise."""
    found = {
        "name": name,
        "in": where,
        "required": required or where == "path",
        "description": description,
        "schema": schema or {"type": "string"},
    }
    return found if example is None else found | {"example": example}


def repeated(name: str, description: str) -> Part:
    """Return a parameter that may be there several times."""
    return parameter(name, description, schema={"type": "array", "items": {"type": "string"}})


LIMIT = parameter("limit", "how many at most", schema={"type": "integer", "minimum": 0})
MARKER = parameter("marker", "id of the last item of the page before")
