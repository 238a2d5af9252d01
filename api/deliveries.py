# SPDX-License-Identifier: Apache-2.0
"""`/v3/deliveries`: what was sent where, how often it was tried, and what the receiver said."""

from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Blueprint, Response, request
from pydantic import ValidationError

from alarmd.api.access import caller
from alarmd.api.arguments import asked_limit, only_arguments, text_argument
from alarmd.api.context import context
from alarmd.api.delivery_schemas import MOST_RETRIED, DeliveryView, RetryBody, RetryView
from alarmd.api.json_body import read_json, refuse_unstorable
from alarmd.api.pages import PageSize, list_answer
from alarmd.api.wire import read_moment, wire_time
from alarmd.complaints import complaint
from alarmd.errors import InvalidInput
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState, Notification, origin_of
from alarmd.store.outbox import OutboxQuery

blueprint = Blueprint("deliveries", __name__)

_Word = TypeVar("_Word", DeliveryState, Direction)


@blueprint.get("/v3/deliveries")
def list_deliveries() -> Response:
    """List deliveries, newest first."""
    only_arguments(
        *("alarm_id", "state", "project_id", "direction", "target", "since", "until", "event_id", "limit", "marker")
    )
    given = context()
    size = PageSize(wanted=asked_limit(), maximum=given.limits.page_limit)
    states = [word for text in request.args.getlist("state") for word in text.split(",") if word]
    direction = text_argument("direction")
    query = OutboxQuery(
        project_id=text_argument("project_id"),
        alarm_id=text_argument("alarm_id"),
        states=tuple(_word(DeliveryState, word, "state") for word in states),
        direction=_word(Direction, direction, "direction") if direction else None,
        event_prefix=text_argument("event_id"),
        since=_moment("since"),
        until=_moment("until"),
        marker=text_argument("marker"),
        limit=size.to_fetch,
    )
    query = _narrowed(query, target=text_argument("target"))
    found = given.deliveries.find(query, caller())
    return list_answer(found, size, view=delivery_view, id_of=lambda each: each.event_id, key="deliveries")


@blueprint.get("/v3/deliveries/<event_id>")
def show_delivery(event_id: str) -> dict[str, Any]:
    """Return one delivery."""
    only_arguments()
    return delivery_view(context().deliveries.get(event_id, caller()))


@blueprint.post("/v3/deliveries/<event_id>/retry")
def retry_delivery(event_id: str) -> dict[str, Any]:
    """Put a buried delivery back in the queue, to be tried at once. Takes no body."""
    only_arguments()
    return delivery_view(context().deliveries.retry(event_id, caller()))


@blueprint.post("/v3/deliveries/<event_id>/drop")
def drop_delivery(event_id: str) -> dict[str, Any]:
    """Take a delivery that waits or is held back out of the queue, for good. Takes no body."""
    only_arguments()
    return delivery_view(context().deliveries.drop(event_id, caller()))


@blueprint.post("/v3/retries")
def retry_deliveries() -> dict[str, Any]:
    """Put the buried deliveries that the body means back in the queue."""
    only_arguments()
    given = context()
    data = read_json(request, max_bytes=given.limits.max_body_bytes)
    if not isinstance(data, dict):
        raise InvalidInput("Invalid input for field/attribute data. The body should be an object with what to retry")
    refuse_unstorable(data)
    try:
        body = RetryBody.model_validate(data)
    except ValidationError as error:
        raise complaint(error) from error
    limit = body.limit or MOST_RETRIED
    query = OutboxQuery(
        project_id=body.project_id,
        alarm_id=body.alarm_id,
        direction=None if body.direction is None else Direction(body.direction),
        since=body.since,
        until=body.until,
        limit=limit,
    )
    retried = given.deliveries.retry_all(_narrowed(query, target=body.target), caller())
    ids = [str(one.event_id) for one in retried]
    held = [str(one.event_id) for one in retried if one.state is DeliveryState.HELD]
    return RetryView(retried=len(ids), more=len(ids) == limit, event_ids=ids, held=held).model_dump()


def delivery_view(notification: Notification) -> dict[str, Any]:
    """Return a delivery as clients see it."""
    waits = notification.state is DeliveryState.PENDING
    return DeliveryView(
        event_id=notification.event_id,
        alarm_id=notification.alarm_id,
        project_id=notification.project_id,
        sequence=notification.sequence,
        target=_public_target(notification.target),
        origin=origin_of(notification.target),
        direction=notification.direction,
        state=notification.state,
        attempts=notification.attempts,
        created_at=wire_time(notification.created_at),
        next_attempt_at=_time(notification.next_attempt_at) if waits else None,
        not_after=_time(notification.not_after),
        finished_at=_time(notification.finished_at),
        last_status=notification.last_status,
        last_error=notification.last_error,
        sampled_at=_time(notification.sampled_at),
        traceparent=notification.traceparent,
        signing_secret=notification.signing_secret,
        body=dict(notification.body),
    ).model_dump()


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else wire_time(moment)


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


def _narrowed(query: OutboxQuery, *, target: str | None) -> OutboxQuery:
    """Return a query for a target: a URL means its scheme, host and port, anything else a host."""
    if target is None:
        return query
    return replace(query, origin=origin_of(target)) if "://" in target else replace(query, host=target)


def _word(words: type[_Word], value: str, name: str) -> _Word:
    try:
        return words(value)
    except ValueError:
        raise InvalidInput(
            f"Invalid input for field/attribute {name}. Value: '{value}'. Value should be one of: {', '.join(words)}"
        ) from None


def _moment(name: str) -> datetime | None:
    value = text_argument(name)
    if value is None:
        return None
    try:
        moment = read_moment(float(value))
    except ValueError:
        moment = read_moment(value)
    if moment is None:
        raise InvalidInput(
            f"Invalid input for field/attribute {name}. Value: '{value}'. "
            "Value should be ISO 8601 or seconds since the epoch"
        )
    return moment
