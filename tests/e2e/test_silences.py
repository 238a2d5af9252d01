# SPDX-License-Identifier: Apache-2.0
"""Silences through a real daemon: the evaluator goes on, and nobody is called until they are over."""

import json
from typing import Any

import pytest

from tests.e2e.scene import Scene
from tests.support.daemon import Daemon, wait_until
from tests.support.receivers import Receiver

#: Open all the time, as those who look at it find out anew each minute.
_EVER: dict[str, Any] = {"name": "ever", "start": "* * * * *", "duration": 60, "timezone": "Europe/Berlin"}


@pytest.mark.parametrize("recurs", [False, True], ids=["one-shot", "recurring"])
def test_a_silence_holds_a_webhook_back_and_its_end_lets_the_next_through(
    alarmd: Daemon, webhooks: Receiver, recurs: bool
) -> None:
    """State, history, delivery, explanation and metrics tell of the alarm that nobody was called about."""
    scene = Scene(alarmd, webhooks)
    scene.create_alarm()

    def state_after(value: float) -> Any:
        # Again and again: the mean of a period with both values would be neither.
        scene.push(value)
        return alarmd.request("GET", f"/v2/alarms/{scene.alarm_id}/state")

    scene.push(20)
    scene.await_webhook("ok")
    body = {"alarm_id": scene.alarm_id, "duration": 3600, "comment": "moving racks"}
    silence = alarmd.request("POST", "/v3/silences", body | ({"time_constraints": [_EVER]} if recurs else {}))
    silence_id = silence["silence_id"]
    wait_until(lambda: state_after(95) == "alarm", every_s=0.3, what="the alarm")
    held_back = alarmd.request("GET", f"/v3/deliveries?alarm_id={scene.alarm_id}")["deliveries"][0]
    change = alarmd.request("GET", f"/v2/alarms/{scene.alarm_id}/history?limit=1")[0]
    explained = alarmd.request("GET", f"/v3/alarms/{scene.alarm_id}/explain")
    counted = 'alarmd_notifications_total{outcome="silenced"'
    wait_until(lambda: counted in alarmd.metrics, what="the evaluator to show its counts")
    told_meanwhile = len(webhooks.received)
    alarmd.request("DELETE", f"/v3/silences/{silence_id}")
    wait_until(lambda: state_after(20) == "ok", every_s=0.3, what="the end of the alarm")
    told = scene.await_webhook("ok")

    assert "in force" == silence["state"]
    assert ("silenced", 0, f"silenced by {silence_id}: moving racks") == (
        held_back["state"],
        held_back["attempts"],
        held_back["last_error"],
    )
    assert silence_id == json.loads(change["detail"])["silenced_by"]
    assert [silence_id] == [one["silence_id"] for one in explained["silences"]]
    assert silence_id == explained["last_transition"]["silenced_by"]
    assert 1 == told_meanwhile
    assert "alarm" == told["previous"]
    wait_until(
        lambda: alarmd.request("GET", f"/v3/silences/{silence_id}")["state"] == "ended", what="the end of the silence"
    )
