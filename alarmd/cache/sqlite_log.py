# SPDX-License-Identifier: Apache-2.0
"""The embedded engine of the sample log: a SQLite file of its own.

A position is the number of an entry, counted over all shards. A reader whose shards all stand at the same position
(as they do after each read) asks for one range of the table.

The file does not grow without limit: trimmed pages are used again. It keeps the largest size it ever had, about
`LogLimits.max_bytes` and a tenth.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import structlog
from pydantic import Field

from alarmd.cache.codec import Decoder, Undecodable, encode, timestamp_ms_of
from alarmd.cache.log import Cursor, Entry, LogLimits, LogPlugin, LogStats, Position
from alarmd.cache.mixed import MIXED, Excerpts, Mask, Partition, followers_at, mask_of, parts_of, shares
from alarmd.cache.share import TRIM_TO
from alarmd.cache.sqlite_file import SqliteFile
from alarmd.clock import Clock
from alarmd.errors import LogUnavailable
from alarmd.model.samples import Batch
from alarmd.model.shard import SHARD_COUNT, Shard
from alarmd.plugins import Options
from alarmd.telemetry import ENTRIES_UNREADABLE, LOG_TRIMMED

_log: Final = structlog.get_logger()

#: How many entries one transaction trims, so that appends never wait long for it.
_TRIM_CHUNK: Final = 200

_NEWEST: Final = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'entries'"
_RANGE: Final = """
    SELECT position, shard, payload FROM entries NOT INDEXED
    WHERE position > ? AND position <= ? AND (shard IN (SELECT value FROM json_each(?)) OR shards & ? != 0)
    ORDER BY position LIMIT ?
"""
#: Positions first, and then only the payloads that are wanted. A stand is a partition, a position in it and the mask of
#: the shards that stand there: what is mixed is looked for once for each place where shards stand, and may be found
#: more than once.
_SCATTERED: Final = """
    SELECT position, shard, payload FROM entries
    WHERE position IN (
        SELECT DISTINCT entries.position
        FROM json_each(?) AS stand
        CROSS JOIN entries ON entries.shard = json_extract(stand.value, '$[0]')
        WHERE entries.position > json_extract(stand.value, '$[1]') AND entries.position <= ?
            AND (json_extract(stand.value, '$[2]') = 0 OR entries.shards & json_extract(stand.value, '$[2]') != 0)
        ORDER BY entries.position LIMIT ?
    )
    ORDER BY position
"""
_ADD_TOTALS: Final = """
    INSERT INTO totals (shard, entries, bytes) VALUES (?, ?, ?)
    ON CONFLICT (shard) DO UPDATE SET entries = entries + excluded.entries, bytes = bytes + excluded.bytes
"""


class SqliteLogOptions(Options):
    """What the SQLite log can be told."""

    #: The file; `samples.db` in the state directory when not given.
    path: Path | None = None
    #: How long an append waits for other writers before it gives up.
    busy_timeout_s: float = Field(default=10.0, gt=0)
    #: How many decoded resources a reader remembers, about 300 bytes each. More than it follows is of no use.
    remembered_resources: int = Field(default=200_000, gt=0)


class SqliteLog:
    """A sample log in one SQLite file, for all processes of one host."""

    def __init__(self, path: Path, *, limits: LogLimits, options: SqliteLogOptions) -> None:
        self._limits = limits
        self._decoder = Decoder(max_resources=options.remembered_resources)
        self._excerpts = Excerpts(max_resources=options.remembered_resources)
        self._file = SqliteFile(path, busy_timeout_s=options.busy_timeout_s)

    def append(self, batches: Iterable[Batch]) -> int:
        count = 0
        rows = []
        for batch in batches:
            count += batch.point_count
            for part in parts_of(batch):
                payload = encode(part.batch)
                rows.append((part.partition, timestamp_ms_of(payload), len(payload), _column_of(part.shards), payload))
        if not rows:
            return 0
        added = Counter[Partition]()
        for partition, _, size, *_ in rows:
            added[partition] += size
        if added.total() > self._limits.max_bytes * TRIM_TO:
            raise LogUnavailable(
                f"{added.total()} bytes of samples at once do not fit into a log of {self._limits.max_bytes} bytes. "
                "Raise max_bytes of the log, or send fewer samples at once.",
                bytes=added.total(),
            )
        entries = Counter(row[0] for row in rows)
        with self._file.writing() as connection:
            connection.executemany(
                "INSERT INTO entries (shard, timestamp_ms, bytes, shards, payload) VALUES (?, ?, ?, ?, ?)", rows
            )
            connection.executemany(_ADD_TOTALS, [(one, entries[one], size) for one, size in added.items()])
            dropped = self._make_room(connection)
        LOG_TRIMMED.inc(dropped)
        return count

    def read(self, cursor: Mapping[Shard, Position], *, limit: int) -> tuple[Sequence[Entry], Cursor]:
        if not cursor:
            return [], {}
        stands = {shard: int(position) for shard, position in cursor.items()}
        lowest = min(stands.values())
        with self._file.reading() as connection:
            # All entries up to here are visible; what is committed from now on waits for the next read.
            (newest,) = connection.execute(_NEWEST).fetchone()
            if newest <= lowest:
                return [], dict(cursor)
            if lowest == max(stands.values()):
                asked = lowest, newest, json.dumps(list(stands)), _column_of(mask_of(stands)), limit
                rows = connection.execute(_RANGE, asked).fetchall()
            else:
                rows = connection.execute(_SCATTERED, (json.dumps(_scattered(stands)), newest, limit)).fetchall()
        reached = newest if len(rows) < limit else rows[-1][0]
        behind = {shard: Position(str(max(stand, reached))) for shard, stand in stands.items()}
        return self._entries_of(rows, followers_at(stands)), behind

    def start_of(self, shards: Iterable[Shard], *, since_s: float) -> Cursor:
        with self._file.reading() as connection:
            (newest,) = connection.execute(_NEWEST).fetchone()
            (first,) = connection.execute(
                "SELECT min(position) FROM entries WHERE timestamp_ms >= ?", (int(since_s * 1000),)
            ).fetchone()
        start = Position(str(newest if first is None else first - 1))
        return dict.fromkeys(shards, start)

    def trim(self, *, now_s: float) -> int:
        before_ms = int((now_s - self._limits.retention_s) * 1000)
        old = "SELECT position, shard, bytes FROM entries WHERE timestamp_ms < ? ORDER BY timestamp_ms LIMIT ?"
        dropped = 0
        while True:
            with self._file.writing() as connection:
                rows = connection.execute(old, (before_ms, _TRIM_CHUNK)).fetchall()
                _drop(connection, rows)
                if len(rows) < _TRIM_CHUNK:
                    return dropped + len(rows) + self._make_room(connection)
            dropped += len(rows)

    def stats(self) -> LogStats:
        with self._file.reading() as connection:
            entries, size = connection.execute(
                "SELECT coalesce(sum(entries), 0), coalesce(sum(bytes), 0) FROM totals"
            ).fetchone()
            (oldest_ms,) = connection.execute("SELECT min(timestamp_ms) FROM entries").fetchone()
        oldest_s = None if oldest_ms is None else oldest_ms / 1000
        return LogStats(entries=entries, payload_bytes=size, oldest_s=oldest_s)

    def close(self) -> None:
        self._file.close()

    def _entries_of(self, rows: Iterable[tuple[int, int, bytes]], followers: Callable[[int], Mask]) -> list[Entry]:
        entries = []
        for position, partition, payload in rows:
            try:
                batch = self._decoder.decode(payload)
            except Undecodable as error:
                _log.warning("entry_skipped", partition=partition, position=position, reason=str(error))
                ENTRIES_UNREADABLE.inc()
                continue
            entry = self._excerpts.entry(Partition(partition), str(position), batch, followers(position))
            if entry is not None:
                entries.append(entry)
        return entries

    def _make_room(self, connection: sqlite3.Connection) -> int:
        """Drop the oldest entries of the fullest partitions when the log is past its size; return how many."""
        sizes = dict(connection.execute("SELECT shard, bytes FROM totals").fetchall())
        if sum(sizes.values()) <= self._limits.max_bytes:
            return 0
        dropped = 0
        for partition, share in shares(sizes, budget=int(self._limits.max_bytes * TRIM_TO)).items():
            rows = _oldest_of(connection, partition, sizes[partition] - share)
            _drop(connection, rows)
            dropped += len(rows)
        _log.warning("log_full", max_bytes=self._limits.max_bytes, dropped=dropped)
        return dropped


def _column_of(mask: Mask) -> int:
    """Return a mask as SQLite keeps it: its numbers have a sign."""
    return mask - (1 << SHARD_COUNT) if mask >> (SHARD_COUNT - 1) else mask


def _scattered(stands: Mapping[Shard, int]) -> list[tuple[int, int, int]]:
    """Return what is to be looked for from where on: (partition, position, mask or 0)."""
    together: dict[int, list[Shard]] = {}
    for shard, stand in stands.items():
        together.setdefault(stand, []).append(shard)
    own = [(int(shard), stand, 0) for shard, stand in stands.items()]
    return [*own, *((int(MIXED), stand, _column_of(mask_of(shards))) for stand, shards in together.items())]


def _oldest_of(connection: sqlite3.Connection, partition: Partition, excess_bytes: int) -> list[tuple[int, int, int]]:
    """Return as many of the oldest entries of a partition as make up for the excess."""
    rows: list[tuple[int, int, int]] = []
    oldest_first = "SELECT position, shard, bytes FROM entries WHERE shard = ? ORDER BY position"
    for row in connection.execute(oldest_first, (partition,)):
        if excess_bytes <= 0:
            break
        rows.append(row)
        excess_bytes -= row[2]
    return rows


def _drop(connection: sqlite3.Connection, rows: Sequence[tuple[int, int, int]]) -> None:
    """Drop entries, given as (position, partition, bytes)."""
    connection.executemany("DELETE FROM entries WHERE position = ?", [(row[0],) for row in rows])
    connection.executemany(_ADD_TOTALS, [(partition, -1, -size) for _, partition, size in rows])


def _build(*, options: Any, state_dir: Path, limits: LogLimits, clock: Clock) -> SqliteLog:
    del clock  # entries carry their own moments, and `trim` is told the time
    return SqliteLog(options.path or state_dir / "samples.db", limits=limits, options=options)


PLUGIN: Final = LogPlugin(options=SqliteLogOptions, build=_build)
