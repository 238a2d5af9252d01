# SPDX-License-Identifier: Apache-2.0
"""What Heat sends, as recorded (orchestration 3, F1 to F7): taken, given back, and unchanged by Heat's round trips."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.rest import ANN, Door
from tests.support.rules import DEFAULTS
from tests.support.trusts import MemoryTrusts

FIXTURES = {path.stem: path for path in (Path(__file__).parents[2] / "fixtures" / "heat").glob("*.json")}


@pytest.fixture
def trusts() -> MemoryTrusts:
    """The trusts behind `trust+` actions."""
    return MemoryTrusts()


@pytest.fixture
def heat_door(open_a_door: Callable[..., Door], trusts: MemoryTrusts) -> Door:
    """A door where `trust+` actions can be had."""
    return open_a_door(trusts=trusts)


@pytest.fixture(params=sorted(FIXTURES))
def sent(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The body of a POST as Heat sends it."""
    body: dict[str, Any] = json.loads(FIXTURES[request.param].read_text())
    return body


def create(door: Door, body: dict[str, Any]) -> dict[str, Any]:
    """Create an alarm as Heat does, with the token of a member, and return it as read afterwards."""
    response = door.post("/v2/alarms", body, headers=ANN)
    assert response.status_code == 201, response.get_data(as_text=True)
    alarm: dict[str, Any] = response.get_json()
    assert alarm == read(door, alarm["alarm_id"])
    return alarm


def read(door: Door, alarm_id: str) -> dict[str, Any]:
    """Read an alarm."""
    alarm: dict[str, Any] = door.get(f"/v2/alarms/{alarm_id}", headers=ANN).get_json()
    return alarm


def write(door: Door, alarm: dict[str, Any]) -> dict[str, Any]:
    """Write a whole alarm back a moment later, as aodhclient does."""
    door.clock.advance(60)
    response = door.put(f"/v2/alarms/{alarm['alarm_id']}", alarm, headers=ANN)
    assert response.status_code == 200, response.get_data(as_text=True)
    answer: dict[str, Any] = response.get_json()
    return answer


def changes(door: Door, alarm: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return what an alarm's history says after its creation, the oldest first."""
    history = door.get(f"/v2/alarms/{alarm['alarm_id']}/history", headers=ANN).get_json()
    assert history[-1]["type"] == "creation"
    return [(change["type"], json.loads(change["detail"])) for change in reversed(history[:-1])]


def rule_key(body: dict[str, Any]) -> str:
    """Return the key under which a body's rule stands."""
    return f"{body['type']}_rule"


def leaves(rule: Any) -> list[dict[str, Any]]:
    """Return the rules that hold a value against a threshold, wherever they stand."""
    if isinstance(rule, list):
        return [leaf for each in rule for leaf in leaves(each)]
    if "threshold" in rule:
        return [rule]
    return [leaf for key in ("and", "or") if key in rule for leaf in leaves(rule[key])]


def test_s7_4_all_seven_are_there() -> None:
    """F1 to F7."""
    assert {f"f{number}" for number in range(1, 8)} == set(FIXTURES)


def test_s7_4_every_value_comes_back(heat_door: Door, sent: dict[str, Any]) -> None:
    """As it was sent; Heat reads the alarm and compares it with its template. Null means the default."""
    alarm = create(heat_door, sent)
    given = {key: value for key, value in sent.items() if value is not None}

    assert given == {key: alarm[key] for key in given}
    assert ("insufficient data", "p1", "ann") == (alarm["state"], alarm["project_id"], alarm["user_id"])
    assert alarm["state_reason"].startswith("Not evaluated yet")
    if sent["description"] is None:
        assert alarm["description"] in {
            "Alarm when compute.instance.update event occurred.",
            "gnocchi_aggregation_by_resources_threshold alarm rule",
        }


def test_s7_4_thresholds_come_back_exact_and_as_floating_point(heat_door: Door, sent: dict[str, Any]) -> None:
    """240000000000.0 as well as 80."""
    kept = leaves(create(heat_door, sent)[rule_key(sent)])

    assert [(float(leaf["threshold"]), float) for leaf in leaves(sent[rule_key(sent)])] == [
        (leaf["threshold"], type(leaf["threshold"])) for leaf in kept
    ]


def test_s7_4_addresses_and_queries_survive_byte_for_byte(heat_door: Door, sent: dict[str, Any]) -> None:
    """A signed URL is signed to the letter; they stand in the raw answers of POST, GET and PUT as they were sent."""
    wanted = [*sent["alarm_actions"], *(leaf["query"] for leaf in leaves(sent[rule_key(sent)]) if "query" in leaf)]
    made = heat_door.post("/v2/alarms", sent, headers=ANN)
    path = f"/v2/alarms/{made.get_json()['alarm_id']}"
    echoed = heat_door.put(path, made.get_json(), headers=ANN)
    seen = heat_door.get(path, headers=ANN)

    for answer in (made, echoed, seen):
        assert [] == [text for text in wanted if json.dumps(text) not in answer.get_data(as_text=True)]


def test_s7_4_an_echo_changes_nothing(heat_door: Door, trusts: MemoryTrusts, sent: dict[str, Any]) -> None:
    """What GET gave is put back: the same answer, no history, and the same trust."""
    alarm = create(heat_door, sent)
    given_before = dict(trusts.givers)

    assert alarm == write(heat_door, alarm)
    assert alarm == read(heat_door, alarm["alarm_id"])
    assert [] == changes(heat_door, alarm)
    assert given_before == trusts.givers


def test_s7_4_suspend_and_resume_change_one_thing(heat_door: Door, sent: dict[str, Any]) -> None:
    """However often: queries never grow, and the history tells of `enabled` only."""
    alarm = create(heat_door, sent)
    for enabled in (False, True) * 3:
        write(heat_door, read(heat_door, alarm["alarm_id"]) | {"enabled": enabled})
    after = read(heat_door, alarm["alarm_id"])

    assert alarm | {"timestamp": after["timestamp"]} == after
    assert [("rule change", {"enabled": enabled}) for enabled in (False, True) * 3] == changes(heat_door, alarm)


def test_s7_4_explicit_nulls_mean_the_defaults(heat_door: Door, sent: dict[str, Any]) -> None:
    """A template with only the mandatory properties sends null for every other one."""
    nulled = json.loads(json.dumps(sent))
    optional = ("granularity", "evaluation_periods", "comparison_operator")
    for leaf in leaves(nulled[rule_key(nulled)]):
        leaf.update(dict.fromkeys(key for key in optional if key in leaf))
    if sent["type"] == "event":
        nulled["event_rule"] = {"event_type": None, "query": None}
    alarm = create(heat_door, nulled)
    defaults = {"granularity": 60, "evaluation_periods": 1, "comparison_operator": "eq"}

    for was, is_ in zip(leaves(sent[rule_key(sent)]), leaves(alarm[rule_key(sent)]), strict=True):
        assert was | {key: value for key, value in defaults.items() if key in was} == is_
    if sent["type"] == "event":
        assert DEFAULTS["event"] == alarm["event_rule"]


def test_s7_4_trusts_end_with_what_needed_them(heat_door: Door, trusts: MemoryTrusts, sent: dict[str, Any]) -> None:
    """One trust for an alarm with `trust+` actions, given by its maker; none is left behind."""
    alarm = create(heat_door, sent)
    needed = [url for url in sent["alarm_actions"] if url.startswith("trust+")]

    assert (["ann"] if needed else []) == list(trusts.givers.values())
    heat_door.delete(f"/v2/alarms/{alarm['alarm_id']}", headers=ANN)
    assert {} == trusts.givers


@pytest.mark.parametrize("url", ["trust+http://HEAT:8004/v1/signal", "trust+zaqar://?queue_name=ALARM_QUEUE"])
def test_s7_4_without_keystone_a_trust_is_refused_in_words(door: Door, url: str) -> None:
    """400, where Aodh answers 500."""
    body = json.loads(FIXTURES["f1"].read_text()) | {"alarm_actions": [url]}
    response = door.post("/v2/alarms", body, headers=ANN)

    assert response.status_code == 400
    assert "Keystone" in response.get_json()["error_message"]["faultstring"]
