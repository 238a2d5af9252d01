# SPDX-License-Identifier: Apache-2.0
"""Rows that somebody has written past alarmd, on every database: they stop nobody but themselves."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text as sql
from sqlalchemy import update

from alarmd.evaluators.schedules.hours import read_hours
from alarmd.model.alarm import Alarm, Severity, State
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState
from alarmd.store.alarms import AlarmQuery
from alarmd.store.database import Database
from alarmd.store.gate import GateLimits
from alarmd.store.schema import upgrade
from alarmd.store.silences import SilenceQuery
from alarmd.store.tables import alarms, silences
from tests.support.alarms import MORNING, an_alarm
from tests.support.silences import a_silence, a_window
from tests.support.stock import outbox_of, store
from tests.support.transitions import a_transition, applied

#: What alarmd never writes, by column.
SPOILT: dict[str, list[Any]] = {
    "rule": [[], "x"],
    "ok_actions": [{}, "http://h/x", [5, None]],
    "alarm_actions": [{"a": 1}],
    "insufficient_data_actions": [7],
    "time_constraints": ["night", [5], [{"start": 1}], {"start": "* * * * *"}],
    "labels": [["a"], {"team": 5}],
    "directions": [["in"], "in", {"alarm": "sideways"}, {"asleep": "in"}, {"alarm": ["in"]}, {"alarm": None}],
}


def spoil(database: Database, alarm: Alarm, column: str, value: Any) -> None:
    with database.write() as unit:
        unit.connection.execute(update(alarms).where(alarms.c.alarm_id == alarm.alarm_id).values({column: value}))


@pytest.mark.parametrize(("column", "value"), [(key, one) for key, many in SPOILT.items() for one in many])
def test_a_spoilt_alarm_stops_nobody(database: Database, column: str, value: Any) -> None:
    """Lists are read whole, and of two alarms that change in one tick both do; what can be sent is."""
    spoilt, sound = store(database, an_alarm(alarm_actions=("http://h/a",)), an_alarm(alarm_actions=("http://h/b",)))
    spoil(database, spoilt, column, value)
    with database.read() as unit:
        found = unit.alarms.find(AlarmQuery())
    result = applied(database, a_transition(spoilt), a_transition(sound))

    assert {spoilt.alarm_id, sound.alarm_id} == {one.alarm_id for one in found}
    assert 2 == len(result.applied)
    assert [DeliveryState.PENDING] == [one.state for one in outbox_of(database, sound)]


def test_of_directions_those_count_that_can_be_read(database: Database) -> None:
    """For the others the alarm's comparison tells, as if nothing had been said."""
    [alarm] = store(database, an_alarm())
    spoil(database, alarm, "directions", {"alarm": "sideways", "ok": "out", "asleep": "in"})
    with database.read() as unit:
        [found] = unit.alarms.find(AlarmQuery())

    assert {State.OK: Direction.OUT} == found.directions
    assert alarm.direction_of(State.ALARM) == found.direction_of(State.ALARM)


def test_a_spoilt_state_is_evaluated_anew(database: Database) -> None:
    """What is in no state that there is counts as unknown, and of no severity that there is as the lowest."""
    [alarm] = store(database, an_alarm(state=State.OK, alarm_actions=("http://h/a",)))
    spoil(database, alarm, "state", "asleep")
    spoil(database, alarm, "severity", "dreadful")
    with database.read() as unit:
        [found] = unit.alarms.find(AlarmQuery())
    result = applied(database, a_transition(found))
    with database.read() as unit:
        [mended] = unit.alarms.find(AlarmQuery(state=State.ALARM))

    assert (State.INSUFFICIENT_DATA, Severity.LOW) == (found.state, found.severity)
    assert [alarm.alarm_id] == [one.alarm_id for one in result.applied] == [mended.alarm_id]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("labels", ["a"]),
        ("labels", {"team": 5}),
        ("direction", "sideways"),
        ("time_constraints", {"start": "* * * * *"}),
        ("time_constraints", [{"start": "* * * * *"}]),
        ("time_constraints", [a_window("never", duration=60)]),
        ("time_constraints", [a_window("* * * * *", duration=60) | {"duration": "long"}]),
    ],
)
def test_a_spoilt_silence_keeps_nothing_back(database: Database, column: str, value: Any) -> None:
    """Whatever it may have been about: rather a webhook too many than none for anybody. Lists show it."""
    [alarm] = store(database, an_alarm(alarm_actions=("http://h/a",)))
    silence = a_silence(ends_at=MORNING + timedelta(days=1))
    with database.write() as unit:
        unit.silences.add(silence)
        unit.connection.execute(update(silences).values({column: value}))
    with database.read() as unit:
        found = unit.silences.find(SilenceQuery())
    applied(database, a_transition(alarm), limits=GateLimits(read_hours=read_hours))

    assert [silence.silence_id] == [one.silence_id for one in found]
    assert [DeliveryState.PENDING] == [one.state for one in outbox_of(database, alarm)]


@pytest.mark.parametrize("text", ["{broken", "", " [1]", "7"])
def test_what_is_no_json_is_read_as_nothing(tmp_path: Path, text: str) -> None:
    """SQLite takes any text; a list with such a row is read whole."""
    url = f"sqlite:///{tmp_path / 'alarmd.db'}"
    upgrade(url)
    database = Database.connect(url)
    alarm, other = store(database, an_alarm(), an_alarm())
    statement = "UPDATE alarms SET labels = :text, ok_actions = :text, rule = :text WHERE alarm_id = :alarm_id"
    with database.write() as unit:
        unit.connection.execute(sql(statement), {"text": text, "alarm_id": alarm.alarm_id})
    with database.read() as unit:
        found = {one.alarm_id: one for one in unit.alarms.find(AlarmQuery())}
    database.close()

    assert {alarm.alarm_id, other.alarm_id} == set(found)
    assert ({}, (), {}) == (found[alarm.alarm_id].labels, found[alarm.alarm_id].ok_actions, found[alarm.alarm_id].rule)
