# SPDX-License-Identifier: Apache-2.0
"""`POST /v3/samples`: samples from whoever measures something."""

from typing import Any

from flask import Blueprint, request

from alarmd.api.access import permitted
from alarmd.api.arguments import only_arguments
from alarmd.api.context import context
from alarmd.api.json_body import read_json
from alarmd.api.pushes import answer_push, bound_push
from alarmd.api.sample_body import SampleRules, read_samples
from alarmd.api.wire import shown
from alarmd.cluster.doorbell import Bell
from alarmd.errors import InvalidInput
from alarmd.model.samples import batches_of
from alarmd.model.trace import read_traceparent
from alarmd.policy import Action, is_admin
from alarmd.telemetry import SAMPLES_APPENDED, SAMPLES_REJECTED

blueprint = Blueprint("samples", __name__)


@blueprint.post("/v3/samples")
def push_samples() -> tuple[dict[str, Any], int]:
    """Take samples into the log; what is answered 202 has survived the death of this process.

    A bad sample costs only itself. When nothing at all can be taken the answer is 400, so that a pusher that only
    looks at the status learns of it.
    """
    only_arguments()
    given, who = context(), permitted(Action.PUSH_SAMPLES)
    items = _items(read_json(request, max_bytes=given.limits.max_body_bytes))
    bound_push(items, thing="sample", maximum=given.limits.max_samples_per_push)
    rules = SampleRules(
        now_s=given.clock.time_s(),
        past_s=given.limits.sample_past_s,
        future_s=given.limits.sample_future_s,
        project_id=who.project_id,
        user_id=who.user_id,
        any_project=is_admin(given.policy, who),
    )
    samples, rejected = read_samples(items, rules)
    if samples:
        batches = batches_of(samples, source="push", traceparent=read_traceparent(request.headers.get("traceparent")))
        SAMPLES_APPENDED.inc(given.log.append(batches))
        given.doorbell.ring(Bell.SAMPLES)
    for rejection in rejected:
        SAMPLES_REJECTED.labels(rejection.kind).inc()
    return answer_push(len(samples), rejected, thing="sample")


def _items(body: Any) -> list[Any]:
    """Return the list of samples of a push."""
    remedy = 'send {"samples": [{"metric": …, "resource_id": …, "value": …}]}'
    if not isinstance(body, dict) or not isinstance(body.get("samples"), list):
        raise InvalidInput(f"The body must be an object with a list of samples: {remedy}")
    for key in body:
        if key != "samples":
            raise InvalidInput(f"Unknown attribute for argument data: {shown(key)}; {remedy}")
    items: list[Any] = body["samples"]
    return items
