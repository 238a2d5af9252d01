# SPDX-License-Identifier: Apache-2.0
"""What may be asked of the outbox, on every database."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.breaker import Trip
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState, Settlement
from alarmd.store.database import Database
from alarmd.store.outbox import OutboxQuery
from alarmd.store.tables import outbox
from tests.support.alarms import an_alarm
from tests.support.notifications import CREATED_AT, a_notification
from tests.support.steps import analyse, counting_steps


def at(seconds: float) -> datetime:
    return CREATED_AT + timedelta(seconds=seconds)


def gone_off(alarm_id: str, *actions: str) -> Alarm:
    """Return an alarm that means what its notifications say."""
    return an_alarm(alarm_id=AlarmId(alarm_id), state=State.ALARM, alarm_actions=actions)


def stock(database: Database) -> None:
    """Put six notifications in the outbox, named a to f by their alarms, a second apart."""
    given: dict[str, dict[str, Any]] = {
        "a": {"target": "http://web.example/up"},
        "b": {"target": "https://WEB.example:8443/up", "direction": Direction.OUT, "state": DeliveryState.DELIVERED},
        "c": {"target": "http://sub.web.example/up", "direction": Direction.IN, "state": DeliveryState.EXPIRED},
        "d": {"target": "http://web.example.org/up", "state": DeliveryState.BURIED},
        "e": {"target": "trust+http://id@web.example/up?x=1", "state": DeliveryState.BURIED, "not_after": at(60)},
        "f": {"target": "http://web.example/up", "state": DeliveryState.BURIED, "project_id": "p2"},
    }
    with database.write() as unit:
        for number, (name, changes) in enumerate(given.items()):
            notification = a_notification(alarm_id=name, created_at=at(number), **changes)
            unit.alarms.add(gone_off(name, notification.target.replace("id@", "")))
            unit.outbox.add([notification])


def found(database: Database, **asked: Any) -> str:
    """Return the alarms of what is found, newest first."""
    with database.read() as unit:
        return "".join(one.alarm_id for one in unit.outbox.find(OutboxQuery(**asked)))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "fedcba"),
        ({"project_id": "p2"}, "f"),
        ({"states": ("buried",)}, "fed"),
        ({"states": ("buried", "expired", "no state", "\0")}, "fedc"),
        ({"states": ("\0",)}, ""),
        ({"direction": Direction.IN}, "c"),
        ({"origin": "http://web.example"}, "fea"),
        ({"origin": "\0"}, ""),
        ({"host": "web.example"}, "feba"),
        ({"host": "WEB.example:8443"}, "b"),
        ({"host": "web_example"}, ""),
        ({"host": "%"}, ""),
        ({"host": "\0"}, ""),
        ({"event_prefix": "b_"}, "b"),
        ({"event_prefix": "b_1_0"}, "b"),
        ({"event_prefix": "B"}, ""),
        ({"event_prefix": "\0"}, ""),
        ({"since": at(2), "until": at(4)}, "dc"),
        ({"host": "web.example", "states": ("buried",), "limit": 1}, "f"),
        ({"host": "web.example", "marker": "e_1_0"}, "ba"),
    ],
)
def test_what_is_asked_for_is_found(database: Database, asked: dict[str, Any], expected: str) -> None:
    """Every condition holds, hosts are whole names, and what no database could hold matches nothing."""
    stock(database)

    assert expected == found(database, **asked)


@pytest.mark.parametrize(
    ("asked", "now_s", "expected"),
    [
        ({}, 10, "fed"),
        ({"project_id": "project-1"}, 10, "ed"),
        ({"limit": 2}, 10, "fe"),
        ({"host": "web.example"}, 10, "fe"),
        ({}, 60, "fd"),
        ({"states": ("delivered",)}, 10, "fed"),
    ],
)
def test_buried_ones_are_put_back_together(
    database: Database, asked: dict[str, Any], now_s: float, expected: Sequence[str]
) -> None:
    """Those that are asked for and not too late, newest first; they wait from now on and are claimed at once."""
    stock(database)
    with database.write() as unit:
        retried = unit.outbox.retry_all(OutboxQuery(**asked), at(now_s))
        waiting = unit.outbox.find(OutboxQuery(states=("pending",)))

    assert expected == "".join(one.alarm_id for one in retried)
    assert {*expected, "a"} == {one.alarm_id for one in waiting}
    assert {at(now_s)} == {one.next_attempt_at for one in waiting if one.alarm_id != "a"}


def test_one_that_is_too_late_is_not_put_back(database: Database) -> None:
    """Up to the last moment it is."""
    stock(database)
    with database.write() as unit:
        put_back = [unit.outbox.retry("e_1_0", at(60)), unit.outbox.retry("e_1_0", at(59))]

    assert [False, True] == put_back


def test_only_the_last_word_is_put_back(database: Database) -> None:
    """What a newer one of the same alarm and target has overtaken stays buried, whatever became of the newer one."""
    buried = DeliveryState.BURIED
    with database.write() as unit:
        for alarm in ("overtaken", "twice", "waiting", "apart"):
            unit.alarms.add(gone_off(alarm, "http://scaler/up", "http://a/", "http://b/"))
        for alarm, sequence, state in (
            ("overtaken", 1, buried),
            ("overtaken", 2, DeliveryState.DELIVERED),
            ("twice", 1, buried),
            ("twice", 2, buried),
            ("waiting", 1, buried),
            ("waiting", 2, DeliveryState.PENDING),
        ):
            unit.outbox.add([a_notification(alarm_id=alarm, sequence=sequence, state=state)])
        for target, sequence in (("http://a/", 1), ("http://b/", 2)):
            unit.outbox.add([a_notification(alarm_id="apart", sequence=sequence, target=target, state=buried)])
        retried = unit.outbox.retry_all(OutboxQuery(), at(10))

    assert {"twice_2_0", "apart_1_0", "apart_2_0"} == {str(one.event_id) for one in retried}


def test_what_nobody_means_any_more_is_not_put_back(database: Database) -> None:
    """Of an alarm that was deleted, and for a target that has answered 410; the latter may be retried by its id."""
    gone, kept = "http://gone/", "http://kept/"
    with database.write() as unit:
        unit.alarms.add(gone_off("alarm-1", gone, kept))
        for sequence, target in enumerate((gone, kept), start=1):
            unit.outbox.add([a_notification(target=target, sequence=sequence, state=DeliveryState.BURIED)])
        unit.outbox.add([a_notification(alarm_id="deleted", state=DeliveryState.BURIED)])
        answer = Settlement(
            event_id=a_notification(sequence=1).event_id,
            state=DeliveryState.BURIED,
            next_attempt_at=at(1),
            last_status=410,
            last_error="HTTP 410 Gone",
            at=at(1),
            disables_target=True,
        )
        unit.disabled_targets.disable([answer])
        retried = unit.outbox.retry_all(OutboxQuery(), at(10))
        by_id = [unit.outbox.retry(event_id, at(10)) for event_id in ("alarm-1_1_0", "deleted_1_0")]

    assert ["alarm-1_2_0"] == [str(one.event_id) for one in retried]
    assert [True, False] == by_id


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": State.OK}, "the alarm has moved on"),
        ({"enabled": False}, "the alarm is disabled"),
        ({"alarm_actions": ("http://a/other",)}, "the alarm no longer has this action"),
    ],
)
def test_what_its_alarm_no_longer_says_is_not_put_back(database: Database, changes: dict[str, Any], words: str) -> None:
    """An order that the alarm would not give today is given neither with others nor by its id, and one learns why."""
    buried = a_notification(alarm_id="a", target="http://a/", state=DeliveryState.BURIED)
    with database.write() as unit:
        before = [unit.outbox.why_past(buried), unit.alarms.add(gone_off("a", "http://a/"))]
        unit.outbox.add([buried])
        meant = unit.outbox.why_past(buried)
        unit.alarms.replace(replace(gone_off("a", "http://a/"), **changes))
        retried = unit.outbox.retry_all(OutboxQuery(), at(10)), unit.outbox.retry("a_1_0", at(10))

        assert ("the alarm is gone", "", words) == (before[0], meant, unit.outbox.why_past(buried))
    assert ([], False) == retried


@pytest.mark.parametrize("by_id", [True, False])
def test_scale_in_that_is_put_back_is_held_while_the_breaker_is_open(database: Database, by_id: bool) -> None:
    """It must not leave by the back door; what leads elsewhere goes, and so does all of it once it is closed."""
    ids = {Direction.IN: "in_1_0", Direction.OUT: "out_1_0"}
    with database.write() as unit:
        for direction in ids:
            unit.alarms.add(gone_off(str(direction), "http://scaler/up"))
            unit.outbox.add(
                [a_notification(alarm_id=str(direction), direction=direction, state=DeliveryState.BURIED, attempts=3)]
            )
        unit.breaker.hold(Trip(owner="e1", reason="too much", since=at(0), until=at(30)))
        if by_id:
            assert all(unit.outbox.retry(event_id, at(10)) for event_id in ids.values())
        answered = [] if by_id else unit.outbox.retry_all(OutboxQuery(), at(10))
        stored = unit.outbox.find(OutboxQuery())
        [claimed] = unit.outbox.claim(now=at(10), owner="n1", lease_s=30, limit=9).notifications

    assert {"in_1_0": DeliveryState.HELD, "out_1_0": DeliveryState.PENDING} == {
        str(one.event_id): one.state for one in stored
    }
    assert {"held back: too much", ""} == {one.last_error for one in stored}
    assert by_id or sorted(map(repr, stored)) == sorted(map(repr, answered))
    assert "out_1_0" == claimed.event_id


@pytest.mark.parametrize(
    "asked",
    [{}, {"states": ("buried",)}, {"states": ("pending", "held")}, {"marker": "old"}, {"since": at(1), "until": at(2)}],
)
def test_a_page_of_all_projects_costs_what_it_shows(database: Database, asked: dict[str, Any]) -> None:
    """Beside 8,000 that were delivered it takes hardly more steps than beside 2,000, whatever it is about."""
    over: dict[str, Any] = {"state": DeliveryState.DELIVERED, "finished_at": at(9)}
    with database.write() as unit:
        rare = {"old": DeliveryState.BURIED, "new": DeliveryState.BURIED, "waiting": DeliveryState.PENDING}
        unit.outbox.add(
            [
                a_notification(alarm_id=name, event_id=name, state=state, created_at=at(1))
                for name, state in rare.items()
            ]
        )
    steps = []
    for done in (range(2_000), range(2_000, 8_000)):
        with database.write() as unit:
            unit.outbox.add([a_notification(alarm_id=f"a{one}", created_at=at(2 + one), **over) for one in done])
        analyse(database)
        with counting_steps(database) as counted, database.read() as unit:
            shown = unit.outbox.find(OutboxQuery(limit=3, **asked))
        steps.append(counted[0])

        assert shown
    assert steps[1] < 1.2 * steps[0] + 500


def test_pages_of_all_projects_follow_on_each_other(database: Database) -> None:
    """Through all states, those of one moment too, nothing twice and nothing left out."""
    states = list(DeliveryState)
    with database.write() as unit:
        unit.outbox.add(
            [
                a_notification(alarm_id=f"a{number}", created_at=at(number // 5), state=states[number % len(states)])
                for number in range(40)
            ]
        )
        pages, marker = [], None
        while page := unit.outbox.find(OutboxQuery(limit=7, marker=marker)):
            pages += [(one.created_at, str(one.event_id)) for one in page]
            marker = page[-1].event_id

    assert 40 == len(set(pages))
    assert sorted(pages, reverse=True) == pages


def test_a_row_that_somebody_has_spoilt_stops_nobody(database: Database) -> None:
    """A direction that there is not is read as neutral; what is in no state that there is is over."""
    with database.write() as unit:
        unit.outbox.add([a_notification(alarm_id=name) for name in ("turned", "lost", "sound")])
        unit.connection.execute(update(outbox).where(outbox.c.alarm_id == "turned").values(direction="up"))
        unit.connection.execute(update(outbox).where(outbox.c.alarm_id == "lost").values(state="asleep"))
        found = {str(one.alarm_id): (one.direction, one.state) for one in unit.outbox.find(OutboxQuery())}
        claimed = unit.outbox.claim(now=at(10), owner="n1", lease_s=30, limit=9).notifications

    neutral = Direction.NEUTRAL
    assert (neutral, DeliveryState.DROPPED) == found["lost"]
    assert {(neutral, DeliveryState.PENDING)} == {found["turned"], found["sound"]}
    assert {"turned", "sound"} == {one.alarm_id for one in claimed}
