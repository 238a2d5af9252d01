# SPDX-License-Identifier: Apache-2.0
"""The round: takes due notifications out of the outbox, has them delivered, and writes back how that went."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import TypeAlias

import structlog

from alarmd.clock import MEMORY_S, Clock, Timekeeper
from alarmd.errors import SettingsError, StoreUnavailable
from alarmd.model.notification import EventId, Notification, Settlement
from alarmd.notifiers.circuit import CircuitPolicy
from alarmd.notifiers.fairness import Fairness, Shares, queue_of
from alarmd.notifiers.lineup import Lineup
from alarmd.notifiers.mending import Mending
from alarmd.notifiers.retry import RetryPolicy, brought_back
from alarmd.notifiers.scheme import Scheme
from alarmd.notifiers.secret_book import SecretBook
from alarmd.notifiers.tries import Result, Tries
from alarmd.store.claims import Claims
from alarmd.store.database import Database
from alarmd.store.disabled import Disabled
from alarmd.store.queues import Queue
from alarmd.telemetry import NOTIFICATIONS

_log = structlog.get_logger()

#: How long the round pauses when the database does not answer; doubles up to the second.
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.25, 5.0
#: How soon the sleeper should look again although the round goes on by itself, or could not look.
_LOOK_AGAIN_S = 0.5
#: For how long what has ended is gathered, at most, while every thread that is done finds something to go on with.
_LINGER_S = 0.025
#: The same once one of them finds nothing.
_SHORT_LINGER_S = 0.004
#: How soon the round looks on where a look at very many queues has found nothing yet.
_LOOK_ON_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claimed:
    """A notification in our hands."""

    notification: Notification
    queue: Queue
    #: When the lease runs out, on the monotonic clock.
    lease_ends_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """What has become of a claimed notification."""

    claimed: _Claimed
    #: None when it was not tried after all.
    result: Result | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kick:
    """Somebody asks the pump to look for work."""

    looked: Event = field(default_factory=Event)


_Message: TypeAlias = _Ended | _Kick


class DeliveryRound:
    """Delivers what is due, on a bounded number of threads.

    One thread, the pump, talks to the database: each of its turns writes back all attempts that have ended and claims
    as much as there is room for, in one transaction, so the busier it is the larger the transactions become. The
    attempts themselves run on threads of their own; one that hangs holds its own thread and nothing else. No receiver
    and no project has more threads than its share, and a receiver that does not answer is left alone for a while.

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
        shares: Shares,
        lease_s: float,
        batch: int,
        circuits: CircuitPolicy | None = None,
        secrets: SecretBook | None = None,
    ) -> None:
        """Take everything that is needed.

        Args:
            database: Where the outbox lies.
            schemes: The notifiers by the name of their URL scheme. Whoever made them closes them.
            policy: Decides what becomes of a notification after a try.
            clock: Tells the time.
            owner: Whose the claims are; never the same for two rounds that live at one time.
            shares: How many attempts run at once, and how many of them may be anybody's.
            lease_s: For how long claims hold. At least twice the longest deadline of a scheme.
            batch: How many claimed notifications may wait for a free thread, at most.
            circuits: When receivers that do not answer are left alone.
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
        self._timekeeper = Timekeeper(clock, memory_s=max(policy.longest_pause_s, MEMORY_S))
        self._tries = Tries(schemes=schemes, policy=policy, clock=clock, timekeeper=self._timekeeper)
        self._mending = Mending(database, lease_s=lease_s, longest_pause_s=policy.longest_pause_s)
        self._clock = clock
        self._owner = owner
        self._shares = shares
        self._lease_s = lease_s
        self._fairness = Fairness(shares, circuits=circuits or CircuitPolicy(), batch=batch)
        #: The pump is not to linger: a thread has nothing to do, or somebody asks for something.
        self._hurry = Event()
        #: Nor is it for a moment: it is somebody who asks.
        self._asked = Event()
        self._lineup: Lineup[_Claimed] = Lineup(
            per_origin=shares.per_origin, per_project=shares.per_project, when_short=self._hurry.set
        )
        self._secrets = secrets or SecretBook()
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
        #: The receivers that may not be given more, as of the last claim.
        self._full: frozenset[str] = frozenset()

    def run(self) -> None:
        """Have everything delivered that is due; return when nothing more is due or every hand is full.

        What was begun goes on by itself, and what had to wait for it follows by itself. Call it whenever something
        may have become due. Raises RuntimeError when the pump has died, which is a fault of alarmd: its last words
        went to standard error.
        """
        self._start()
        kick = _Kick()
        self._messages.put(kick)
        self._asked.set()
        self._hurry.set()
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
                due = unit.outbox.next_due(self._timekeeper.moment().ahead, full=self._full)
        except StoreUnavailable:
            return look_again_at
        is_looked_after = self._held >= self._shares.threads or (
            self._dry_at is not None and due and due <= self._dry_at
        )
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
        self._asked.set()
        self._hurry.set()
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
                for number in range(self._shares.threads):
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
            self._lineup.close()

    def _is_done(self, backlog: "_Backlog") -> bool:
        if self._abandoned.is_set():
            return True
        return self._draining.is_set() and not (self._held or backlog.settled or backlog.untried)

    def _gather(self, backlog: "_Backlog") -> None:
        """Take every message that is there, and wait for one unless there is something to do without.

        While nobody is in a hurry it lingers for more to come: a turn costs nearly as much for one as for fifty.
        """
        wait_s = backlog.wait_s
        self._take_messages(backlog, wait_s=wait_s)
        if wait_s != 0:
            if self._hurry.wait(_LINGER_S):
                # Threads are done one after the other: the first of them does not stand for a turn of its own.
                self._asked.wait(_SHORT_LINGER_S)
            # Before the messages are taken: whose come later are in a hurry once more.
            self._asked.clear()
            self._hurry.clear()
            self._take_messages(backlog, wait_s=0)

    def _take_messages(self, backlog: "_Backlog", *, wait_s: float | None) -> None:
        while True:
            try:
                message = self._messages.get(timeout=wait_s) if wait_s != 0 else self._messages.get_nowait()
            except Empty:
                return
            wait_s = 0
            match message:
                case _Ended():
                    backlog.take(message)
                    attempt = message.result.attempt if message.result else None
                    self._fairness.end(message.claimed.queue, attempt, self._clock.monotonic_s())
                    self._held -= 1
                case _Kick():
                    backlog.kicks.append(message)

    def _turn(self, backlog: "_Backlog") -> None:
        """Write back what has ended and claim what there is room for, all in one transaction."""
        moment, now_s = self._timekeeper.moment(), self._clock.monotonic_s()
        now, ahead = moment.now, moment.ahead
        self._mending.mend(moment, now_s)
        room, rooms = self._fairness.rooms(now_s, after=backlog.after)
        self._full = rooms.full
        self._withdraw(backlog, now_s)
        if self._draining.is_set():
            room = 0
        claims, disabled = Claims(notifications=(), after=backlog.after), Disabled()
        with self._database.write() as unit:
            # First: it locks alarms, which everybody locks before rows of the outbox.
            if gone := [one for one in backlog.settled if one.disables_target]:
                disabled = unit.disabled_targets.disable(gone)
            if backlog.settled:
                unit.outbox.settle([brought_back(one, now) for one in backlog.settled], owner=self._owner)
            if backlog.untried:
                unit.outbox.release(backlog.untried, owner=self._owner)
            superseded = self._fairness.circuits.thin(unit, now, now_s)
            if room:
                claims = unit.outbox.claim(
                    now=now, owner=self._owner, lease_s=self._lease_s, limit=room, rooms=rooms, ahead=ahead
                )
                self._secrets.learn(unit, claims.notifications, now=now, now_s=now_s)
        claimed = [
            _Claimed(notification=one, queue=queue_of(one), lease_ends_s=now_s + self._lease_s)
            for one in claims.notifications
        ]
        self._held += len(claimed)
        self._fairness.take(one.queue for one in claimed)
        self._lineup.put(claimed)
        if room:
            self._dry_at = now if len(claimed) < room and not claims.goes_on else None
        _count(claims, superseded, disabled)
        self._fairness.circuits.measure(now_s)
        backlog.clear(claims)

    def _withdraw(self, backlog: "_Backlog", now_s: float) -> None:
        """Take back what no thread should get: of receivers that are left alone; on the way out, everything."""
        is_over = self._draining.is_set()
        origins = {origin for origin, may_ask in self._fairness.circuits.origins(now_s).items() if not may_ask}
        queues = {queue for queue, may_ask in self._fairness.circuits.queues(now_s).items() if not may_ask}
        if not (is_over or origins or queues):
            return
        for one in self._lineup.withdraw(lambda queue: is_over or queue.origin in origins or queue in queues):
            backlog.take(_Ended(claimed=one))
            self._fairness.end(one.queue, None, now_s)
            self._held -= 1

    # --- the workers ---------------------------------------------------------------------------------------------

    def _run_worker(self) -> None:
        claimed: _Claimed | None = None
        while (claimed := self._lineup.take(claimed)) is not None:
            self._messages.put(self._handle(claimed))

    def _handle(self, claimed: _Claimed) -> _Ended:
        if self._draining.is_set():
            return _Ended(claimed=claimed)
        made = self._tries.make(claimed.notification, until_s=claimed.lease_ends_s)
        return _Ended(claimed=claimed, result=made)


@dataclass(slots=True, kw_only=True)
class _Backlog:
    """What the pump has to do in its next turn."""

    settled: list[Settlement] = field(default_factory=list)
    untried: list[EventId] = field(default_factory=list)
    kicks: list[_Kick] = field(default_factory=list)
    #: The last turn did not come about, so the next must not wait for a message.
    is_overdue: bool = False
    #: Whose turn it was in the last claim; whether that left something over, and had found anything.
    after: Queue | None = None
    goes_on: bool = False
    has_found: bool = False

    @property
    def wait_s(self) -> float | None:
        """How long the next turn waits for a message; None for as long as it takes."""
        if self.is_overdue or (self.goes_on and self.has_found):
            return 0
        return _LOOK_ON_S if self.goes_on else None

    def take(self, ended: _Ended) -> None:
        """Take in what has become of a notification."""
        if ended.result is None:
            self.untried.append(ended.claimed.notification.event_id)
        else:
            self.settled.append(ended.result.settlement)

    def clear(self, claims: Claims) -> None:
        """Note that a turn has come about."""
        self.settled.clear()
        self.untried.clear()
        self.is_overdue = False
        self.after, self.goes_on = claims.after, claims.goes_on
        self.has_found = bool(claims.notifications or claims.superseded or claims.held)

    def answer_kicks(self) -> None:
        """Tell those who asked for work to be looked for that it has been, as well as could be."""
        for kick in self.kicks:
            kick.looked.set()
        self.kicks.clear()


def _count(claims: Claims, superseded: int, disabled: Disabled) -> None:
    """Count what ended without a try."""
    for outcome, reason, count in (
        ("superseded", "", claims.superseded + superseded),
        ("expired", "", claims.expired),
        ("buried", "disabled", disabled.buried),
    ):
        if count:
            NOTIFICATIONS.labels(outcome=outcome, reason=reason).inc(count)
