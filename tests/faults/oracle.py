# SPDX-License-Identifier: Apache-2.0
"""What must hold after the campaign, whatever died during it."""

import json
from collections import defaultdict
from typing import Any

from tests.faults.journal import Entry
from tests.faults.load import Watch
from tests.support.daemon import Daemon

BLIND = "insufficient data"


def check_history(alarmd: Daemon, watch: Watch, states: list[str]) -> None:
    """One row for each transition that there had to be, and no other: an alarm that could see is never blind again."""
    rows = alarmd.request("GET", f"/v2/alarms/{watch.alarm_id}/history?limit=10000")
    transitions = [row for row in reversed(rows) if row["type"] == "state transition"]

    assert states == [json.loads(row["detail"])["state"] for row in transitions], watch.name
    assert states[-1] == alarmd.request("GET", f"/v2/alarms/{watch.alarm_id}/state"), watch.name


def check_deliveries(deliveries: list[dict[str, Any]], watch: Watch, states: list[str]) -> None:
    """Each transition went to each of its targets, under one id, and was taken; sequence numbers ascend."""
    previous = [BLIND, *states]
    expected = {
        f"{watch.alarm_id}_{number}_{index}": ("delivered", number, path, before, state)
        for number, (before, state) in enumerate(zip(previous, states, strict=False), start=1)
        for index, path in enumerate(watch.paths(state))
    }
    actual = {
        each["event_id"]: (
            each["state"],
            each["sequence"],
            "/" + each["target"].split("/", 3)[3],
            each["body"]["previous"],
            each["body"]["current"],
        )
        for each in deliveries
        if each["alarm_id"] == watch.alarm_id
    }

    assert expected == actual, watch.name


def check_webhooks(entries: list[Entry], watch: Watch, states: list[str]) -> None:
    """The first arrivals at each target tell the transitions in their order; repeats say the same once more."""
    first: dict[str, Entry] = {}
    for entry in entries:
        if entry.alarm_id == watch.alarm_id:
            original = first.setdefault(entry.webhook_id, entry)

            assert (original.path, original.body) == (entry.path, entry.body), watch.name
    expected: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for change in zip([BLIND, *states], states, strict=False):
        for path in watch.paths(change[1]):
            expected[path].append(change)
    actual: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for entry in first.values():
        actual[entry.path].append(entry.change)

    assert expected == actual, watch.name
