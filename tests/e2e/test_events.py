# SPDX-License-Identifier: Apache-2.0
"""From a pushed event to the webhook, through a real daemon."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon, daemon, wait_until
from tests.support.events import a_push
from tests.support.receivers import Receiver


def alarm_on_stopped(alarmd: Daemon, webhooks: Receiver) -> str:
    """Create the alarm of Heat's template for healing servers, and return its id."""
    query = [
        {"field": "traits.instance_id", "type": "string", "op": "eq", "value": "vm-1"},
        {"field": "traits.state", "type": "string", "op": "eq", "value": "stopped"},
    ]
    body = {
        "name": "stop_event_alarm",
        "type": "event",
        "description": None,
        "repeat_actions": True,
        "alarm_actions": [webhooks.url()],
        "event_rule": {"event_type": "compute.instance.update", "query": query},
    }
    alarm_id: str = alarmd.request("POST", "/v2/alarms", body)["alarm_id"]
    return alarm_id


def push(alarmd: Daemon) -> dict[str, Any]:
    """Push the event that the alarm waits for; return it."""
    event = a_push(["instance_id", 1, "vm-1"], ["state", 1, "stopped"])
    assert alarmd.request("POST", "/v3/events", {"events": [event]}) == {"accepted": 1, "rejected": []}
    return event


def test_pushed_event_ends_in_a_webhook(alarmd: Daemon, webhooks: Receiver) -> None:
    """An alarm that was made a moment before fires, and each further event repeats it, with the event in the body."""
    alarm_id = alarm_on_stopped(alarmd, webhooks)
    events = [push(alarmd)]
    webhooks.wait_for(1, timeout_s=5.0)
    events.append(push(alarmd))
    bodies = [json.loads(received.body) for received in webhooks.wait_for(2, timeout_s=5.0)]

    assert [("insufficient data", "alarm"), ("alarm", "alarm")] == [
        (body["previous"], body["current"]) for body in bodies
    ]
    assert [{"type": "event", "event": event} for event in events] == [body["reason_data"] for body in bodies]
    assert {alarm_id} == {body["alarm_id"] for body in bodies}
    counted = 'alarmd_events_total{outcome="matched",process="api['
    wait_until(lambda: counted in alarmd.metrics, what="the processes to show their counts to each other")


def test_accepted_event_survives_the_death_of_everything(tmp_path: Path, webhooks: Receiver) -> None:
    """The answer 202 means that the webhook will come: here everything is killed before anybody could send it."""
    with daemon(tmp_path / "state", options=["--roles", "api"]) as running:
        alarm_id = alarm_on_stopped(running, webhooks)
        event = push(running)
        os.kill(running.process.pid, signal.SIGKILL)
        running.kill_all()

        assert [] == webhooks.received
    with daemon(tmp_path / "state") as running:
        body = json.loads(webhooks.wait_for(1)[0].body)

        assert (alarm_id, {"type": "event", "event": event}) == (body["alarm_id"], body["reason_data"])
        assert "alarm" == running.request("GET", f"/v2/alarms/{alarm_id}/state")
