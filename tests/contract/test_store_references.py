# SPDX-License-Identifier: Apache-2.0
"""The contract of references at rest, on every database; and what two who change them at once may bring about."""

from functools import partial
from typing import Any

import pytest

from alarmd.alarms import AlarmDraft, AlarmService
from alarmd.clock import ManualClock
from alarmd.errors import Conflict, InvalidInput
from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.caller import Caller
from alarmd.store.alarms import AlarmQuery
from alarmd.store.database import Database
from alarmd.store.transitions import announce
from tests.support.alarms import MORNING, an_alarm
from tests.support.rest import CountingDoorbell, alarm_service
from tests.support.threads import run_together

ANN = Caller(project_id="p1", user_id="ann", roles=frozenset({"member", "reader"}))
CPU = {"type": "threshold", "meter_name": "cpu_util", "threshold": 80.0}


def store(database: Database, *names: str, **references: tuple[str, ...]) -> None:
    """Store alarms whose ids are these names, and what they refer to."""
    with database.write() as unit:
        unit.alarms.add_all([an_alarm(alarm_id=AlarmId(name)) for name in (*names, *references)])
        for name, referenced in references.items():
            unit.references.put(name, referenced)


def test_references_are_found_from_both_ends(database: Database) -> None:
    """Directly and along the way, as far as is asked for."""
    store(database, "leaf", "lone", b=("leaf",), c=("leaf", "b"), top=("c",))
    with database.read() as unit:
        asked = unit.references

        assert {"leaf", "b"} == asked.referred_to(["leaf", "lone", "b", "top", "nobody"])
        assert ["b", "c"] == asked.referring(["leaf", "lone"], limit=5)
        assert ["b"] == asked.referring(["leaf"], limit=1)
        assert ["b", "c", "top"] == asked.all_referring("leaf", limit=5)
        assert 2 == len(asked.all_referring("leaf", limit=2))
        assert [] == asked.all_referring("lone", limit=5)
        assert (2, 0, 1) == (
            asked.levels("leaf", upwards=True, limit=5),
            asked.levels("leaf", upwards=False, limit=5),
            asked.levels("leaf", upwards=True, limit=1),
        )


def test_references_follow_the_rule_and_go_with_the_alarm(database: Database) -> None:
    """What is put replaces what was there; what a deleted alarm referred to is free."""
    store(database, "a", "b", top=("a",))
    with database.write() as unit:
        unit.references.put("top", ["b", "b"])
        replaced = unit.references.referred_to(["a", "b"])
        unit.alarms.remove("top", MORNING)

        assert ({"b"}, set()) == (replaced, unit.references.referred_to(["a", "b"]))


@pytest.mark.parametrize(
    ("references", "start", "way"),
    [
        ({"a": ("a",)}, "a", ["a", "a"]),
        ({"a": ("b",), "b": ("a",)}, "a", ["a", "b", "a"]),
        ({"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ("a",)}, "d", ["d", "a", "b", "d"]),
        ({"a": ("b",), "b": ("c",), "c": ("b",)}, "a", []),
        ({"a": ("b", "c"), "b": ("c",), "c": ()}, "a", []),
    ],
)
def test_the_way_of_a_ring_is_told(
    database: Database, references: dict[str, tuple[str, ...]], start: str, way: list[str]
) -> None:
    """The shortest one; a ring that does not lead through the alarm in question is none of its."""
    store(database, **references)
    with database.read() as unit:
        assert way == unit.references.cycle(start, limit=20)


def test_only_what_is_referred_to_is_announced(database: Database) -> None:
    """It has a new revision, so that those who follow definitions read it again, and nothing else of it has changed."""
    store(database, "quiet", "loud", top=("loud",))
    with database.read() as unit:
        before = {name: unit.alarms.get(name) for name in ("quiet", "loud", "top")}
        shard = an_alarm().shard
        cursor = unit.alarms.definitions({shard: 0}, limit=10).cursor
    with database.write() as unit:
        assert not announce(unit, [])
        assert not announce(unit, [AlarmId("quiet"), AlarmId("top")])
        assert announce(unit, [AlarmId("loud"), AlarmId("quiet")])
    with database.read() as unit:
        after = {name: unit.alarms.get(name) for name in ("quiet", "loud", "top")}
        news = unit.alarms.definitions(cursor, limit=10)

    assert [after["loud"]] == news.alarms
    assert (before["quiet"], before["top"]) == (after["quiet"], after["top"])
    assert before["loud"] is not None
    assert after["loud"] is not None
    assert (before["loud"].state_version, before["loud"].timestamp) == (
        after["loud"].state_version,
        after["loud"].timestamp,
    )


# --- side by side ----------------------------------------------------------------------------------------------------


def a_service(database: Database) -> AlarmService:
    return alarm_service(database=database, doorbell=CountingDoorbell(), clock=ManualClock())


def draft(rule: Any, name: str = "x") -> AlarmDraft:
    return AlarmDraft(name=name, type="composite", rule=rule)


def tried(job: Any, refused: list[Exception]) -> None:
    """Do something that may be refused."""
    try:
        job()
    except (InvalidInput, Conflict) as error:
        refused.append(error)


@pytest.mark.parametrize("turn", range(5))
def test_two_who_close_a_ring_at_once(database: Database, turn: int) -> None:
    """One of them is refused, whoever is later."""
    del turn
    service = a_service(database)
    one, other = (service.create(draft(CPU), ANN).alarm_id for _ in range(2))
    refused: list[Exception] = []
    run_together(
        partial(tried, lambda: service.replace(one, draft({"or": [CPU, {"alarm_id": other}]}), ANN), refused),
        partial(tried, lambda: service.replace(other, draft({"or": [CPU, {"alarm_id": one}]}), ANN), refused),
    )
    [error] = refused

    assert isinstance(error, InvalidInput)
    assert "An alarm cannot refer to itself: " in error.message
    with database.read() as unit:
        assert 1 == len(unit.references.referred_to([one, other]))


@pytest.mark.parametrize("turn", range(5))
def test_an_alarm_is_referred_to_while_it_is_deleted(database: Database, turn: int) -> None:
    """Either it is gone and nobody refers to it, or somebody does and it stays."""
    del turn
    service = a_service(database)
    alarm_id = service.create(draft(CPU), ANN).alarm_id
    refused: list[Exception] = []
    run_together(
        partial(tried, lambda: service.create(draft({"alarm_id": alarm_id}), ANN), refused),
        partial(tried, lambda: service.delete(alarm_id, ANN), refused),
    )
    with database.read() as unit:
        is_there = unit.alarms.get(alarm_id) is not None
        is_referred_to = bool(unit.references.referred_to([alarm_id]))

    assert 1 == len(refused)
    assert is_there is is_referred_to


def test_many_write_delete_and_turn_side_by_side(database: Database) -> None:
    """Nobody waits for each other in a ring, and what is left refers to what is there."""
    service = a_service(database)
    leaves = [service.create(draft(CPU), ANN) for _ in range(4)]
    refused: list[Exception] = []

    def write(number: int) -> None:
        for turn in range(6):
            leaf = leaves[(number + turn) % 4]
            tried(lambda leaf=leaf: service.create(draft({"or": [{"alarm_id": leaf.alarm_id}, CPU]}), ANN), refused)

    def delete(alarm: Alarm) -> None:
        for _ in range(6):
            tried(lambda: service.set_state(alarm.alarm_id, State.ALARM, ANN), refused)
        tried(lambda: service.delete(alarm.alarm_id, ANN, cascade=True), refused)

    run_together(*(partial(write, number) for number in range(3)), *(partial(delete, leaf) for leaf in leaves[:2]))
    with database.read() as unit:
        left = {alarm.alarm_id: alarm for alarm in unit.alarms.find(AlarmQuery())}

    assert {
        leaf["alarm_id"] for alarm in left.values() for leaf in alarm.rule.get("or", []) if "alarm_id" in leaf
    } <= set(left)
