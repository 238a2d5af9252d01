# SPDX-License-Identifier: Apache-2.0
"""The WSGI application: Aodh's API v2, our own v3, and the operators' paths."""

from time import perf_counter
from uuid import uuid4

from flask import Flask, Response, g, request
from werkzeug.exceptions import MethodNotAllowed

from alarmd.api import (
    alarms,
    breaker,
    capabilities,
    deliveries,
    events,
    explain,
    operations,
    preview,
    queries,
    quotas,
    results,
    samples,
    secrets,
    series,
    silences,
    version,
)
from alarmd.api.context import ApiContext, attach
from alarmd.api.context import context as request_context
from alarmd.api.errors import allowed_methods, register_errors
from alarmd.api.negotiation import refuse_unacceptable
from alarmd.api.openapi import describe
from alarmd.api.outside import face_outside
from alarmd.errors import NotFound
from alarmd.telemetry import HTTP_REQUESTS, HTTP_SECONDS

#: Paths that anybody may ask for: probes, scrapers and clients that look around have no identity.
_OPEN = (version.blueprint.name, operations.blueprint.name, capabilities.blueprint.name)
#: Where the API proper is: its answers bear a request id, and how often it may be asked can be limited.
_PROPER = ("/v2/", "/v3/")
#: Methods that are counted by their names.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def create_app(context: ApiContext) -> Flask:
    """Return the application; it opens nothing itself, so it can be made before or after a fork.

    Works below any path prefix (a non-empty SCRIPT_NAME), takes a trailing slash on every path and never redirects.
    """
    app = Flask("alarmd.api", static_folder=None)
    attach(app.extensions, context)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    # Aodh's clients read keys by name, people read them in the order of the contract.
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it, its base class has not
    app.json.compact = True  # type: ignore[attr-defined]  # as above
    app.before_request(_open_request)
    app.after_request(_close_request)
    register_errors(app)
    for part in (
        version,
        alarms,
        queries,
        capabilities,
        quotas,
        results,
        samples,
        events,
        series,
        preview,
        explain,
        deliveries,
        secrets,
        silences,
        breaker,
        operations,
    ):
        app.register_blueprint(part.blueprint)
    face_outside(app, cors_origins=context.cors_origins, proxy_headers=context.proxy_headers)
    app.extensions["alarmd.openapi"] = describe(context.rule_bodies)
    app.extensions["alarmd.rule_types"] = frozenset(context.rule_bodies)
    return app


def _open_request() -> None:
    """Know the caller before anything is looked at; then refuse what no route asks for."""
    g.started_s = perf_counter()
    g.request_id = f"req-{uuid4()}"
    if request.method == "OPTIONS":
        return
    if request.blueprint not in _OPEN:
        given = request_context()
        g.caller = given.identify(request)
        if _is_proper():
            given.rate_limit.spend(g.caller)
    if "\x00" in request.path:
        raise NotFound(f"There is no {request.path!r} here.")
    if _is_proper() and request.routing_exception is None:
        if request.method == "HEAD":
            raise MethodNotAllowed(valid_methods=allowed_methods())
        refuse_unacceptable(request)


def _is_proper() -> bool:
    return f"{request.path}/".startswith(_PROPER)


def _close_request(response: Response) -> Response:
    """Name the request on every answer of the API proper, and count it."""
    if _is_proper():
        response.headers["x-openstack-request-id"] = g.request_id
        if request.method == "OPTIONS" and "Allow" in response.headers:
            # Flask would name HEAD too, which is refused here.
            response.headers["Allow"] = ", ".join(allowed_methods())
    route = request.url_rule.rule if request.url_rule is not None else "unknown"
    # A client may call its method what it likes, and each name would be counted for good.
    method = request.method if request.method in _METHODS else "other"
    HTTP_REQUESTS.labels(method, route, str(response.status_code)).inc()
    HTTP_SECONDS.labels(route).observe(perf_counter() - g.started_s)
    return response
