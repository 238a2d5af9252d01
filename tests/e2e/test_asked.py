# SPDX-License-Identifier: Apache-2.0
"""From what other servers say to the webhook, through a real daemon."""

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.daemon import Daemon, daemon, wait_until
from tests.support.octavia import Octavia, octavia
from tests.support.prometheus import Observatory
from tests.support.receivers import Receiver

POOL = "4d6a1e8a-4b1c-4f7b-8c5e-0c1f0d9a7b11"


@pytest.fixture
def pools() -> Iterator[Octavia]:
    """An Octavia without pools."""
    with octavia() as running:
        yield running


@pytest.fixture
def alarmd(tmp_path: Path, observatory: Observatory, pools: Octavia) -> Iterator[Daemon]:
    """A daemon that asks a real Prometheus and an Octavia, often."""
    environ = {
        "ALARMD_PROMETHEUS__URL": observatory.server.url,
        "ALARMD_PROMETHEUS__INTERVAL_S": "0.3",
        "ALARMD_PROMETHEUS__TIMEOUT_S": "1",
        "ALARMD_OCTAVIA__URL": pools.url,
        "ALARMD_OCTAVIA__INTERVAL_S": "0.3",
        "ALARMD_EVALUATOR__TICK_S": "0.2",
    }
    with daemon(tmp_path / "state", environ=environ) as running:
        yield running


def create(alarmd: Daemon, webhooks: Receiver, type_: str, **rule: Any) -> str:
    """Create an alarm that tells of every change, and return its id."""
    hook = [webhooks.url()]
    actions = {"ok_actions": hook, "alarm_actions": hook, "insufficient_data_actions": hook}
    body = {"name": "x", "type": type_, f"{type_}_rule": rule, **actions}
    alarm = alarmd.request("POST", "/v2/alarms", body)

    assert "Not evaluated yet" == alarm["state_reason"]
    alarm_id: str = alarm["alarm_id"]
    return alarm_id


def told(webhooks: Receiver, number: int) -> dict[str, Any]:
    """Return the body of the last of so many webhooks."""
    body: dict[str, Any] = json.loads(webhooks.wait_for(number, timeout_s=20.0)[number - 1].body)
    return body


def test_what_prometheus_knows_ends_in_a_webhook(alarmd: Daemon, observatory: Observatory, webhooks: Receiver) -> None:
    """Values, zero and no values at all change the state; a Prometheus that hangs does not."""
    observatory.show('load{vm="a"} 90', 'load{vm="b"} 95.5')
    alarm_id = create(alarmd, webhooks, "prometheus", query="load", threshold=80, comparison_operator="gt")
    first = told(webhooks, 1)
    observatory.show('load{vm="a"} 0', 'load{vm="b"} 0')
    second = told(webhooks, 2)

    assert ("insufficient data", "alarm") == (first["previous"], first["current"])
    assert "Transition to alarm due to 2 samples outside threshold, most recent: 95.5" == first["reason"]
    assert ("ok", 0.0) == (second["current"], second["reason_data"]["most_recent"])

    observatory.server.signal(signal.SIGSTOP)
    try:
        failed = 'alarmd_questions_total{outcome="failed",process="evaluator[0]",server="prometheus"} '
        wait_until(lambda: failed in alarmd.metrics, what="the evaluator to be left without an answer")
        assert "ok" == alarmd.request("GET", f"/v2/alarms/{alarm_id}/state")
        assert "server_failed" in alarmd.log
    finally:
        observatory.server.signal(signal.SIGCONT)
    observatory.show("another_metric 1")

    third = told(webhooks, 3)
    assert ("insufficient data", "datapoints are unknown") == (third["current"], third["reason"])
    assert 3 == len(webhooks.received)


def test_what_is_no_promql_is_refused(alarmd: Daemon) -> None:
    """When the alarm is written, in Prometheus' words."""
    body = {"name": "x", "type": "prometheus", "prometheus_rule": {"query": "rate(load)", "threshold": 1}}
    refused = requests.post(f"{alarmd.url}/v2/alarms", json=body, timeout=10)

    assert 400 == refused.status_code
    assert "expected type range vector" in refused.json()["error_message"]["faultstring"]


def test_a_member_in_error_ends_in_a_webhook(alarmd: Daemon, pools: Octavia, webhooks: Receiver) -> None:
    """An Octavia that does not answer changes nothing; a pool that is gone is no data."""
    pools.add_pool(POOL, project_id="p1")  # whoever is on this machine is an administrator, who may look at any
    member = pools.add_member(POOL, "m1", created_at=datetime.now(UTC) - timedelta(hours=1))
    rule = {"pool_id": POOL, "stack_id": "s", "autoscaling_group_id": "g"}
    alarm_id = create(alarmd, webhooks, "loadbalancer_member_health", **rule)

    assert "ok" == told(webhooks, 1)["current"]
    member["operating_status"] = "ERROR"
    body = told(webhooks, 2)
    assert ("alarm", 1, [member]) == (
        body["current"],
        body["reason_data"]["count"],
        body["reason_data"]["unhealthy_members"],
    )
    pools.status = 503
    wait_until(lambda: "server_failed" in alarmd.log, what="the evaluator to be left without an answer")
    assert "alarm" == alarmd.request("GET", f"/v2/alarms/{alarm_id}/state")
    pools.status = None
    del pools.pools[POOL]
    assert "insufficient data" == told(webhooks, 3)["current"]
