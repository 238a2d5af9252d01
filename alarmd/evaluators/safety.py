# SPDX-License-Identifier: Apache-2.0
"""Safety: an evaluator's part of the installation's breaker, and the release of what was held back."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from alarmd import telemetry
from alarmd.clock import Clock, Timekeeper
from alarmd.cluster.doorbell import Bell, Doorbell
from alarmd.evaluators.breaker import Breaker, BreakerLimits, Finding
from alarmd.evaluators.upheaval import Upheaval
from alarmd.model.breaker import Trip
from alarmd.model.transition import Transition
from alarmd.store.database import Database
from alarmd.store.held import Released

_logger = structlog.get_logger()

#: How often it is asked who is still heard of.
_LOOK_S = 1.0
#: Others are told again when so much of the lease is left: an evaluator that goes leaves at least this much behind.
_LEFT = 7 / 8
#: How many held actions are released in one transaction.
_RELEASED_AT_ONCE = 1_000
#: For how long a row of an evaluator that has died is kept for people to see.
_REMEMBERED_S = 86_400.0


class Watch:
    """Looks at every tick of an evaluator before anything of it is stored. One thread at a time."""

    def __init__(self, *, owner: str, limits: BreakerLimits, lease_s: float, database: Database, clock: Clock) -> None:
        """Take what is needed.

        Args:
            owner: The evaluator; no other has this name.
            limits: When the breaker opens.
            lease_s: For how long others believe that it is open without hearing of it again.
            database: Where others hear of it.
            clock: Tells the time.
        """
        self._owner = owner
        self._limits = limits
        self._lease_s = lease_s
        self._database = database
        self._clock = clock
        self._breaker = Breaker(limits)
        self._looked_s = -_LOOK_S
        #: Until when others believe that it is open; None when nothing is said, or nobody could be told yet.
        self._until: datetime | None = None
        self._is_told = False
        self._is_new = True

    def look(self, upheaval: Upheaval, transitions: Sequence[Transition], *, now: datetime) -> None:
        """Take a tick into account, from what it wants to change. Raises `StoreUnavailable` when nobody can be told."""
        monotonic_s = self._clock.monotonic_s()
        if self._is_new:
            self._resume(now, monotonic_s)
        changes = [one for one in transitions if not one.is_repeat]
        is_storm = len(changes) >= self._limits.minimum
        if not is_storm and monotonic_s - self._looked_s < _LOOK_S and not self._is_to_be_told(now):
            return
        self._looked_s = monotonic_s
        census = upheaval.census(changes if is_storm else (), share=self._limits.alarms_share, now=now)
        self._breaker.look(census, now=now, monotonic_s=monotonic_s)
        self._tell(now)

    def _resume(self, now: datetime, monotonic_s: float) -> None:
        """Go on where an earlier process of this evaluator has ended: what was found is not forgotten by a restart."""
        with self._database.read() as unit:
            own = next((trip for trip in unit.breaker.in_force(now) if trip.owner == self._owner), None)
        self._is_new = False
        if own is None:
            return
        self._breaker.resume(Finding(reason=own.reason, cause=None), since=own.since, monotonic_s=monotonic_s)
        self._until, self._is_told = own.until, True
        telemetry.BREAKER_OPEN.set(1)
        _logger.info("breaker_taken_over", owner=self._owner, reason=own.reason)

    def _is_to_be_told(self, now: datetime) -> bool:
        """Whether others will soon believe no more that it is open, or for too long: somebody has set the clock."""
        if self._until is None:
            return False
        left_s = (self._until - now).total_seconds()
        return not self._lease_s * _LEFT <= left_s <= self._lease_s

    def _tell(self, now: datetime) -> None:
        finding, since = self._breaker.finding, self._breaker.since
        if finding is not None and since is not None:
            if self._until is None or self._is_to_be_told(now):
                until = now + timedelta(seconds=self._lease_s)
                self._hold(Trip(owner=self._owner, reason=finding.reason, since=since, until=until), finding, now)
                self._until = until
        elif self._is_told:
            self._let_go(now, since)

    def _hold(self, trip: Trip, finding: Finding, now: datetime) -> None:
        """Tell the others, again too; and operators, unless they know from one of the others."""
        with self._database.write() as unit:
            unit.breaker.lock()
            is_first = not unit.breaker.in_force(now)
            unit.breaker.hold(trip)
        if self._is_told:
            return
        self._is_told = True
        telemetry.BREAKER_OPEN.set(1)
        telemetry.BREAKER_OPENED.labels(finding.cause).inc()
        facts = {"owner": self._owner, "cause": str(finding.cause), "reason": finding.reason}
        if is_first:
            _logger.error("breaker_opened", **facts)
        else:
            _logger.info("breaker_joined", **facts)

    def _let_go(self, now: datetime, since: datetime | None) -> None:
        with self._database.write() as unit:
            unit.breaker.lock()
            unit.breaker.let_go(self._owner)
            is_last = not unit.breaker.in_force(now)
        self._until, self._is_told = None, False
        telemetry.BREAKER_OPEN.set(0)
        open_s = round((now - since).total_seconds() if since else 0.0, 1)
        if is_last:
            _logger.warning("breaker_closed", owner=self._owner, open_s=open_s)
        else:
            _logger.info("breaker_left", owner=self._owner, open_s=open_s)


class Release:
    """Lets go of what was held back, once no evaluator says any more that it is to be; ends what is too late before.

    Safe to use from several threads.
    """

    def __init__(self, *, database: Database, doorbell: Doorbell, clock: Clock) -> None:
        self._database = database
        self._doorbell = doorbell
        self._timekeeper = Timekeeper(clock)

    def run(self) -> bool:
        """Release some; return whether there may be more. Raises `StoreUnavailable`."""
        # Before anything else: it is to be looked at in every turn.
        moment = self._timekeeper.moment()
        now, ahead = moment.now, moment.ahead
        with self._database.read() as unit:
            if not unit.outbox.held():
                return False
        with self._database.write() as unit:
            if unit.breaker.in_force(now, ahead=ahead):
                released = Released(expired=unit.outbox.expire_held(now, limit=_RELEASED_AT_ONCE, ahead=ahead))
            else:
                unit.breaker.forget(now - timedelta(seconds=_REMEMBERED_S))
                released = unit.outbox.release_held(now, limit=_RELEASED_AT_ONCE, ahead=ahead)
        outcomes = {"sent": released.pending, "superseded": released.superseded, "expired": released.expired}
        for outcome, count in outcomes.items():
            telemetry.HELD_ACTIONS.labels(outcome).inc(count)
        if released.count:
            _logger.warning("held_actions_released", **outcomes)
        if released.pending:
            self._doorbell.ring(Bell.OUTBOX)
        return released.count >= _RELEASED_AT_ONCE
