# SPDX-License-Identifier: Apache-2.0
"""Alarms at rest: definitions and states, found, changed and followed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from alarmd.model.alarm import Alarm, AlarmId, Severity, State
from alarmd.model.shard import Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmQuery:
    """Which alarms, in which order, and which page of them. What is None (or empty) does not narrow."""

    project_id: str | None = None
    user_id: str | None = None
    name: str | None = None
    type: str | None = None
    enabled: bool | None = None
    state: State | None = None
    severity: Severity | None = None
    repeat_actions: bool | None = None
    #: Exactly this moment of the last change of the definition.
    timestamp: datetime | None = None
    #: Only these; None means all, an empty tuple none.
    alarm_ids: tuple[AlarmId, ...] | None = None
    #: Pairs of a key of `SORT_KEYS` and ``asc`` or ``desc``; ties are broken by alarm_id.
    sort: tuple[tuple[str, str], ...] = (("timestamp", "desc"),)
    #: The alarm_id of the last alarm of the page before.
    marker: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """What has changed among the definitions of some shards, and the cursor behind it."""

    #: Created or changed, in order of revision within their shard; complete, with the state they are in.
    alarms: list[Alarm]
    #: Deleted, or moved to another shard.
    removed_ids: list[AlarmId]
    #: To be handed in at the next call. Holds exactly the shards that were asked for.
    cursor: dict[Shard, int]


class AlarmRepository:
    """Reads and writes alarms within one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, alarm: Alarm) -> Alarm:
        """Store a new alarm and return it with its revision."""

    def add_all(self, alarms: Sequence[Alarm]) -> list[Alarm]:
        """Store many new alarms at once and return them with their revisions."""

    def get(self, alarm_id: str, *, for_update: bool = False) -> Alarm | None:
        """Return one alarm, or None; with `for_update` nobody else can change it until the unit of work ends."""

    def find(self, query: AlarmQuery) -> list[Alarm]:
        """Return the alarms asked for. Raises `InvalidInput` for an unknown marker, sort key or direction."""

    def count(self, query: AlarmQuery) -> int:
        """Return how many alarms match, whatever the page."""

    def replace(self, alarm: Alarm) -> Alarm:
        """Write the definition and the state of a stored alarm, bump its revision and return it as stored."""

    def remove(self, alarm_id: AlarmId, at: datetime) -> bool:
        """Delete an alarm and leave a tombstone for those who follow its shard; False when there was none."""

    def definitions(self, cursor: Mapping[Shard, int], *, limit: int) -> Definitions:
        """Return what changed in the cursor's shards behind the cursor, at most `limit` alarms and removals.

        A shard at 0 is followed from the beginning. When nothing has changed this is one small query.
        """

    def prune_tombstones(self, before: datetime, *, limit: int) -> int:
        """Drop tombstones older than a moment, at most `limit`; return how many went."""
