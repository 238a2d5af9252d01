# SPDX-License-Identifier: Apache-2.0
"""Mending: after a clock was set back, what waits must not wait until it has caught up."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf

import structlog

from alarmd.clock import Moment
from alarmd.store.database import Database, UnitOfWork
from alarmd.store.queues import Queue

_log = structlog.get_logger()

#: How often what was made in the future is looked for, and what is due later than anything can be.
_LOOK_EVERY_S, _SWEEP_EVERY_S = 1.0, 60.0
#: What waits for so much too long need not be called back; and so much longer than the longest pause nothing waits.
_SOON_S, _SPARE = 1.0, timedelta(seconds=60)
#: Leases of less are left alone: another host's notifier may be given more time for a delivery than this one.
_LONGEST_LEASE_S = 900.0
#: How many pieces of a sweep one turn takes.
_PIECES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sweep:
    """What calls back what is due later than at a moment, queue after queue."""

    later_than: datetime
    #: By how much the clock had been set back in all when it began, so far as that was worth a sweep.
    set_back_s: float
    #: How far it has come.
    after: Queue | None = None


class Mending:
    """Puts right what was written before the clock was set back. One thread at a time.

    What this process has seen is put right at once: everything that waits is due. What it has not seen (the clock of
    another host was set back, or its own before it was started) is known by lying further ahead than anything can.
    """

    def __init__(self, database: Database, *, lease_s: float, longest_pause_s: float) -> None:
        """Take where the outbox lies, how long leases last, and the longest pause between two tries."""
        self._database = database
        self._lease_s = max(lease_s, _LONGEST_LEASE_S)
        self._longest_pause = timedelta(seconds=longest_pause_s)
        self._told_s = 0.0
        self._set_back_s = 0.0
        self._looked_s = self._swept_s = -inf
        self._sweep: _Sweep | None = None

    def mend(self, moment: Moment, now_s: float) -> None:
        """Look for something to put right, now and then, or at once after a jump. Raises `StoreUnavailable`."""
        self._tell_of_jump(moment)
        is_set_back = moment.set_back_s - self._set_back_s > _SOON_S
        if is_set_back or self._sweep or now_s - self._looked_s >= _LOOK_EVERY_S:
            self._look(self._sweep_for(moment, now_s, is_set_back=is_set_back), moment, now_s)

    def _tell_of_jump(self, moment: Moment) -> None:
        if moment.set_s != self._told_s:
            _log.warning("clock_jumped", seconds=round(moment.set_s - self._told_s, 3))
            self._told_s = moment.set_s

    def _sweep_for(self, moment: Moment, now_s: float, *, is_set_back: bool) -> _Sweep | None:
        """Return the sweep to go on with, or to begin; None when it is not time for one."""
        if is_set_back:
            return _Sweep(later_than=moment.now + timedelta(seconds=_SOON_S), set_back_s=moment.set_back_s)
        is_time = now_s - self._swept_s >= _SWEEP_EVERY_S
        if self._sweep is None and is_time:
            return _Sweep(later_than=moment.now + self._longest_pause + _SPARE, set_back_s=self._set_back_s)
        return self._sweep

    def _look(self, sweep: _Sweep | None, moment: Moment, now_s: float) -> None:
        """Put right what is found in one turn, and take note of it once that is stored."""
        with self._database.write() as unit:
            count = unit.outbox.mend(moment.now, lease_s=self._lease_s)
            called_back, rest = _take(unit, sweep, moment.now)
        self._looked_s = now_s
        if sweep is not None and sweep is not self._sweep:
            self._swept_s, self._set_back_s = now_s, sweep.set_back_s
        self._sweep = rest
        if count or called_back:
            _log.info("future_corrected", moved=count, called_back=called_back)


def _take(unit: UnitOfWork, sweep: _Sweep | None, now: datetime) -> tuple[int, _Sweep | None]:
    """Take some pieces of a sweep; return how many notifications were called back, and what is left of it."""
    count = 0
    for _ in range(_PIECES):
        if sweep is None:
            break
        done = unit.outbox.call_back(now, later_than=sweep.later_than, after=sweep.after)
        count += done.count
        sweep = None if done.is_end else replace(sweep, after=done.after)
    return count, sweep
