# SPDX-License-Identifier: Apache-2.0
"""The Python client, as released, against alarmd: every method, and what it makes of every refusal."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.openstack.clients import PythonClient, Refused


def an_event_alarm(**more: Any) -> dict[str, Any]:
    """Return an alarm that the client can create."""
    return {"name": "an alarm", "type": "event", "event_rule": {"event_type": "x"}, **more}


def test_s7_3_alarm_create(python_client: PythonClient) -> None:
    """What is created is returned whole; the rules of other types are left out by the client."""
    made = python_client("alarm.create", alarm=an_event_alarm(threshold_rule={}, ok_actions=None))

    assert ("an alarm", {"event_type": "x", "query": []}, []) == (made["name"], made["event_rule"], made["ok_actions"])
    assert [key for key in made if key.endswith("_rule")] == ["event_rule"]


def test_s7_3_alarm_get(python_client: PythonClient) -> None:
    """The id gets what was created."""
    made = python_client("alarm.create", alarm=an_event_alarm())

    assert made == python_client("alarm.get", made["alarm_id"])


def test_s7_3_alarm_list(python_client: PythonClient) -> None:
    """Filters, sorts, limit and marker work together."""
    made = [
        python_client("alarm.create", alarm=an_event_alarm(name=name, severity=severity, enabled=enabled))
        for name, severity, enabled in [("b", "low", True), ("a", "critical", True), ("c", "moderate", False)]
    ]

    def names(**options: Any) -> list[str]:
        return [alarm["name"] for alarm in python_client("alarm.list", **options)]

    assert ["c", "a", "b"] == names()
    assert ["a", "b"] == names(filters={"enabled": "true"}, sorts=["name"])
    assert ["b"] == names(filters={"enabled": True, "severity": "low"})
    assert ["b", "c"] == names(sorts=["name:asc"], limit=2, marker=made[1]["alarm_id"])
    assert ["b", "c", "a"] == names(sorts=["severity:asc"])


def test_s7_3_alarm_query(python_client: PythonClient) -> None:
    """The query is handed over as text; none at all finds every alarm."""
    python_client("alarm.create", alarm=an_event_alarm(name="a"))
    python_client("alarm.create", alarm=an_event_alarm(name="b"))

    assert ["b"] == [found["name"] for found in python_client("alarm.query", query='{"=": {"name": "b"}}')]
    assert ["a", "b"] == sorted(found["name"] for found in python_client("alarm.query"))


def test_s7_3_alarm_update(python_client: PythonClient) -> None:
    """The client gets, merges and puts the whole alarm; the rule is merged too."""
    rule = {"metric": "cpu", "resource_id": "r", "resource_type": "t", "aggregation_method": "mean", "threshold": 1}
    kind = "gnocchi_resources_threshold"
    made = python_client("alarm.create", alarm={"name": "x", "type": kind, f"{kind}_rule": rule})
    changed = python_client(
        "alarm.update", made["alarm_id"], {"severity": "critical", f"{kind}_rule": {"threshold": 2}}
    )

    assert (
        made
        | {
            "severity": "critical",
            "timestamp": changed["timestamp"],
            f"{kind}_rule": made[f"{kind}_rule"] | {"threshold": 2.0},
        }
        == changed
    )


def test_s7_3_alarm_update_with_nothing_is_no_change(python_client: PythonClient) -> None:
    """An echo of the alarm leaves no trace in its history."""
    made = python_client("alarm.create", alarm=an_event_alarm(alarm_actions=["http://receiver.example/%2F?a=%2B"]))
    python_client("alarm.update", made["alarm_id"], {})

    assert ["creation"] == [change["type"] for change in python_client("alarm_history.get", made["alarm_id"])]
    assert made == python_client("alarm.get", made["alarm_id"])


def test_s7_3_alarm_delete(python_client: PythonClient) -> None:
    """What is deleted is gone, in the words that the clients' own tests compare."""
    made = python_client("alarm.create", alarm=an_event_alarm())

    assert python_client("alarm.delete", made["alarm_id"]) is None
    for method in ("alarm.get", "alarm.delete", "alarm.get_state"):
        with pytest.raises(Refused) as refused:
            python_client(method, made["alarm_id"])
        assert "NotFound" == refused.value.kind
        assert refused.value.text.startswith(f"Alarm {made['alarm_id']} not found (HTTP 404) (Request-ID: req-")


def test_s7_3_alarm_get_state_and_set_state(python_client: PythonClient) -> None:
    """States are bare texts."""
    made = python_client("alarm.create", alarm=an_event_alarm())

    assert "insufficient data" == python_client("alarm.get_state", made["alarm_id"])
    assert "alarm" == python_client("alarm.set_state", made["alarm_id"], "alarm")
    assert "alarm" == python_client("alarm.get_state", made["alarm_id"])


def test_s7_3_alarm_history_get(python_client: PythonClient) -> None:
    """Records carry what Aodh's carry; pages follow each other."""
    made = python_client("alarm.create", alarm=an_event_alarm())
    python_client("alarm.set_state", made["alarm_id"], "ok")
    newest, oldest = python_client("alarm_history.get", made["alarm_id"])

    assert {"event_id", "alarm_id", "type", "detail", "project_id", "user_id", "on_behalf_of", "timestamp"} == set(
        newest
    )
    assert ("state transition", "creation") == (newest["type"], oldest["type"])
    assert {"state": "ok", "state_reason": "Manually set via API"} == json.loads(newest["detail"])
    assert [oldest] == python_client("alarm_history.get", made["alarm_id"], marker=newest["event_id"])
    assert [oldest] == python_client("alarm_history.get", made["alarm_id"], sorts=["timestamp:asc"], limit=1)


def test_s7_3_alarm_history_search(python_client: PythonClient) -> None:
    """Without a query the client sends an empty object."""
    made = python_client("alarm.create", alarm=an_event_alarm())
    python_client("alarm.set_state", made["alarm_id"], "ok")

    assert 2 == len(python_client("alarm_history.search"))
    assert ["creation"] == [
        change["type"] for change in python_client("alarm_history.search", '{"=": {"type": "creation"}}')
    ]


def test_s7_3_capabilities_list(python_client: PythonClient) -> None:
    """The capabilities are Aodh's."""
    assert {
        "api": {
            "alarms:query:simple": True,
            "alarms:query:complex": True,
            "alarms:history:query:simple": True,
            "alarms:history:query:complex": True,
        },
        "alarm_storage": {"storage:production_ready": True},
    } == python_client("capabilities.list")


def test_s7_3_metrics_get(python_client: PythonClient) -> None:
    """Nothing was evaluated here."""
    assert {"evaluation_results": []} == python_client("metrics.get")


def test_s7_3_quota_list_and_create(python_client: PythonClient) -> None:
    """What the administrator sets the project sees."""
    project = python_client.caller.project
    limit = [{"resource": "alarms", "limit": 7}]

    assert {"project_id": project, "quotas": limit} == python_client.by(roles="admin")("quota.create", project, limit)
    assert {"project_id": project, "quotas": limit} == python_client("quota.list")


@pytest.mark.parametrize(
    ("method", "args", "kind", "text"),
    [
        ("alarm.get", ["nobody"], "NotFound", "Alarm nobody not found (HTTP 404)"),
        ("alarm.create", [{"name": "x", "type": "bogus"}], "BadRequest", "Value should be one of: "),
        ("alarm.create", [an_event_alarm(colour="red")], "BadRequest", "Unknown attribute for argument data: colour"),
        ("alarm.create", [an_event_alarm(project_id="q")], "Unauthorized", "Not Authorized to access project q"),
        ("alarm.create", [an_event_alarm(ok_actions=["log://"])], "Unauthorized", "You are not authorized to create"),
        ("alarm.query", ["{"], "BadRequest", "(HTTP 400)"),
        ("alarm.list", [{"bogus": "x"}], "BadRequest", "(HTTP 400)"),
        ("alarm.list", [{"all_projects": "true"}], "Forbidden", "RBAC Authorization Failed (HTTP 403)"),
        ("alarm_history.get", ["nobody"], "NotFound", "Alarm nobody not found (HTTP 404)"),
        ("quota.create", ["p", []], "Forbidden", "RBAC Authorization Failed (HTTP 403)"),
    ],
)  # fmt: skip
def test_s7_3_refusals(method: str, args: list[Any], kind: str, text: str, python_client: PythonClient) -> None:
    """Each refusal becomes the exception that programs catch, with alarmd's words in it."""
    with pytest.raises(Refused) as refused:
        python_client(method, *args)

    assert kind == refused.value.kind
    assert text in refused.value.text


def test_s7_3_a_foreign_alarm_is_unknown(python_client: PythonClient) -> None:
    """Another project's alarm is 404, not 403."""
    made = python_client("alarm.create", alarm=an_event_alarm())
    with pytest.raises(Refused) as refused:
        python_client.by(project=f"project-{uuid4().hex[:12]}")("alarm.get", made["alarm_id"])

    assert "NotFound" == refused.value.kind
