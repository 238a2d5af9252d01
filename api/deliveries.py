# SPDX-License-Identifier: Apache-2.0
"""`/v3/deliveries`: what was sent where, how often it was tried, and what the receiver said."""

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint

from alarmd.api.access import caller
from alarmd.api.arguments import limit_argument, only_arguments, text_argument
from alarmd.api.context import context
from alarmd.api.schemas import DeliveryListView, DeliveryView
from alarmd.api.wire import wire_time
from alarmd.errors import InvalidInput
from alarmd.model.notification import DeliveryState, Notification
from alarmd.store.outbox import OutboxQuery

blueprint = Blueprint("deliveries", __name__)


@blueprint.get("/v3/deliveries")
def list_deliveries() -> dict[str, Any]:
    """List deliveries, newest first."""
    only_arguments("alarm_id", "state", "project_id", "limit", "marker")
    given = context()
    query = OutboxQuery(
        project_id=text_argument("project_id"),
        alarm_id=text_argument("alarm_id"),
        state=_state(text_argument("state")),
        marker=text_argument("marker"),
        limit=limit_argument(maximum=given.limits.page_limit),
    )
    found = given.deliveries.find(query, caller())
    return DeliveryListView(deliveries=[_view(notification) for notification in found]).model_dump()


@blueprint.get("/v3/deliveries/<event_id>")
def show_delivery(event_id: str) -> dict[str, Any]:
    """Return one delivery."""
    only_arguments()
    return _view(context().deliveries.get(event_id, caller())).model_dump()


@blueprint.post("/v3/deliveries/<event_id>/retry")
def retry_delivery(event_id: str) -> dict[str, Any]:
    """Put a buried delivery back in the queue, to be tried at once. Takes no body."""
    only_arguments()
    return _view(context().deliveries.retry(event_id, caller())).model_dump()


def _view(notification: Notification) -> DeliveryView:
    waits = notification.state is DeliveryState.PENDING
    finished_at = notification.finished_at
    return DeliveryView(
        event_id=notification.event_id,
        alarm_id=notification.alarm_id,
        project_id=notification.project_id,
        sequence=notification.sequence,
        target=_public_target(notification.target),
        state=notification.state,
        attempts=notification.attempts,
        created_at=wire_time(notification.created_at),
        next_attempt_at=wire_time(notification.next_attempt_at) if waits else None,
        finished_at=wire_time(finished_at) if finished_at else None,
        last_status=notification.last_status,
        last_error=notification.last_error,
        body=dict(notification.body),
    )


def _public_target(target: str) -> str:
    """Return where a delivery goes without what makes the URL a secret: credentials and signed arguments.

    The alarm shows the URL whole to those who may see it; this list ends up in tickets and terminals.
    """
    try:
        parts = urlsplit(target)
    except ValueError:
        return target.partition("?")[0]
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" + ("?…" if parts.query else "")


def _state(value: str | None) -> DeliveryState | None:
    if value is None:
        return None
    try:
        return DeliveryState(value)
    except ValueError:
        states = ", ".join(DeliveryState)
        raise InvalidInput(
            f"Invalid input for field/attribute state. Value: '{value}'. Value should be one of: {states}"
        ) from None
