# SPDX-License-Identifier: Apache-2.0
"""The tally: counted results of evaluations on their way from the plan to the database."""

from collections import deque
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from alarmd.clock import Clock
from alarmd.errors import StoreUnavailable
from alarmd.evaluators.roster import COUNTS
from alarmd.model.alarm import AlarmId
from alarmd.model.results import ResultCounts
from alarmd.store.database import Database

_logger = structlog.get_logger()

#: Alarms whose counts are stored in one transaction. A tick stores one such portion, so that it holds up no evaluation.
_ALARMS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a plan has counted: each alarm once, and a row of counts for each, in the order of `cell.COUNTS`."""

    alarm_ids: list[AlarmId]
    counts: NDArray[np.uint32]


class Tally:
    """Stores counts now and then, a portion at a time, again and again until they are stored. One thread at a time."""

    def __init__(self, *, database: Database, clock: Clock, interval_s: float) -> None:
        self._database = database
        self._clock = clock
        self._interval_s = interval_s
        self._waiting: deque[Counted] = deque()
        self._taken_s = clock.monotonic_s()

    def wants_more(self) -> bool:
        """Whether what was taken before is stored and it is time for the next."""
        return not self._waiting and self._clock.monotonic_s() - self._taken_s >= self._interval_s

    def take(self, counted: Counted) -> None:
        """Take counts over from a plan."""
        self._taken_s = self._clock.monotonic_s()
        if counted.alarm_ids:
            self._waiting.append(counted)

    def store(self) -> None:
        """Store a portion of what waits, if anything does."""
        try:
            self._store()
        except StoreUnavailable as error:
            _logger.warning("results_not_stored", error=str(error))

    def close(self) -> None:
        """Store everything that waits; what cannot be stored now is lost, and the log says so."""
        try:
            while self._waiting:
                self._store()
        except StoreUnavailable as error:
            _logger.warning("results_lost", error=str(error), alarms=sum(len(one.alarm_ids) for one in self._waiting))

    def _store(self) -> None:
        if not self._waiting:
            return
        first = self._waiting[0]
        alarm_ids, counts = first.alarm_ids[:_ALARMS_AT_ONCE], first.counts[:_ALARMS_AT_ONCE].tolist()
        rows = [
            ResultCounts(alarm_id=alarm_id, **dict(zip(COUNTS, row, strict=True)))
            for alarm_id, row in zip(alarm_ids, counts, strict=True)
        ]
        with self._database.write() as unit:
            unit.counters.add(rows)
        self._waiting.popleft()
        if len(first.alarm_ids) > _ALARMS_AT_ONCE:
            rest = Counted(alarm_ids=first.alarm_ids[_ALARMS_AT_ONCE:], counts=first.counts[_ALARMS_AT_ONCE:])
            self._waiting.appendleft(rest)
