# SPDX-License-Identifier: Apache-2.0
"""The contract of rows written in one go, on every database: each comes back as it was, whatever others are like."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

from alarmd.model.alarm import Alarm, AlarmId, Severity
from alarmd.store.alarms import AlarmQuery
from alarmd.store.bulk import update_rows
from alarmd.store.database import Database
from alarmd.store.tables import alarms
from tests.support.alarms import MORNING, an_alarm
from tests.support.stock import store


def all_of(database: Database) -> dict[str, Alarm]:
    with database.read() as unit:
        return {alarm.alarm_id: alarm for alarm in unit.alarms.find(AlarmQuery())}


def test_rows_come_back_as_they_were(database: Database) -> None:
    """Whether a column is alike in all rows, in all but one, or in none; and with values of every kind."""
    draw = random.Random(5)
    for number in range(20):
        kinds: dict[str, list[Any]] = {
            "name": ["same", "other", "quite another"],
            "enabled": [True, False],
            "severity": [Severity.LOW, Severity.CRITICAL],
            "repeat_interval_s": [None, 0, 60],
            "timestamp": [MORNING, MORNING + timedelta(microseconds=1)],
            "evaluate_timestamp": [None, MORNING],
            "ok_actions": [(), ("http://h/1",), ("http://h/1", "http://h/é")],
            "rule": [{"threshold": 1}, {"threshold": 1.0}, {"threshold": None}, {}],
        }
        # Of some columns there is one value for all of these rows.
        choices = {name: draw.sample(values, draw.randint(1, len(values))) for name, values in kinds.items()}
        drawn = [
            replace(an_alarm(), **{name: draw.choice(values) for name, values in choices.items()})
            for _ in range(draw.choice([1, 2, 5]))
        ]
        wanted = {alarm.alarm_id: alarm for alarm in store(database, *drawn)}
        found = all_of(database)

        assert wanted == {alarm_id: found[alarm_id] for alarm_id in wanted}, number


def test_what_is_equal_is_not_always_the_same(database: Database) -> None:
    """A whole number and a fraction in two documents are equal, and each stays what it is."""
    drawn = [an_alarm(rule={"threshold": threshold}) for threshold in (1, 1.0, 1)]
    wanted = [repr(alarm.rule) for alarm in store(database, *drawn)]
    found = all_of(database)

    assert wanted == [repr(found[alarm.alarm_id].rule) for alarm in drawn]


def test_more_rows_than_a_statement_takes(database: Database) -> None:
    """Thousands are stored and changed whole, each with what is its own."""
    drawn = [replace(an_alarm(), alarm_id=AlarmId(f"a{number:05}"), name=f"n{number}") for number in range(2_345)]
    store(database, *drawn)
    rows = [
        {"alarm_id": alarm.alarm_id, "description": alarm.name, "rule": {"n": number}}
        for number, alarm in enumerate(drawn)
    ]
    with database.write() as unit:
        update_rows(unit.connection, alarms, key="alarm_id", rows=rows)
    found = all_of(database)

    assert [(f"n{number}", f"n{number}", {"n": number}) for number in range(2_345)] == [
        (alarm.name, alarm.description, alarm.rule) for _, alarm in sorted(found.items())
    ]
