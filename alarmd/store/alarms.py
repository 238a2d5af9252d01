# SPDX-License-Identifier: Apache-2.0
"""Alarms at rest: definitions and states, found, changed and followed.

Every change of a definition gets a revision: a number that grows within the alarm's shard. The row of the shard in
`shards` is locked while the number is drawn and until the change is committed, so revisions become visible in their
order, and whoever has seen number n never has to look below n again.

Locks are taken in one order, alarm before shard and shards by number, so two writers never wait for each other. A unit
of work that changes definitions in several shards should do so in one call, or in the order of the shards.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from alarmd.model.alarm import Alarm, AlarmId, Severity
from alarmd.model.shard import Shard
from alarmd.store.bulk import insert_rows, update_rows
from alarmd.store.columns import is_storable
from alarmd.store.expression import Kind, Search
from alarmd.store.paging import Pager, Unindexed, matches
from alarmd.store.rows import alarm_of, alarm_values
from alarmd.store.searching import Searchable
from alarmd.store.tables import alarm_tombstones, alarms, shards

_PAGER = Pager(
    keys={
        "alarm_id": alarms.c.alarm_id,
        "enabled": cast(alarms.c.enabled, Integer),
        "name": alarms.c.name,
        "project_id": alarms.c.project_id,
        "repeat_actions": cast(alarms.c.repeat_actions, Integer),
        "severity": case({str(level): rank for rank, level in enumerate(Severity)}, value=alarms.c.severity),
        "state": alarms.c.state,
        "state_timestamp": alarms.c.state_timestamp,
        "timestamp": alarms.c.timestamp,
        "type": alarms.c.type,
        "user_id": alarms.c.user_id,
    },
    marker="alarm_id",
    tie=alarms.c.alarm_id,
)

# What every request asks, built once: building a statement takes longer than running it.
_GET = select(alarms).where(alarms.c.alarm_id == bindparam("wanted"))
_GET_FOR_UPDATE = _GET.with_for_update()
_DRAW_REVISIONS = (
    update(shards)
    .where(shards.c.shard == bindparam("wanted"))
    .values(revision=shards.c.revision + bindparam("count"))
    .returning(shards.c.revision)
)

#: What of an alarm `AlarmRepository.query` takes.
SEARCHABLE_ALARMS = Searchable(
    alarms,
    {
        "enabled": Kind.BOOLEAN,
        "repeat_actions": Kind.BOOLEAN,
        "severity": Kind.SEVERITY,
        "timestamp": Kind.MOMENT,
        "state_timestamp": Kind.MOMENT,
        "evaluate_timestamp": Kind.MOMENT,
        "ok_actions": Kind.DOCUMENT,
        "alarm_actions": Kind.DOCUMENT,
        "insufficient_data_actions": Kind.DOCUMENT,
        "rule": Kind.DOCUMENT,
        "time_constraints": Kind.DOCUMENT,
        "labels": Kind.DOCUMENT,
    },
    hidden={
        *("directions", "repeat_interval_s", "signing_secret"),
        *("confined", "trust_id", "shard", "revision", "state_version", "sequence"),
    },
    owner=alarms.c.project_id,
    narrow={"alarm_id", "name"},
    marker="alarm_id",
    tie=alarms.c.alarm_id,
)

#: How many rows of a bulk insert go to the database in one piece.
_CHUNK = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmQuery:
    """Which alarms, in which order, and which page of them. What is None does not narrow."""

    project_id: str | None = None
    user_id: str | None = None
    name: str | None = None
    type: str | None = None
    enabled: bool | None = None
    #: Any text: what is no state matches no alarm.
    state: str | None = None
    #: Any text: what is no severity matches no alarm.
    severity: str | None = None
    repeat_actions: bool | None = None
    #: Exactly this moment of the last change of the definition.
    timestamp: datetime | None = None
    #: Only these, 30,000 at most (what databases take in one statement); an empty tuple means none.
    alarm_ids: tuple[str, ...] | None = None
    #: Pairs of a key and ``asc`` or ``desc``; ties are broken by alarm_id. Keys: alarm_id, enabled, name, project_id,
    #: repeat_actions, severity (low before moderate before critical), state, state_timestamp, timestamp, type, user_id.
    sort: tuple[tuple[str, str], ...] = (("timestamp", "desc"),)
    #: The alarm_id of the last alarm of the page before.
    marker: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """What has changed among the definitions of some shards, and the cursor behind it."""

    #: Created or changed, by shard and revision; complete, with the state they are in.
    alarms: list[Alarm]
    #: No longer in any of these shards: deleted, or moved to a shard that the cursor does not follow.
    removed_ids: list[AlarmId]
    #: To be handed in at the next call. Holds exactly the shards that were asked for.
    cursor: dict[Shard, int]


class AlarmRepository:
    """Reads and writes alarms within one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, alarm: Alarm) -> Alarm:
        """Store a new alarm and return it with its revision."""
        return self.add_all([alarm])[0]

    def add_all(self, new: Sequence[Alarm]) -> list[Alarm]:
        """Store many new alarms at once and return them with their revisions."""
        sizes = Counter(alarm.shard for alarm in new)
        last = {shard: self._draw_revisions(shard, sizes[shard]) - sizes[shard] for shard in sorted(sizes)}
        stored = []
        for alarm in new:
            last[alarm.shard] += 1
            stored.append(replace(alarm, revision=last[alarm.shard]))
        for start in range(0, len(stored), _CHUNK):
            rows = [alarm_values(alarm) for alarm in stored[start : start + _CHUNK]]
            insert_rows(self._connection, alarms, rows)
        return stored

    def get(self, alarm_id: str, *, for_update: bool = False) -> Alarm | None:
        """Return one alarm, or None; with `for_update` nobody else can change it until the unit of work ends."""
        if not is_storable(alarm_id):
            return None
        statement = _GET_FOR_UPDATE if for_update else _GET
        row = self._connection.execute(statement, {"wanted": alarm_id}).mappings().first()
        return None if row is None else alarm_of(row)

    def find(self, query: AlarmQuery) -> list[Alarm]:
        """Return the alarms asked for. Raises `InvalidInput` for an unknown marker, sort key or direction."""
        statement = _PAGER.page(
            self._connection,
            select(alarms).where(*_conditions(query)),
            visible=[] if query.project_id is None else [alarms.c.project_id == query.project_id],
            sort=query.sort,
            marker=query.marker,
            limit=query.limit,
        )
        return [alarm_of(row) for row in self._connection.execute(statement).mappings()]

    def query(self, search: Search) -> list[Alarm]:
        """Return the alarms that a search (of `SEARCHABLE_ALARMS`) asks for.

        Raises `InvalidInput` for an unknown marker, sort key, direction or pattern, and when it takes too long.
        """
        return [alarm_of(row) for row in SEARCHABLE_ALARMS.rows(self._connection, search)]

    def count(self, query: AlarmQuery) -> int:
        """Return how many alarms match, whatever the page."""
        statement = select(func.count()).select_from(alarms).where(*_conditions(query))
        return self._connection.execute(statement).scalar_one()

    def replace(self, alarm: Alarm) -> Alarm:
        """Write the definition and the state of a stored alarm, bump its revision and return it as stored.

        `revision`, `state_version` and `sequence` are the store's: what the given alarm has in them does not count.
        The state version grows when the state was set or the shard changed, so whatever was decided before on the
        ground of the old row falls through. Raises `KeyError` when there is no such alarm.
        """
        before = self.get(alarm.alarm_id, for_update=True)
        if before is None:
            raise KeyError(alarm.alarm_id)
        moved = alarm.shard != before.shard
        drawn = {shard: self._draw_revisions(shard, 1) for shard in sorted({alarm.shard, before.shard})}
        touched = moved or (alarm.state, alarm.state_timestamp) != (before.state, before.state_timestamp)
        after = replace(
            alarm,
            revision=drawn[alarm.shard],
            state_version=before.state_version + touched,
            sequence=before.sequence,
        )
        values = alarm_values(after)
        del values["alarm_id"]
        self._connection.execute(update(alarms).where(alarms.c.alarm_id == alarm.alarm_id).values(values))
        if moved:
            self._bury(alarm.alarm_id, before.shard, drawn[before.shard], alarm.timestamp)
        return after

    def remove(self, alarm_id: str, at: datetime) -> bool:
        """Delete an alarm and leave a tombstone for those who follow its shard; False when there was none."""
        before = self.get(alarm_id, for_update=True)
        if before is None:
            return False
        self._connection.execute(delete(alarms).where(alarms.c.alarm_id == alarm_id))
        self._bury(before.alarm_id, before.shard, self._draw_revisions(before.shard, 1), at)
        return True

    def lock_shards(self, alarm_ids: Sequence[str]) -> None:
        """Lock the shards of these alarms, which this unit of work holds already, until it ends."""
        for shard in sorted(set(self._shards_of(alarm_ids).values())):
            self._draw_revisions(shard, 0)

    def announce(self, alarm_ids: Sequence[str]) -> None:
        """Give alarms that this unit of work holds already a new revision, so that those who follow read them again."""
        places = self._shards_of(alarm_ids)
        sizes = Counter(places.values())
        last = {shard: self._draw_revisions(shard, sizes[shard]) - sizes[shard] for shard in sorted(sizes)}
        rows = []
        for alarm_id, shard in sorted(places.items()):
            last[shard] += 1
            rows.append({"alarm_id": alarm_id, "revision": last[shard]})
        update_rows(self._connection, alarms, key="alarm_id", rows=rows)

    def definitions(self, cursor: Mapping[Shard, int], *, limit: int) -> Definitions:
        """Return what changed in the cursor's shards behind the cursor, at most `limit` alarms and removals in all.

        A shard at 0 is followed from the beginning. Ask again until the cursor no longer moves. When nothing has
        changed this is one small query. A follower that was away for longer than tombstones are kept must start at 0.
        """
        # The heads are read first: what was committed up to a head is visible to every later statement, and what
        # comes meanwhile has a higher number.
        heads = {
            Shard(shard): revision
            for shard, revision in self._connection.execute(
                select(shards.c.shard, shards.c.revision).where(shards.c.shard.in_([int(shard) for shard in cursor]))
            )
        }
        news = _first_of(
            {shard: (seen, heads[shard]) for shard, seen in cursor.items() if heads.get(shard, 0) > seen}, limit
        )
        if not news:
            return Definitions(alarms=[], removed_ids=[], cursor=dict(cursor))
        changed = [alarm_of(row) for row in self._between(alarms, news, limit)]
        known = {shard: span for shard, span in news.items() if span[0] > 0}
        removed = [
            (Shard(row["shard"]), row["revision"], AlarmId(row["alarm_id"]))
            for row in (self._between(alarm_tombstones, known, limit) if known else [])
        ]
        places = sorted([(alarm.shard, alarm.revision) for alarm in changed] + [row[:2] for row in removed])[:limit]
        behind = dict(cursor)
        if len(places) < limit:
            behind |= {shard: head for shard, (_, head) in news.items()}
        else:
            # There may be more than fits, so of the last shard only what is up to the last place is settled.
            last_shard, last_revision = places[-1]
            behind |= {shard: head for shard, (_, head) in news.items() if shard < last_shard}
            behind[last_shard] = last_revision
        taken = set(places)
        return Definitions(
            alarms=[alarm for alarm in changed if (alarm.shard, alarm.revision) in taken],
            removed_ids=self._gone([row[2] for row in removed if row[:2] in taken], cursor),
            cursor=behind,
        )

    def prune_tombstones(self, before: datetime, *, limit: int) -> int:
        """Drop tombstones older than a moment, oldest first, at most `limit`; return how many went."""
        stones = alarm_tombstones.c
        oldest = (
            select(stones.shard, stones.revision)
            .where(stones.removed_at < before)
            .order_by(stones.removed_at)
            .limit(limit)
        )
        picked = self._connection.execute(oldest).all()
        if picked:
            chosen = or_(*(and_(stones.shard == shard, stones.revision == revision) for shard, revision in picked))
            self._connection.execute(delete(alarm_tombstones).where(chosen))
        return len(picked)

    def _draw_revisions(self, shard: Shard, count: int) -> int:
        """Lock a shard until the unit of work ends, and return the last of `count` new revisions."""
        drawn = self._connection.execute(_DRAW_REVISIONS, {"wanted": int(shard), "count": count})
        revision: int = drawn.scalar_one()
        return revision

    def _shards_of(self, alarm_ids: Sequence[str]) -> dict[AlarmId, Shard]:
        found: dict[AlarmId, Shard] = {}
        for start in range(0, len(alarm_ids), _CHUNK):
            chunk = alarm_ids[start : start + _CHUNK]
            places = select(alarms.c.alarm_id, alarms.c.shard).where(alarms.c.alarm_id.in_(chunk))
            found |= {AlarmId(alarm_id): Shard(shard) for alarm_id, shard in self._connection.execute(places)}
        return found

    def _bury(self, alarm_id: AlarmId, shard: Shard, revision: int, at: datetime) -> None:
        stone = {"shard": int(shard), "revision": revision, "alarm_id": alarm_id, "removed_at": at}
        self._connection.execute(insert(alarm_tombstones), [stone])

    def _gone(self, alarm_ids: list[AlarmId], cursor: Mapping[Shard, int]) -> list[AlarmId]:
        """Leave out alarms that only moved to another shard of the cursor: there they come up by themselves."""
        if not alarm_ids:
            return []
        followed = alarms.c.shard.in_([int(shard) for shard in cursor])
        still = select(alarms.c.alarm_id).where(alarms.c.alarm_id.in_(alarm_ids), followed)
        there = set(self._connection.execute(still).scalars())
        return [alarm_id for alarm_id in alarm_ids if alarm_id not in there]

    def _between(self, table: Any, spans: Mapping[Shard, tuple[int, int]], limit: int) -> Any:
        inside = or_(
            *(
                and_(table.c.shard == int(shard), table.c.revision > seen, table.c.revision <= head)
                for shard, (seen, head) in spans.items()
            )
        )
        statement = select(table).where(inside).order_by(table.c.shard, table.c.revision).limit(limit)
        return self._connection.execute(statement).mappings()


def _first_of(news: Mapping[Shard, tuple[int, int]], limit: int) -> dict[Shard, tuple[int, int]]:
    """Return the first shards that may have as many changes as are asked for, so that no others are sorted."""
    first: dict[Shard, tuple[int, int]] = {}
    room = limit
    for shard, (seen, head) in sorted(news.items()):
        first[shard] = seen, head
        room -= head - seen
        if room <= 0:
            break
    return first


def _conditions(query: AlarmQuery) -> list[ColumnElement[bool]]:
    wanted = {
        column: getattr(query, column.name)
        for column in (
            alarms.c.project_id,
            alarms.c.user_id,
            alarms.c.name,
            alarms.c.type,
            alarms.c.enabled,
            alarms.c.state,
            alarms.c.severity,
            alarms.c.repeat_actions,
            alarms.c.timestamp,
        )
    }
    conditions = [
        matches(Unindexed(column) if column is alarms.c.project_id and query.name is not None else column, value)
        for column, value in wanted.items()
        if value is not None
    ]
    if query.alarm_ids is not None:
        conditions.append(alarms.c.alarm_id.in_([alarm_id for alarm_id in query.alarm_ids if is_storable(alarm_id)]))
    return conditions
