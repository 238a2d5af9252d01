# SPDX-License-Identifier: Apache-2.0
"""What every engine of the sample log promises about batches of many shards, which it stores whole."""

import random
import sqlite3
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

from alarmd.cache.codec import encode
from alarmd.cache.log import Cursor, Entry, SampleLog
from alarmd.clock import SystemClock
from alarmd.model.samples import Batch
from alarmd.model.shard import SHARD_COUNT, Shard, all_shards, shard_of
from tests.contract.test_sample_log import NOW_S, RETENTION_S, Engine, engine
from tests.support.batches import a_uniform_batch, project_in

__all__ = ["engine"]

_MANY = range(0, 40, 4)
#: With the bit that makes a mask negative in SQLite.
_LAST = Shard(SHARD_COUNT - 1)


def _batch(number: int, shards: Sequence[int], *, timestamp_s: float = NOW_S, metrics: int = 1) -> Batch:
    return a_uniform_batch(
        projects=[project_in(shard) for shard in shards],
        metrics=[f"metric-{column}" for column in range(metrics)],
        value=float(number),
        timestamp_s=timestamp_s,
    )


def _numbers(entries: Sequence[Entry]) -> dict[int, list[float]]:
    """Return the values by shard, in the order in which they came."""
    numbers: dict[int, list[float]] = defaultdict(list)
    for entry in entries:
        for row, resource in enumerate(entry.batch.resources):
            assert shard_of(resource.project_id) in entry.shards
            numbers[shard_of(resource.project_id)].append(float(entry.batch.values[row, 0]))
    return dict(numbers)


def _await_the_next_ms() -> None:
    """Return in another millisecond: within one, Redis does not tell what came first of two streams."""
    before_ms = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 == before_ms:
        pass


def _read_all(log: SampleLog, cursor: Cursor, *, limit: int = 7) -> tuple[list[Entry], Cursor]:
    """Read as the evaluators do: until a read brings less than it may."""
    entries: list[Entry] = []
    while True:
        more, cursor = log.read(cursor, limit=limit)
        entries.extend(more)
        assert len(more) <= limit
        if len(more) < limit:
            return entries, cursor


def test_batch_of_many_shards_is_one_entry(engine: Engine) -> None:
    """A reader of all shards gets the batch as it was, and knows its resources again by identity."""
    log = engine.open()
    batch = _batch(1, range(SHARD_COUNT))
    counted = log.append([batch, _batch(2, range(SHARD_COUNT))])
    (first, second), _ = _read_all(log, log.start_of(all_shards(), since_s=0.0))

    assert (2, 2 * SHARD_COUNT) == (log.stats().entries, counted)
    assert batch.resources == first.batch.resources
    assert batch.values.tolist() == first.batch.values.tolist()
    assert batch.expected == first.batch.expected
    assert first.batch.resources is second.batch.resources


def test_reader_gets_the_rows_of_its_shards(engine: Engine) -> None:
    """A reader of some shards gets what is in them, and the very same tuple of resources each time."""
    log = engine.open()
    log.append([_batch(number, [*_MANY, _LAST]) for number in (1, 2)])
    (first, second), _ = _read_all(log, log.start_of([Shard(4), Shard(5), _LAST], since_s=0.0))

    assert [project_in(4), project_in(_LAST)] == [resource.project_id for resource in first.batch.resources]
    assert ([[1.0], [1.0]], [[2.0], [2.0]]) == (first.batch.values.tolist(), second.batch.values.tolist())
    assert first.batch.expected == 2
    assert first.batch.resources is second.batch.resources


def test_reader_of_other_shards_gets_nothing(engine: Engine) -> None:
    """What is of others is passed over, and does not count towards what a read may bring."""
    log = engine.open()
    for number in range(20):
        log.append([_batch(number, _MANY)])
    log.append([_batch(20, [5])])
    _await_the_next_ms()
    log.append([_batch(21, [5, *_MANY])])
    entries, cursor = log.read(log.start_of([Shard(5)], since_s=0.0), limit=2)

    assert _numbers(entries) == {5: [20.0, 21.0]}
    assert log.read(cursor, limit=2)[0] == []


@pytest.mark.parametrize("limit", [1, 2, 5, 200])
def test_own_and_mixed_entries_come_in_the_order_of_their_append(engine: Engine, limit: int) -> None:
    """A series that moves between the two keeps its order, however little is read at once."""
    log = engine.open()
    for number in range(60):
        log.append([_batch(number, [[4], [4, 9], _MANY, range(12)][number // 3 % 4])])
        _await_the_next_ms()
    entries, _ = _read_all(log, log.start_of(all_shards(), since_s=0.0), limit=limit)

    assert [float(number) for number in range(60)] == _numbers(entries)[4]


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_lost_or_doubled(engine: Engine, seed: int) -> None:
    """Readers of any shards, who stop, go on and put their cursors together, see each sample of theirs once."""
    chance = random.Random(seed)
    log = engine.open()
    appended: dict[int, list[float]] = defaultdict(list)
    followed = chance.sample(sorted(all_shards()), chance.choice([1, 3, 20, SHARD_COUNT]))
    cursor: Cursor = log.start_of(followed, since_s=0.0)
    seen: list[Entry] = []
    number = 0
    for _ in range(30):
        batches = []
        kinds = chance.choice([[1, 2, 4], [5, 30, SHARD_COUNT]])
        for _ in range(chance.randrange(4)):
            shards = chance.sample(range(SHARD_COUNT), chance.choice(kinds))
            batches.append(_batch(number, shards))
            for shard in shards:
                appended[shard].append(float(number))
            number += 1
        log.append(batches)
        _await_the_next_ms()
        # Only a part of the shards goes on, so that they come to stand at different places.
        part = chance.sample(followed, chance.randint(1, len(followed)))
        more, behind = log.read({shard: cursor[shard] for shard in part}, limit=chance.choice([1, 2, 50]))
        seen.extend(more)
        cursor |= behind
    seen.extend(_read_all(log, cursor, limit=chance.choice([1, 3, 1000]))[0])

    assert {shard: appended[shard] for shard in followed if appended[shard]} == _numbers(seen)


def test_start_of_finds_mixed_entries(engine: Engine) -> None:
    """From the start of a moment on every mixed entry with samples at or after it is still to come."""
    log = engine.open()
    moments = [NOW_S - 50, NOW_S - 10, NOW_S - 40, NOW_S]
    for number, moment_s in enumerate(moments):
        log.append([_batch(number, _MANY, timestamp_s=moment_s)])
    found, _ = _read_all(log, log.start_of([Shard(8)], since_s=NOW_S - 45))
    later = log.start_of([Shard(8)], since_s=NOW_S + 1000)

    assert {1.0, 2.0, 3.0} <= set(_numbers(found)[8])
    assert log.read(later, limit=9)[0] == []


def test_mixed_entries_go_by_age(engine: Engine) -> None:
    """What is past the retention goes, and a reader that stood before it goes on with what is left."""
    log = engine.open()
    cursor = log.start_of(all_shards(), since_s=0.0)
    log.append([_batch(0, _MANY), _batch(1, _MANY)])
    dropped = log.trim(now_s=SystemClock().time_s() + RETENTION_S + 10)
    log.append([_batch(2, _MANY)])
    entries, _ = _read_all(log, cursor)

    assert dropped == 2
    assert {shard: [2.0] for shard in _MANY} == _numbers(entries)


def test_flood_of_one_project_leaves_mixed_entries_alone(engine: Engine) -> None:
    """Who pushes too much alone gives way before the hosts that many share, even if these fill more of the log."""
    log = engine.open(max_bytes=4_000_000)
    hosts = 300
    for number in range(hosts):
        log.append([_batch(number, _MANY, metrics=60)])
    for number in range(800):
        log.append([_batch(number, [7], metrics=500)])
    log.trim(now_s=NOW_S)
    numbers = _numbers(_read_all(log, log.start_of(all_shards(), since_s=0.0), limit=500)[0])

    assert [float(number) for number in range(hosts)] == numbers[4]
    assert 0 < len(numbers[7]) < 800


def test_flood_of_mixed_entries_is_bounded(engine: Engine) -> None:
    """Mixed entries alone never grow the log past its limit; shards that hold little keep it."""
    limit_bytes = 2_000_000
    log = engine.open(max_bytes=limit_bytes)
    log.append([_batch(0, [5])])
    for number in range(400):
        log.append([_batch(number, _MANY, metrics=100)])
    log.trim(now_s=NOW_S)
    numbers = _numbers(_read_all(log, log.start_of(all_shards(), since_s=0.0), limit=500)[0])

    assert limit_bytes / 2 < log.stats().payload_bytes <= limit_bytes
    assert numbers[5] == [0.0]
    assert [float(number) for number in range(400 - len(numbers[4]), 400)] == numbers[4]


def test_log_of_the_release_before_is_read_on(tmp_path: Path) -> None:
    """A SQLite file without mixed entries keeps what is in it and takes them from now on."""
    connection = sqlite3.connect(tmp_path / "samples.db")
    connection.executescript(
        """
        PRAGMA journal_mode = WAL;
        CREATE TABLE entries (position INTEGER PRIMARY KEY AUTOINCREMENT, shard INTEGER NOT NULL,
            timestamp_ms INTEGER NOT NULL, bytes INTEGER NOT NULL, payload BLOB NOT NULL);
        CREATE INDEX entries_by_shard ON entries (shard, position, bytes);
        CREATE INDEX entries_by_time ON entries (timestamp_ms, position);
        CREATE TABLE totals (shard INTEGER PRIMARY KEY, entries INTEGER NOT NULL, bytes INTEGER NOT NULL);
        PRAGMA user_version = 1;
        """
    )
    payload = encode(_batch(0, [4]))
    with connection:
        connection.execute(
            "INSERT INTO entries (shard, timestamp_ms, bytes, payload) VALUES (4, ?, ?, ?)",
            (int(NOW_S * 1000), len(payload), payload),
        )
        connection.execute("INSERT INTO totals VALUES (4, 1, ?)", (len(payload),))
    connection.close()
    old = Engine("sqlite", {}, tmp_path, put=lambda _, __: None)
    log, other = old.open(), old.open()
    log.append([_batch(1, _MANY), _batch(2, [4])])
    entries, _ = _read_all(other, other.start_of([Shard(4), Shard(6)], since_s=0.0))

    assert _numbers(entries) == {4: [0.0, 1.0, 2.0]}
    assert log.stats().entries == 3
    for one in old.logs:
        one.close()
