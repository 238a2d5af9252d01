# SPDX-License-Identifier: Apache-2.0
"""A receiver that answers 410, through a real daemon."""

import json
from typing import Any

from tests.support.daemon import Daemon, wait_until
from tests.support.events import a_push
from tests.support.receivers import OK, Receiver, answers, receiver, takes


def _push(alarmd: Daemon) -> None:
    event = a_push(["instance_id", 1, "vm-1"])
    assert 1 == alarmd.request("POST", "/v3/events", {"events": [event]})["accepted"]


def _history(alarmd: Daemon, alarm_id: str, kind: str) -> list[dict[str, Any]]:
    found = alarmd.request("GET", f"/v2/alarms/{alarm_id}/history?q.field=type&q.op=eq&q.value={kind}")
    return [json.loads(one["detail"]) for one in found]


def test_a_target_that_is_gone_is_left_alone_until_the_alarm_is_written_anew(
    alarmd: Daemon, webhooks: Receiver
) -> None:
    """History, explanation, deliveries and metrics tell of it; the other receiver hears every event; a PUT mends it."""
    with receiver(answers(OK.replace(b"200 OK", b"410 Gone"))) as gone:
        body = {
            "name": "moved",
            "type": "event",
            "repeat_actions": True,
            "alarm_actions": [gone.url("/?Signature=x%2F"), webhooks.url()],
            "event_rule": {"event_type": "compute.instance.update"},
        }
        alarm_id = alarmd.request("POST", "/v2/alarms", body)["alarm_id"]
        _push(alarmd)
        told = wait_until(lambda: _history(alarmd, alarm_id, "rule%20change"), what="the history to tell of the target")
        _push(alarmd)
        webhooks.wait_for(2)
        explained = alarmd.request("GET", f"/v3/alarms/{alarm_id}/explain")
        deliveries = alarmd.request("GET", f"/v3/deliveries?alarm_id={alarm_id}&state=buried")["deliveries"]

        assert [{"disabled_actions": [gone.url("/?Signature=x%2F")], "reason": "gone: HTTP 410 Gone"}] == told
        assert 1 == len(gone.received)
        assert [gone.url("/?Signature=x%2F")] == _history(alarmd, alarm_id, "state%20transition")[0]["left_out_actions"]
        [disabled] = explained["disabled_actions"]
        assert (gone.url("/?Signature=x%2F"), ["alarm"]) == (disabled["action"], disabled["states"])
        assert "gone: HTTP 410 Gone" == disabled["reason"]
        assert [(410, "gone: HTTP 410 Gone")] == [(one["last_status"], one["last_error"]) for one in deliveries]
        counted = 'alarmd_notifications_total{outcome="buried",process="notifier[0]",reason="gone"} 1.0'
        wait_until(lambda: counted in alarmd.metrics, what="the processes to show their counts to each other")

        gone.script = takes
        alarmd.request("PUT", f"/v2/alarms/{alarm_id}", alarmd.request("GET", f"/v2/alarms/{alarm_id}"))
        _push(alarmd)
        gone.wait_for(2)

        assert {"disabled_actions": []} == _history(alarmd, alarm_id, "rule%20change")[0]
        explained = alarmd.request("GET", f"/v3/alarms/{alarm_id}/explain")
        assert [] == explained["disabled_actions"]
