# SPDX-License-Identifier: Apache-2.0
"""The contract of history at rest, on every database."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from alarmd.errors import InvalidInput
from alarmd.model.alarm import Severity
from alarmd.model.history import AlarmChange, ChangeType
from alarmd.store.database import Database
from alarmd.store.history import HistoryQuery
from tests.support.alarms import MORNING


def a_change(**changes: Any) -> AlarmChange:
    values: dict[str, Any] = {
        "event_id": str(uuid4()),
        "alarm_id": "a1",
        "type": ChangeType.RULE_CHANGE,
        "detail": {"severity": "low"},
        "user_id": "u1",
        "project_id": "p1",
        "on_behalf_of": "p1",
        "timestamp": MORNING,
        "severity": None,
    }
    return AlarmChange(**(values | changes))


def at(minutes: float) -> datetime:
    return MORNING + timedelta(minutes=minutes)


def record(database: Database, *changes: AlarmChange) -> None:
    with database.write() as unit:
        unit.history.add_all(changes)


def find(database: Database, **query: Any) -> list[AlarmChange]:
    with database.read() as unit:
        return unit.history.find(HistoryQuery(**query))


def test_what_is_recorded_comes_back(database: Database) -> None:
    """A change survives with its detail and its missing severity."""
    change = a_change(detail={"rule": {"threshold": 0.5}, "name": "ö", "ok_actions": ["http://h/%7E"]})
    with database.write() as unit:
        unit.history.add(change)

    assert [change] == find(database)


def test_the_newest_comes_first(database: Database) -> None:
    """Changes come newest first; of one moment the one recorded last comes first."""
    changes = [a_change(timestamp=at(0)), a_change(timestamp=at(1)), a_change(timestamp=at(1)), a_change()]
    record(database, *changes)

    assert [changes[2], changes[1], changes[3], changes[0]] == find(database)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"alarm_id": "a2"}, "b"),
        ({"alarm_id": "a\0"}, ""),
        ({"on_behalf_of": "p2"}, "c"),
        ({"user_id": ""}, "d"),
        ({"project_id": "px"}, "e"),
        ({"type": ChangeType.DELETION}, "b"),
        ({"type": "no such type"}, ""),
        ({"severity": "critical"}, "c"),
        ({"timestamps": (("gt", at(2)),)}, "de"),
        ({"timestamps": (("ge", at(2)), ("lt", at(4)))}, "cd"),
        ({"timestamps": (("eq", at(2)),)}, "c"),
        ({"timestamps": (("ne", at(2)), ("le", at(3)))}, "abd"),
    ],
)
def test_queries_narrow(database: Database, query: dict[str, Any], ids: str) -> None:
    """Each condition narrows by its own attribute, and conditions add up."""
    record(
        database,
        a_change(event_id="a", timestamp=at(0)),
        a_change(event_id="b", timestamp=at(1), alarm_id="a2", type=ChangeType.DELETION),
        a_change(event_id="c", timestamp=at(2), on_behalf_of="p2", severity=Severity.CRITICAL),
        a_change(event_id="d", timestamp=at(3), user_id=""),
        a_change(event_id="e", timestamp=at(4), project_id="px"),
    )
    found = find(database, sort=(("event_id", "asc"),), **query)

    assert ids == "".join(change.event_id for change in found)


@pytest.mark.parametrize("key", ["event_id", "alarm_id", "on_behalf_of", "type", "timestamp", "severity", "user_id"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_pages_add_up(database: Database, key: str, direction: str) -> None:
    """Page after page gives each change once, though most have the same value to sort by, or none."""
    severities = [None, *Severity]
    record(database, *(a_change(severity=severities[number % 4]) for number in range(13)))
    sort = ((key, direction),)
    paged: list[AlarmChange] = []
    while page := find(database, sort=sort, limit=3, marker=paged[-1].event_id if paged else None):
        paged += page

    assert find(database, sort=sort) == paged
    assert 13 == len({change.event_id for change in paged})


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ({"marker": "nowhere"}, "Marker nowhere not found"),
        ({"sort": (("detail", "asc"),)}, "Value: 'detail'"),
        ({"timestamps": (("like", MORNING),)}, "'like'.*lt, le"),
    ],
)
def test_what_cannot_be_asked(database: Database, query: dict[str, Any], complaint: str) -> None:
    """Unknown markers, keys and comparisons are refused with what is allowed."""
    with pytest.raises(InvalidInput, match=complaint):
        find(database, **query)


def test_old_history_goes(database: Database) -> None:
    """Pruning takes the oldest first, no more than the limit, and nothing from the moment on."""
    changes = [a_change(timestamp=at(minutes)) for minutes in (3, 1, 2, 0)]
    record(database, *changes)
    with database.write() as unit:
        dropped = [unit.history.prune(at(3), limit=2), unit.history.prune(at(3), limit=2)]
        left = unit.history.find(HistoryQuery())

    assert ([2, 1], [changes[0]]) == (dropped, left)
