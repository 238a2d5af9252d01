# SPDX-License-Identifier: Apache-2.0
"""Alarms that refer to others: what they may refer to, and what becomes of them when those go."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alarmd.alarms import AlarmDraft
from alarmd.alarms.references import MAX_LEVELS
from alarmd.cluster.doorbell import Bell
from alarmd.errors import Conflict, Forbidden, InvalidInput, NotFound, Outdated
from alarmd.model.alarm import Alarm
from alarmd.model.caller import Caller
from alarmd.model.history import ChangeType
from alarmd.store.alarms import AlarmQuery
from tests.unit.test_alarms import ADMIN, ALICE, EVE, READER, RULE, House, echo_of

_ALL = AlarmQuery()
CPU = {"type": "threshold"} | RULE


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """An empty house."""
    opened = House(tmp_path)
    yield opened
    opened.database.close()


def refer(house: House, *alarms: Alarm, caller: Caller = ALICE, **changes: Any) -> Alarm:
    """Create a composite that refers to alarms."""
    rule = {"or": [{"alarm_id": alarm.alarm_id} for alarm in alarms]}
    return house.create(caller, type="composite", rule=rule, **changes)


def put(house: House, alarm: Alarm, *rules: Any, caller: Caller = ALICE, **changes: Any) -> Alarm:
    """Give a composite other rules."""
    return house.alarms.replace(alarm.alarm_id, echo_of(alarm, rule={"or": [*rules]}, **changes), caller)


def reference(alarm: Alarm) -> dict[str, str]:
    return {"alarm_id": alarm.alarm_id}


def are_there(house: House, *alarms: Alarm) -> list[bool]:
    with house.database.read() as unit:
        return [unit.alarms.get(alarm.alarm_id) is not None for alarm in alarms]


def test_any_alarm_of_the_project_can_be_referred_to(house: House) -> None:
    """Of every type, also another composite, and more than once."""
    cpu, event = house.create(), house.create(type="event", rule={})
    inner = refer(house, cpu)
    outer = refer(house, inner, event, cpu, event)

    assert {"or": [reference(one) for one in (inner, event, cpu, event)]} == outer.rule
    with house.database.read() as unit:
        assert {inner.alarm_id, event.alarm_id, cpu.alarm_id} == unit.references.referred_to(
            [inner.alarm_id, event.alarm_id, cpu.alarm_id, outer.alarm_id]
        )


def test_what_is_not_there_for_the_caller_cannot_be_referred_to(house: House) -> None:
    """Nobody learns whether another project has such an alarm; and nothing is left of the attempt."""
    own, foreign = house.create(), house.create(EVE)
    for alarm_id in (foreign.alarm_id, "nobody"):
        with pytest.raises(InvalidInput, match=f"^The rule refers to alarm {alarm_id}, which is not found"):
            house.create(type="composite", rule={"and": [reference(own), {"alarm_id": alarm_id}]})

    assert [own] == house.alarms.find(_ALL, ALICE)


def test_what_is_referred_to_reads_the_same_project(house: House) -> None:
    """An administrator sees every alarm, but a composite is evaluated where the samples of one project are."""
    foreign = house.create(EVE)
    with pytest.raises(InvalidInput, match=r"reads project p2, but it must read one project, and reads ops\.$"):
        refer(house, foreign, caller=ADMIN)
    elsewhere = CPU | {"query": [{"field": "project_id", "value": "p2"}]}

    composite = house.create(ADMIN, type="composite", rule={"and": [elsewhere, reference(foreign)]})
    assert "ops" == composite.project_id
    assert foreign.shard == composite.shard


def test_who_changes_an_alarm_need_not_see_what_it_refers_to(house: House) -> None:
    """What an administrator has put into a project's alarm may stay, as long as nothing else is named."""
    hidden = house.create(ADMIN, rule=RULE | {"query": [{"field": "project_id", "value": "p1"}]})
    cpu = house.create()
    composite = refer(house, cpu, hidden, caller=ADMIN, project_id="p1", user_id="alice")
    after = put(house, composite, reference(hidden), CPU)

    assert reference(hidden) == after.rule["or"][0]
    put(house, after, CPU)
    with pytest.raises(InvalidInput, match="which is not found"):
        put(house, after, reference(hidden))


def test_an_alarm_cannot_refer_to_itself(house: House) -> None:
    """Directly or by way of others; the refusal tells the way, and the alarm stays as it was."""
    first = house.create(type="composite", rule=CPU)
    second = refer(house, first)
    third = refer(house, house.create(), second)
    with pytest.raises(InvalidInput, match=f"{first.alarm_id} → {first.alarm_id}.$"):
        put(house, first, reference(first))
    ring = " → ".join(one.alarm_id for one in (first, third, second, first))
    with pytest.raises(InvalidInput, match=f"^An alarm cannot refer to itself: {ring}.$"):
        put(house, first, CPU, reference(third))

    assert CPU["meter_name"] == house.alarms.get(first.alarm_id, ALICE).rule["meter_name"]
    house.alarms.delete(third.alarm_id, ALICE)
    house.alarms.delete(second.alarm_id, ALICE)
    assert [True] == are_there(house, first)


def test_references_may_stand_behind_each_other_so_far_only(house: House) -> None:
    """At either end of the chain."""
    chain = [house.create(type="composite", rule=CPU)]
    for _ in range(MAX_LEVELS):
        chain.append(refer(house, chain[-1]))

    with pytest.raises(InvalidInput, match=f"More than {MAX_LEVELS} alarms would refer to each other"):
        refer(house, chain[-1])
    with pytest.raises(InvalidInput, match=f"More than {MAX_LEVELS} alarms would refer to each other"):
        put(house, chain[0], reference(house.create()))


def test_an_alarm_that_others_refer_to_is_not_deleted(house: House) -> None:
    """The refusal names them; once they are changed it can go."""
    cpu = house.create()
    composites = [refer(house, cpu, name=f"both {number}") for number in range(2)]
    with pytest.raises(Conflict) as refused:
        house.alarms.delete(cpu.alarm_id, ALICE)
    named = ", ".join(sorted(f"{one.alarm_id} ({one.name})" for one in composites))

    assert f"Alarms {named} refer to alarm {cpu.alarm_id}. " in refused.value.message
    assert "cascade=true" in refused.value.message
    assert [ChangeType.CREATION] == [change.type for change in house.changes(cpu)]
    put(house, composites[0], CPU)
    house.alarms.delete(composites[1].alarm_id, ALICE)
    house.alarms.delete(cpu.alarm_id, ALICE)
    assert [False] == are_there(house, cpu)


def test_a_refusal_names_ten_at_most_and_nobody_elses(house: House) -> None:
    """However many there are."""
    popular, watched = house.create(), house.create()
    for _ in range(12):
        refer(house, popular)
    elsewhere = CPU | {"query": [{"field": "project_id", "value": "p1"}]}
    secret = house.create(ADMIN, type="composite", rule={"and": [elsewhere, reference(watched)]})
    with pytest.raises(Conflict) as refused:
        house.alarms.delete(popular.alarm_id, ALICE)
    with pytest.raises(Conflict, match=r"^Alarms of other projects refer to alarm") as hidden:
        house.alarms.delete(watched.alarm_id, ALICE)
    with pytest.raises(Conflict, match=r"^Alarms of other projects refer to alarm .* \(1 of them\): only an admin"):
        house.alarms.delete(watched.alarm_id, ALICE, cascade=True)

    assert 10 == refused.value.message.count("(cpu)")
    assert ", others refer to alarm" in refused.value.message
    assert secret.alarm_id not in hidden.value.message
    house.alarms.delete(watched.alarm_id, ADMIN, cascade=True)
    assert [False, False] == are_there(house, watched, secret)


def test_an_alarm_goes_with_all_that_refer_to_it(house: House) -> None:
    """On request: along all references, each with its own entry in the history; others stay."""
    cpu, other = house.create(), house.create()
    middle = refer(house, cpu, other)
    top, beside = refer(house, middle, cpu), refer(house, other)
    house.doorbell.rung.clear()
    house.alarms.delete(cpu.alarm_id, ALICE, cascade=True)

    assert [False, False, False, True, True] == are_there(house, cpu, middle, top, other, beside)
    for gone in (cpu, middle, top):
        assert (ChangeType.DELETION, "alice") == (house.changes(gone)[0].type, house.changes(gone)[0].user_id)
    assert [Bell.ALARMS] == house.doorbell.rung


def test_a_cascade_asks_what_a_deletion_asks(house: House) -> None:
    """For the alarm, its version and the right to delete it; when it is refused, all stay."""
    cpu = house.create()
    composite = refer(house, cpu)
    with pytest.raises(Forbidden):
        house.alarms.delete(cpu.alarm_id, READER, cascade=True)
    with pytest.raises(NotFound):
        house.alarms.delete(cpu.alarm_id, EVE, cascade=True)
    with pytest.raises(NotFound):
        house.alarms.delete("a\0b", ALICE, cascade=True)
    with pytest.raises(Outdated):
        house.alarms.delete(cpu.alarm_id, ALICE, versions=frozenset({"0"}), cascade=True)

    assert [True, True] == are_there(house, cpu, composite)
    house.alarms.delete(composite.alarm_id, ALICE, cascade=True)
    assert [True, False] == are_there(house, cpu, composite)


def test_an_alarm_that_others_refer_to_stays_in_their_project(house: House) -> None:
    """It may not be made to read another one, whoever asks; everything else of it may change."""
    cpu = house.create()
    composite = refer(house, cpu)
    elsewhere = RULE | {"query": [{"field": "project_id", "value": "p2"}]}
    for changes in ({"rule": elsewhere}, {"project_id": "p2"}):
        draft = echo_of(cpu, **changes)
        with pytest.raises(Conflict, match=rf"^Alarm {composite.alarm_id} \(cpu\) refers to alarm {cpu.alarm_id}, "):
            house.alarms.replace(cpu.alarm_id, draft, ADMIN)
    changed = house.alarms.replace(cpu.alarm_id, echo_of(cpu, rule=RULE | {"threshold": 1.0}, name="x"), ALICE)

    assert ("x", "p1", 1.0) == (changed.name, changed.project_id, changed.rule["threshold"])
    with pytest.raises(InvalidInput, match="reads project p1, but it must read one project, and reads p2"):
        house.alarms.replace(composite.alarm_id, echo_of(composite, project_id="p2"), ADMIN)


def test_an_alarm_that_no_longer_refers_to_others_lets_them_go(house: House) -> None:
    """Also when its type has changed."""
    cpu = house.create()
    composite = refer(house, cpu)
    house.alarms.replace(composite.alarm_id, AlarmDraft(name="n", type="threshold", rule=RULE), ALICE)
    house.alarms.delete(cpu.alarm_id, ALICE)

    assert [False, True] == are_there(house, cpu, composite)
