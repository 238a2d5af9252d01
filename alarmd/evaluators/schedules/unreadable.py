# SPDX-License-Identifier: Apache-2.0
"""Silences whose hours this machine cannot read: people count on them, and they keep nothing back."""

import structlog

from alarmd.clock import Clock
from alarmd.evaluators.schedules.hours import read_hours
from alarmd.model.silence import SilenceId
from alarmd.store.database import Database
from alarmd.store.silences import SilenceQuery

_logger = structlog.get_logger()

#: How many silences that recur are looked at, the newest first.
_MOST = 10_000
_REMEDY = "Bring this machine's time zones up to date (the package tzdata), or end the silence and make it anew."


class Unreadable:
    """Finds them and tells of each once. One thread at a time."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._told: frozenset[SilenceId] = frozenset()

    def look(self) -> None:
        """Tell of those that are new among them. Raises `StoreUnavailable`."""
        now = self._clock.now()
        with self._database.read() as unit:
            recurring = unit.silences.find(SilenceQuery(unfinished_at=now, recurs=True, limit=_MOST))
        troubles = {
            silence.silence_id: trouble
            for silence in recurring
            if (trouble := silence.trouble(now, read_hours)) is not None
        }
        for silence_id, trouble in troubles.items():
            if silence_id not in self._told:
                _logger.warning("silence_unreadable", silence_id=silence_id, error=trouble, remedy=_REMEDY)
        self._told = frozenset(troubles)
