# SPDX-License-Identifier: Apache-2.0
"""What is said of alarms that nobody has evaluated yet: what holds today, not what held when they were made."""

from dataclasses import replace
from typing import Any

import pytest

from alarmd.alarms.reasons import told_now
from alarmd.evaluators.families.composite.family import CompositeFamily
from alarmd.evaluators.families.prometheus.family import PrometheusFamily
from alarmd.evaluators.family import RuleFamily, RuleLimits
from tests.support.alarms import an_alarm
from tests.support.rest import Door, rule_families

RULE: dict[str, Any] = {"query": "up", "threshold": 1.0, "comparison_operator": "gt"}
WAITS = "Not evaluated yet: alarms of type prometheus are kept, and evaluated once the operator has set prometheus.url"
LEAF = WAITS.replace("alarms of", "rules of")


def families(*servers: str) -> dict[str, RuleFamily]:
    """Return the families where some servers are configured."""
    found = rule_families()
    limits = RuleLimits(window_s=3600, lateness_s=10, servers=frozenset(servers))
    found["prometheus"] = PrometheusFamily(limits, found.get)
    found["composite"] = CompositeFamily(limits, found.get)
    return found


@pytest.mark.parametrize(
    ("type_", "rule", "kept"),
    [
        ("prometheus", RULE, WAITS),
        ("composite", {"or": [{"type": "prometheus", **RULE}]}, LEAF),
        ("threshold", {}, "Not evaluated yet"),
        ("gone", {}, "Not evaluated yet: alarms of type gone are kept, but this version does not evaluate them"),
    ],
)
def test_the_reason_follows_the_settings(type_: str, rule: dict[str, Any], kept: str) -> None:
    """Whichever of them an alarm was made under; a composite by the rules that it holds."""
    for stored in ("Not evaluated yet", kept):
        alarm = an_alarm(type=type_, rule=rule, state_reason=stored)

        assert kept == told_now(families(), alarm).state_reason
        if type_ != "gone":
            assert "Not evaluated yet" == told_now(families("prometheus"), alarm).state_reason


@pytest.mark.parametrize("reason", ["Manually set via API", "datapoints are unknown", ""])
def test_other_reasons_are_told_as_they_are(reason: str) -> None:
    """Somebody has set the state, or it has been evaluated."""
    alarm = an_alarm(type="prometheus", rule=RULE, state_reason=reason)

    assert alarm is told_now(families(), alarm)


def test_an_alarm_that_waited_for_its_server_says_so_no_longer(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is shown, from the first start with the server on; its version stays."""
    made = door.post("/v2/alarms", {"name": "a", "type": "prometheus", "prometheus_rule": RULE})
    alarm_id = made.get_json()["alarm_id"]
    drafting = door.context.alarms._drafting
    monkeypatch.setattr(door.context.alarms, "_drafting", replace(drafting, rule_types=families("prometheus")))
    shown = door.get(f"/v2/alarms/{alarm_id}")

    assert WAITS == made.get_json()["state_reason"]
    assert ["Not evaluated yet"] * 3 == [
        shown.get_json()["state_reason"],
        door.get("/v2/alarms").get_json()[0]["state_reason"],
        door.post("/v2/query/alarms", {}).get_json()[0]["state_reason"],
    ]
    assert made.headers.get("ETag") in {None, shown.headers.get("ETag")}
    assert "because not evaluated yet" in door.get(f"/v3/alarms/{alarm_id}/explain").get_json()["sentence"]
