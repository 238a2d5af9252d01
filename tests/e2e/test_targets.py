# SPDX-License-Identifier: Apache-2.0
"""What the operator says about targets and certificates, through a real daemon."""

import ssl
from pathlib import Path
from typing import Any

import requests

from tests.support.daemon import daemon, wait_until
from tests.support.events import a_push
from tests.support.receivers import Receiver, make_certificate, receiver

_SETTINGS = """
[notifier]
deny_networks = ["127.0.0.0/8"]
[notifier.projects.p1]
allow_networks = ["127.0.0.1/32"]
[notifier.schemes.https]
unverified_networks = ["127.0.0.1/32"]
"""


def _headers(project_id: str) -> dict[str, str]:
    return {"X-User-Id": "ann", "X-Project-Id": project_id, "X-Roles": "member"}


def _an_alarm(webhooks: Receiver) -> dict[str, Any]:
    return {
        "name": "stopped",
        "type": "event",
        "alarm_actions": [webhooks.url()],
        "event_rule": {"event_type": "compute.instance.update"},
    }


def test_one_project_may_call_what_others_may_not(tmp_path: Path) -> None:
    """It is refused to the others when they write their alarms; an unchecked certificate is told in the log."""
    settings = tmp_path / "alarmd.toml"
    settings.write_text(_SETTINGS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(make_certificate(tmp_path, name="somebody.else"))
    with (
        receiver(tls=context) as webhooks,
        daemon(tmp_path / "state", options=["--config", str(settings)]) as running,
    ):
        body = _an_alarm(webhooks)
        made = [
            requests.post(f"{running.url}/v2/alarms", json=body, headers=_headers(project_id), timeout=30)
            for project_id in ("p1", "p2")
        ]
        pushed = {"events": [a_push(["instance_id", 1, "vm-1"], project_id="p1")]}
        running.request("POST", "/v3/events", pushed)
        webhooks.wait_for(1)

        assert [201, 400] == [answer.status_code for answer in made]
        assert "notifier.deny_networks" in made[1].text
        assert "certificates_unchecked" in running.log


def test_a_host_that_only_notifies_sends_nothing_to_itself(tmp_path: Path, webhooks: Receiver) -> None:
    """What an API on loopback has let pass is refused by a notifier without one, and the delivery says what to set."""
    environ = {"ALARMD_STORE__URL": f"sqlite:///{tmp_path}/alarmd.db"}
    door = daemon(tmp_path / "door", environ=environ, options=["--roles", "api,evaluator"])
    other = daemon(tmp_path / "other", environ=environ, options=["--roles", "notifier"], await_ready=False)
    with door as api, other:
        made = api.request("POST", "/v2/alarms", _an_alarm(webhooks))
        api.request("POST", "/v3/events", {"events": [a_push(["instance_id", 1, "vm-1"])]})
        path = f"/v3/deliveries?alarm_id={made['alarm_id']}"
        [tried] = wait_until(
            lambda: [one for one in api.request("GET", path)["deliveries"] if one["attempts"]],
            what="the notifier to try",
        )

        assert "notifier.allow_networks" in tried["last_error"]
        assert [] == webhooks.received
