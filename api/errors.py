# SPDX-License-Identifier: Apache-2.0
"""Every error leaves as an object in Aodh's shape, whatever raised it."""

from typing import Any

import structlog
from flask import Flask, Response, jsonify, request
from flask.globals import request_ctx
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from alarmd.api.json_body import BodyTooLarge, UnsupportedBody
from alarmd.errors import (
    AlarmdError,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    Outdated,
    TooMany,
    Unauthorized,
    Unavailable,
    Unidentified,
)

_log = structlog.get_logger()

#: From the most special to the most general.
_STATUS: tuple[tuple[type[AlarmdError], int], ...] = (
    (UnsupportedBody, 415),
    (BodyTooLarge, 413),
    (InvalidInput, 400),
    (NotFound, 404),
    (Unidentified, 401),
    (Unauthorized, 401),
    (Forbidden, 403),
    (Conflict, 409),
    (Outdated, 412),
    (TooMany, 429),
    (Unavailable, 503),
)


def error_body(text: str, status: int) -> dict[str, Any]:
    """Return the body of an error. Clients read `faultstring` and die when `error_message` is no object."""
    fault = "Server" if status >= 500 else "Client"
    return {"error_message": {"faultcode": fault, "faultstring": text, "debuginfo": None}}


def register_errors(app: Flask) -> None:
    """Make the app answer every error in Aodh's shape."""
    app.register_error_handler(AlarmdError, _on_alarmd_error)
    app.register_error_handler(HTTPException, _on_http_error)
    app.register_error_handler(Exception, _on_surprise)


def allowed_methods() -> list[str]:
    """Return the methods of the path in hand, as `Allow` shows them."""
    adapter = request_ctx.url_adapter
    methods = adapter.allowed_methods() if adapter is not None else []
    return sorted(set(methods) - {"HEAD", "OPTIONS"})


def _on_alarmd_error(error: AlarmdError) -> tuple[Response, int]:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if status == 503:
        _log.warning("request_unavailable", method=request.method, path=request.path, error=error.message)
    elif status == 500:
        return _on_surprise(error)
    response = jsonify(error_body(error.message, status))
    response.headers.update(_headers_of(error))
    return response, status


def _headers_of(error: AlarmdError) -> dict[str, str]:
    """Return what an answer says beside its body: how to prove oneself, and when to ask again."""
    # `Retry-After` stands on no other answer: clients of Aodh would take that for a limit too.
    match error:
        case Unidentified(facts={"challenge": str(challenge)}):
            return {"WWW-Authenticate": challenge}
        case TooMany(facts={"retry_after_s": int(seconds)}):
            return {"Retry-After": str(seconds)}
        case _:
            return {}


def _on_http_error(error: HTTPException) -> Response | tuple[Response, int]:
    """Answer what the router refuses: unknown paths, wrong methods, broken requests."""
    status = error.code or 500
    if error.response is not None and status < 400:
        return jsonify(error_body("Not Found", 404)), 404
    match status:
        case 404:
            text = f"There is no {request.path} here; /openapi.json lists what there is."
        case 405:
            text = f"{request.method} is not allowed on {request.path}; allowed: {', '.join(allowed_methods())}."
        case _:
            text = error.description or error.name
    response = jsonify(error_body(text, status))
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(allowed_methods())
    response.status_code = status
    return response


def _on_surprise(error: Exception) -> tuple[Response, int]:
    """Answer a mistake of ours: the log has everything, the client nothing of our insides."""
    _log.error("request_failed", method=request.method, path=request.path, exc_info=error)
    text = "alarmd failed on this request; its log tells why (look for the request id of this answer)."
    return jsonify(error_body(text, 500)), 500
