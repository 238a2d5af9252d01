# SPDX-License-Identifier: Apache-2.0
"""Stacks of alarms run by Heat's own engine, as released, with its own client, against alarmd."""

from collections.abc import Callable, Iterator
from typing import Any, Final
from uuid import uuid4

import pytest

from tests.openstack.clients import Caller, PythonClient
from tests.openstack.heat_engine import HeatEngine, Stack, heat_engine

#: A signed URL: its signature covers every letter.
SIGNED: Final = (
    "http://heat.example:8000/v1/signal/arn%3Aopenstack%3Aheat%3A%3Ap%3Astacks/s/i/resources/up"
    "?SignatureMethod=HmacSHA256&SignatureVersion=2&AWSAccessKeyId=k&Signature=pPG%2F%2BZ%3D"
)

_COMPARED: Final = {"comparison_operator": "gt", "aggregation_method": "mean", "granularity": 300}
_QUERY: Final = '{"=": {"server_group": "STACK_ID"}}'
_LEAF: Final = {
    "type": "gnocchi_resources_threshold",
    "metric": "memory.usage",
    "resource_id": "SERVER_ID",
    "resource_type": "instance",
    "aggregation_method": "mean",
    "granularity": 300,
    "evaluation_periods": 1,
    "comparison_operator": "ge",
    "threshold": 1500,
}

#: For each of Heat's types its properties, what to change in them, and how the changed rule is then stored.
RESOURCES: Final[dict[str, tuple[dict[str, Any], dict[str, Any], str, dict[str, Any]]]] = {
    "OS::Aodh::GnocchiResourcesAlarm": (
        {"metric": "cpu", "resource_id": "r", "resource_type": "instance", "threshold": 80, **_COMPARED},
        {"threshold": 90.5, "evaluation_periods": 3},
        "gnocchi_resources_threshold_rule",
        {"metric": "cpu", "threshold": 90.5, "evaluation_periods": 3, "granularity": 300},
    ),
    "OS::Aodh::GnocchiAggregationByMetricsAlarm": (
        {"metrics": ["m1", "m2"], "threshold": 240000000000.0, **_COMPARED},
        {"metrics": ["m1", "m3"]},
        "gnocchi_aggregation_by_metrics_threshold_rule",
        {"metrics": ["m1", "m3"], "threshold": 240000000000.0, "evaluation_periods": 1},
    ),
    "OS::Aodh::GnocchiAggregationByResourcesAlarm": (
        {"metric": "cpu", "query": _QUERY, "resource_type": "instance", "threshold": 80, **_COMPARED},
        {"threshold": 70},
        "gnocchi_aggregation_by_resources_threshold_rule",
        {"metric": "cpu", "query": _QUERY, "threshold": 70.0},
    ),
    "OS::Aodh::PrometheusAlarm": (
        {"query": "rate(ceilometer_cpu[315s]) * 100", "threshold": 2000000000, "comparison_operator": "lt"},
        {"comparison_operator": "gt"},
        "prometheus_rule",
        {"query": "rate(ceilometer_cpu[315s]) * 100", "threshold": 2000000000.0, "comparison_operator": "gt"},
    ),
    "OS::Aodh::EventAlarm": (
        {
            "event_type": "compute.instance.update",
            "query": [{"field": "traits.state", "op": "eq", "value": "stopped"}],
        },
        {"event_type": "compute.instance.delete.start"},
        "event_rule",
        {
            "event_type": "compute.instance.delete.start",
            "query": [{"field": "traits.state", "op": "eq", "value": "stopped", "type": "string"}],
        },
    ),
    "OS::Aodh::CompositeAlarm": (
        {"composite_rule": {"operator": "or", "rules": [_LEAF, {"and": [_LEAF, _LEAF | {"metric": "disk"}]}]}},
        {"composite_rule": {"operator": "and", "rules": [_LEAF, _LEAF]}},
        "composite_rule",
        {"and": [_LEAF, _LEAF]},
    ),
    "OS::Aodh::LBMemberHealthAlarm": (
        {"pool": "pool", "stack": "stack", "autoscaling_group_id": "asg"},
        {"autoscaling_group_id": "other"},
        "loadbalancer_member_health_rule",
        {"pool_id": "pool", "stack_id": "stack", "autoscaling_group_id": "other"},
    ),
    "OS::Aodh::Alarm": (
        {"meter_name": "cpu_util", "threshold": 50, "period": 60, "comparison_operator": "gt", "statistic": "avg"},
        {"threshold": 60},
        "threshold_rule",
        {"meter_name": "cpu_util", "threshold": 60.0, "period": 60, "evaluation_periods": 1},
    ),
}

#: The properties that each type must have, and no others: Heat sends null for the rest.
BARE: Final = {
    "OS::Aodh::GnocchiResourcesAlarm": {
        "metric": "cpu",
        "resource_id": "r",
        "resource_type": "instance",
        "threshold": 80,
        "aggregation_method": "mean",
    },
    "OS::Aodh::GnocchiAggregationByMetricsAlarm": {"metrics": ["m"], "threshold": 80, "aggregation_method": "mean"},
    "OS::Aodh::GnocchiAggregationByResourcesAlarm": {
        "metric": "cpu",
        "query": _QUERY,
        "resource_type": "instance",
        "threshold": 80,
        "aggregation_method": "mean",
    },
    "OS::Aodh::PrometheusAlarm": {"query": "up", "threshold": 0},
    "OS::Aodh::EventAlarm": {},
    "OS::Aodh::Alarm": {"meter_name": "cpu_util", "threshold": 50},
}

Do = Callable[..., Stack]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeatEngine]:
    """Heat's engine."""
    with heat_engine(tmp_path_factory.mktemp("heat")) as running:
        yield running


@pytest.fixture
def do(engine: HeatEngine, caller: Caller) -> Do:
    """Does something with a stack that no other test knows."""
    name = f"stack-{uuid4().hex[:8]}"

    def act(action: str, kind: str = "", properties: dict[str, Any] | None = None) -> Stack:
        return engine.do(action, name, caller, {"type": kind, "properties": properties or {}})

    return act


def done(stack: Stack, action: str) -> Stack:
    """Check that Heat is content with an action."""
    assert (action, "COMPLETE") == stack.state, stack.reason
    return stack


@pytest.mark.parametrize("kind", RESOURCES)
def test_s7_4_a_stack_from_create_to_delete(kind: str, do: Do, python_client: PythonClient) -> None:
    """Create, show, update, suspend, resume, check and delete are fine, and mean what Heat means."""
    properties, change, key, rule = RESOURCES[kind]
    actions = {"alarm_actions": [SIGNED], "ok_actions": ["http://receiver.example/ok"]}
    alarm_id = done(do("create", kind, properties | actions), "CREATE").alarm_id
    shown = do("show").show

    assert alarm_id == shown["alarm_id"]
    assert ([SIGNED], ["http://receiver.example/ok"], True, True, "low") == (
        *(shown[name] for name in ("alarm_actions", "ok_actions", "enabled", "repeat_actions", "severity")),
    )

    updated = done(do("update", kind, properties | actions | change | {"severity": "critical"}), "UPDATE")
    changed = python_client("alarm.get", alarm_id)

    assert alarm_id == updated.alarm_id, "updated in its place"
    # Of a composite alarm Heat sends empty lists with every update that does not name the actions, and is obeyed.
    assert ("critical", [] if kind == "OS::Aodh::CompositeAlarm" else [SIGNED]) == (
        changed["severity"],
        changed["alarm_actions"],
    )
    assert rule == {name: changed[key][name] for name in rule}

    done(do("suspend"), "SUSPEND")
    assert changed | {"enabled": False, "timestamp": ...} == python_client("alarm.get", alarm_id) | {"timestamp": ...}
    done(do("resume"), "RESUME")
    assert changed | {"timestamp": ...} == python_client("alarm.get", alarm_id) | {"timestamp": ...}
    done(do("check"), "CHECK")
    done(do("delete"), "DELETE")
    assert [] == python_client("alarm.list")


@pytest.mark.parametrize("kind", BARE)
def test_s7_4_what_a_template_leaves_out(kind: str, do: Do, python_client: PythonClient) -> None:
    """Heat sends null for it, and alarmd takes its own default: nothing that it could not evaluate is stored."""
    made = done(do("create", kind, BARE[kind]), "CREATE")
    alarm = python_client("alarm.get", made.alarm_id)
    key = next(name for name in alarm if name.endswith("_rule"))

    assert None not in alarm[key].values()
    assert alarm["description"]
    done(do("suspend"), "SUSPEND")
    done(do("resume"), "RESUME")


def test_s7_4_time_constraints(do: Do, python_client: PythonClient) -> None:
    """They arrive, with null for what the template leaves out of them."""
    constraint = {"name": "night", "start": "0 22 * * *", "duration": 3600}
    made = done(do("create", "OS::Aodh::EventAlarm", {"time_constraints": [constraint]}), "CREATE")
    (stored,) = python_client("alarm.get", made.alarm_id)["time_constraints"]

    assert constraint == {name: stored[name] for name in constraint}
    done(do("suspend"), "SUSPEND")


def test_s7_4_a_suspended_alarm_keeps_a_state_it_reached_meanwhile(do: Do, python_client: PythonClient) -> None:
    """Suspend sends back the state that it read; only what the client means is changed."""
    made = done(do("create", "OS::Aodh::EventAlarm"), "CREATE")
    python_client("alarm.set_state", made.alarm_id, "alarm")
    done(do("suspend"), "SUSPEND")

    assert "alarm" == python_client("alarm.get_state", made.alarm_id)


def test_s7_4_an_alarm_that_is_gone_already_is_deleted(do: Do, python_client: PythonClient) -> None:
    """404 is what Heat takes for done."""
    made = done(do("create", "OS::Aodh::EventAlarm"), "CREATE")
    python_client("alarm.delete", made.alarm_id)

    done(do("delete"), "DELETE")


def test_s7_4_an_alarm_that_is_gone_is_missed_and_made_anew(do: Do, python_client: PythonClient) -> None:
    """A check fails with alarmd's words, and the next update replaces the alarm."""
    made = done(do("create", "OS::Aodh::EventAlarm"), "CREATE")
    python_client("alarm.delete", made.alarm_id)
    missed = do("check")

    assert ("CHECK", "FAILED") == missed.state
    assert f"Alarm {made.alarm_id} not found" in missed.reason

    replaced = done(do("update", "OS::Aodh::EventAlarm", {"severity": "critical"}), "UPDATE")
    assert made.alarm_id != replaced.alarm_id
    assert "critical" == python_client("alarm.get", replaced.alarm_id)["severity"]


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"alarm_actions": ["gopher://receiver.example/"]}, "Unsupported action gopher://receiver.example/ (HTTP 400)"),
        ({"ok_actions": ["log://"]}, "You are not authorized to create action: log:// (HTTP 401)"),
        (
            {"time_constraints": [{"name": "x", "start": "0 0 * * *", "duration": 1, "timezone": "UTC"}] * 2},
            "Time constraint names must be unique for a given alarm. (HTTP 400)",
        ),
    ],
)
def test_s7_4_the_words_of_a_refusal_reach_the_stack(properties: dict[str, Any], words: str, do: Do) -> None:
    """Whoever looks at the stack reads what alarmd said, and the request id."""
    refused = do("create", "OS::Aodh::EventAlarm", properties)

    assert ("CREATE", "FAILED") == refused.state
    assert words in refused.reason
    assert "(Request-ID: req-" in refused.reason
    assert refused.alarm_id is None
