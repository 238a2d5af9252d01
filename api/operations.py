# SPDX-License-Identifier: Apache-2.0
"""What operators and their tools ask: is it alive, is it ready, how is it doing, what can it do."""

from typing import Any

from flask import Blueprint, Response, current_app, request

from alarmd.api.context import context
from alarmd.telemetry import Exposition

blueprint = Blueprint("operations", __name__)


@blueprint.get("/healthz")
def show_health() -> dict[str, str]:
    """Say that this process answers."""
    return {"status": "ok"}


@blueprint.get("/healthcheck")
def show_healthcheck() -> Response:
    """Say that this process answers, as Aodh does: with nothing."""
    return Response(content_type="text/plain; charset=UTF-8")


@blueprint.get("/readyz")
def show_readiness() -> tuple[dict[str, Any], int]:
    """Say whether everything that a request may need answers too, and if not, what does not and why."""
    checks = context().ready()
    ready = all(trouble is None for trouble in checks.values())
    body = {
        "status": "ready" if ready else "not ready",
        "checks": {name: trouble or "ok" for name, trouble in sorted(checks.items())},
    }
    return body, 200 if ready else 503


@blueprint.get("/metrics")
def show_metrics() -> Response:
    """Return the metrics of all processes of this daemon."""
    return Response(context().metrics(), content_type=Exposition.content_type)


@blueprint.get("/openapi.json")
def show_openapi() -> dict[str, Any]:
    """Return the description of this API."""
    document: dict[str, Any] = current_app.extensions["alarmd.openapi"]
    # Where nothing is said, paths begin at the root of the host.
    return document | ({"servers": [{"url": request.script_root}]} if request.script_root else {})
