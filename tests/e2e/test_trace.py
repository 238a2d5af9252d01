# SPDX-License-Identifier: Apache-2.0
"""One trace from the pushed sample to the webhook, through a real daemon; and what it measures on the way."""

from typing import Any

import pytest
import requests

from alarmd.model.trace import new_traceparent, read_traceparent, trace_id_of
from tests.support.daemon import Daemon, wait_until
from tests.support.events import a_push
from tests.support.receivers import Receiver

ALARMS: dict[str, dict[str, Any]] = {
    "samples": {
        "type": "threshold",
        "threshold_rule": {
            "meter_name": "cpu_util",
            "threshold": 80.0,
            "comparison_operator": "gt",
            "period": 1,
            "query": [{"field": "resource_id", "op": "eq", "value": "vm-1"}],
        },
    },
    "events": {"type": "event", "event_rule": {"event_type": "compute.*", "query": []}},
}
PUSHES: dict[str, Any] = {
    "samples": {"samples": [{"metric": "cpu_util", "resource_id": "vm-1", "value": 95}]},
    "events": {"events": [a_push(["instance_id", 1, "vm-1"])]},
}


def push(alarmd: Daemon, kind: str, traceparent: str) -> None:
    """Push what makes the alarm go off, as a part of a trace."""
    answer = requests.post(
        f"{alarmd.url}/v3/{kind}", json=PUSHES[kind], headers={"traceparent": traceparent}, timeout=10
    )
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("kind", ["samples", "events"])
def test_the_webhook_is_part_of_the_trace_of_what_was_pushed(alarmd: Daemon, webhooks: Receiver, kind: str) -> None:
    """The trace id goes all the way, with the flag that says whether it is recorded; the span is new."""
    alarmd.request("POST", "/v2/alarms", {"name": "busy", "alarm_actions": [webhooks.url()], **ALARMS[kind]})
    pushed = new_traceparent()[:-2] + "01"
    push(alarmd, kind, pushed)
    sent = webhooks.wait_for(1)[0].headers["traceparent"]
    [delivery] = alarmd.request("GET", "/v3/deliveries")["deliveries"]

    assert (trace_id_of(pushed), "01") == (trace_id_of(sent), sent[-2:])
    assert pushed != sent == read_traceparent(sent)
    assert pushed == delivery["traceparent"]
    assert (kind == "samples") == (delivery["sampled_at"] is not None)
    if kind == "samples":
        counted = 'alarmd_sample_to_notify_seconds_count{process="notifier[0]"} 1.0'
        wait_until(lambda: counted in alarmd.metrics, what="the notifier to show how long it took")
