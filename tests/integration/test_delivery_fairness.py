# SPDX-License-Identifier: Apache-2.0
"""Shares, circuits and lateness of the round on real databases: who waits for whom, and who does not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Barrier, Event

import pytest
from structlog.testing import capture_logs

from alarmd.model.alarm import AlarmId
from alarmd.model.notification import DeliveryState, EventId, Notification
from alarmd.notifiers.assembly import shares_of
from alarmd.notifiers.circuit import CircuitPolicy
from alarmd.notifiers.fairness import Shares
from alarmd.notifiers.recording import RecordingScheme
from alarmd.notifiers.scheme import Attempt, Reason
from alarmd.settings import Settings
from tests.support.notifications import CREATED_AT, TAKEN, a_notification
from tests.support.rounds import Rounds

SHARES = Shares(threads=4, per_origin=2, per_project=3)
#: What nobody has said anything about.
SHIPPED = shares_of(Settings())
CIRCUITS = CircuitPolicy(failures=3, first_pause_s=20, max_pause_s=40)
REFUSED = Attempt(reason=Reason.CONNECTION, retryable=True, detail="refused")


def many(count: int, *, host: str, project: str = "p1", sequence: int = 1) -> list[Notification]:
    return [
        a_notification(
            target=f"http://{host}/{number}", alarm_id=f"{host}-{number}", project_id=project, sequence=sequence
        )
        for number in range(count)
    ]


@contextmanager
def hanging(host: str) -> Iterator[tuple[RecordingScheme, Event]]:
    """Give a scheme in which one receiver hangs until it is let go."""
    go = Event()

    def answer(one: Notification) -> Attempt:
        if f"//{host}/" in one.target:
            go.wait(20)
        return TAKEN

    try:
        yield RecordingScheme(answer), go
    finally:
        go.set()


def test_a_hanging_receiver_takes_up_its_share_and_no_more(rounds: Rounds) -> None:
    """While one receiver hangs with much to come, everything for the others of its project goes out."""
    rounds.add(*many(50, host="bad"), *many(50, host="good"))
    with hanging("bad") as (scheme, _):
        rounds({"http": scheme}, shares=SHARES).run()
        for number in range(50):
            rounds.wait_until(f"good-{number}_1_0", lambda one: one.state is DeliveryState.DELIVERED)
        tried = [one.target for one in scheme.notifications if "//bad/" in one.target]

        assert 2 == len(tried)


def test_the_shares_that_are_shipped_leave_room_within_a_project(rounds: Rounds) -> None:
    """One receiver of a project hangs, and everything for its other arrives meanwhile, whatever is due first."""
    rounds.add(*many(100, host="bad"))
    with hanging("bad") as (scheme, _):
        made = rounds({"http": scheme}, shares=SHIPPED, batch=8 * SHIPPED.threads)
        made.run()
        scheme.wait_for(SHIPPED.per_origin)
        rounds.add(*many(100, host="good"))
        made.run()
        for number in range(100):
            rounds.wait_until(f"good-{number}_1_0", lambda one: one.state is DeliveryState.DELIVERED)
        tried = [one.target for one in scheme.notifications if "//bad/" in one.target]

        assert 16 == len(tried)


def test_a_receiver_that_answers_slowly_holds_up_no_other_of_its_project(rounds: Rounds) -> None:
    """What was claimed in advance, since it answered all its threads at once, counts against nobody while it waits."""
    first, go = Barrier(SHIPPED.per_origin), Event()
    rounds.add(*many(200, host="slow"))
    taken: list[str] = []

    def answer(one: Notification) -> Attempt:
        if "//slow/" in one.target:
            taken.append(one.event_id)
            if len(taken) <= SHIPPED.per_origin:
                first.wait(20)
            else:
                go.wait(20)
        return TAKEN

    scheme = RecordingScheme(answer)
    try:
        made = rounds({"http": scheme}, shares=SHIPPED, batch=8 * SHIPPED.threads)
        made.run()
        scheme.wait_for(2 * SHIPPED.per_origin)
        made.run()
        rounds.clock.advance(2)
        rounds.add(*many(20, host="good"))
        made.run()
        for number in range(20):
            rounds.wait_until(f"good-{number}_1_0", lambda one: one.state is DeliveryState.DELIVERED)

        assert 2 * SHIPPED.per_origin == sum("//slow/" in one.target for one in scheme.notifications)
    finally:
        go.set()


def test_the_shares_that_are_shipped_leave_a_quarter_to_other_projects(rounds: Rounds) -> None:
    """A project all of whose receivers hang takes up three quarters; as many of another as are left go side by side."""
    together, go = Barrier(8), Event()
    rounds.add(*(one for number in range(20) for one in many(10, host=f"bad-{number}")))

    def answer(one: Notification) -> Attempt:
        if "//bad-" in one.target:
            go.wait(20)
        else:
            together.wait(20)
        return TAKEN

    scheme = RecordingScheme(answer)
    try:
        made = rounds({"http": scheme}, shares=SHIPPED, batch=8 * SHIPPED.threads)
        made.run()
        scheme.wait_for(SHIPPED.per_project)
        rounds.add(*many(8, host="good", project="p2"))
        made.run()
        for number in range(8):
            rounds.wait_until(f"good-{number}_1_0", lambda one: one.state is DeliveryState.DELIVERED)

        assert 24 == sum("//bad-" in one.target for one in scheme.notifications)
    finally:
        go.set()


def test_a_receiver_that_begins_to_hang_takes_up_no_more_either(rounds: Rounds) -> None:
    """What was claimed in advance of a quick receiver waits in no thread's way once it hangs."""
    go = Event()
    taken: list[str] = []

    def answer(one: Notification) -> Attempt:
        if "//turns/" in one.target:
            taken.append(one.event_id)
            if len(taken) > 30:
                go.wait(20)
        return TAKEN

    scheme = RecordingScheme(answer)
    rounds.add(*many(200, host="turns"))
    try:
        made = rounds({"http": scheme}, shares=SHARES)
        made.run()
        scheme.wait_for(32)
        rounds.add(*many(20, host="good", project="p2"))
        made.run()
        for number in range(20):
            rounds.wait_until(f"good-{number}_1_0", lambda one: one.state is DeliveryState.DELIVERED)

        assert 32 == len(taken)
    finally:
        go.set()


def test_a_project_takes_up_its_share_and_no_more(rounds: Rounds) -> None:
    """A project all of whose receivers hang leaves a thread to the others."""
    slow = [one for host in "abcdef" for one in many(5, host=f"bad-{host}")]
    rounds.add(*slow, *many(20, host="good", project="p2"))
    go = Event()

    def answer(one: Notification) -> Attempt:
        if "//bad-" in one.target:
            go.wait(20)
        return TAKEN

    scheme = RecordingScheme(answer)
    try:
        rounds({"http": scheme}, shares=SHARES).run()
        for number in range(20):
            rounds.wait_until(f"good-{number}_1_0", lambda one: one.state is DeliveryState.DELIVERED)

        assert 3 == sum("//bad-" in one.target for one in scheme.notifications)
    finally:
        go.set()


def test_a_receiver_that_is_down_is_left_alone(rounds: Rounds) -> None:
    """After some failures nothing more is tried there, nor counted as tried, until it has been asked and answers."""
    is_down = True
    rounds.add(*many(40, host="down"))
    scheme = RecordingScheme(lambda _: REFUSED if is_down else TAKEN)
    made = rounds({"http": scheme}, shares=SHARES, circuits=CIRCUITS)
    with capture_logs() as lines:
        made.run()
        scheme.wait_for(3)
        rounds.add(*many(1, host="up"))
        made.run()
        rounds.wait_until("up-0_1_0", lambda one: one.attempts == 1)
        made.run()
        tried = [one for one in scheme.notifications if "//down/" in one.target]
        untried = [one for one in many(40, host="down") if rounds.get(one.event_id).attempts == 0]

        assert len(tried) <= 3 + SHARES.per_origin
        assert 40 == len(tried) + len(untried)

        is_down = False
        rounds.clock.advance(21)
        made.run()
        for number in range(40):
            rounds.wait_until(f"down-{number}_1_0", lambda one: one.state is DeliveryState.DELIVERED)
    events = [line["event"] for line in lines if line["event"].startswith("circuit_")]
    # What it has of its project fails with it.
    assert {"circuit_opened", "circuit_closed"} == set(events)


def test_one_asks_whether_a_receiver_is_back(rounds: Rounds) -> None:
    """When the pause is over one notification is tried; if it fails, the others go on waiting."""
    rounds.add(*many(40, host="down"))
    scheme = RecordingScheme(lambda _: REFUSED)
    made = rounds({"http": scheme}, shares=SHARES, circuits=CIRCUITS)
    made.run()
    scheme.wait_for(3)
    made.run()
    for one in scheme.notifications:
        rounds.wait_until(one.event_id, lambda one: one.attempts == 1)
    made.run()
    before = len(scheme.notifications)
    rounds.clock.advance(21)
    made.run()
    scheme.wait_for(before + 1)
    for _ in range(3):
        made.run()

    assert before + 1 == len(scheme.notifications)


def test_of_what_waits_for_a_receiver_that_is_down_the_newest_stays(rounds: Rounds) -> None:
    """A receiver that is back after a while is told the state of today, and not all that was in between."""
    is_down = True
    rounds.add(*many(20, host="down"))
    scheme = RecordingScheme(lambda _: REFUSED if is_down else TAKEN)
    made = rounds({"http": scheme}, shares=SHARES, circuits=CIRCUITS)
    made.run()
    scheme.wait_for(3)
    for one in scheme.notifications:
        rounds.wait_until(one.event_id, lambda one: one.attempts == 1)
    for sequence in (2, 3):
        rounds.add(*many(20, host="down", sequence=sequence))
    for _ in range(3):
        rounds.clock.advance(1)
        made.run()
    before = len(scheme.notifications)
    is_down = False
    rounds.clock.advance(20)
    made.run()
    for number in range(20):
        rounds.wait_until(f"down-{number}_3_0", lambda one: one.state is DeliveryState.DELIVERED)

    assert [3] * 20 == [one.sequence for one in scheme.notifications[before:]]
    assert {DeliveryState.SUPERSEDED} == {rounds.get(f"down-{number}_2_0").state for number in range(20)}


def test_a_receiver_that_asks_for_quiet_is_left_alone(rounds: Rounds) -> None:
    """`Retry-After` of one answer holds for all that the project has for the receiver, and for nobody else."""
    busy = Attempt(reason=Reason.BUSY, retryable=True, status=429, retry_after_s=15)
    scheme = RecordingScheme(lambda one: busy if one.project_id == "p1" else TAKEN)
    made = rounds({"http": scheme}, shares=Shares(threads=1, per_origin=1, per_project=1), circuits=CIRCUITS)
    others = [replace(one, project_id="p2", event_id=EventId(f"{one.event_id}x")) for one in many(10, host="h")]
    others = [replace(one, alarm_id=AlarmId(f"{one.alarm_id}x")) for one in others]
    rounds.add(*many(10, host="h"), *others)
    made.run()
    for one in others:
        rounds.wait_until(one.event_id, lambda one: one.attempts == 1)
    made.run()

    assert 1 == sum(one.project_id == "p1" for one in scheme.notifications)


def test_what_is_too_late_is_not_sent(rounds: Rounds) -> None:
    """What could not be delivered in time ends without another try, and the sleeper is told when that will be."""
    scheme = RecordingScheme(lambda _: REFUSED)
    rounds.add(a_notification(not_after=CREATED_AT + timedelta(seconds=4)))
    made = rounds({"http": scheme})
    made.run()
    rounds.wait_until("alarm-1_1_0", lambda one: one.attempts == 1)
    due = made.next_due()
    rounds.clock.advance(5)
    made.run()
    found = rounds.get("alarm-1_1_0")

    assert due == CREATED_AT + timedelta(seconds=4)
    assert (DeliveryState.EXPIRED, 1) == (found.state, found.attempts)
    assert 1 == len(scheme.notifications)


@pytest.mark.parametrize("count", [1_500])
def test_very_many_queues_are_all_served(rounds: Rounds, count: int) -> None:
    """More receivers than one claim looks at are all told, without anybody having to ask again."""
    rounds.add(*(one for number in range(count) for one in many(1, host=f"h{number}", project=f"p{number}")))
    scheme = RecordingScheme()
    rounds({"http": scheme}).run()

    assert count == len({one.event_id for one in scheme.wait_for(count, timeout_s=60)})
