# SPDX-License-Identifier: Apache-2.0
"""Reads the streams of the Redis log in the order in which they were written.

A shard's samples stand in two streams, its own and that of mixed entries, and a series may move from one to the other.
So what is read of both is put into order, and neither is read past the point up to which the other is known.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import redis

from alarmd.cache.log import Cursor, Position
from alarmd.cache.mixed import ALL_SHARDS, MIXED, NO_SHARDS, Mask, Partition, followers_at
from alarmd.model.shard import Shard

#: The moment on Redis' clock, in ms, and a number within it.
Id: TypeAlias = tuple[int, int]

#: The fields of an entry: the batch, and the mask of a mixed one.
BATCH: Final = b"b"
SHARDS: Final = b"s"
_NEVER: Final[Id] = (1 << 64, 0)


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as it stands in a stream."""

    id: Id
    partition: Partition
    fields: Mapping[bytes, bytes]
    #: Of a mixed entry: the shards that are still to see it.
    wanted: Mask = NO_SHARDS

    @property
    def place(self) -> str:
        """Where it stands, as Redis spells it."""
        return _spelt(self.id)


def fields_of(payload: bytes, shards: Mask) -> dict[bytes, bytes]:
    """Return what an entry is made of."""
    return {BATCH: payload} | ({SHARDS: b"%x" % shards} if shards else {})


def start_at(moment_ms: int) -> Position:
    """Return the position before everything that was appended from a moment on."""
    return _position((moment_ms, 0), (moment_ms, 0))


class Streams:
    """The streams of one log, as those see them who read."""

    def __init__(self, client: "redis.Redis", key: Callable[[Partition], str]) -> None:
        self._redis = client
        self._key = key

    def read(self, cursor: Mapping[Shard, Position], *, limit: int) -> tuple[list[Row], Cursor]:
        """Return up to `limit` rows behind a cursor, in order, and the cursor behind them."""
        stands = {shard: _ids(position) for shard, position in cursor.items()}
        own = {Partition(shard): stand for shard, (stand, _) in stands.items()}
        followers = _followers(stands)
        mixed = min(stand for _, stand in stands.values())
        rows: list[Row] = []
        full = len(own)
        while len(rows) < limit:
            page, full = self._page(own, mixed, at_once=max(1, (limit - len(rows)) // max(1, full)), limit=limit)
            if not page:
                break
            for row in page:
                if len(rows) == limit:
                    break
                if row.partition != MIXED:
                    own[row.partition] = row.id
                    rows.append(row)
                    continue
                mixed = row.id
                wanted = Mask(followers(row.id) & _mask_in(row.fields))
                if wanted:
                    rows.append(Row(row.id, row.partition, row.fields, wanted))
        behind = {shard: _position(own[Partition(shard)], max(stand, mixed)) for shard, (_, stand) in stands.items()}
        return rows, behind

    def _page(self, own: Mapping[Partition, Id], mixed: Id, *, at_once: int, limit: int) -> tuple[list[Row], int]:
        """Return what comes next, in order, and how many of the shards' streams may hold more.

        All are asked at one moment, so whatever is written meanwhile comes behind all that is read.
        """
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.xread({self._key(one): _spelt(stand) for one, stand in own.items()}, count=at_once)
        pipeline.xread({self._key(MIXED): _spelt(mixed)}, count=limit)
        partitions = {self._key(one).encode(): one for one in (*own, MIXED)}
        replies = [dict(_rows(reply, partitions)) for reply in pipeline.execute()]
        full = [rows[-1].id for rows in replies[0].values() if len(rows) == at_once]
        known = min(full, default=_NEVER)
        (rest,) = replies[1].values() or ([],)
        page = [row for row in rest if row.id <= known]
        held_back = [row.id for row in rest[len(page) :]]
        known_of_mixed = min(held_back or [rest[-1].id if len(rest) == limit else _NEVER])
        page += [row for rows in replies[0].values() for row in rows if row.id <= known_of_mixed]
        return sorted(page, key=lambda row: row.id), len(full)


def _rows(reply: Any, partitions: Mapping[bytes, Partition]) -> Iterator[tuple[Partition, list[Row]]]:
    # The client gives pairs or a mapping, depending on the protocol it speaks.
    for key, found in dict(reply or ()).items():
        partition = partitions[key]
        yield partition, [Row(_id(place), partition, fields) for place, fields in found]


def _followers(stands: Mapping[Shard, tuple[Id, Id]]) -> Callable[[Id], Mask]:
    return followers_at({shard: stand for shard, (_, stand) in stands.items()})


def _mask_in(fields: Mapping[bytes, bytes]) -> Mask:
    """Return the shards that an entry says it is of; all of them when it does not."""
    try:
        return Mask(int(fields[SHARDS], 16))
    except (KeyError, ValueError):
        return ALL_SHARDS


def _position(own: Id, mixed: Id) -> Position:
    return Position(f"{_spelt(own)} {_spelt(mixed)}")


def _ids(position: Position) -> tuple[Id, Id]:
    own, mixed = position.encode().split()
    return _id(own), _id(mixed)


def _spelt(place: Id) -> str:
    return f"{place[0]}-{place[1]}"


def _id(place: bytes) -> Id:
    moment_ms, _, number = place.partition(b"-")
    return int(moment_ms), int(number or 0)
