# SPDX-License-Identifier: Apache-2.0
"""The round: takes due notifications out of the outbox, has them delivered, and writes back how that went."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from traceback import extract_tb
from typing import TypeAlias

import structlog

from alarmd.clock import Clock
from alarmd.errors import SecretMissing, SettingsError, StoreUnavailable
from alarmd.model.notification import DeliveryState, EventId, Notification, Settlement
from alarmd.notifiers.retry import RetryPolicy
from alarmd.notifiers.scheme import Attempt, Reason, Scheme, scheme_of
from alarmd.notifiers.secret_book import SecretBook
from alarmd.store.database import Database
from alarmd.telemetry import DELIVERY_LAG_SECONDS, DELIVERY_SECONDS, NOTIFICATIONS, SAMPLE_TO_NOTIFY_SECONDS

_log = structlog.get_logger()

#: How long the round pauses when the database does not answer; doubles up to the second.
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.25, 5.0
#: How soon the sleeper should look again although the round goes on by itself, or could not look.
_LOOK_AGAIN_S = 0.5
#: Metric label of a settlement's state.
_OUTCOMES = {
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.PENDING: "postponed",
    DeliveryState.BURIED: "buried",
    DeliveryState.SUPERSEDED: "superseded",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claimed:
    """A notification in our hands."""

    notification: Notification
    #: When the lease runs out, on the monotonic clock.
    lease_ends_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Untried:
    """A notification that was claimed and not tried after all."""

    event_id: EventId


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kick:
    """Somebody asks the pump to look for work."""

    looked: Event = field(default_factory=Event)


_Message: TypeAlias = Settlement | _Untried | _Kick


class DeliveryRound:
    """Delivers what is due, on a bounded number of threads.

    One thread, the pump, talks to the database: each of its turns writes back all attempts that have ended and claims
    as much as there is room for, in one transaction, so the busier it is the larger the transactions become. The
    attempts themselves run on `workers` threads; one that hangs holds its own thread and nothing else.

    Threads are started by the first `run`, so a round may be made before a fork and used after it.
    """

    def __init__(
        self,
        *,
        database: Database,
        schemes: Mapping[str, Scheme],
        policy: RetryPolicy,
        clock: Clock,
        owner: str,
        workers: int,
        lease_s: float,
        batch: int,
        secrets: SecretBook | None = None,
    ) -> None:
        """Take everything that is needed.

        Args:
            database: Where the outbox lies.
            schemes: The notifiers by the name of their URL scheme. Whoever made them closes them.
            policy: Decides what becomes of a notification after a try.
            clock: Tells the time.
            owner: Whose the claims are; never the same for two rounds that live at one time.
            workers: How many attempts run at once.
            lease_s: For how long claims hold. At least twice the longest deadline of a scheme.
            batch: How many claimed notifications may wait for a free thread, at most.
            secrets: Learns what the claimed are signed with, where the schemes sign from it.

        Raises `SettingsError` when the lease is too short for the schemes.
        """
        longest_s = max((scheme.deadline_s for scheme in schemes.values()), default=0.0)
        if lease_s < 2 * longest_s:
            raise SettingsError(
                f"A delivery may take {longest_s:g} s, so notifications have to be leased for {2 * longest_s:g} s or "
                f"more, not {lease_s:g} s: else a second notifier would send what the first is still sending."
            )
        self._database = database
        self._schemes = dict(schemes)
        self._policy = policy
        self._clock = clock
        self._owner = owner
        self._workers = workers
        self._lease_s = lease_s
        self._batch = batch
        self._secrets = secrets or SecretBook()
        self._work: SimpleQueue[_Claimed | None] = SimpleQueue()
        self._messages: SimpleQueue[_Message] = SimpleQueue()
        self._starting = Lock()
        self._pump: Thread | None = None
        self._ended = Event()
        #: Nothing new is taken on.
        self._draining = Event()
        #: Nobody waits for an end in order.
        self._abandoned = Event()
        # The pump writes these, others only look.
        self._held = 0
        #: The moment of the last claim that found less than there was room for.
        self._dry_at: datetime | None = None

    def run(self) -> None:
        """Have everything delivered that is due; return when nothing more is due or every hand is full.

        What was begun goes on by itself, and what had to wait for it follows by itself. Call it whenever something
        may have become due. Raises RuntimeError when the pump has died, which is a fault of alarmd: its last words
        went to standard error.
        """
        self._start()
        kick = _Kick()
        self._messages.put(kick)
        while not kick.looked.wait(_LOOK_AGAIN_S):
            if self._ended.is_set():
                if self._draining.is_set():
                    return
                raise RuntimeError("The thread that moves notifications has died; this process has to be restarted")

    def next_due(self) -> datetime | None:
        """Return when `run` should be called again if nothing else happens before; None when nothing waits."""
        look_again_at = self._clock.now() + timedelta(seconds=_LOOK_AGAIN_S)
        try:
            with self._database.read() as unit:
                due = unit.outbox.next_due()
        except StoreUnavailable:
            return look_again_at
        is_looked_after = self._held >= self._workers or (self._dry_at is not None and due and due <= self._dry_at)
        if due is not None and is_looked_after:
            # Every hand is full, or it waits for another one of its alarm that is being sent. Either way the pump
            # claims it as soon as it can; asking sooner would only keep the database busy.
            return max(due, look_again_at)
        return due

    def drain(self, timeout_s: float) -> bool:
        """Take on nothing new, finish what is being sent, give back the rest; return whether all of it is settled.

        What is still being sent after the timeout stays leased: nobody else sends it before the lease has run out.
        """
        self._draining.set()
        self._messages.put(_Kick())
        with self._starting:
            pump = self._pump
        if pump is None:
            return True
        pump.join(timeout_s)
        return not pump.is_alive() and self._held == 0

    def close(self) -> None:
        """Let go of the threads without waiting for them. To end in order, `drain` first."""
        self._abandoned.set()
        self.drain(0.0)

    def _start(self) -> None:
        with self._starting:
            if self._pump is None:
                self._pump = Thread(target=self._run_pump, name="delivery-pump", daemon=True)
                self._pump.start()
                for number in range(self._workers):
                    Thread(target=self._run_worker, name=f"delivery-{number}", daemon=True).start()

    # --- the pump ------------------------------------------------------------------------------------------------

    def _run_pump(self) -> None:
        backlog = _Backlog()
        pause_s = _FIRST_PAUSE_S
        try:
            while not self._is_done(backlog):
                self._gather(backlog)
                try:
                    self._turn(backlog)
                except StoreUnavailable as error:
                    _log.warning(
                        "outbox_unavailable", error=error.message, unsettled=len(backlog.settled), pause_s=pause_s
                    )
                    backlog.is_overdue = True
                    backlog.answer_kicks()
                    self._abandoned.wait(pause_s)
                    pause_s = min(2 * pause_s, _LAST_PAUSE_S)
                else:
                    backlog.answer_kicks()
                    pause_s = _FIRST_PAUSE_S
        finally:
            self._ended.set()
            for _ in range(self._workers):
                self._work.put(None)

    def _is_done(self, backlog: "_Backlog") -> bool:
        if self._abandoned.is_set():
            return True
        return self._draining.is_set() and not (self._held or backlog.settled or backlog.untried)

    def _gather(self, backlog: "_Backlog") -> None:
        """Take every message that is there, and wait for one unless an earlier turn still has to be made up for."""
        block = not backlog.is_overdue
        while True:
            try:
                message = self._messages.get(block=block)
            except Empty:
                return
            block = False
            match message:
                case Settlement():
                    backlog.settled.append(message)
                    self._held -= 1
                case _Untried():
                    backlog.untried.append(message.event_id)
                    self._held -= 1
                case _Kick():
                    backlog.kicks.append(message)

    def _turn(self, backlog: "_Backlog") -> None:
        """Write back what has ended and claim what there is room for, all in one transaction."""
        # As many may wait for a free thread as ended during the last turn: quick receivers keep every thread busy,
        # and behind slow ones next to nothing is held back from other notifiers.
        spare = min(len(backlog.settled), self._batch)
        room = 0 if self._draining.is_set() else max(0, self._workers + spare - self._held)
        now = self._clock.now()
        lease_ends_s = self._clock.monotonic_s() + self._lease_s
        claimed: list[Notification] = []
        with self._database.write() as unit:
            # First: it locks alarms, which everybody locks before rows of the outbox.
            if gone := [one for one in backlog.settled if one.disables_target]:
                unit.disabled_targets.disable(gone)
            if backlog.settled:
                unit.outbox.settle(backlog.settled, owner=self._owner)
            if backlog.untried:
                unit.outbox.release(backlog.untried, owner=self._owner)
            if room:
                claims = unit.outbox.claim(now=now, owner=self._owner, lease_s=self._lease_s, limit=room)
                claimed = list(claims.notifications)
                self._secrets.learn(unit, claimed, now=now, now_s=self._clock.monotonic_s())
        self._held += len(claimed)
        if room:
            self._dry_at = now if len(claimed) < room else None
        for notification in claimed:
            self._work.put(_Claimed(notification=notification, lease_ends_s=lease_ends_s))
        backlog.settled.clear()
        backlog.untried.clear()
        backlog.is_overdue = False

    # --- the workers ---------------------------------------------------------------------------------------------

    def _run_worker(self) -> None:
        while (claimed := self._work.get()) is not None:
            self._messages.put(self._handle(claimed))

    def _handle(self, claimed: _Claimed) -> Settlement | _Untried:
        notification = claimed.notification
        started_s = self._clock.monotonic_s()
        scheme = self._schemes.get(scheme_of(notification.target))
        deadline_s = scheme.deadline_s if scheme else 0.0
        if self._draining.is_set() or started_s + deadline_s > claimed.lease_ends_s:
            # It waited too long for a free thread: an attempt could outlive the lease.
            return _Untried(event_id=notification.event_id)
        attempt = self._attempt(scheme, notification)
        now = self._clock.now()
        settlement = self._policy.decide(attempt, notification, now)
        DELIVERY_SECONDS.observe(self._clock.monotonic_s() - started_s)
        NOTIFICATIONS.labels(outcome=_OUTCOMES[settlement.state], reason=attempt.reason).inc()
        if attempt.ok:
            DELIVERY_LAG_SECONDS.observe((now - notification.created_at).total_seconds())
            if notification.sampled_at is not None:
                SAMPLE_TO_NOTIFY_SECONDS.observe((now - notification.sampled_at).total_seconds())
        _tell(notification, settlement)
        return settlement

    def _attempt(self, scheme: Scheme | None, notification: Notification) -> Attempt:
        if scheme is None:
            name = scheme_of(notification.target)
            return Attempt(reason=Reason.INVALID, retryable=False, detail=f"no notifier serves the scheme {name!r}")
        try:
            return scheme.deliver(notification)
        except SecretMissing as error:
            return Attempt(reason=Reason.UNSIGNED, retryable=False, detail=error.message)
        except Exception as error:  # noqa: BLE001  # one of the three loops: a broken delivery harms itself alone
            frame = extract_tb(error.__traceback__)[-1]
            # Neither the message nor the variables: both may hold the target, which is a secret.
            _log.error(
                "delivery_crashed",
                event_id=notification.event_id,
                error=type(error).__name__,
                place=f"{frame.filename}:{frame.lineno}",
            )
            return Attempt(reason=Reason.CRASHED, retryable=True, detail=type(error).__name__)


@dataclass(slots=True, kw_only=True)
class _Backlog:
    """What the pump has to do in its next turn."""

    settled: list[Settlement] = field(default_factory=list)
    untried: list[EventId] = field(default_factory=list)
    kicks: list[_Kick] = field(default_factory=list)
    #: The last turn did not come about, so the next must not wait for a message.
    is_overdue: bool = False

    def answer_kicks(self) -> None:
        """Tell those who asked for work to be looked for that it has been, as well as could be."""
        for kick in self.kicks:
            kick.looked.set()
        self.kicks.clear()


def _tell(notification: Notification, settlement: Settlement) -> None:
    """Log an attempt: at a volume that fits what it means, and each new error once."""
    fields = {
        "event_id": notification.event_id,
        "alarm_id": notification.alarm_id,
        "attempts": notification.attempts + 1,
        "status": settlement.last_status,
    }
    match settlement.state:
        case DeliveryState.DELIVERED:
            _log.debug("notification_delivered", **fields)
        case DeliveryState.PENDING:
            tell = _log.debug if settlement.last_error == notification.last_error else _log.warning
            until = settlement.next_attempt_at.isoformat()
            tell("notification_postponed", **fields, error=settlement.last_error, until=until)
        case _:
            _log.warning("notification_buried", **fields, error=settlement.last_error)
