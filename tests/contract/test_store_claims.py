# SPDX-License-Identifier: Apache-2.0
"""The contract of claims on every database: who is next, what it costs to find out, and what is too late."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import text

from alarmd.model.alarm import AlarmId
from alarmd.model.notification import DeliveryState, EventId, Notification, Settlement
from alarmd.store.claims import Claims, Rooms
from alarmd.store.database import Database
from alarmd.store.queues import Queue
from alarmd.store.thinning import Mark
from tests.support.alarms import MORNING
from tests.support.steps import analyse, counting_steps
from tests.support.stock import add, stored

_NUMBERS = count()


def at(seconds: float) -> datetime:
    return MORNING + timedelta(seconds=seconds)


def a_notification(
    *, host: str = "h", project: str = "p", alarm: str | None = None, sequence: int = 1, **changes: Any
) -> Notification:
    alarm_id = AlarmId(f"alarm-{next(_NUMBERS):06}" if alarm is None else alarm)
    values: dict[str, Any] = {
        "event_id": EventId(f"{alarm_id}_{sequence:06}_0"),
        "alarm_id": alarm_id,
        "project_id": project,
        "sequence": sequence,
        "target": f"http://{host}/hook",
        "body": {},
        "created_at": at(0),
        "next_attempt_at": at(0),
    }
    return Notification(**(values | changes))


def claim(database: Database, seconds: float = 10, *, limit: int = 100, **rooms: Any) -> Claims:
    with database.write() as unit:
        return unit.outbox.claim(now=at(seconds), owner="n", lease_s=30, limit=limit, rooms=Rooms(**rooms))


def settle(database: Database, notifications: Sequence[Notification], seconds: float = 10) -> None:
    with database.write() as unit:
        unit.outbox.settle(
            [
                Settlement(
                    event_id=one.event_id,
                    state=DeliveryState.DELIVERED,
                    next_attempt_at=at(seconds),
                    last_status=200,
                    last_error="",
                    at=at(seconds),
                )
                for one in notifications
            ],
            owner="n",
        )


def projects(claims: Claims) -> Counter[str]:
    return Counter(one.project_id for one in claims.notifications)


def hosts(claims: Claims) -> Counter[str]:
    return Counter(one.target.split("/")[2] for one in claims.notifications)


def test_projects_take_turns(database: Database) -> None:
    """A project with many older notifications gets no more of a claim than one with a few newer ones."""
    add(database, *(a_notification(project="many") for _ in range(50)))
    add(database, *(a_notification(project="few", next_attempt_at=at(5)) for _ in range(3)))
    first, second = claim(database, limit=4), claim(database, limit=4)

    assert [{"many": 2, "few": 2}, {"many": 3, "few": 1}] == [projects(first), projects(second)]


def test_receivers_take_turns(database: Database) -> None:
    """What waits for one receiver leaves room for what waits for others, of the same project too."""
    add(database, *(a_notification(host=host) for host in "aaaaaaaabc"))

    assert {"a": 2, "b": 1, "c": 1} == hosts(claim(database, limit=4))


def test_turns_go_on_where_they_ended(database: Database) -> None:
    """With less room than queues each of them gets its turn before one gets a second."""
    add(database, *(a_notification(project=f"p{number % 5}") for number in range(15)))
    served, after = [], None
    for _ in range(10):
        claims = claim(database, limit=1, after=after)
        served += [one.project_id for one in claims.notifications]
        after = claims.after

    assert ["p0", "p1", "p2", "p3", "p4"] * 2 == served


def test_nobody_gets_more_than_there_is_room_for(database: Database) -> None:
    """Receivers, projects and single queues are given no more than is said, and what is closed nothing."""
    add(database, *(a_notification(host=host, project=f"p{number % 2}") for host in "abcd" for number in range(20)))
    claims = claim(
        database,
        per_origin=10,
        per_project=13,
        of_origin={"http://a": 0, "http://b": 1},
        of_queue={Queue("http://c", "p0"): 2},
    )

    assert 0 == hosts(claims)["a"]
    assert 1 == hosts(claims)["b"]
    assert 10 >= max(hosts(claims).values())
    assert 13 >= max(projects(claims).values())
    assert 2 == sum(one.target == "http://c/hook" and one.project_id == "p0" for one in claims.notifications)
    assert not claims.goes_on


@pytest.mark.parametrize(("others", "goes_on"), [(0, False), (1, True)])
def test_a_claim_goes_on_for_those_who_have_room(database: Database, others: int, goes_on: bool) -> None:
    """Queues that it did not get to are worth another claim only if their receiver may have more."""
    add(database, *(a_notification(host="a", project=f"p{number}") for number in range(20)))
    add(database, *(a_notification(host="b") for _ in range(others)))
    claims = claim(database, limit=10, per_origin=5)

    assert {"a": 5} == hosts(claims)
    assert goes_on is claims.goes_on


def test_what_is_closed_is_passed_in_one_step(database: Database) -> None:
    """However many projects wait for a receiver that gets nothing, the next one is found by one claim."""
    add(database, *(a_notification(host="dead", project=f"p{number}") for number in range(3_000)))
    add(database, a_notification(host="well"))
    claims = claim(database, of_origin={"http://dead": 0})

    assert {"well": 1} == hosts(claims)
    assert not claims.goes_on


def test_more_queues_than_a_claim_looks_at(database: Database) -> None:
    """Behind thousands of queues that have nothing due, the one that has is found by a few claims that go on."""
    later = [a_notification(project=f"p{number:05}", next_attempt_at=at(999)) for number in range(2_500)]
    add(database, *later, a_notification(project="z"))
    claims, looks = claim(database, limit=10), 1
    while not claims.notifications and looks < 10:
        assert claims.goes_on
        claims, looks = claim(database, limit=10, after=claims.after), looks + 1

    assert {"z": 1} == projects(claims)
    assert looks <= 4


def test_what_waits_of_one_project_costs_the_others_nothing(database: Database) -> None:
    """A claim beside 50,000 waiting notifications of one project takes no more steps than beside 500."""
    steps = []
    for waiting in (500, 49_500):
        for _ in range(waiting // 500):
            add(database, *(a_notification(project="noisy") for _ in range(500)))
        add(database, *(a_notification(project=f"p{number}") for number in range(10)))
        analyse(database)
        with counting_steps(database) as counted:
            claims = claim(database, limit=22, per_project=11)
        settle(database, claims.notifications)
        steps.append(counted[0])

        assert claims.goes_on
        assert {"noisy": 6, **{f"p{number}": 1 for number in range(10)}} == projects(claims)
    assert 0 < steps[1] <= 1.3 * steps[0] + 200


def test_one_long_lane_hides_nothing(database: Database) -> None:
    """Thousands that wait for one of their alarm delay neither other alarms of their project nor cost every claim."""
    add(database, *(a_notification(alarm="busy", sequence=number) for number in range(5_000)))
    add(database, a_notification(alarm="other", created_at=at(1), next_attempt_at=at(1)))
    found: list[AlarmId] = []
    looks = 0
    while "other" not in found and looks < 100:
        found += [one.alarm_id for one in claim(database, limit=100).notifications]
        looks += 1
    with counting_steps(database) as counted:
        nothing = claim(database, limit=100)

    assert ["busy", "other"] == found
    assert looks < 20
    assert [] == list(nothing.notifications)
    # Looking at all of them would take 750,000 steps, or 10,000 rows.
    assert 0 < counted[0] < (150_000 if database._engine.dialect.name == "sqlite" else 5_000)


def test_a_long_lane_goes_on_at_once(database: Database) -> None:
    """What has stepped aside is called back as soon as the one before it has ended."""
    add(database, *(a_notification(alarm="busy", sequence=number) for number in range(500)))
    seen = []
    for _ in range(30):
        [one] = claim(database, limit=20).notifications
        seen.append(one.sequence)
        assert [] == list(claim(database, limit=20).notifications)
        settle(database, [one])

    assert list(range(30)) == seen


def test_what_is_too_late_is_never_handed_out(database: Database) -> None:
    """Past its time a notification ends with a word about it, and its successor takes its place."""
    late = a_notification(alarm="a", not_after=at(7))
    add(database, late, a_notification(alarm="a", sequence=2), a_notification(alarm="b", not_after=at(11)))
    tried = a_notification(alarm="c", not_after=at(8), attempts=2, last_error="timeout", next_attempt_at=at(8))
    add(database, tried)
    claims = claim(database, 10)
    found, again = stored(database, late), stored(database, tried)

    assert [("a", 2), ("b", 1)] == sorted((one.alarm_id, one.sequence) for one in claims.notifications)
    assert 2 == claims.expired
    assert (DeliveryState.EXPIRED, at(10), 0) == (found.state, found.finished_at, found.attempts)
    by = at(7).isoformat(timespec="seconds")
    assert found.last_error == f"not sent: it had to be there by {by}, 3 s ago"
    assert again.last_error.endswith("2 s ago; after 2 tries: timeout")


def test_being_too_late_is_something_to_wake_up_for(database: Database) -> None:
    """The next moment that matters is also that from which on something is too late."""
    add(database, a_notification(not_after=at(40), next_attempt_at=at(60)))
    with database.read() as unit:
        due = unit.outbox.next_due()

    assert at(40) == due


def test_what_is_being_sent_is_not_too_late(database: Database) -> None:
    """A notification that is in somebody's hands when its time is up is for them to settle."""
    add(database, a_notification(not_after=at(12)))
    [claimed] = claim(database, 10).notifications
    nothing = claim(database, 20)
    settle(database, [claimed], 21)

    assert 0 == nothing.expired
    assert DeliveryState.DELIVERED is stored(database, claimed).state


def test_thinning(database: Database) -> None:
    """What waits for a receiver and has a newer one in its lane is superseded, tried or not; others are left alone."""
    add(database, *(a_notification(alarm="a", sequence=number) for number in (1, 2, 3)))
    add(database, a_notification(alarm="b"), *(a_notification(alarm="c", host="i", sequence=n) for n in (1, 2)))
    add(database, *(a_notification(alarm="d", project="q", sequence=number) for number in (1, 2)))
    with database.write() as unit:
        one = unit.outbox.thin("http://h", project_id="q", mark=None, now=at(5))
        all_of_it = unit.outbox.thin("http://h", project_id=None, mark=None, now=at(5))
    left = sorted((one.alarm_id, one.sequence) for one in claim(database).notifications)
    ended = stored(database, a_notification(alarm="a", sequence=1))

    assert ((1, None), (2, None)) == ((one.superseded, one.mark), (all_of_it.superseded, all_of_it.mark))
    assert [("a", 3), ("b", 1), ("c", 1), ("d", 2)] == left
    assert (DeliveryState.SUPERSEDED, 0, at(5)) == (ended.state, ended.attempts, ended.finished_at)
    assert "did not answer" in ended.last_error


def test_thinning_piece_by_piece(database: Database) -> None:
    """A long queue is thinned in pieces of a bounded size, each going on where the one before has ended."""
    add(database, *(a_notification(alarm=f"a{lane:04}", sequence=n) for n in (1, 2) for lane in range(1_300)))
    mark: Mark | None = None
    counts = []
    for _ in range(3):
        with database.write() as unit:
            done = unit.outbox.thin("http://h", project_id=None, mark=mark, now=at(5))
        counts.append(done.superseded)
        mark = done.mark

    assert (1_300, None) == (sum(counts), mark)
    assert all(counts[:2])


def test_a_queue_without_a_project(database: Database) -> None:
    """What belongs to no project, or was put in the outbox before receivers were noted, has its turn like others."""
    add(database, a_notification(project=""), a_notification(host="a"))
    with database.write() as unit:
        unit.connection.execute(text("UPDATE outbox SET origin = '' WHERE project_id = ''"))

    assert {"": 1, "p": 1} == projects(claim(database))
    assert [] == list(claim(database, after=Queue("", "")).notifications)
