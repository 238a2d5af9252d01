# SPDX-License-Identifier: Apache-2.0
"""References at rest: which alarms the rules of which others refer to.

An alarm and those that it refers to lie in one shard. Whoever changes references, or removes an alarm, looks at them
only after the shard has been locked (by drawing a revision), so that of two who could put each other in the wrong the
second sees what the first has done.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from sqlalchemy import Connection, delete, select

from alarmd.model.alarm import AlarmId
from alarmd.store.bulk import insert_rows
from alarmd.store.tables import alarm_references

#: How many ids go into one statement.
_CHUNK = 10_000


class ReferenceRepository:
    """Reads and writes references within one unit of work. Those of an alarm vanish with it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, alarm_id: str, referenced_ids: Iterable[str]) -> None:
        """Note which alarms a stored alarm refers to from now on."""
        columns = alarm_references.c
        self._connection.execute(delete(alarm_references).where(columns.alarm_id == alarm_id))
        rows = [{"alarm_id": alarm_id, "referenced_id": one} for one in sorted(set(referenced_ids))]
        insert_rows(self._connection, alarm_references, rows)

    def referred_to(self, alarm_ids: Iterable[str]) -> set[AlarmId]:
        """Return which of these alarms others refer to."""
        column = alarm_references.c.referenced_id
        return {
            AlarmId(one)
            for chunk in _chunks(alarm_ids)
            for one in self._connection.execute(select(column).where(column.in_(chunk)).distinct()).scalars()
        }

    def referring(self, alarm_ids: Iterable[str], *, limit: int) -> list[AlarmId]:
        """Return the alarms that refer to one of these, `limit` at most."""
        found = set().union(*(self._next(chunk, upwards=True, limit=limit) for chunk in _chunks(alarm_ids)))
        return sorted(found)[:limit]

    def all_referring(self, alarm_id: str, *, limit: int) -> list[AlarmId]:
        """Return the alarms that refer to one, those that refer to these, and so on; `limit` at most."""
        found: list[AlarmId] = []
        for level in self._levels(alarm_id, upwards=True, limit=limit + 1):
            found += sorted(level)
            if len(found) >= limit:
                break
        return found[:limit]

    def levels(self, alarm_id: str, *, upwards: bool, limit: int) -> int:
        """Return how far one gets along references from an alarm, or against them; no further than `limit` levels."""
        return sum(1 for _ in islice(self._levels(alarm_id, upwards=upwards), limit))

    def cycle(self, alarm_id: str, *, limit: int) -> list[AlarmId]:
        """Return a shortest way along references from an alarm back to itself, both ends named.

        Empty if there is none, or none of at most `limit` references.
        """
        start = AlarmId(alarm_id)
        came_from: dict[AlarmId, AlarmId] = {}
        last: list[AlarmId] = [start]
        for _ in range(limit):
            following: dict[AlarmId, AlarmId] = {}
            for referring, referenced in self._pairs(last):
                if referenced not in came_from:
                    following.setdefault(referenced, referring)
            came_from |= following
            last = list(following)
            if start in came_from or not last:
                break
        if start not in came_from:
            return []
        way = [start, came_from[start]]
        while way[-1] != start:
            way.append(came_from[way[-1]])
        return way[::-1]

    def _levels(self, alarm_id: str, *, upwards: bool, limit: int | None = None) -> Iterator[set[AlarmId]]:
        """Yield the alarms that are one reference away, then what is two away, and so on, each once."""
        seen = last = {AlarmId(alarm_id)}
        while last:
            found = set().union(*(self._next(chunk, upwards=upwards, limit=limit) for chunk in _chunks(last)))
            last = found - seen
            seen = seen | last
            if last:
                yield last

    def _next(self, alarm_ids: list[str], *, upwards: bool, limit: int | None) -> set[AlarmId]:
        """Return the alarms that these refer to, or that refer to these."""
        here, there = alarm_references.c.alarm_id, alarm_references.c.referenced_id
        if upwards:
            here, there = there, here
        statement = select(there).where(here.in_(alarm_ids)).distinct().order_by(there).limit(limit)
        return {AlarmId(one) for one in self._connection.execute(statement).scalars()}

    def _pairs(self, alarm_ids: Iterable[str]) -> list[tuple[AlarmId, AlarmId]]:
        """Return the references of these alarms, in a fixed order."""
        columns = alarm_references.c
        return [
            (AlarmId(referring), AlarmId(referenced))
            for chunk in _chunks(alarm_ids)
            for referring, referenced in self._connection.execute(
                select(columns.alarm_id, columns.referenced_id)
                .where(columns.alarm_id.in_(chunk))
                .order_by(columns.alarm_id, columns.referenced_id)
            )
        ]


def _chunks(alarm_ids: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(alarm_ids)
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]
