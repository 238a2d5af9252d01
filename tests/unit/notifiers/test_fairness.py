# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass
from threading import Thread

import pytest

from alarmd.notifiers.circuit import CircuitPolicy
from alarmd.notifiers.fairness import Fairness, Shares, queue_of
from alarmd.notifiers.lineup import Lineup
from alarmd.notifiers.scheme import Attempt, Reason
from alarmd.store.queues import Queue
from tests.support.notifications import TAKEN, a_notification

A, B = Queue("http://a", "p1"), Queue("http://b", "p2")
TIMEOUT = Attempt(reason=Reason.TIMEOUT, retryable=True)
POLICY = CircuitPolicy(failures=2, first_pause_s=1, max_pause_s=4)


@dataclass(frozen=True, slots=True)
class Item:
    queue: Queue
    number: int = 0


def a_fairness(batch: int = 16) -> Fairness:
    return Fairness(Shares.of(8), circuits=POLICY, batch=batch)


@pytest.mark.parametrize(
    ("threads", "per_origin", "per_project"), [(1, 1, 1), (2, 1, 2), (3, 1, 2), (4, 2, 3), (9, 4, 6), (32, 16, 24)]
)
def test_a_project_has_more_than_one_of_its_receivers(threads: int, per_origin: int, per_project: int) -> None:
    """Unless it is said, a receiver gets half of the threads and a project three quarters, and one in any case."""
    assert Shares(threads=threads, per_origin=per_origin, per_project=per_project) == Shares.of(threads)


def test_shares_that_are_said() -> None:
    """They count as they are."""
    assert Shares(threads=9, per_origin=7, per_project=2) == Shares.of(9, per_receiver=7, per_project=2)


def test_the_queue_of_a_notification() -> None:
    """Receivers are told apart by scheme, host and port; projects by their id."""
    notification = a_notification(target="HTTPS://user@Heat.example:8004/v1/signal?x=1", project_id="p")

    assert Queue("https://heat.example:8004", "p") == queue_of(notification)


def test_what_is_in_hand_takes_up_room() -> None:
    """Whoever has much in hand may have less, and a receiver that has its share leaves the rest to others."""
    fairness = a_fairness()
    fairness.take([A] * 4)
    room, rooms = fairness.rooms(0, after=None)

    assert 4 == room
    assert (0, 4) == (rooms.room_of(A), rooms.room_of(B))


def test_what_waits_for_its_receiver_takes_nothing_from_its_project() -> None:
    """More than a receiver's threads was claimed in advance: the project has what these threads leave of its share."""
    fairness = a_fairness()
    fairness.take([A] * 8)
    _, rooms = fairness.rooms(0, after=None)

    assert (-4, 2) == (rooms.room_of_origin(A.origin), rooms.room_of(Queue("http://other", A.project_id)))


@pytest.mark.parametrize(("batch", "more"), [(16, 4), (3, 3)])
def test_quick_receivers_get_more_in_advance(batch: int, more: int) -> None:
    """As many as a receiver has taken lately may wait for a free thread of its own, but no more than a batch."""
    fairness = a_fairness(batch=batch)
    fairness.take([A] * 4)
    for _ in range(4):
        fairness.end(A, TAKEN, 0)
    room, rooms = fairness.rooms(0, after=None)

    assert (8 + more, 4 + more, 4) == (room, rooms.room_of(A), rooms.room_of(B))


def test_what_was_answered_long_ago_says_nothing() -> None:
    """What a receiver took a second ago lets nothing more wait for it, or for anybody."""
    fairness = a_fairness()
    for now_s in (0.0, 0.5):
        fairness.take([A])
        fairness.end(A, TAKEN, now_s)
    rooms = [fairness.rooms(now_s, after=None) for now_s in (0.9, 1.0, 1.5)]

    assert [(8 + 2, 4 + 2), (8 + 1, 4 + 1), (8, 4)] == [(room, each.room_of(A)) for room, each in rooms]


def test_what_comes_in_one_go_is_claimed_in_one_go() -> None:
    """Though half of the threads wait for a receiver that hangs, and one only of each queue was answered lately."""
    fairness = a_fairness()
    quick = [Queue(B.origin, f"p{number}") for number in range(12)]
    fairness.take([A] * 4 + quick)
    for queue in quick:
        fairness.end(queue, TAKEN, 0)
    for _ in range(4):
        fairness.take([])
    room, rooms = fairness.rooms(0.5, after=None)

    assert 4 + 12 == room
    assert (0, 4 + 12) == (rooms.room_of(A), rooms.room_of_origin(B.origin))


def test_what_waits_behind_a_slow_receiver_takes_no_room_from_others() -> None:
    """When a quick receiver stops answering, what was claimed for it in advance does not shut out the others."""
    fairness = a_fairness()
    fairness.take([A] * 12)
    room, rooms = fairness.rooms(0, after=None)

    assert 4 == room
    assert 0 >= rooms.room_of(A)
    assert 4 == rooms.room_of(B)


def test_a_receiver_that_is_left_alone_is_asked_by_one_at_a_time() -> None:
    """While a circuit is open nothing is claimed; when its pause is over one, and no second before that has ended."""
    fairness = a_fairness()
    fairness.take([A, A])
    fairness.end(A, TIMEOUT, 0)
    fairness.end(A, TIMEOUT, 0)
    left_alone = fairness.rooms(0.5, after=None)[1].room_of(A)
    asked = fairness.rooms(1, after=None)[1].room_of(A)
    fairness.take([A])
    under_way = fairness.rooms(1.5, after=None)[1].room_of(A)

    assert (0, 1, 0) == (left_alone, asked, under_way)


def test_what_is_given_back_untried_says_nothing() -> None:
    """What was claimed and not tried frees its room and opens nothing."""
    fairness = a_fairness()
    fairness.take([A] * 4)
    for _ in range(4):
        fairness.end(A, None, 0)

    assert (0, 4) == (fairness.in_hand, fairness.rooms(0, after=None)[1].room_of(A))


def test_a_lineup_lets_queues_take_turns() -> None:
    """A queue that came first with many does not go before one that came later with one."""
    lineup: Lineup[Item] = Lineup(per_origin=9, per_project=9)
    lineup.put([Item(A, 1), Item(A, 2), Item(B, 3)])

    assert [1, 3, 2] == [one.number for one in (lineup.take(), lineup.take(), lineup.take()) if one]


def test_a_lineup_holds_back_who_has_enough() -> None:
    """Beyond its share a queue waits until a thread has given one of its items back."""
    lineup: Lineup[Item] = Lineup(per_origin=1, per_project=9)
    first, second, other = Item(A, 1), Item(A, 2), Item(Queue("http://b", "p1"), 3)
    lineup.put([first, second, other])

    assert [first, other, second] == [lineup.take(), lineup.take(), lineup.take(first)]


def test_a_lineup_says_when_a_thread_finds_nothing_more() -> None:
    """As long as each thread that is done finds another item that may go, nobody need be in a hurry to bring more."""
    short: list[None] = []
    lineup: Lineup[Item] = Lineup(per_origin=1, per_project=9, when_short=lambda: short.append(None))
    first, second, other = Item(A, 1), Item(A, 2), Item(B, 3)
    lineup.put([first, second])
    assert [first, second] == [lineup.take(), lineup.take(first)]
    is_short_before = bool(short)
    lineup.put([Item(A, 4)])
    thread = Thread(target=lineup.take)
    thread.start()
    lineup.put([other])
    thread.join()
    waiting = Thread(target=lineup.take, args=[other])
    waiting.start()
    while waiting.is_alive() and not short:
        waiting.join(0.01)
    lineup.close()
    waiting.join()

    assert (False, [None]) == (is_short_before, short)


def test_room_that_a_thread_does_not_take_itself_goes_to_one_that_waits() -> None:
    """Who gives back an item of a queue that was full, and goes on with another queue, has a waiting thread woken."""
    lineup: Lineup[Item] = Lineup(per_origin=1, per_project=9)
    first, second, other = Item(A, 1), Item(A, 2), Item(Queue("http://b", "p1"), 3)
    lineup.put([first])
    assert first == lineup.take()
    taken: list[Item | None] = []
    waiting = Thread(target=lambda: taken.append(lineup.take()))
    waiting.start()
    lineup.put([other, second])
    taken.append(lineup.take(first))
    waiting.join(10)

    assert [second, other] == sorted((one for one in taken if one), key=lambda one: one.number)


def test_a_lineup_holds_back_a_project_that_has_enough() -> None:
    """A project has its share wherever its notifications go."""
    lineup: Lineup[Item] = Lineup(per_origin=9, per_project=1)
    lineup.put([Item(A, 1), Item(Queue("http://b", "p1"), 2), Item(B, 3)])

    assert [1, 3] == [one.number for one in (lineup.take(), lineup.take()) if one]


def test_taking_out_of_a_lineup() -> None:
    """What waits in some queues can be taken back, in its order; threads wait no longer once it is closed."""
    lineup: Lineup[Item] = Lineup(per_origin=9, per_project=9)
    lineup.put([Item(A, 1), Item(B, 2), Item(A, 3)])
    out = lineup.withdraw(lambda queue: queue == A)
    left = lineup.take()
    lineup.close()

    assert ([1, 3], Item(B, 2), None) == ([one.number for one in out], left, lineup.take())
