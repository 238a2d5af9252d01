# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

from alarmd.model.alarm import AlarmId
from alarmd.model.results import AlarmResults, ResultCounts
from alarmd.store.counters import HIGHEST
from alarmd.store.database import Database
from tests.support.alarms import MORNING, an_alarm


def counts_of(alarm_id: str, *, ok: int = 0, alarm: int = 0, insufficient_data: int = 0) -> ResultCounts:
    return ResultCounts(alarm_id=AlarmId(alarm_id), ok=ok, alarm=alarm, insufficient_data=insufficient_data)


def fill(database: Database, *alarm_ids: str, project_id: str = "p1") -> None:
    """Add alarms with these ids."""
    with database.write() as unit:
        for alarm_id in alarm_ids:
            unit.alarms.add(an_alarm(alarm_id=AlarmId(alarm_id), project_id=project_id))


def add(database: Database, *counts: ResultCounts) -> None:
    with database.write() as unit:
        unit.counters.add(counts)


def found(
    database: Database, *, project_id: str | None = None, marker: str | None = None, limit: int = 10
) -> Sequence[AlarmResults]:
    with database.read() as unit:
        return unit.counters.find(project_id=project_id, marker=marker, limit=limit)


def test_counts_add_up(database: Database) -> None:
    """What is added goes on top of what is there, state by state and alarm by alarm."""
    fill(database, "a", "b")
    add(database, counts_of("a", ok=2), counts_of("b", alarm=1))
    add(database, counts_of("b", alarm=4, insufficient_data=1), counts_of("a"))
    add(database)

    expected = [counts_of("a", ok=2), counts_of("b", alarm=5, insufficient_data=1)]
    assert expected == [one.counts for one in found(database)]


def test_an_alarm_that_is_gone_is_passed_over(database: Database) -> None:
    """Counts of an alarm that was deleted meanwhile hold up no others."""
    fill(database, "b")
    add(database, counts_of("a", ok=1), counts_of("b", ok=1), counts_of("c", ok=1))

    assert ["b"] == [one.counts.alarm_id for one in found(database)]


def test_counters_vanish_with_their_alarm(database: Database) -> None:
    """When an alarm is deleted so are its counters, and those of the others stay."""
    fill(database, "a", "b")
    add(database, counts_of("a", ok=1), counts_of("b", ok=1))
    with database.write() as unit:
        unit.alarms.remove("a", MORNING)

    assert ["b"] == [one.counts.alarm_id for one in found(database)]


def test_a_counter_returns_to_one(database: Database) -> None:
    """After two thousand million comes one, as in Aodh; the other counters of the alarm go on."""
    fill(database, "a")
    add(database, counts_of("a", ok=HIGHEST - 1, alarm=1))
    add(database, counts_of("a", ok=1))
    full = found(database)
    add(database, counts_of("a", ok=1, alarm=1))
    once_round = found(database)
    add(database, counts_of("a", ok=2))

    assert [counts_of("a", ok=HIGHEST, alarm=1)] == [one.counts for one in full]
    assert [counts_of("a", ok=1, alarm=2)] == [one.counts for one in once_round]
    assert [counts_of("a", ok=3, alarm=2)] == [one.counts for one in found(database)]


def test_a_page_holds_a_project_or_all(database: Database) -> None:
    """Counters come in the order of their alarms' ids, of one project or of all, page after page."""
    fill(database, "a", "c")
    fill(database, "b", project_id="p2")
    add(database, *(counts_of(alarm_id, ok=1) for alarm_id in "abc"))

    assert [("a", "p1"), ("b", "p2"), ("c", "p1")] == [(one.counts.alarm_id, one.project_id) for one in found(database)]
    assert ["a", "c"] == [one.counts.alarm_id for one in found(database, project_id="p1")]
    assert ["b"] == [one.counts.alarm_id for one in found(database, marker="a", limit=1)]
    assert [] == found(database, project_id="\0")


def test_many_alarms_are_counted_at_once(database: Database) -> None:
    """A whole portion goes in one statement, and again on top of itself."""
    with database.write() as unit:
        for number in range(500):
            unit.alarms.add(an_alarm(alarm_id=AlarmId(f"{number:05}")))
    counts = [counts_of(f"{number:05}", ok=1) for number in reversed(range(10_000))]
    add(database, *counts)
    add(database, *counts)

    assert [2] * 500 == [one.counts.ok for one in found(database, limit=1000)]
