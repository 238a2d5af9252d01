# SPDX-License-Identifier: Apache-2.0
"""History at rest: who changed what about which alarm."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from alarmd.model.alarm import Severity
from alarmd.model.history import AlarmChange, ChangeType


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuery:
    """Which changes, in which order, and which page of them. What is None (or empty) does not narrow."""

    alarm_id: str | None = None
    #: The project that owns the alarm.
    on_behalf_of: str | None = None
    #: Who did it.
    user_id: str | None = None
    project_id: str | None = None
    type: ChangeType | None = None
    severity: Severity | None = None
    #: Pairs of ``lt le eq ne ge gt`` and a moment; all must hold.
    timestamps: tuple[tuple[str, datetime], ...] = ()
    #: Pairs of a key of `SORT_KEYS` and ``asc`` or ``desc``; of one moment the later recorded comes later.
    sort: tuple[tuple[str, str], ...] = (("timestamp", "desc"),)
    #: The event_id of the last change of the page before.
    marker: str | None = None
    limit: int | None = None


class HistoryRepository:
    """Reads and writes history within one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, change: AlarmChange) -> None:
        """Record a change."""

    def find(self, query: HistoryQuery) -> list[AlarmChange]:
        """Return the changes asked for, newest first by default. Raises `InvalidInput` for an unknown marker or sort."""

    def prune(self, before: datetime, *, limit: int) -> int:
        """Drop changes older than a moment, oldest first, at most `limit`; return how many went."""
