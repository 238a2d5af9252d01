# SPDX-License-Identifier: Apache-2.0
"""The definitions that real templates lead to (tests/fixtures/heat), through Heat's way of changing an alarm."""

import json
from typing import Any, Final

import pytest

from tests.architecture.tree import ROOT
from tests.openstack.clients import PythonClient

FIXTURES: Final = [f"f{number}.json" for number in range(1, 8)]
ACTIONS: Final = ("alarm_actions", "ok_actions", "insufficient_data_actions")


def fixture(name: str) -> dict[str, Any]:
    """Return a definition; where nobody can make a trust, Heat's signed form of the URL stands for the trusted one."""
    body: dict[str, Any] = json.loads((ROOT / "tests/fixtures/heat" / name).read_text())
    for key in ACTIONS:
        body[key] = [
            url.removeprefix("trust+").replace("zaqar://?", "http://zaqar.example/?") for url in body.get(key, [])
        ]
    return body


@pytest.mark.parametrize("name", FIXTURES)
def test_a_definition_in_the_hands_of_heat(name: str, python_client: PythonClient) -> None:
    """Created, suspended and resumed by get, merge and put: everything stands as it was sent, and history is short."""
    body = fixture(name)
    made = python_client("alarm.create", alarm=dict(body))
    for enabled in (False, True):
        python_client("alarm.update", made["alarm_id"], {"enabled": enabled})
    alarm = python_client("alarm.get", made["alarm_id"])
    rule = f"{body['type']}_rule"

    assert made | {"timestamp": alarm["timestamp"]} == alarm
    assert {key: body[key] for key in ("name", *ACTIONS, "repeat_actions", "severity")} == {
        key: alarm[key] for key in ("name", *ACTIONS, "repeat_actions", "severity")
    }
    if isinstance(body[rule], dict) and body["type"] != "composite":
        assert body[rule] == {key: alarm[rule][key] for key in body[rule]}
    assert [{"enabled": True}, {"enabled": False}] == [
        json.loads(change["detail"])
        for change in python_client("alarm_history.get", made["alarm_id"])
        if change["type"] == "rule change"
    ]
    python_client("alarm.delete", made["alarm_id"])
    assert [] == python_client("alarm.list")
