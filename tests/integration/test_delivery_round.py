# SPDX-License-Identifier: Apache-2.0
"""The round on real databases."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Event

import pytest
from structlog.testing import capture_logs

from alarmd.clock import SystemClock
from alarmd.errors import SettingsError, StoreUnavailable
from alarmd.model.notification import DeliveryState, EventId, Notification
from alarmd.notifiers.fairness import Shares
from alarmd.notifiers.http import HttpOptions, HttpScheme
from alarmd.notifiers.log import LogOptions, LogScheme
from alarmd.notifiers.recording import RecordingScheme
from alarmd.notifiers.retry import RetryPolicy
from alarmd.notifiers.round import DeliveryRound
from alarmd.notifiers.scheme import Attempt, Reason
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.store.database import Database, UnitOfWork
from tests.support.daemon import wait_until
from tests.support.notifications import BUSY, CREATED_AT, GONE, TAKEN, a_notification
from tests.support.receivers import hangs, receiver
from tests.support.rounds import Rounds


def _many(count: int) -> list[Notification]:
    return [a_notification(target="http://scaler/up", alarm_id=f"alarm-{number}") for number in range(count)]


def test_everything_due_is_delivered_once(rounds: Rounds) -> None:
    """Many more notifications than threads and batches are all delivered, each once, and it is written down."""
    scheme = RecordingScheme()
    rounds.add(*_many(300))
    made = rounds({"http": scheme})
    made.run()
    scheme.wait_for(300)

    assert made.drain(10)
    assert Counter(each.event_id for each in scheme.notifications) == Counter(each.event_id for each in _many(300))
    settled = rounds.get("alarm-7_1_0")
    assert (DeliveryState.DELIVERED, 1, "") == (settled.state, settled.attempts, settled.last_error)
    assert settled.finished_at == CREATED_AT
    assert rounds.depth() == 0
    assert made.next_due() is None


def test_what_failed_is_tried_again_when_its_time_has_come(rounds: Rounds) -> None:
    """A failure that may pass is postponed, not before its time tried again, and then delivered."""
    answers = [BUSY, TAKEN]
    scheme = RecordingScheme(lambda _: answers.pop(0))
    rounds.add(a_notification())
    made = rounds({"http": scheme})
    made.run()
    postponed = rounds.wait_until("alarm-1_1_0", lambda each: each.attempts == 1)
    made.run()

    assert (DeliveryState.PENDING, 429) == (postponed.state, postponed.last_status)
    assert made.next_due() == CREATED_AT + timedelta(seconds=10)
    assert len(scheme.notifications) == 1
    rounds.clock.advance(10)
    made.run()
    delivered = rounds.wait_until("alarm-1_1_0", lambda each: each.attempts == 2)
    assert delivered.state is DeliveryState.DELIVERED


def test_a_final_failure_is_buried_and_the_next_goes_on(rounds: Rounds) -> None:
    """What cannot succeed is put away with its reason; its successor in the same lane is delivered."""
    scheme = RecordingScheme(lambda each: GONE if each.sequence == 1 else TAKEN)
    rounds.add(a_notification(sequence=1), a_notification(sequence=2))
    made = rounds({"http": scheme})
    made.run()
    rounds.wait_until("alarm-1_2_0", lambda each: each.state is DeliveryState.DELIVERED)
    buried = rounds.get("alarm-1_1_0")

    assert (DeliveryState.BURIED, "client_error: HTTP 404 Not Found") == (buried.state, buried.last_error)


def test_an_alarms_states_arrive_in_their_order(rounds: Rounds) -> None:
    """With many threads free, the notifications of one alarm for one target still go out one after the other."""
    scheme = RecordingScheme()
    rounds.add(*(a_notification(alarm_id=f"a{alarm}", sequence=n) for n in range(1, 11) for alarm in range(5)))
    rounds({"http": scheme}, workers=8).run()
    seen = scheme.wait_for(50)

    for alarm in range(5):
        assert [each.sequence for each in seen if each.alarm_id == f"a{alarm}"] == list(range(1, 11))


def test_a_crash_of_a_scheme_harms_one_delivery_and_tells_no_secret(rounds: Rounds) -> None:
    """A bug in a scheme postpones the delivery it met, is logged without the target, and the rest goes on."""

    def answer(each: Notification) -> Attempt:
        if each.alarm_id == "alarm-0":
            raise ZeroDivisionError(each.target)
        return TAKEN

    rounds.add(*_many(20))
    scheme = RecordingScheme(answer)
    with capture_logs() as lines:
        rounds({"http": scheme}).run()
        crashed = rounds.wait_until("alarm-0_1_0", lambda each: each.attempts == 1)
        rounds.wait_until("alarm-19_1_0", lambda each: each.state is DeliveryState.DELIVERED)

    assert (DeliveryState.PENDING, "crashed: ZeroDivisionError") == (crashed.state, crashed.last_error)
    assert [line["error"] for line in lines if line["event"] == "delivery_crashed"] == ["ZeroDivisionError"]
    assert "scaler" not in str(lines)


def test_a_scheme_that_nobody_serves_is_buried(rounds: Rounds) -> None:
    """A target of a notifier that is no longer there is put away and names the scheme, not the target."""
    rounds.add(a_notification(target="pigeon://coop/secret"))
    rounds({"http": RecordingScheme()}).run()
    buried = rounds.wait_until("alarm-1_1_0", lambda each: each.attempts == 1)

    assert buried.state is DeliveryState.BURIED
    assert "'pigeon'" in buried.last_error
    assert "secret" not in buried.last_error


@contextmanager
def _hanging(*bad: str) -> Iterator[tuple[RecordingScheme, Event]]:
    """Give a scheme that hangs on some alarms until it is let go."""
    go = Event()

    def answer(each: Notification) -> Attempt:
        if each.alarm_id in bad:
            go.wait(20)
        return TAKEN

    try:
        yield RecordingScheme(answer), go
    finally:
        go.set()


def test_a_hanging_receiver_holds_up_nobody_else(rounds: Rounds) -> None:
    """While attempts hang, the others are delivered, what is new too, and the sleeper is not kept awake."""
    rounds.add(*_many(100))
    with _hanging("alarm-3", "alarm-4", "alarm-5") as (scheme, go):
        made = rounds({"http": scheme}, workers=4, batch=4)
        made.run()
        scheme.wait_for(100)
        rounds.wait_until("alarm-99_1_0", lambda each: each.state is DeliveryState.DELIVERED)
        # The successor of one that hangs has to wait for it, though it is due.
        rounds.add(a_notification(alarm_id="alarm-3", sequence=2), a_notification(alarm_id="new"))
        made.run()
        rounds.wait_until("new_1_0", lambda each: each.state is DeliveryState.DELIVERED)
        made.run()
        due = made.next_due()

        assert due is not None
        assert due > rounds.clock.now()
        assert rounds.get("alarm-3_1_0").state is DeliveryState.PENDING
        assert rounds.get("alarm-3_2_0").attempts == 0
        go.set()
        rounds.wait_until("alarm-3_2_0", lambda each: each.state is DeliveryState.DELIVERED)


def test_when_every_hand_is_full_the_round_returns_and_goes_on_later(rounds: Rounds) -> None:
    """With all threads hanging `run` does not block; what waits is delivered as soon as a thread is free."""
    rounds.add(*_many(10))
    with _hanging("alarm-0", "alarm-1") as (scheme, go):
        made = rounds({"http": scheme}, workers=2)
        made.run()
        scheme.wait_for(2)
        made.run()
        due = made.next_due()

        assert due is not None
        assert due > rounds.clock.now()
        go.set()
        scheme.wait_for(10)


def test_two_notifiers_share_the_work(rounds: Rounds) -> None:
    """Two rounds on one outbox deliver everything once between them."""
    schemes = [RecordingScheme(), RecordingScheme()]
    rounds.add(*_many(200))
    for number, scheme in enumerate(schemes):
        rounds({"http": scheme}, owner=f"notifier-{number}").run()
    for number in range(200):
        rounds.wait_until(f"alarm-{number}_1_0", lambda each: each.state is DeliveryState.DELIVERED)
    seen = [each.event_id for scheme in schemes for each in scheme.notifications]

    assert Counter(seen) == Counter(each.event_id for each in _many(200))


def test_what_a_dead_notifier_held_is_delivered_by_another(rounds: Rounds) -> None:
    """When the lease of a notifier that died has run out, another one takes over; not before."""
    rounds.add(a_notification())
    with rounds.database.write() as unit:
        unit.outbox.claim(now=CREATED_AT, owner="dead", lease_s=60, limit=10)
    scheme = RecordingScheme()
    made = rounds({"http": scheme})
    made.run()

    assert scheme.notifications == []
    assert made.next_due() == CREATED_AT + timedelta(seconds=60)
    rounds.clock.advance(60)
    made.run()
    assert len(scheme.wait_for(1)) == 1


def test_draining_finishes_what_is_sent_and_gives_back_the_rest(rounds: Rounds) -> None:
    """On the way out an attempt in flight is settled, and what was claimed beyond it is free for others at once."""
    rounds.add(*_many(5))
    with _hanging("alarm-2") as (scheme, go):
        made = rounds({"http": scheme}, workers=1)
        made.run()
        scheme.wait_for(3)
        rounds.wait_until("alarm-1_1_0", lambda each: each.state is DeliveryState.DELIVERED)

        assert not made.drain(0.05)
        go.set()
        assert made.drain(10)
    assert rounds.get("alarm-2_1_0").state is DeliveryState.DELIVERED
    other = RecordingScheme()
    rounds({"http": other}, owner="notifier-2").run()
    assert {each.alarm_id for each in other.wait_for(2)} == {"alarm-3", "alarm-4"}


def test_what_waited_too_long_for_a_thread_is_given_back_untried(rounds: Rounds) -> None:
    """An attempt that could outlive its lease is not begun: somebody else may have the notification by then."""
    rounds.add(*_many(5))
    with _hanging("alarm-2") as (scheme, go):
        made = rounds({"http": scheme}, workers=1, lease_s=60)
        made.run()
        scheme.wait_for(3)
        # The turn that has settled one has claimed one that now waits behind the one that hangs.
        rounds.wait_until("alarm-1_1_0", lambda each: each.state is DeliveryState.DELIVERED)
        rounds.clock.advance(61)
        with rounds.database.write() as unit:
            claims = unit.outbox.claim(now=rounds.clock.now(), owner="notifier-2", lease_s=60, limit=10)
            taken = list(claims.notifications)
        rounds.add(replace(a_notification(alarm_id="last"), next_attempt_at=rounds.clock.now()))
        go.set()
        made.run()
        rounds.wait_until("last_1_0", lambda each: each.state is DeliveryState.DELIVERED)

    assert ["alarm-2", "alarm-3", "alarm-4"] == [each.alarm_id for each in taken]
    assert ["alarm-0", "alarm-1", "alarm-2", "last"] == [each.alarm_id for each in scheme.notifications]


class _Failing(Database):
    """A database that is away while it is told to be."""

    away = False

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        if self.away:
            raise StoreUnavailable("the database is away")
        with super().write() as unit:
            yield unit


def test_results_survive_an_outage_of_the_database(rounds: Rounds) -> None:
    """What was delivered while the database was away is written down when it is back, and not sent again."""
    flaky = _Failing(rounds.database._engine)
    rounds.add(*_many(2))
    with _hanging("alarm-0", "alarm-1") as (scheme, go), capture_logs() as lines:
        made = rounds({"http": scheme}, database=flaky)
        made.run()
        scheme.wait_for(2)
        flaky.away = True
        go.set()
        made.run()
        flaky.away = False
        for number in range(2):
            rounds.wait_until(f"alarm-{number}_1_0", lambda each: each.state is DeliveryState.DELIVERED)

    assert len(scheme.notifications) == 2
    assert any(line["event"] == "outbox_unavailable" for line in lines)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_pump_is_reported(rounds: Rounds) -> None:
    """A fault in the round itself does not go unnoticed: the caller is told that the process has to go."""

    class Broken(Database):
        def write(self) -> None:  # type: ignore[override]  # that is what is broken
            raise ZeroDivisionError

    made = rounds({"http": RecordingScheme()}, database=Broken(rounds.database._engine))

    with pytest.raises(RuntimeError, match="restarted"):
        made.run()


def test_a_lease_must_outlast_an_attempt(rounds: Rounds) -> None:
    """A lease too short for the slowest scheme is refused with what it would need to be."""
    with pytest.raises(SettingsError, match="30 s or more"):
        rounds({"http": RecordingScheme(deadline_s=15.0)}, lease_s=20)


def test_draining_before_the_first_run_is_nothing(rounds: Rounds) -> None:
    """A round that never ran ends at once."""
    assert rounds({"http": RecordingScheme()}).drain(0.1)


def test_webhooks_and_log_lines_go_their_ways(database: Database) -> None:
    """The real schemes together: a webhook arrives, a line is logged, a hanging receiver is postponed."""
    clock = SystemClock()
    policy, signer = TargetPolicy(allow_loopback=True), Signer()
    with ExitStack() as stack:
        good, bad = stack.enter_context(receiver()), stack.enter_context(receiver(hangs))
        http = HttpScheme(options=HttpOptions(deadline_s=0.5), clock=clock, policy=policy, signer=signer)
        stack.callback(http.close)
        log = LogScheme(options=LogOptions(), clock=clock, policy=policy, signer=signer)
        made = DeliveryRound(
            database=database,
            schemes={"http": http, "https": http, "log": log},
            policy=RetryPolicy(give_up_after_s=1e9),
            clock=clock,
            owner="notifier-1",
            shares=Shares(threads=4, per_origin=4, per_project=4),
            lease_s=30,
            batch=16,
        )
        stack.callback(made.close)
        targets = {"good": good.url("/up?x=%2F"), "bad": bad.url(), "log": "log:"}
        with database.write() as unit:
            unit.outbox.add([a_notification(alarm_id=name, target=target) for name, target in targets.items()])
        with capture_logs() as lines:
            made.run()
            good.wait_for(1)
            bad.wait_for(1)
            wait_until(lambda: "alarm_notified" in {line["event"] for line in lines}, what="the line in the log")

            assert made.drain(10)
        with database.read() as unit:
            found = {name: unit.outbox.get(EventId(f"{name}_1_0")) for name in targets}

    states = {name: each.state for name, each in found.items() if each}
    expected = {"good": DeliveryState.DELIVERED, "bad": DeliveryState.PENDING, "log": DeliveryState.DELIVERED}
    assert expected == states
    assert found["bad"] is not None
    assert found["bad"].last_error.startswith(Reason.TIMEOUT)
