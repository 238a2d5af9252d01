# SPDX-License-Identifier: Apache-2.0
"""History at rest: who changed what about which alarm. It outlives the alarm, until it is pruned by age."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, case, delete, select

from alarmd.errors import InvalidInput
from alarmd.model.alarm import Severity
from alarmd.model.history import AlarmChange, ChangeType
from alarmd.store.bulk import Write, inserting
from alarmd.store.expression import Kind, Search
from alarmd.store.paging import Pager, Unindexed, matches
from alarmd.store.rows import change_of, change_values
from alarmd.store.searching import Searchable
from alarmd.store.tables import alarm_history

_PAGER = Pager(
    keys={
        "alarm_id": alarm_history.c.alarm_id,
        "event_id": alarm_history.c.event_id,
        "on_behalf_of": alarm_history.c.on_behalf_of,
        "project_id": alarm_history.c.project_id,
        # A change without a severity comes before all others.
        "severity": case(
            {str(level): rank for rank, level in enumerate(Severity)}, value=alarm_history.c.severity, else_=-1
        ),
        "timestamp": alarm_history.c.timestamp,
        "type": alarm_history.c.type,
        "user_id": alarm_history.c.user_id,
    },
    marker="event_id",
    tie=alarm_history.c.position,
)

#: What of a change `HistoryRepository.query` takes.
SEARCHABLE_HISTORY = Searchable(
    alarm_history,
    {"detail": Kind.DOCUMENT, "severity": Kind.SEVERITY, "timestamp": Kind.MOMENT},
    hidden={"position", "evidence"},
    unread={"evidence"},
    owner=alarm_history.c.on_behalf_of,
    narrow={"alarm_id", "event_id"},
    marker="event_id",
    tie=alarm_history.c.position,
)

#: What lists show.
_LISTED = [column for column in alarm_history.c if column is not alarm_history.c.evidence]

_COMPARISONS = {
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
    "ge": operator.ge,
    "gt": operator.gt,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuery:
    """Which changes, in which order, and which page of them. What is None (or empty) does not narrow."""

    alarm_id: str | None = None
    #: The project that owns the alarm.
    on_behalf_of: str | None = None
    #: Who did it.
    user_id: str | None = None
    project_id: str | None = None
    #: Any text: what is no type matches no change.
    type: str | None = None
    #: Any text: what is no severity matches no change.
    severity: str | None = None
    #: Pairs of ``lt le eq ne ge gt`` and a moment; all must hold.
    timestamps: tuple[tuple[str, datetime], ...] = ()
    #: Pairs of a key and ``asc`` or ``desc``; of two that tie, the one recorded later counts as greater. Keys:
    #: alarm_id, event_id, on_behalf_of, project_id, severity, timestamp, type, user_id.
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
        self.add_all([change])

    def add_all(self, changes: Sequence[AlarmChange]) -> None:
        """Record many changes, in their order."""
        self.adding(changes)()

    def adding(self, changes: Sequence[AlarmChange]) -> Write:
        """Spell changes, and return what records them."""
        return inserting(self._connection, alarm_history, [change_values(change) for change in changes])

    def find(self, query: HistoryQuery) -> list[AlarmChange]:
        """Return the changes asked for, newest first by default.

        Raises `InvalidInput` for an unknown marker, sort key, direction or comparison.
        """
        owner: ColumnElement[str] = alarm_history.c.on_behalf_of
        # An alarm has less history than its project.
        scope = [
            (alarm_history.c.alarm_id, query.alarm_id),
            (owner if query.alarm_id is None else Unindexed(owner), query.on_behalf_of),
        ]
        visible = [matches(column, value) for column, value in scope if value is not None]
        wanted = {
            alarm_history.c.user_id: query.user_id,
            alarm_history.c.project_id: query.project_id,
            alarm_history.c.type: query.type,
            alarm_history.c.severity: query.severity,
        }
        narrowed = [matches(column, value) for column, value in wanted.items() if value is not None]
        moments = [_compare(comparison, moment) for comparison, moment in query.timestamps]
        statement = _PAGER.page(
            self._connection,
            select(*_LISTED).where(*visible, *narrowed, *moments),
            visible=visible,
            sort=query.sort,
            marker=query.marker,
            limit=query.limit,
        )
        return [change_of(row) for row in self._connection.execute(statement).mappings()]

    def latest_transition(self, alarm_id: str) -> AlarmChange | None:
        """Return the newest transition of an alarm, with its evidence; None when there is none."""
        columns = alarm_history.c
        statement = (
            select(alarm_history)
            .where(columns.alarm_id == alarm_id, columns.type == str(ChangeType.STATE_TRANSITION))
            .order_by(columns.timestamp.desc(), columns.position.desc())
            .limit(1)
        )
        row = self._connection.execute(statement).mappings().first()
        return None if row is None else change_of(row)

    def known(self, event_ids: Sequence[str]) -> set[str]:
        """Return which of these changes are recorded already; 30,000 at most."""
        statement = select(alarm_history.c.event_id).where(alarm_history.c.event_id.in_(event_ids))
        return set(self._connection.execute(statement).scalars())

    def query(self, search: Search) -> list[AlarmChange]:
        """Return the changes that a search (of `SEARCHABLE_HISTORY`) asks for, those of deleted alarms too.

        What belongs to a project is what was done to its alarms, whoever did it. Raises `InvalidInput` for an unknown
        marker, sort key, direction or pattern, and when it takes too long.
        """
        return [change_of(row) for row in SEARCHABLE_HISTORY.rows(self._connection, search)]

    def prune(self, before: datetime, *, limit: int) -> int:
        """Drop changes older than a moment, oldest first, at most `limit`; return how many went."""
        columns = alarm_history.c
        oldest = (
            select(columns.position).where(columns.timestamp < before).order_by(columns.timestamp).limit(limit)
        ).scalar_subquery()
        return self._connection.execute(delete(alarm_history).where(columns.position.in_(oldest))).rowcount


def _compare(comparison: str, moment: datetime) -> ColumnElement[bool]:
    if comparison not in _COMPARISONS:
        raise InvalidInput(f"A timestamp cannot be compared by {comparison!r}; known: {', '.join(_COMPARISONS)}.")
    condition: ColumnElement[bool] = _COMPARISONS[comparison](alarm_history.c.timestamp, moment)
    return condition
