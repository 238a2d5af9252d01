# SPDX-License-Identifier: Apache-2.0
"""The contract of the alarms at rest, on every database."""

import threading
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from alarmd.errors import InvalidInput
from alarmd.model.alarm import Alarm, AlarmId, Severity, State
from alarmd.model.shard import Shard, all_shards
from alarmd.store.alarms import AlarmQuery, Definitions
from alarmd.store.database import Database
from tests.support.alarms import MORNING, an_alarm
from tests.support.stock import store
from tests.support.threads import run_together

LATER = MORNING + timedelta(seconds=90)
FROM_THE_START = dict.fromkeys(all_shards(), 0)


def find(database: Database, **query: Any) -> list[Alarm]:
    with database.read() as unit:
        return unit.alarms.find(AlarmQuery(**query))


def follow(database: Database, cursor: dict[Shard, int], limit: int = 1000) -> Definitions:
    with database.read() as unit:
        return unit.alarms.definitions(cursor, limit=limit)


def test_what_is_stored_comes_back(database: Database) -> None:
    """Every value survives: microseconds, odd bytes of URLs, any script, nested rules, and a missing moment."""
    alarm = an_alarm(
        name="größer 🚀 'quoted' \"twice\" \\ %s :x",
        ok_actions=("https://h/a?b=%7E&c=%2f%2F&d=ä#frag", "http://H:80/../x//y;z='1'"),
        insufficient_data_actions=("log://",),
        rule={"threshold": 0.1, "query": [{"value": None}, {"deep": {"er": [1, 2.5, True]}}]},
        evaluate_timestamp=None,
        severity=Severity.CRITICAL,
        state=State.OK,
        enabled=False,
        repeat_actions=True,
    )
    stored = store(database, alarm)[0]
    with database.read() as unit:
        found = unit.alarms.get(alarm.alarm_id)

    assert replace(alarm, revision=1) == stored == found


@pytest.mark.parametrize("rule", ["[]", "null", '"rule"'])
def test_a_rule_that_is_none_is_empty(database: Database, rule: str) -> None:
    """What somebody has written past alarmd keeps nobody from reading the lists that it stands in."""
    store(database, an_alarm())
    with database.write() as unit:
        unit.connection.execute(text("UPDATE alarms SET rule = :rule"), {"rule": rule})

    assert [{}] == [alarm.rule for alarm in find(database)]


def test_naive_moments_are_refused(database: Database) -> None:
    """A moment without a zone never gets in."""
    with pytest.raises(Exception, match="has no time zone"):
        store(database, an_alarm(timestamp=MORNING.replace(tzinfo=None)))


@pytest.mark.parametrize("alarm_id", ["nowhere", "", "a\0b", "\ud800", "x" * 5000])
def test_any_text_can_be_looked_up(database: Database, alarm_id: str) -> None:
    """Looking for an id that cannot exist finds nothing, whatever is in it."""
    with database.write() as unit:
        found = unit.alarms.get(alarm_id, for_update=True)
        listed = unit.alarms.find(AlarmQuery(name=alarm_id, alarm_ids=(alarm_id,)))

    assert (None, []) == (found, listed)


def test_a_failed_unit_of_work_leaves_nothing(database: Database) -> None:
    """An exception inside the block takes back all that was done in it, the numbers drawn included."""

    def crash() -> None:
        with database.write() as unit:
            unit.alarms.add(an_alarm())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crash()

    assert [] == find(database)
    assert 1 == store(database, an_alarm())[0].revision


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["a", "b", "c"]),
        ({"project_id": "p2"}, ["b"]),
        ({"user_id": "u2"}, ["c"]),
        ({"name": "a"}, ["a"]),
        ({"type": "event"}, ["c"]),
        ({"enabled": False}, ["b"]),
        ({"enabled": True, "project_id": "p1"}, ["a", "c"]),
        ({"state": State.OK}, ["a"]),
        ({"state": "no such state"}, []),
        ({"severity": Severity.CRITICAL}, ["b"]),
        ({"repeat_actions": True}, ["c"]),
        ({"timestamp": LATER}, ["b"]),
        ({"alarm_ids": ("1", "3", "9")}, ["a", "c"]),
        ({"alarm_ids": ()}, []),
    ],
)
def test_queries_narrow(database: Database, query: dict[str, Any], names: list[str]) -> None:
    """Each condition of a query narrows by its own attribute, and conditions add up."""
    store(
        database,
        an_alarm(alarm_id="1", name="a", state=State.OK),
        an_alarm(alarm_id="2", name="b", project_id="p2", enabled=False, severity=Severity.CRITICAL, timestamp=LATER),
        an_alarm(alarm_id="3", name="c", user_id="u2", type="event", repeat_actions=True),
    )
    with database.read() as unit:
        count = unit.alarms.count(AlarmQuery(**query))

    assert names == [alarm.name for alarm in find(database, sort=(("name", "asc"),), **query)]
    assert len(names) == count


def test_severity_sorts_by_meaning(database: Database) -> None:
    """Low comes before moderate and moderate before critical, which is not the alphabet's order."""
    store(database, *(an_alarm(severity=severity) for severity in reversed(Severity)))
    found = find(database, sort=(("severity", "asc"),))

    assert [Severity.LOW, Severity.MODERATE, Severity.CRITICAL] == [alarm.severity for alarm in found]


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize(
    "key",
    [
        "alarm_id",
        "enabled",
        "name",
        "project_id",
        "repeat_actions",
        "severity",
        "state",
        "state_timestamp",
        "timestamp",
    ],
)
def test_pages_add_up(database: Database, key: str, direction: str) -> None:
    """Page after page gives each alarm once and in one order, though most have the same value to sort by."""
    store(
        database,
        *(
            an_alarm(
                name="aB"[number % 2],
                enabled=number % 3 == 0,
                severity=list(Severity)[number % 3],
                state=list(State)[number % 3],
                timestamp=MORNING + timedelta(microseconds=number % 2),
                project_id=f"p{number % 2}",
            )
            for number in range(23)
        ),
    )
    sort = ((key, direction), ("name", "asc"))
    paged: list[Alarm] = []
    while page := find(database, sort=sort, limit=4, marker=paged[-1].alarm_id if paged else None):
        paged += page

    assert find(database, sort=sort) == paged
    assert 23 == len({alarm.alarm_id for alarm in paged})


def test_pages_survive_changes_of_what_they_narrow_by(database: Database) -> None:
    """A marker whose alarm has left the narrowed list meanwhile still tells where to go on."""
    stored = store(database, *(an_alarm(alarm_id=letter, state=State.OK) for letter in "abc"))
    with database.write() as unit:
        unit.alarms.replace(replace(stored[1], state=State.ALARM))
    rest = find(database, state=State.OK, sort=(("alarm_id", "asc"),), marker="b")

    assert ["c"] == [alarm.alarm_id for alarm in rest]


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ({"marker": "nowhere"}, "Marker nowhere not found"),
        ({"marker": "foreign", "project_id": "p1"}, "Marker foreign not found"),
        ({"sort": (("colour", "asc"),)}, "Value: 'colour'.*alarm_id, enabled"),
        ({"sort": (("name", "up"),)}, "asc, desc"),
    ],
)
def test_pages_that_cannot_be(database: Database, query: dict[str, Any], complaint: str) -> None:
    """A marker, key or direction that is unknown, or not the caller's to know, is refused with what is allowed."""
    store(database, an_alarm(alarm_id="foreign", project_id="p2"))
    with pytest.raises(InvalidInput, match=complaint):
        find(database, **query)


def test_replacing_leaves_the_counters_to_the_store(database: Database) -> None:
    """A new definition gets the next revision; version and sequence cannot be set back by a copy read long ago."""
    stored = store(database, an_alarm(state_version=3, sequence=7))[0]
    with database.write() as unit:
        after = unit.alarms.replace(replace(stored, name="new", revision=0, state_version=0, sequence=0))

    assert replace(stored, name="new", revision=2) == after == find(database)[0]


def test_setting_the_state_raises_its_version(database: Database) -> None:
    """A state set by hand, even to what it was, invalidates what an evaluator decided before."""
    stored = store(database, an_alarm())[0]
    with database.write() as unit:
        after = unit.alarms.replace(replace(stored, state_timestamp=LATER))

    assert 1 == after.state_version


def test_replacing_what_is_not_there(database: Database) -> None:
    """Only a stored alarm can be replaced."""
    with pytest.raises(KeyError), database.write() as unit:
        unit.alarms.replace(an_alarm())


def test_followers_see_each_change_once(database: Database) -> None:
    """Creation, change and deletion come up behind the cursor, and nothing comes twice."""
    kept, gone = store(database, an_alarm(), an_alarm())
    first = follow(database, FROM_THE_START)
    with database.write() as unit:
        changed = unit.alarms.replace(replace(kept, name="new"))
        assert unit.alarms.remove(gone.alarm_id, LATER)
        assert not unit.alarms.remove(gone.alarm_id, LATER)
    second = follow(database, first.cursor)
    third = follow(database, second.cursor)

    assert ([kept, gone], []) == (first.alarms, first.removed_ids)
    assert ([changed], [gone.alarm_id]) == (second.alarms, second.removed_ids)
    assert Definitions(alarms=[], removed_ids=[], cursor=second.cursor) == third


def test_followers_see_only_their_shards(database: Database) -> None:
    """A cursor names the shards it follows; the others do not show."""
    store(database, an_alarm(shard=Shard(1)), an_alarm(shard=Shard(2)))
    seen = follow(database, {Shard(2): 0, Shard(5): 0})

    assert [Shard(2)] == [alarm.shard for alarm in seen.alarms]
    assert {Shard(2): 1, Shard(5): 0} == seen.cursor


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_followers_may_take_small_bites(database: Database, limit: int) -> None:
    """However small the limit, the same picture comes together, and no answer is larger."""
    alarms = store(database, *(an_alarm(shard=Shard(number % 3)) for number in range(12)))
    cursor = follow(database, FROM_THE_START).cursor
    with database.write() as unit:
        for alarm in alarms[::2]:
            unit.alarms.replace(replace(alarm, name="new"))
        for alarm in alarms[:4]:
            unit.alarms.remove(alarm.alarm_id, LATER)
    picture = {alarm.alarm_id: alarm for alarm in alarms}
    while True:
        news = follow(database, cursor, limit)
        assert len(news.alarms) + len(news.removed_ids) <= limit
        picture |= {alarm.alarm_id: alarm for alarm in news.alarms}
        for alarm_id in news.removed_ids:
            del picture[alarm_id]
        if news.cursor == cursor:
            break
        cursor = news.cursor

    assert {alarm.alarm_id: alarm for alarm in find(database)} == picture


def test_moving_to_another_shard(database: Database) -> None:
    """Who follows the old shard is told that the alarm went, who follows the new one that it came, who both no more."""
    stored = store(database, an_alarm(shard=Shard(3)), an_alarm(shard=Shard(1)))[0]
    start = {Shard(1): 1, Shard(3): 1}
    with database.write() as unit:
        moved = unit.alarms.replace(replace(stored, shard=Shard(1)))
    old, new = follow(database, {Shard(3): 1}), follow(database, {Shard(1): 1})
    both = follow(database, start)

    assert 1 == moved.state_version
    assert ([], [stored.alarm_id]) == (old.alarms, old.removed_ids)
    assert ([moved], []) == (new.alarms, new.removed_ids)
    assert ([moved], []) == (both.alarms, both.removed_ids)


def test_old_tombstones_can_go(database: Database) -> None:
    """Tombstones are dropped oldest first and by limit, and a follower from the beginning never needs them."""
    stored = store(database, an_alarm(), an_alarm(), an_alarm())
    with database.write() as unit:
        unit.alarms.remove(stored[0].alarm_id, MORNING)
        unit.alarms.remove(stored[1].alarm_id, LATER)
        dropped = [unit.alarms.prune_tombstones(LATER, limit=10), unit.alarms.prune_tombstones(LATER, limit=10)]
    behind = follow(database, {stored[0].shard: 3})

    assert [1, 0] == dropped
    assert [stored[1].alarm_id] == behind.removed_ids
    assert [stored[2]] == follow(database, FROM_THE_START).alarms


def test_followers_miss_nothing_while_others_write(database: Database) -> None:
    """A follower that reads all the time beside four writers ends up with exactly what is stored."""
    shards = [Shard(7), Shard(8)]
    writing = threading.Event()
    writing.set()
    picture: dict[AlarmId, Alarm] = {}

    def write(number: int) -> None:
        mine: list[Alarm] = []
        for turn in range(25):
            shard = shards[(number + turn) % 2]
            with database.write() as unit:
                mine.append(unit.alarms.add(an_alarm(shard=shard)))
            if turn % 3 == 1:
                with database.write() as unit:
                    mine[0] = unit.alarms.replace(replace(mine[0], name=f"turn {turn}", shard=shard))
            if turn % 5 == 4:
                with database.write() as unit:
                    unit.alarms.remove(mine.pop().alarm_id, MORNING)

    def write_all() -> None:
        try:
            run_together(*(partial(write, number) for number in range(4)))
        finally:
            writing.clear()

    def read_all() -> None:
        cursor = dict.fromkeys(shards, 0)
        while True:
            over = not writing.is_set()
            news = follow(database, cursor, 5)
            picture.update({alarm.alarm_id: alarm for alarm in news.alarms})
            for alarm_id in news.removed_ids:
                picture.pop(alarm_id, None)
            if over and news.cursor == cursor:
                return
            cursor = news.cursor

    run_together(write_all, read_all)

    assert {alarm.alarm_id: alarm for alarm in find(database)} == picture
