# SPDX-License-Identifier: Apache-2.0
"""The contract of the outbox, on every database."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from alarmd.errors import InvalidInput
from alarmd.model.alarm import AlarmId, State
from alarmd.model.notification import DeliveryState, EventId, Notification, Settlement, event_id_of
from alarmd.store.database import Database
from alarmd.store.outbox import OutboxQuery
from tests.support.alarms import MORNING, an_alarm
from tests.support.stock import add, store, stored
from tests.support.threads import run_together

LEASE_S = 30.0


def at(seconds: float) -> datetime:
    return MORNING + timedelta(seconds=seconds)


def a_notification(sequence: int = 1, *, alarm: str = "a", target: str = "http://h/1", **changes: Any) -> Notification:
    values: dict[str, Any] = {
        "event_id": EventId(f"{event_id_of(AlarmId(alarm), sequence, 0)}-{target[-1]}"),
        "alarm_id": AlarmId(alarm),
        "project_id": "p1",
        "sequence": sequence,
        "target": target,
        "body": {"current": "alarm"},
        "created_at": at(sequence),
        "next_attempt_at": at(sequence),
    }
    return Notification(**(values | changes))


def go_off(database: Database, *alarms: str) -> None:
    """Store alarms that have gone off and mean what `a_notification` says."""
    store(
        database,
        *(an_alarm(alarm_id=AlarmId(one), state=State.ALARM, alarm_actions=("http://h/1",)) for one in alarms),
    )


def claim(database: Database, now: datetime, *, owner: str = "n1", limit: int = 100) -> list[Notification]:
    with database.write() as unit:
        return list(unit.outbox.claim(now=now, owner=owner, lease_s=LEASE_S, limit=limit).notifications)


def settle(
    database: Database,
    notification: Notification,
    state: DeliveryState = DeliveryState.DELIVERED,
    *,
    now: datetime,
    wait_s: float = 60,
    owner: str = "n1",
) -> int:
    settlement = Settlement(
        event_id=notification.event_id,
        state=state,
        next_attempt_at=now + timedelta(seconds=wait_s),
        last_status=200 if state is DeliveryState.DELIVERED else 503,
        last_error="" if state is DeliveryState.DELIVERED else "busy",
        at=now,
    )
    with database.write() as unit:
        return unit.outbox.settle([settlement], owner=owner)


def sequences(notifications: Sequence[Notification]) -> list[int]:
    return [each.sequence for each in notifications]


def test_what_is_added_comes_back(database: Database) -> None:
    """A notification survives with its URL byte for byte, however long it is."""
    notification = a_notification(
        target="https://h/ä?x=%7e&" + "y" * 10_000, body={"reason_data": {"most_recent": 0.1}}
    )
    add(database, notification)

    assert notification == stored(database, notification) == claim(database, at(5))[0]


def test_what_is_due_is_claimed_oldest_first(database: Database) -> None:
    """Only what is due is handed out, the longest due first, no more than asked for, and to one owner."""
    add(database, *(a_notification(number, alarm=f"a{number}") for number in (3, 1, 2, 9)))
    first, second, third = (claim(database, at(4), limit=2), claim(database, at(4), owner="n2"), claim(database, at(4)))

    assert ([1, 2], [3], []) == (sequences(first), sequences(second), sequences(third))


def test_one_alarm_and_target_go_in_order(database: Database) -> None:
    """While one is on its way the next for the same alarm and target waits; other targets and alarms do not."""
    add(database, a_notification(2), a_notification(1), a_notification(2, target="http://h/2"))
    add(database, a_notification(2, alarm="b"))
    first = claim(database, at(9))
    settle(database, first[0], now=at(9))
    second = claim(database, at(9))

    assert [("a", 1, "1"), ("a", 2, "2"), ("b", 2, "1")] == sorted(
        (each.alarm_id, each.sequence, each.target[-1]) for each in first
    )
    assert [("a", 2)] == [(each.alarm_id, each.sequence) for each in second]


def test_delivered(database: Database) -> None:
    """A delivery ends with its answer and moment, and leaves the queue."""
    add(database, a_notification())
    [claimed] = claim(database, at(1))
    settled = settle(database, claimed, now=at(2))
    with database.read() as unit:
        depth, due = unit.outbox.depth(), unit.outbox.next_due()
    found = stored(database, claimed)

    assert (1, 0, None) == (settled, depth, due)
    assert (DeliveryState.DELIVERED, 1, 200, "", at(2)) == (
        found.state,
        found.attempts,
        found.last_status,
        found.last_error,
        found.finished_at,
    )


def test_postponed(database: Database) -> None:
    """A failed try counts and comes up again when it is due, not before."""
    go_off(database, "a")
    add(database, a_notification())
    [claimed] = claim(database, at(1))
    settle(database, claimed, DeliveryState.PENDING, now=at(2), wait_s=60)
    early, [again] = claim(database, at(61)), claim(database, at(62))

    assert [] == early
    assert (1, 503, "busy", None) == (again.attempts, again.last_status, again.last_error, again.finished_at)


def test_a_waiting_retry_gives_way_to_a_newer_state(database: Database) -> None:
    """What was tried and waits is superseded as soon as a newer one can go, long before its own next try."""
    add(database, a_notification(1))
    settle(database, claim(database, at(1))[0], DeliveryState.PENDING, now=at(1), wait_s=3600)
    add(database, a_notification(2))
    [newer] = claim(database, at(3))
    older = stored(database, a_notification(1))

    assert 2 == newer.sequence
    assert (DeliveryState.SUPERSEDED, at(3), 1) == (older.state, older.finished_at, older.attempts)


def test_what_was_never_tried_is_not_superseded(database: Database) -> None:
    """Each state gets at least one try, in order, even when newer ones wait behind it."""
    add(database, *(a_notification(number) for number in (1, 2, 3)))
    seen = []
    for _ in range(3):
        [claimed] = claim(database, at(10))
        seen.append(claimed.sequence)
        settle(database, claimed, DeliveryState.PENDING, now=at(10), wait_s=3600)
    waiting = claim(database, at(10))

    assert ([1, 2, 3], []) == (seen, waiting)
    assert [DeliveryState.SUPERSEDED, DeliveryState.SUPERSEDED, DeliveryState.PENDING] == [
        stored(database, a_notification(number)).state for number in (1, 2, 3)
    ]


def test_what_is_on_its_way_is_not_superseded(database: Database) -> None:
    """A second try that is in a notifier's hands keeps its lane until it ends or its lease does."""
    go_off(database, "a")
    add(database, a_notification(1))
    settle(database, claim(database, at(1))[0], DeliveryState.PENDING, now=at(1), wait_s=1)
    claim(database, at(2))
    add(database, a_notification(2))
    blocked, expired = claim(database, at(3)), claim(database, at(2 + LEASE_S))

    assert ([], [2]) == (sequences(blocked), sequences(expired))
    assert DeliveryState.SUPERSEDED is stored(database, a_notification(1)).state


def test_a_lease_ends(database: Database) -> None:
    """When a notifier dies, another gets its notification after the lease, and the first can settle nothing."""
    add(database, a_notification())
    [claimed] = claim(database, at(1), owner="dead")
    before, after = claim(database, at(0.5 + LEASE_S)), claim(database, at(1 + LEASE_S))
    late = settle(database, claimed, now=at(40), owner="dead")

    assert ([], [claimed]) == (before, after)
    assert (0, DeliveryState.PENDING) == (late, stored(database, claimed).state)


def test_settling_late_but_unchallenged(database: Database) -> None:
    """An expired lease that nobody took still lets its owner tell the result, so nothing is sent twice in vain."""
    add(database, a_notification())
    [claimed] = claim(database, at(1))

    assert 1 == settle(database, claimed, now=at(100))


def test_settling_twice(database: Database) -> None:
    """What has been settled is nobody's any more."""
    add(database, a_notification())
    [claimed] = claim(database, at(1))
    counts = [settle(database, claimed, now=at(2)), settle(database, claimed, DeliveryState.BURIED, now=at(3))]

    assert ([1, 0], DeliveryState.DELIVERED) == (counts, stored(database, claimed).state)


def test_settling_many(database: Database) -> None:
    """Many results are written at once, and only the owner's count."""
    add(database, *(a_notification(1, alarm=f"a{number}") for number in range(30)))
    claimed = claim(database, at(1), limit=20)
    settlements = [
        Settlement(
            event_id=each.event_id,
            state=DeliveryState.BURIED,
            next_attempt_at=at(1),
            last_status=None,
            last_error="refused",
            at=at(2),
        )
        for each in [*claimed, a_notification(1, alarm="stranger")]
    ]
    with database.write() as unit:
        settled, nothing, depth = unit.outbox.settle(settlements, owner="n1"), unit.outbox.settle([], owner="n1"), 0
        depth = unit.outbox.depth()

    assert (20, 0, 10) == (settled, nothing, depth)


def test_released(database: Database) -> None:
    """What is given back on shutdown is due at once and does not count as tried."""
    add(database, a_notification())
    [claimed] = claim(database, at(1))
    with database.write() as unit:
        counts = [unit.outbox.release([claimed.event_id], owner=owner) for owner in ("stranger", "n1", "n1")]

    assert ([0, 1, 0], [claimed]) == (counts, claim(database, at(1), owner="n2"))


def test_a_dead_owner_lets_go_of_everything(database: Database) -> None:
    """What a dead notifier had claimed is due at once for its successor; what others hold stays theirs."""
    add(database, a_notification(1, alarm="a"), a_notification(2, alarm="b"), a_notification(3, alarm="c"))
    first, second = claim(database, at(3), limit=2)
    claim(database, at(3), owner="n2", limit=1)
    with database.write() as unit:
        counts = [unit.outbox.release_all(owner="n1"), unit.outbox.release_all(owner="n1")]

    assert ([2, 0], [first, second]) == (counts, claim(database, at(3), owner="n3"))


def test_next_due(database: Database) -> None:
    """The next moment worth waking up for is the earliest try or the earliest end of a lease."""

    def next_due() -> datetime | None:
        with database.read() as unit:
            return unit.outbox.next_due()

    seen = [next_due()]
    add(database, a_notification(50, alarm="b"), a_notification(1))
    seen.append(next_due())
    claim(database, at(1))
    seen.append(next_due())
    claim(database, at(50))
    seen.append(next_due())

    # At 50 the lease of the first has run out, so both are claimed then.
    assert [None, at(1), at(1 + LEASE_S), at(50 + LEASE_S)] == seen


def test_one_queue_of_a_full_receiver_is_enough(database: Database) -> None:
    """What a receiver may not be given yet is looked for in its first queue only; others are not passed over."""
    add(database, a_notification(7, alarm="a", project_id="p1"), a_notification(2, alarm="b", project_id="p2"))
    add(database, a_notification(9, alarm="c", target="http://other/1", project_id="p3"))
    with database.read() as unit:
        seen = [unit.outbox.next_due(full=full) for full in ((), ("http://h",), ("http://h", "http://other"))]

    assert [at(2), at(7), at(7)] == seen


def test_retrying_by_hand(database: Database) -> None:
    """Only what is buried can be put back; it is due at once and keeps its count."""
    go_off(database, "a")
    add(database, a_notification())
    [claimed] = claim(database, at(1))
    settle(database, claimed, DeliveryState.BURIED, now=at(2))
    with database.write() as unit:
        results = [
            unit.outbox.retry(event_id, at(100)) for event_id in (claimed.event_id, claimed.event_id, "no", "\0")
        ]
    [again] = claim(database, at(100))

    assert [True, False, False, False] == results
    assert (1, None, claimed.event_id) == (again.attempts, again.finished_at, again.event_id)


def test_burying_what_waits(database: Database) -> None:
    """What waits of one alarm is given up with a reason; what is being sent and what is others' goes on."""
    add(database, a_notification(1), a_notification(2), a_notification(1, alarm="b"))
    [sent, _] = sorted(claim(database, at(5)), key=lambda each: each.alarm_id)
    with database.write() as unit:
        buried = unit.outbox.bury_waiting("a", reason="the alarm was deleted", now=at(6))
    waiting = stored(database, a_notification(2))

    assert (1, DeliveryState.BURIED, "the alarm was deleted", at(6)) == (
        buried,
        waiting.state,
        waiting.last_error,
        waiting.finished_at,
    )
    assert 1 == settle(database, sent, now=at(7))


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, [3, 2, 1]),
        ({"project_id": "p2"}, [2]),
        ({"alarm_id": "c"}, [3]),
        ({"alarm_id": "\0"}, []),
        ({"states": (DeliveryState.BURIED,)}, [1]),
        ({"limit": 2}, [3, 2]),
        ({"limit": 2, "marker": "b_2_0-1"}, [1]),
    ],
)
def test_queries_narrow(database: Database, query: dict[str, Any], ids: list[int]) -> None:
    """Notifications come newest first, narrowed and paged."""
    add(
        database,
        a_notification(1, state=DeliveryState.BURIED, finished_at=at(1)),
        a_notification(2, alarm="b", project_id="p2"),
        a_notification(3, alarm="c", target="http://h/9"),
    )
    with database.read() as unit:
        found = unit.outbox.find(OutboxQuery(**query))

    assert ids == sequences(found)


def test_unknown_marker(database: Database) -> None:
    """A marker that names nothing is refused."""
    with pytest.raises(InvalidInput, match="Marker nowhere not found"), database.read() as unit:
        unit.outbox.find(OutboxQuery(marker="nowhere"))


def test_finished_ones_go(database: Database) -> None:
    """Pruning takes what was finished before a moment, oldest first, and never what is pending."""
    finished = [
        a_notification(number, alarm=f"a{number}", state=DeliveryState.DELIVERED, finished_at=at(number))
        for number in (4, 1, 2, 3)
    ]
    add(database, *finished, a_notification(0))
    with database.write() as unit:
        dropped = [unit.outbox.prune(at(4), limit=2), unit.outbox.prune(at(4), limit=9)]
        left = unit.outbox.find(OutboxQuery())

    assert ([2, 1], [4, 0]) == (dropped, sequences(left))


def test_notifiers_side_by_side(database: Database) -> None:
    """Four notifiers drain a queue together: nothing is sent twice, and each lane goes in order."""
    add(database, *(a_notification(number, alarm=f"a{lane}") for lane in range(12) for number in (1, 2, 3, 4)))
    sent: list[tuple[str, int]] = []

    def drain(owner: str, seconds: float = 10) -> None:
        idle = 0
        while idle < 5:
            claimed = claim(database, at(seconds), owner=owner, limit=3)
            idle = 0 if claimed else idle + 1
            # Noted before it is settled: only then may the next of the lane be handed out.
            sent.extend((each.alarm_id, each.sequence) for each in claimed)
            for each in claimed:
                assert 1 == settle(database, each, now=at(seconds), owner=owner)

    run_together(*(partial(drain, f"n{number}") for number in range(4)))
    # What stepped aside in the very moment in which its turn came is back a second later.
    drain("last", 12)

    assert {f"a{lane}": [1, 2, 3, 4] for lane in range(12)} == {
        lane: [sequence for alarm, sequence in sent if alarm == lane] for lane in {alarm for alarm, _ in sent}
    }


def test_claims_beside_failures_and_newcomers(database: Database) -> None:
    """While states keep coming and tries keep failing, a lane never goes back and never has two on their way."""
    sent: list[int] = []
    on_the_way: set[str] = set()

    def produce() -> None:
        for number in range(1, 31):
            add(database, a_notification(number, created_at=at(0), next_attempt_at=at(0)))

    def consume(owner: str) -> None:
        for turn in range(40):
            for each in claim(database, at(1000), owner=owner):
                assert not on_the_way
                on_the_way.add(owner)
                sent.append(each.sequence)
                on_the_way.remove(owner)
                outcome = DeliveryState.PENDING if turn % 2 else DeliveryState.DELIVERED
                settle(database, each, outcome, now=at(1000), wait_s=0, owner=owner)

    run_together(produce, *(partial(consume, f"n{number}") for number in range(3)))
    while left := claim(database, at(2000), owner="last"):
        sent += sequences(left)
        settle(database, left[0], now=at(2000), owner="last")

    assert sorted(sent) == sent
    assert set(range(1, 31)) == set(sent)


def test_the_outbox_against_a_slow_reference(database: Database) -> None:
    """A long random life of few lanes goes exactly as a plain list of notifications would have it."""
    go_off(database, "a", "b", "c")
    lots = random.Random(20260101)
    reference: dict[str, Notification] = {}
    leases: dict[str, tuple[str, datetime]] = {}
    counts = {"a": 0, "b": 0, "c": 0}
    now = at(0)
    for _ in range(400):
        now += timedelta(seconds=lots.choice([0, 1, 5, 20]))
        match lots.choice(["add", "claim", "claim", "settle", "settle", "release"]):
            case "add":
                alarm = lots.choice("abc")
                counts[alarm] += 1
                new = a_notification(counts[alarm], alarm=alarm, created_at=now, next_attempt_at=now)
                reference[new.event_id] = new
                add(database, new)
            case "claim":
                owner, limit = lots.choice(["n1", "n2"]), lots.choice([1, 2, 9])
                expected = _reference_claim(reference, leases, now, owner, limit)

                assert expected == [each.event_id for each in claim(database, now, owner=owner, limit=limit)]
            case "settle":
                for event_id, (owner, _) in list(leases.items())[:1]:
                    outcome = lots.choice([DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.BURIED])
                    settle(database, reference[event_id], outcome, now=now, wait_s=10, owner=owner)
                    reference[event_id] = replace(
                        reference[event_id],
                        state=outcome,
                        attempts=reference[event_id].attempts + 1,
                        next_attempt_at=now + timedelta(seconds=10),
                    )
                    del leases[event_id]
            case _:
                for event_id, (owner, _) in list(leases.items())[:1]:
                    with database.write() as unit:
                        unit.outbox.release([EventId(event_id)], owner=owner)
                    del leases[event_id]
    with database.read() as unit:
        found = {each.event_id: each.state for each in unit.outbox.find(OutboxQuery())}

    assert {event_id: each.state for event_id, each in reference.items()} == found


def _reference_claim(
    reference: dict[str, Notification],
    leases: dict[str, tuple[str, datetime]],
    now: datetime,
    owner: str,
    limit: int,
) -> list[str]:
    for event_id in [event_id for event_id, (_, until) in leases.items() if until <= now]:
        del leases[event_id]
    lanes: dict[str, list[Notification]] = {}
    for each in reference.values():
        if each.state is DeliveryState.PENDING:
            lanes.setdefault(each.alarm_id, []).append(each)
    heads: list[tuple[Notification, list[Notification]]] = []
    for lane in lanes.values():
        lane.sort(key=lambda each: each.sequence)
        overtaken = []
        while len(lane) > 1 and lane[0].attempts > 0 and lane[0].event_id not in leases:
            overtaken.append(lane.pop(0))
        if lane[0].event_id not in leases and lane[0].next_attempt_at <= now:
            heads.append((lane[0], overtaken))
    heads.sort(key=lambda head: (head[0].next_attempt_at, head[0].event_id))
    for head, overtaken in heads[:limit]:
        leases[head.event_id] = (owner, now + timedelta(seconds=LEASE_S))
        for each in overtaken:
            reference[each.event_id] = replace(each, state=DeliveryState.SUPERSEDED)
    return [head.event_id for head, _ in heads[:limit]]
