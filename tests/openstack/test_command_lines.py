# SPDX-License-Identifier: Apache-2.0
"""`aodh` and `openstack alarm`, as released, make, show, change and delete alarms: every command and every option."""

import json
from typing import Any, Final
from uuid import uuid4

import pytest

from tests.openstack.clients import Shell

#: Someone whom the administrator may act for.
OTHERS: Final = ("--project-id", "another-project", "--user-id", "another-user")

GNOCCHI: Final = ("--threshold", "80", "--aggregation-method", "mean", "--granularity", "300")

#: For each type the options that it takes, and what must be shown then.
TYPES: Final[dict[str, tuple[tuple[str, ...], dict[str, Any]]]] = {
    "gnocchi_resources_threshold": (
        ("--metric", "cpu", "--resource-id", "r", "--resource-type", "instance", *GNOCCHI, "--evaluation-periods", "3"),
        {"metric": "cpu", "resource_id": "r", "resource_type": "instance", "granularity": 300, "threshold": 80.0}
        | {"evaluation_periods": 3, "aggregation_method": "mean", "comparison_operator": "eq"},
    ),
    "gnocchi_aggregation_by_metrics_threshold": (
        ("--metric", "m1", "--metric", "m2", *GNOCCHI, "--comparison-operator", "gt"),
        {"metrics": ["m1", "m2"], "granularity": 300, "comparison_operator": "gt", "evaluation_periods": 1},
    ),
    "gnocchi_aggregation_by_resources_threshold": (
        ("--metric", "cpu", "--resource-type", "instance", "--query", '{"=": {"server_group": "g"}}', *GNOCCHI),
        {"metric": "cpu", "resource_type": "instance", "query": '{"=": {"server_group": "g"}}', "granularity": 300},
    ),
    "prometheus": (
        ("--query", "sum(rate(up[5m]))", "--threshold", "1.5", "--comparison-operator", "ge"),
        {"query": "sum(rate(up[5m]))", "threshold": 1.5, "comparison_operator": "ge"},
    ),
    "event": (
        ("--event-type", "compute.instance.*", "--query", "traits.state=string::stopped;traits.size>=integer::5;a!=b"),
        {
            "event_type": "compute.instance.*",
            "query": "traits.state = stopped AND\ntraits.size >= 5 AND\na != b",
        },
    ),
    "composite": (
        ("--composite-rule", json.dumps({"or": [{"type": "prometheus", "query": "up", "threshold": 1.0}]})),
        {},
    ),
    "loadbalancer_member_health": (
        ("--stack-id", "s", "--pool-id", "p", "--autoscaling-group-id", "g"),
        {"stack_id": "s", "pool_id": "p", "autoscaling_group_id": "g"},
    ),
    "threshold": (
        ("--meter-name", "cpu_util", "--threshold", "80", "--period", "60", "--statistic", "avg"),
        {"meter_name": "cpu_util", "threshold": 80.0, "period": 60, "statistic": "avg"},
    ),
}


@pytest.mark.parametrize("kind", TYPES)
def test_s7_3_alarm_create(kind: str, shell: Shell) -> None:
    """Every type that the clients offer is created from its options; numbers may come as text."""
    options, rule = TYPES[kind]
    shown = shell.create("made", *options, kind=kind)

    assert {"name": "made", "type": kind, "state": "insufficient data", "enabled": True} | rule == {
        key: shown[key] for key in ("name", "type", "state", "enabled", *rule)
    }
    if kind == "composite":
        assert [("prometheus", "eq")] == [
            (leaf["type"], leaf["comparison_operator"]) for leaf in json.loads(shown["composite_rule"])["or"]
        ]


def test_s7_3_alarm_create_with_all_common_options(shell: Shell) -> None:
    """Description, state, severity, switches, actions of each kind and time constraints arrive."""
    shown = shell.create(
        "whole",
        *("--description", "said", "--state", "ok", "--severity", "critical", "--enabled", "False"),
        *("--alarm-action", "http://receiver.example/1", "--alarm-action", "http://receiver.example/2"),
        *("--ok-action", "http://receiver.example/ok", "--insufficient-data-action", "http://receiver.example/no"),
        *("--repeat-actions", "True"),
        *("--time-constraint", "name=night;start='0 22 * * *';duration=21600;timezone=Europe/Berlin"),
        *("--time-constraint", "name=noon;start=0 12 * * mon-fri;duration=3600;description=lunch"),
    )

    assert {
        "description": "said",
        "state": "ok",
        "severity": "critical",
        "enabled": False,
        "alarm_actions": ["http://receiver.example/1", "http://receiver.example/2"],
        "ok_actions": ["http://receiver.example/ok"],
        "insufficient_data_actions": ["http://receiver.example/no"],
        "repeat_actions": True,
        "project_id": shell.caller.project,
        "user_id": shell.caller.user,
    } == {
        key: shown[key]
        for key in (
            *("description", "state", "severity", "enabled", "alarm_actions", "ok_actions"),
            *("insufficient_data_actions", "repeat_actions", "project_id", "user_id"),
        )
    }
    assert [
        ("night", "0 22 * * *", 21600, "Europe/Berlin"),
        ("noon", "0 12 * * mon-fri", 3600, ""),
    ] == [
        (constraint["name"], constraint["start"], constraint["duration"], constraint["timezone"])
        for constraint in json.loads(shown["time_constraints"])
    ]


def test_s7_3_alarm_create_with_an_empty_action(shell: Shell) -> None:
    """`--alarm-action ''` arrives as null and means no action."""
    assert [] == shell.create("quiet", "--alarm-action", "")["alarm_actions"]


def test_s7_3_alarm_create_for_another_by_an_administrator(shell: Shell) -> None:
    """The administrator names the owner."""
    shown = shell.by(roles="admin").create("given", *OTHERS)

    assert ("another-project", "another-user") == (shown["project_id"], shown["user_id"])


def test_s7_3_alarm_create_for_another_by_a_member(shell: Shell) -> None:
    """A member may not, and reads why; `aodh` takes these options for the caller's own, wherever they stand."""
    if shell.program == "aodh":
        assert "another-project" == shell.create("mine", *OTHERS)["project_id"]
        return
    refusal = shell.refusal("alarm", "create", "--name", "x", "--type", "event", *OTHERS)

    assert "Not Authorized to access project another-project (HTTP 401)" in refusal


def test_s7_3_alarm_create_refused(shell: Shell) -> None:
    """The text of a refusal is shown as it is."""
    refusal = shell.refusal("alarm", "create", "--name", "x", "--type", "event", "--ok-action", "gopher://x/")

    assert "Unsupported action gopher://x/ (HTTP 400)" in refusal


def test_s7_3_alarm_show_by_id(shell: Shell) -> None:
    """The id finds the alarm, and the rule is shown beside it."""
    made = shell.create("shown", "--event-type", "x")
    shown = shell.table("alarm", "show", made["alarm_id"])

    assert made == shown
    assert "x" == shown["event_type"]


@pytest.mark.parametrize("option", [(), ("--name",)], ids=["as the id", "by --name"])
def test_s7_3_alarm_show_by_name(option: tuple[str, ...], shell: Shell) -> None:
    """A name that is unique finds the alarm."""
    made = shell.create("a name")

    assert made == shell.table("alarm", "show", *option, "a name")


def test_s7_3_alarm_show_by_a_name_that_looks_like_an_id(shell: Shell) -> None:
    """The client asks by id first and by name after the 404."""
    name = str(uuid4())
    made = shell.create(name)

    assert made == shell.table("alarm", "show", name)


def test_s7_3_alarm_show_by_a_name_of_two(shell: Shell) -> None:
    """The client finds both and asks for an id."""
    shell.create("twin")
    shell.create("twin")

    assert "Multiple alarms matches found for 'twin'" in shell.refusal("alarm", "show", "twin")


@pytest.mark.parametrize(
    "command", [["show"], ["delete"], ["state", "get"], ["state", "set", "--state", "ok"], ["update"]]
)
def test_s7_3_alarm_not_found(command: list[str], shell: Shell) -> None:
    """An unknown id and an unknown name are told by the client in the same words."""
    unknown = str(uuid4())

    assert f"Alarm {unknown} not found" in shell.refusal("alarm", *command, unknown)
    assert "Alarm nobody not found" in shell.refusal("alarm", *command, "nobody")


def test_s7_3_alarm_update_by_id(shell: Shell) -> None:
    """What is named changes and the rest stays."""
    made = shell.create(
        "before", "--description", "said", "--ok-action", "http://receiver.example/", "--event-type", "x"
    )
    updated = shell.table("alarm", "update", made["alarm_id"], "--severity", "critical", "--enabled", "False")

    changed = {"severity", "enabled", "timestamp"}
    assert {key: value for key, value in made.items() if key not in changed} == {
        key: value for key, value in updated.items() if key not in changed
    }
    assert ("critical", False) == (updated["severity"], updated["enabled"])


def test_s7_3_alarm_update_of_the_rule(shell: Shell) -> None:
    """One attribute of a rule changes and the others stay."""
    options, _ = TYPES["gnocchi_resources_threshold"]
    made = shell.create("rule", *options, kind="gnocchi_resources_threshold")
    updated = shell.table("alarm", "update", made["alarm_id"], "--threshold", "90.5", "--granularity", "60")

    assert made | {"threshold": 90.5, "granularity": 60, "timestamp": updated["timestamp"]} == updated


def test_s7_3_alarm_update_by_name(shell: Shell) -> None:
    """A name in the place of the id finds the alarm; `--name` beside an id renames it."""
    made = shell.create("old")
    assert "low" == shell.table("alarm", "update", "old", "--severity", "low")["severity"]
    assert "new" == shell.table("alarm", "update", made["alarm_id"], "--name", "new")["name"]
    assert made["alarm_id"] == shell.table("alarm", "update", "--name", "new", "--state", "ok")["alarm_id"]


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind not in {"event", "prometheus", "threshold"}])
def test_s7_3_alarm_update_of_the_type(kind: str, shell: Shell) -> None:
    """A change of the type brings the new rule and drops the old one, where the client knows how to."""
    options, rule = TYPES[kind]
    made = shell.create("turncoat", "--event-type", "x")
    updated = shell.table("alarm", "update", made["alarm_id"], "--type", kind, *options)

    assert kind == updated["type"]
    assert rule == {key: updated[key] for key in rule}
    assert "event_type" not in updated


def test_s7_3_alarm_update_removes_actions(shell: Shell) -> None:
    """`--alarm-action ''` takes every action of the state away."""
    made = shell.create("loud", "--alarm-action", "http://receiver.example/")

    assert [] == shell.table("alarm", "update", made["alarm_id"], "--alarm-action", "")["alarm_actions"]


@pytest.mark.parametrize("option", [(), ("--name",)], ids=["as the id", "by --name"])
def test_s7_3_alarm_delete_by_name(option: tuple[str, ...], shell: Shell) -> None:
    """A name that is unique finds the alarm."""
    shell.create("gone")

    assert 0 == shell.run("alarm", "delete", *option, "gone").status
    assert [] == shell.table("alarm", "list")


def test_s7_3_alarm_delete_by_id(shell: Shell) -> None:
    """The id finds the alarm, once."""
    made = shell.create("gone")

    assert 0 == shell.run("alarm", "delete", made["alarm_id"]).status
    assert f"Alarm {made['alarm_id']} not found" in shell.refusal("alarm", "show", made["alarm_id"])


@pytest.mark.parametrize("by", ["id", "name", "--name"])
def test_s7_3_alarm_state_set_and_get(by: str, shell: Shell) -> None:
    """The state that is set is the state that is got."""
    made = shell.create("stated")
    place = {"id": [made["alarm_id"]], "name": ["stated"], "--name": ["--name", "stated"]}[by]

    assert {"state": "insufficient data"} == shell.table("alarm", "state", "get", *place)
    assert {"state": "alarm"} == shell.table("alarm", "state", "set", *place, "--state", "alarm")
    assert {"state": "alarm"} == shell.table("alarm", "state", "get", *place)
