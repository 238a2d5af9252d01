# SPDX-License-Identifier: Apache-2.0
"""Aodh's contract §1.4 to §1.6, what lists and queries know: a test for each field, type, key of order and operator."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.rest import ADMIN, ANN, Door, error_of, open_door

#: Beside `all_projects`, which says whose alarms are meant: tests/unit/api/test_simple_query.py.
LIST_FIELDS = ["user_id", "project_id", "type", "name", "enabled", "state", "severity", "timestamp", "repeat_actions"]
ALARM_KEYS = [
    *("alarm_id", "enabled", "name", "type", "severity", "timestamp", "user_id", "project_id", "state"),
    *("repeat_actions", "state_timestamp"),
]
HISTORY_KEYS = ["event_id", "alarm_id", "on_behalf_of", "project_id", "user_id", "type", "timestamp", "severity"]
SEVERITIES = ["low", "moderate", "critical"]
ALARM_FIELDS = [
    *("alarm_id", "type", "enabled", "name", "description", "timestamp", "user_id", "project_id", "state"),
    *("state_timestamp", "state_reason", "ok_actions", "alarm_actions", "insufficient_data_actions"),
    *("repeat_actions", "rule", "time_constraints", "severity", "evaluate_timestamp", "user", "project"),
]
HISTORY_FIELDS = [
    *("event_id", "alarm_id", "type", "detail", "user_id", "project_id", "on_behalf_of", "severity", "timestamp"),
    *("user", "project"),
]
ALIASES = {"user": "user_id", "project": "project_id"}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A door before three alarms of ann's, which differ in everything, and their histories; nobody changes them."""
    opened = open_door(tmp_path_factory.mktemp("fields"))
    types = {
        "threshold": {"meter_name": "m", "threshold": 1},
        "event": {},
        "prometheus": {"query": "up", "threshold": 2},
    }
    for number, (type_, rule) in enumerate(types.items()):
        alarm = {
            "name": "bca"[number],
            "type": type_,
            f"{type_}_rule": rule,
            "enabled": number != 1,
            "repeat_actions": number == 1,
            "severity": ["moderate", "critical", "low"][number],
            "state": ["ok", "alarm", "insufficient data"][number],
            **{f"{state}_actions": [f"http://h/{state}/{number}"] for state in ("ok", "alarm", "insufficient_data")},
            "time_constraints": [{"name": f"n{number}", "start": "0 9 * * *", "duration": 60}] * (number != 2),
            "project_id": "p1",
        }
        path = opened.post("/v2/alarms", alarm, headers=ANN if number else ADMIN).headers["Location"]
        opened.clock.advance(60)
        if number == 2:
            opened.put(f"{path}/state", "ok", headers=ANN)
    # The oldest alarm is the one whose state was set last.
    opened.clock.advance(60)
    oldest = opened.get("/v2/alarms?sort=timestamp&limit=1", headers=ANN).get_json()[0]["alarm_id"]
    opened.put(f"/v2/alarms/{oldest}/state", "ok", headers=ANN)
    yield opened
    opened.close()


def listed(door: Door, **arguments: Any) -> list[dict[str, Any]]:
    """Return the alarms of a list."""
    response = door.get(f"/v2/alarms?{urlencode(arguments)}", headers=ANN)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.get_json()
    return found


def queried(door: Door, path: str, condition: Any, **others: Any) -> list[dict[str, Any]]:
    """Return what a complex query finds."""
    response = door.post(f"/v2/query/{path}", {"filter": json.dumps(condition), **others}, headers=ANN)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.get_json()
    return found


def in_order(items: list[dict[str, Any]], key: str) -> list[Any]:
    """Return the values of a key in the order in which they must come; severities by what they mean."""
    return sorted((item[key] for item in items), key=SEVERITIES.index if key == "severity" else None)


@pytest.mark.parametrize("field", LIST_FIELDS, ids=lambda field: f"1.4-{field}")
def test_s1_4_field(door: Door, field: str) -> None:
    """What each alarm shows finds it, and those that show the same, and no others."""
    everything = listed(door)
    for alarm in everything:
        expected = [other["alarm_id"] for other in everything if other[field] == alarm[field]]
        found = listed(door, **{"q.field": field, "q.value": alarm[field]})
        assert expected == [other["alarm_id"] for other in found]


@pytest.mark.parametrize(
    ("type_", "field", "value"),
    [
        ("integer", "enabled", "1"),
        ("float", "enabled", "1"),
        ("string", "enabled", "true"),
        ("boolean", "enabled", "True"),
        ("datetime", "timestamp", "2026-01-01T00:00:00"),
        ("string", "name", "b"),
    ],
    ids=lambda value: f"1.4-{value}",
)
def test_s1_4_type(door: Door, type_: str, field: str, value: str) -> None:
    """Whichever fits the value may be named; the alarm named b is the one that each of these finds, among others."""
    assert "b" in [alarm["name"] for alarm in listed(door, **{"q.field": field, "q.type": type_, "q.value": value})]


@pytest.mark.parametrize("key", ALARM_KEYS, ids=lambda key: f"1.5-{key}")
def test_s1_5_alarm_key(door: Door, key: str) -> None:
    """Ascending unless said otherwise; severities by what they mean, on every database."""
    expected = in_order(listed(door), key)

    assert expected == [alarm[key] for alarm in listed(door, sort=key)]
    assert expected == [alarm[key] for alarm in listed(door, sort=f"{key}:asc")]
    assert expected[::-1] == [alarm[key] for alarm in listed(door, sort=f"{key}:desc")]


@pytest.mark.parametrize("key", HISTORY_KEYS, ids=lambda key: f"1.5-{key}")
def test_s1_5_history_key(door: Door, key: str) -> None:
    """The same for histories; of severities, which are not shown, one record has none here, and it comes first."""
    alarm_id = next(alarm["alarm_id"] for alarm in listed(door) if alarm["name"] == "a")
    path = f"/v2/alarms/{alarm_id}/history"
    up, down = (door.get(f"{path}?sort={key}:{way}", headers=ANN).get_json() for way in ("asc", "desc"))
    shown = "type" if key == "severity" else key
    expected = ["state transition", "creation"] if key == "severity" else in_order(up, key)

    assert expected == [change[shown] for change in up]
    assert expected[::-1] == [change[shown] for change in down]


@pytest.mark.parametrize("field", ALARM_FIELDS, ids=lambda field: f"1.6-{field}")
def test_s1_6_alarm_field(door: Door, field: str) -> None:
    """What an alarm shows finds it: texts, moments and switches as they are, lists and the rule as JSON in a text."""
    everything = listed(door)
    for alarm in everything:
        key = f"{alarm['type']}_rule" if field == "rule" else ALIASES.get(field, field)
        value = alarm[key] if isinstance(alarm[key], str | bool) else json.dumps(alarm[key])
        found = [other["alarm_id"] for other in queried(door, "alarms", {"=": {field: value}})]
        assert alarm["alarm_id"] in found
        if field != "description":
            same = [other["alarm_id"] for other in everything if other.get(key) == alarm[key]]
            assert same == found


@pytest.mark.parametrize("field", HISTORY_FIELDS, ids=lambda field: f"1.6-{field}")
def test_s1_6_history_field(door: Door, field: str) -> None:
    """What a record shows finds it, and its severity, which it does not show."""
    everything = queried(door, "alarms/history", {"!=": {"alarm_id": ""}})
    if field == "severity":
        found = [queried(door, "alarms/history", {"=": {field: severity}}) for severity in SEVERITIES]
        assert [["creation"]] * 3 == [[change["type"] for change in changes] for changes in found]
        return
    key = ALIASES.get(field, field)
    for change in everything:
        expected = [other for other in everything if other[key] == change[key]]
        assert expected == queried(door, "alarms/history", {"=": {field: change[key]}})


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("=", "b"),
        ("!=", "ac"),
        ("<", "a"),
        (">", "c"),
        ("<=", "ab"),
        ("=<", "ab"),
        (">=", "bc"),
        ("=>", "bc"),
        ("=~", "b"),
        ("in", "b"),
    ],
    ids=lambda value: f"1.6-{value}",
)
def test_s1_6_operator(door: Door, operator: str, expected: str) -> None:
    """Every comparison, also with `not`, and within `and` and `or`."""
    comparison = {operator: {"name": ["b"] if operator == "in" else "b"}}
    nobody = {"=": {"name": "nobody"}}

    def names(condition: Any) -> str:
        return "".join(sorted(alarm["name"] for alarm in queried(door, "alarms", condition)))

    assert expected == names(comparison)
    assert expected == names({"or": [nobody, comparison]})
    assert sorted(set("abc") - set(expected)) == sorted(names({"not": comparison}))
    assert "" == names({"and": [nobody, comparison]})


@pytest.mark.parametrize("field", sorted({*ALARM_FIELDS, "colour"} - {*LIST_FIELDS}), ids=lambda field: f"1.4-{field}")
def test_s1_4_no_other_field(door: Door, field: str) -> None:
    """400 that names it, and those that there are."""
    response = door.get(f"/v2/alarms?q.field={field}&q.value=x", headers=ANN)

    assert 400 == response.status_code
    assert f"unrecognized field in query: {field}" in error_of(response)
