# SPDX-License-Identifier: Apache-2.0
"""`POST /v3/events`: events from whoever sees something happen, for the alarms that wait for them."""

from typing import Any

from flask import Blueprint, request

from alarmd.alarms.reach import refuse_others
from alarmd.api.access import permitted
from alarmd.api.arguments import only_arguments
from alarmd.api.context import context
from alarmd.api.event_body import EventRules, read_events
from alarmd.api.json_body import read_json
from alarmd.api.pushes import answer_push, bound_push
from alarmd.api.wire import shown
from alarmd.errors import InvalidInput
from alarmd.model.trace import read_traceparent
from alarmd.policy import Action
from alarmd.telemetry import EVENTS

blueprint = Blueprint("events", __name__)


@blueprint.post("/v3/events")
def push_events() -> tuple[dict[str, Any], int]:
    """Hold events against alarms; what follows from those that are accepted is committed with the answer 202.

    A bad event costs only itself. When nothing at all can be taken the answer is 400; when one belongs to another
    project than the pusher's, 401, and nothing has happened.
    """
    only_arguments()
    given, who = context(), permitted(Action.PUSH_EVENTS)
    items = _items(read_json(request, max_bytes=given.limits.max_body_bytes))
    bound_push(items, thing="event", maximum=given.limits.max_events_per_push)
    rules = EventRules(project_id=who.project_id, max_bytes=given.limits.max_event_bytes)
    events, rejected = read_events(items, rules)
    for event in events:
        refuse_others(given.policy, who, project_id=event.project_id)
    if events:
        given.events.take(events, traceparent=read_traceparent(request.headers.get("traceparent")))
    EVENTS.labels("rejected").inc(len(rejected))
    return answer_push(len(events), rejected, thing="event")


def _items(body: Any) -> list[Any]:
    """Return the events of a push: a list of them under `events`, or as Ceilometer has it, bare, or only one."""
    if isinstance(body, list):
        return body
    remedy = 'send {"events": [{"event_type": …, "message_id": …, "traits": […]}]}'
    if not isinstance(body, dict):
        raise InvalidInput(f"The body must be an object with a list of events: {remedy}")
    if "events" not in body:
        return [body]
    for key in body:
        if key != "events":
            raise InvalidInput(f"Unknown attribute for argument data: {shown(key)}; {remedy}")
    if not isinstance(body["events"], list):
        raise InvalidInput(f"The events must be a list: {remedy}")
    items: list[Any] = body["events"]
    return items
