# SPDX-License-Identifier: Apache-2.0
"""What the operator says about targets and certificates, through a real daemon."""

import ssl
from pathlib import Path
from typing import Any

import requests

from tests.support.daemon import daemon
from tests.support.events import a_push
from tests.support.receivers import make_certificate, receiver

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
        body: dict[str, Any] = {
            "name": "stopped",
            "type": "event",
            "alarm_actions": [webhooks.url()],
            "event_rule": {"event_type": "compute.instance.update"},
        }
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
