# SPDX-License-Identifier: Apache-2.0
"""What alarms say beyond Aodh, over HTTP: shown where it is set, and safe from those who do not know it."""

import json
from pathlib import Path
from typing import Any

import pytest

from alarmd.alarms import AlarmDraft
from alarmd.errors import InvalidInput
from alarmd.model.caller import Caller
from alarmd.runtime import Runtime
from alarmd.settings.loading import load
from tests.support.rest import ANN, CountingDoorbell, Door, error_of, new_database
from tests.unit.api.test_alarms import BODY, created

EVERY: dict[str, Any] = {
    "labels": {"team": "wéb", "tier": ""},
    "directions": {"alarm": "in", "ok": "neutral", "insufficient data": "out"},
    "repeat_interval": 300,
}


def latest(door: Door, path: str) -> Any:
    """Return the detail of the newest record of an alarm."""
    return json.loads(door.get(f"{path}/history?limit=1", headers=ANN).get_json()[0]["detail"])


def path_of(alarm: dict[str, Any]) -> str:
    return f"/v2/alarms/{alarm['alarm_id']}"


def test_what_is_not_set_is_not_shown(door: Door) -> None:
    """An alarm of a client that knows Aodh only has Aodh's attributes and no others, in answers and in the history."""
    alarm = created(door, ANN)
    empty = created(door, ANN, labels={}, directions=None, repeat_interval=None, signing_secret=None)
    known = {"labels", "directions", "repeat_interval", "signing_secret"}

    for one in (alarm, empty):
        assert not known & set(one)
        assert not known & set(latest(door, path_of(one)))


def test_what_is_set_is_shown_and_recorded(door: Door) -> None:
    """Every answer about the alarm has it, and so have the records of its creation and its end."""
    alarm = created(door, ANN, **EVERY)
    path = path_of(alarm)
    shown = [door.get(path, headers=ANN).get_json(), *door.get("/v2/alarms", headers=ANN).get_json()]
    recorded = latest(door, path)
    door.delete(path, headers=ANN)
    query = {"filter": json.dumps({"=": {"type": "deletion"}})}
    [deletion] = door.post("/v2/query/alarms/history", query, headers=ANN).get_json()

    for one in (alarm, *shown, recorded, json.loads(deletion["detail"])):
        assert EVERY == {key: one[key] for key in EVERY}


def test_a_put_that_does_not_know_them_leaves_them(door: Door) -> None:
    """An engine that replaces the definition does not take away what an operator has added."""
    alarm = created(door, ANN, **EVERY)
    answer = door.put(path_of(alarm), BODY | {"name": "renamed"}, headers=ANN).get_json()

    assert EVERY == {key: answer[key] for key in EVERY}
    assert {"name": "renamed"} == latest(door, path_of(alarm))


def test_an_echo_changes_nothing(door: Door) -> None:
    """What GET gives can be sent back whole."""
    alarm = created(door, ANN, **EVERY)
    door.clock.advance(60)

    assert alarm == door.put(path_of(alarm), alarm, headers=ANN).get_json()


@pytest.mark.parametrize("key", EVERY)
def test_null_takes_one_away(door: Door, key: str) -> None:
    """So does an empty object; the record says that it is gone, and the others stay."""
    alarm = created(door, ANN, **EVERY)
    answer = door.put(path_of(alarm), BODY | {key: None}, headers=ANN).get_json()

    assert set(EVERY) - {key} == set(EVERY) & set(answer)
    assert {key: None} == latest(door, path_of(alarm))


def test_a_new_value_takes_the_place_of_the_whole(door: Door) -> None:
    """Labels and directions are not merged."""
    alarm = created(door, ANN, **EVERY)
    answer = door.put(path_of(alarm), BODY | {"labels": {"a": "b"}, "directions": {"ok": "in"}}, headers=ANN).get_json()

    assert ({"a": "b"}, {"ok": "in"}) == (answer["labels"], answer["directions"])
    assert {"labels": {"a": "b"}, "directions": {"ok": "in"}} == latest(door, path_of(alarm))


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"directions": {"insufficient data": "in"}}, ["directions", "no evidence for removing capacity"]),
        ({"directions": {"alarm": "up"}}, ["alarm", "'out', 'in' or 'neutral'"]),
        ({"directions": {"gone": "in"}}, ["directions", "gone"]),
        ({"directions": "in"}, ["directions", "object"]),
        ({"labels": ["a"]}, ["labels", "object"]),
        ({"labels": {"a": 1}}, ["field/attribute a", "string"]),
        ({"labels": {"a": None}}, ["field/attribute a"]),
        ({"labels": {"": "a"}}, ["labels", "at least 1"]),
        ({"labels": {"k" * 65: "a"}}, ["labels", "at most 64"]),
        ({"labels": {"a": "v" * 256}}, ["at most 255"]),
        ({"labels": {str(number): "a" for number in range(33)}}, ["labels", "at most 32"]),
        ({"labels": {"a": "\0"}}, ["not text"]),
        ({"labels": {"\ud800": "a"}}, ["not text"]),
        ({"repeat_interval": 0}, ["repeat_interval", "greater or equal to 1"]),
        ({"repeat_interval": 86_401}, ["repeat_interval", "lower or equal to 86400"]),
        ({"repeat_interval": 1.5}, ["repeat_interval"]),
        ({"repeat_interval": "soon"}, ["repeat_interval"]),
        ({"signing_secret": "s" * 256}, ["signing_secret", "at most 255"]),
        ({"signing_secret": {}}, ["signing_secret"]),
    ],
)
def test_what_cannot_be_is_refused(door: Door, given: dict[str, Any], names: list[str]) -> None:
    """400 in Aodh's words that names the attribute, at creation and at change alike."""
    alarm = created(door, ANN)
    answers = [door.post("/v2/alarms", BODY | given, headers=ANN), door.put(path_of(alarm), BODY | given, headers=ANN)]

    for answer in answers:
        assert 400 == answer.status_code
        assert [] == [name for name in names if name not in error_of(answer)], error_of(answer)


def test_repeats_are_not_closer_than_ticks(tmp_path: Path) -> None:
    """With a tick of two and a half seconds, three are the least."""
    settings = load(None, {}, {"evaluator.tick_s": 2.5, "state_dir": str(tmp_path)})
    database = new_database(tmp_path)
    service = Runtime(settings=settings).alarm_service(database=database, doorbell=CountingDoorbell())
    admin = Caller(user_id="", project_id="", roles=frozenset({"admin"}))

    def drafted(repeat_interval_s: int) -> int | None:
        rule = {"meter_name": "m", "threshold": 1}
        draft = AlarmDraft(name="n", type="threshold", rule=rule, repeat_interval_s=repeat_interval_s)
        return service.drafted(draft, admin).repeat_interval_s

    assert 3 == drafted(3)
    with pytest.raises(InvalidInput, match=r"from 3 \(a tick\) to 86400"):
        drafted(2)
    database.close()


def test_alarms_are_found_by_their_labels(door: Door) -> None:
    """The complex query sees labels as the JSON that they are."""
    created(door, ANN, name="web", labels={"team": "web", "tier": "1"})
    created(door, ANN, name="db", labels={"team": "db"})
    created(door, ANN, name="bare")

    def names(condition: Any) -> set[str]:
        found = door.post("/v2/query/alarms", {"filter": json.dumps(condition)}, headers=ANN)
        return {alarm["name"] for alarm in found.get_json()}

    assert {"web"} == names({"=~": {"labels": '"team":"web"'}})
    assert {"db"} == names({"=": {"labels": '{ "team": "db" }'}})
    assert {"bare"} == names({"=": {"labels": "{}"}})


def test_a_preview_takes_them_too(door: Door) -> None:
    """What can be created can be tried first."""
    sample = {"metric": "cpu_util", "resource_id": "vm-1", "value": 95, "timestamp": "2026-01-01T00:00:00"}
    answer = door.post("/v3/alarms/preview", BODY | EVERY | {"samples": [sample]})

    assert 200 == answer.status_code, answer.get_data(as_text=True)
