# SPDX-License-Identifier: Apache-2.0
"""Rules of every kind that reads values, in one real daemon beside a real Prometheus: from samples to webhooks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon, daemon
from tests.support.prometheus import Observatory, observatory
from tests.support.receivers import Receiver

#: A project of its own, since Prometheus is asked about it only.
PROJECT = "p1"


@pytest.fixture
def prometheus() -> Iterator[Observatory]:
    """A real Prometheus that looks at what it is shown."""
    with observatory() as running:
        yield running


@pytest.fixture
def beside(prometheus: Observatory, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that may ask the Prometheus each second."""
    environ = {
        "ALARMD_PROMETHEUS__URL": prometheus.server.url,
        "ALARMD_PROMETHEUS__INTERVAL_S": "1",
        "ALARMD_PROMETHEUS__PROJECT_LABEL": "project",
    }
    with daemon(tmp_path / "state", environ=environ) as running:
        yield running


def create(alarmd: Daemon, webhooks: Receiver, type_: str, rule: dict[str, Any]) -> str:
    """Create an alarm named after its type that tells of its alarms; return its id."""
    body = {
        "name": type_,
        "type": type_,
        f"{type_}_rule": rule,
        "alarm_actions": [webhooks.url()],
        "project_id": PROJECT,
    }
    alarm_id: str = alarmd.request("POST", "/v2/alarms", body)["alarm_id"]
    return alarm_id


def push(alarmd: Daemon, *loads: float) -> None:
    """Push the load of a group's machines, all true now."""
    samples = [
        {
            "metric": "cpu_util",
            "resource_id": f"vm-{number}",
            "project_id": PROJECT,
            "value": load,
            "labels": {"server_group": "web"},
        }
        for number, load in enumerate(loads)
    ]
    assert {"accepted": len(loads), "rejected": []} == alarmd.request("POST", "/v3/samples", {"samples": samples})


def test_rules_of_every_kind_end_in_webhooks(beside: Daemon, webhooks: Receiver, prometheus: Observatory) -> None:
    """Each fires once for the same load, with its own words, and says what it was found from."""
    prometheus.show(f'load{{project="{PROJECT}"}} 95', 'load{project="other"} 5')
    threshold = {
        "meter_name": "cpu_util",
        "query": [{"field": "labels.server_group", "op": "eq", "value": "web"}],
        "statistic": "max",
        "group_statistic": "p50",
        "comparison_operator": "gt",
        "threshold": 80.0,
    }
    ids = {"threshold": create(beside, webhooks, "threshold", threshold)}
    gnocchi = {
        "metric": "cpu_util",
        "resource_type": "instance",
        "query": json.dumps({"and": [{"=": {"server_group": "web"}}, {"=": {"ended_at": None}}]}),
        "aggregation_method": "mean",
        "granularity": 60,
        "comparison_operator": "gt",
        "threshold": 80.0,
    }
    ids["gnocchi"] = create(beside, webhooks, "gnocchi_aggregation_by_resources_threshold", gnocchi)
    promql = {"query": "load", "comparison_operator": "gt", "threshold": 80.0}
    ids["prometheus"] = create(beside, webhooks, "prometheus", promql)
    quiet = {**threshold, "comparison_operator": "lt", "threshold": 10.0, "type": "threshold"}
    combined = {
        "and": [{"alarm_id": ids["threshold"]}, {"type": "prometheus", **promql}, {"not": quiet}],
    }
    ids["composite"] = create(beside, webhooks, "composite", combined)
    push(beside, 90.0, 95.0, 60.0, 99.0)
    bodies = {
        body["alarm_id"]: body
        for body in (json.loads(received.body) for received in webhooks.wait_for(4, timeout_s=20.0))
    }

    assert set(ids.values()) == bodies.keys()
    assert {"alarm"} == {body["current"] for body in bodies.values()}
    assert 86.0 == bodies[ids["gnocchi"]]["reason_data"]["most_recent"]
    assert 92.5 == bodies[ids["threshold"]]["reason_data"]["most_recent"]
    assert "(rule1 and rule2 and not rule3)" in bodies[ids["composite"]]["reason"]
    assert {"rule1", "rule2", "rule3"} == bodies[ids["composite"]]["reason_data"]["causative_rules"].keys()
    explained = beside.request("GET", f"/v3/alarms/{ids['threshold']}/explain")
    assert "alarm" == explained["state"]
    assert 4 == explained["last_transition"]["evidence"]["members"]["reporting"]
