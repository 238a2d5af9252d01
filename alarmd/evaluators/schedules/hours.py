# SPDX-License-Identifier: Apache-2.0
"""Hours that are asked for again and again, as those of silences are: worked out once for as long as they stay.

Looking at a cron line takes some fifty microseconds, and one project may have hundreds of them in the way of a tick.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from alarmd.evaluators.schedules.schedule import Schedule


class Hours:
    """A schedule that remembers its last answer. Safe to use from several threads."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        #: From when until when, and what holds then. Replaced as a whole.
        self._known: tuple[datetime, datetime, bool] | None = None

    def is_open(self, at: datetime) -> bool:
        """Return whether any of the windows is open at a moment."""
        known = self._known
        if known is None or not known[0] <= at < known[1]:
            self._known = known = (at, self._schedule.next_look(at), self._schedule.is_open(at))
        return known[2]


def read_hours(constraints: Sequence[Mapping[str, Any]]) -> Hours:
    """Return the hours of normalised time constraints. Raises `InvalidInput` for what this machine cannot read."""
    try:
        return _hours_of(tuple((one["start"], one["duration"], one["timezone"]) for one in constraints))
    except (KeyError, TypeError):  # what is no text can be no key either
        return Hours(Schedule.of(constraints))


@lru_cache(maxsize=4096)
def _hours_of(windows: tuple[tuple[str, int, str], ...]) -> Hours:
    names = ("start", "duration", "timezone")
    return Hours(Schedule.of([dict(zip(names, window, strict=True)) for window in windows]))
