# SPDX-License-Identifier: Apache-2.0
"""Finds the alarm that somebody means, and shows it."""

import json
from collections.abc import Mapping
from typing import Any

from alarmd.cli.client import Client, RequestRefused, path_of

#: What a server would read as another path.
_NO_IDS = frozenset({"", ".", ".."})


def found_alarm(client: Client, alarm_ref: str) -> dict[str, Any]:
    """Return the alarm with this id or, when there is none, with this name. Raises `RequestRefused`."""
    missing = RequestRefused(f"Alarm {alarm_ref!r} not found. `alarmd alarm list` shows what there is.", status=404)
    if alarm_ref not in _NO_IDS:
        try:
            found: dict[str, Any] = client.get(path_of("v2", "alarms", alarm_ref))
            return found
        except RequestRefused as refusal:
            if refusal.status != 404:
                raise
            missing = refusal
    wanted = {"filter": json.dumps({"=": {"name": alarm_ref}})}
    named: list[dict[str, Any]] = client.post("/v2/query/alarms", wanted)
    if not named:
        raise missing
    if len(named) > 1:
        ids = ", ".join(each["alarm_id"] for each in named)
        raise RequestRefused(f"{len(named)} alarms are named {alarm_ref!r}; name one by its id: {ids}")
    return named[0]


def flat(alarm: Mapping[str, Any]) -> dict[str, Any]:
    """Return an alarm with the attributes of its rule beside its own, as a table shows it."""
    rule_key = f"{alarm['type']}_rule"
    rule = alarm.get(rule_key)
    if alarm["type"] == "composite" or not isinstance(rule, Mapping):
        return dict(alarm)
    own = {key: value for key, value in alarm.items() if key != rule_key}
    return own | {key: value for key, value in rule.items() if key not in own}
