# SPDX-License-Identifier: Apache-2.0
"""What every engine of the sample log promises."""

import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog.testing

from alarmd import plugins
from alarmd.cache.log import Cursor, Entry, LogLimits, LogPlugin, SampleLog
from alarmd.clock import SystemClock
from alarmd.errors import LogUnavailable, SettingsError
from alarmd.model.samples import Batch
from alarmd.model.shard import Shard, all_shards, shard_of
from alarmd.model.trace import new_traceparent
from tests.support import log_writer
from tests.support.batches import a_uniform_batch, project_in

NOW_S = SystemClock().time_s()
RETENTION_S = 3600.0
DEADLINE_S = 30.0


@dataclass
class Engine:
    """An engine and a place for it, with what the tests must do behind its back."""

    name: str
    options: dict[str, Any]
    state_dir: Path
    #: Puts bytes into a shard as an entry.
    put: Callable[[Shard, bytes], None]
    logs: list[SampleLog] = field(default_factory=list)

    def open(self, *, max_bytes: int = 1 << 30, **options: Any) -> SampleLog:
        """Open the log; the fixture closes it."""
        plugin: LogPlugin = plugins.load("alarmd.logs", self.name)
        log = plugin.build(
            options=plugin.options(**self.options | options),
            state_dir=self.state_dir,
            limits=LogLimits(retention_s=RETENTION_S, max_bytes=max_bytes),
            clock=SystemClock(),
        )
        self.logs.append(log)
        return log

    def write_elsewhere(self, *, writer: str, count: int) -> "subprocess.Popen[str]":
        """Start a process that appends `count` batches and prints a line for each that was taken."""
        arguments = [self.name, json.dumps(self.options), str(self.state_dir), writer, str(count)]
        return subprocess.Popen([sys.executable, log_writer.__file__, *arguments], stdout=subprocess.PIPE, text=True)


@pytest.fixture(params=["sqlite", "redis"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Each engine, on a real file or server."""
    if request.param == "sqlite":
        engine = Engine("sqlite", {}, tmp_path, put=lambda shard, data: _put_in_sqlite(tmp_path, shard, data))
    else:
        url = request.getfixturevalue("redis_url")
        engine = Engine("redis", {"url": url}, tmp_path, put=lambda shard, data: _put_in_redis(url, shard, data))
    yield engine
    for log in engine.logs:
        log.close()


def _put_in_sqlite(state_dir: Path, shard: Shard, data: bytes) -> None:
    connection = sqlite3.connect(state_dir / "samples.db")
    with connection:
        connection.execute(
            "INSERT INTO entries (shard, timestamp_ms, bytes, payload) VALUES (?, ?, ?, ?)",
            (shard, int(NOW_S * 1000), len(data), data),
        )
    connection.close()


def _put_in_redis(url: str, shard: Shard, data: bytes) -> None:
    with redis.Redis.from_url(url) as client:
        client.xadd(f"alarmd:samples:{shard}", {"b": data})


def _start(log: SampleLog) -> Cursor:
    return log.start_of(all_shards(), since_s=0.0)


def _read_all(log: SampleLog, cursor: Cursor, *, limit: int = 7) -> tuple[list[Entry], Cursor]:
    """Read until a read brings nothing."""
    entries: list[Entry] = []
    while True:
        more, cursor = log.read(cursor, limit=limit)
        if not more:
            return entries, cursor
        assert len(more) <= limit
        entries.extend(more)


def _values(entries: Sequence[Entry]) -> dict[Shard, list[float]]:
    values: dict[Shard, list[float]] = defaultdict(list)
    for entry in entries:
        for row, resource in enumerate(entry.batch.resources):
            values[shard_of(resource.project_id)].append(float(entry.batch.values[row, 0]))
    return dict(values)


def _numbered(number: int, *shards: int, timestamp_s: float = NOW_S) -> Batch:
    projects = [project_in(shard) for shard in shards]
    return a_uniform_batch(projects=projects, value=float(number), timestamp_s=timestamp_s)


def test_batch_comes_back_whole(engine: Engine) -> None:
    """What was appended is read again, value for value, split by shard."""
    log = engine.open()
    batch = a_uniform_batch(
        projects=["apple", "birch"], metrics=["cpu_util", "memory.util"], value=0.1, timestamp_s=NOW_S
    )
    appended = log.append([batch])
    entries, _ = _read_all(log, _start(log))

    assert appended == 4
    assert {shard_of("apple"), shard_of("birch")} == set().union(*(entry.shards for entry in entries))
    for entry in entries:
        (resource,) = entry.batch.resources
        assert entry.shards == {shard_of(resource.project_id)}
        assert resource in batch.resources
        assert entry.batch.metrics == batch.metrics
        assert entry.batch.source == batch.source
        assert abs(entry.batch.timestamp_s - NOW_S) <= 0.0005
        assert entry.batch.values.tolist() == [[0.1, 0.1]]
        assert entry.batch.expected == 1


def test_missing_values_are_not_counted(engine: Engine) -> None:
    """`append` returns how many values are really there."""
    log = engine.open()
    batch = a_uniform_batch(projects=["apple", "birch"], metrics=["cpu_util"], timestamp_s=NOW_S)
    batch.values[1, 0] = float("nan")

    assert log.append([batch]) == 1
    assert log.append([]) == 0


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_order_and_cursor(engine: Engine, limit: int) -> None:
    """Within a shard entries come in the order of their append, each once, whatever the limit."""
    log = engine.open()
    for number in range(20):
        log.append([_numbered(number, 3, 40 if number % 2 else 41)])
    entries, cursor = _read_all(log, _start(log), limit=limit)
    log.append([_numbered(20, 3)])
    later, _ = _read_all(log, cursor, limit=limit)

    assert _values(entries) == {
        3: [float(number) for number in range(20)],
        40: [float(number) for number in range(1, 20, 2)],
        41: [float(number) for number in range(0, 20, 2)],
    }
    assert _values(later) == {3: [20.0]}


def test_read_is_filled_up_to_the_limit(engine: Engine) -> None:
    """A read brings fewer entries than it may only when there are no more, even if all lie in one shard."""
    log = engine.open()
    log.append([_numbered(number, 5) for number in range(100)])
    entries, cursor = log.read(_start(log), limit=90)
    rest, _ = log.read(cursor, limit=90)

    assert (len(entries), len(rest)) == (90, 10)


def test_shards_are_followed_apart(engine: Engine) -> None:
    """A reader sees its own shards only, and may stand at a different place in each."""
    log = engine.open()
    log.append([_numbered(0, 1, 2, 3)])
    _, ahead = _read_all(log, log.start_of([Shard(1)], since_s=0.0))
    log.append([_numbered(1, 1, 2, 3)])
    behind = log.start_of([Shard(2), Shard(5)], since_s=0.0)
    first, cursor = log.read({**ahead, **behind}, limit=1)
    rest, cursor = _read_all(log, cursor)
    log.append([_numbered(2, 1, 2, 3)])
    last, _ = _read_all(log, cursor)

    assert set(cursor) == {Shard(1), Shard(2), Shard(5)}
    assert _values([*first, *rest]) == {1: [1.0], 2: [0.0, 1.0]}
    assert _values(last) == {1: [2.0], 2: [2.0]}


def test_empty_log_and_empty_cursor(engine: Engine) -> None:
    """Nothing to read is no error."""
    log = engine.open()
    log.append([])
    entries, cursor = log.read(_start(log), limit=10)

    assert entries == []
    assert set(cursor) == all_shards()
    assert log.read({}, limit=10) == ([], {})
    assert log.stats().entries == 0
    assert log.stats().oldest_s is None
    assert log.trim(now_s=NOW_S) == 0


def test_two_logs_see_each_other(engine: Engine) -> None:
    """What one process appends another reads, and a log that is opened again still has everything."""
    writer, reader = engine.open(), engine.open()
    cursor = _start(reader)
    writer.append([_numbered(1, 9)])
    seen, _ = _read_all(reader, cursor)
    writer.close()
    reopened = engine.open()
    seen_later, _ = _read_all(reopened, cursor)

    assert _values(seen) == _values(seen_later) == {9: [1.0]}


def test_log_goes_on_after_a_fork(engine: Engine) -> None:
    """A log that was opened, and used, before a fork works on in the child and in the parent."""
    script = f"""
import json, os
from pathlib import Path
from alarmd import plugins
from alarmd.cache.log import LogLimits
from alarmd.clock import SystemClock
from alarmd.model.samples import Batch, Metric, Resource
import numpy as np
plugin = plugins.load("alarmd.logs", {engine.name!r})
log = plugin.build(options=plugin.options(**json.loads({json.dumps(engine.options)!r})), clock=SystemClock(),
    state_dir=Path({str(engine.state_dir)!r}), limits=LogLimits(retention_s=3600, max_bytes=1 << 30))
def append(value):
    log.append([Batch(source="s", timestamp_s={NOW_S}, metrics=(Metric(name="m"),), expected=1,
        resources=(Resource(id="r", project_id={project_in(4)!r}),), values=np.array([[value]]))])
append(0.0)
pid = os.fork()
if pid == 0:
    append(1.0)
    log.close()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
append(2.0)
log.close()
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    log = engine.open()
    entries, _ = _read_all(log, _start(log))

    assert _values(entries) == {4: [0.0, 1.0, 2.0]}


def test_closed_log_may_be_closed_again(engine: Engine) -> None:
    """Closing twice harms nobody."""
    log = engine.open()
    log.close()
    log.close()


def test_same_header_is_the_same_object(engine: Engine) -> None:
    """Batches with equal metrics and resources share the tuples, so a reader can compare them by identity."""
    log = engine.open()
    log.append([_numbered(0, 9)])
    log.append([_numbered(1, 9)])
    (first, second), _ = _read_all(log, _start(log))

    assert first.batch.resources is second.batch.resources
    assert first.batch.metrics is second.batch.metrics


def test_reader_sees_everything_once_while_writers_write(engine: Engine) -> None:
    """Three processes append while a reader follows: it gets each batch once, each writer's in order."""
    log = engine.open()
    cursor = _start(log)
    writers = [engine.write_elsewhere(writer=f"w{number}", count=60) for number in range(3)]
    expected = 3 * 60 * 2
    entries: list[Entry] = []
    deadline_s = time.monotonic() + DEADLINE_S
    while len(entries) < expected and time.monotonic() < deadline_s:
        more, cursor = log.read(cursor, limit=50)
        entries.extend(more)
    for writer in writers:
        writer.communicate(timeout=DEADLINE_S)
    more, _ = _read_all(log, cursor)

    assert more == []
    seen: dict[tuple[Shard, str], list[float]] = defaultdict(list)
    for entry in entries:
        for row, resource in enumerate(entry.batch.resources):
            seen[shard_of(resource.project_id), entry.batch.source].append(float(entry.batch.values[row, 0]))
    numbers = [float(number) for number in range(60)]
    shards = {shard_of(project) for project in log_writer.PROJECTS}
    assert dict.fromkeys(((shard, f"w{writer}") for shard in shards for writer in range(3)), numbers) == seen


def test_threads_share_a_log(engine: Engine) -> None:
    """Several threads append to one log object while another reads from it."""
    log = engine.open()
    cursor = _start(log)

    def append(writer: int) -> None:
        for number in range(30):
            log.append([_numbered(number, writer)])

    threads = [threading.Thread(target=append, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    entries: list[Entry] = []
    deadline_s = time.monotonic() + DEADLINE_S
    while len(entries) < 120 and time.monotonic() < deadline_s:
        more, cursor = log.read(cursor, limit=10)
        entries.extend(more)
    for thread in threads:
        thread.join()

    numbers = [float(number) for number in range(30)]

    assert dict.fromkeys(range(4), numbers) == _values(entries)


def test_killed_writer_leaves_what_was_taken(engine: Engine) -> None:
    """A kill -9 in the middle of appends leaves a readable log that has every acknowledged batch, in all its shards."""
    log = engine.open()
    writer = engine.write_elsewhere(writer="w", count=1_000_000)
    assert writer.stdout is not None
    taken = [int(writer.stdout.readline()) for _ in range(40)]
    writer.kill()
    # Not `communicate`, which knows nothing of the lines that were read ahead.
    with writer:
        taken += [int(line) for line in writer.stdout if line.endswith("\n")]
    entries, cursor = _read_all(log, _start(log), limit=1000)
    # A server may still take the last append out of the dead writer's connection while we read.
    deadline_s = time.monotonic() + DEADLINE_S
    while len(set(map(len, _values(entries).values()))) > 1 and time.monotonic() < deadline_s:
        more, cursor = log.read(cursor, limit=1000)
        entries.extend(more)
    by_shard = _values(entries)
    counts = {len(values) for values in by_shard.values()}

    assert set(by_shard) == {shard_of(project) for project in log_writer.PROJECTS}
    # The last append may have been taken without an answer; but it is there in all shards or in none.
    assert len(counts) == 1
    assert counts <= {len(taken), len(taken) + 1}
    for values in by_shard.values():
        assert values == [float(number) for number in range(len(values))]


def test_append_is_all_or_nothing(engine: Engine) -> None:
    """When one of several batches cannot be appended, none is."""
    log = engine.open()
    broken = replace(_numbered(1, 2), source="\ud800")
    with pytest.raises(ValueError, match="surrogates"):
        log.append([_numbered(0, 1), broken])
    entries, _ = _read_all(log, _start(log))

    assert entries == []


def test_too_much_at_once_is_refused(engine: Engine) -> None:
    """An append that could never fit is refused with the remedy, and leaves nothing behind."""
    log = engine.open(max_bytes=100_000)
    batch = a_uniform_batch(
        projects=["apple"], metrics=[f"metric-{number}" for number in range(20_000)], timestamp_s=NOW_S
    )
    with pytest.raises(LogUnavailable, match="Raise max_bytes"):
        log.append([batch])
    entries, _ = _read_all(log, _start(log))

    assert entries == []


def test_start_of_leaves_nothing_out(engine: Engine) -> None:
    """From the start of a moment on, everything with samples at or after it is still to come, late samples too."""
    log = engine.open()
    moments = [NOW_S - 50, NOW_S - 10, NOW_S - 40, NOW_S - 5, NOW_S]
    for number, moment_s in enumerate(moments):
        log.append([_numbered(number, number, timestamp_s=moment_s)])
    for since_s in [0.0, NOW_S - 45, NOW_S - 10, NOW_S - 1]:
        entries, _ = _read_all(log, log.start_of(all_shards(), since_s=since_s))
        wanted = {float(number) for number, moment_s in enumerate(moments) if moment_s >= since_s}

        assert wanted <= {float(entry.batch.values[0, 0]) for entry in entries}


def test_start_of_skips_what_is_long_past(engine: Engine) -> None:
    """A reader that starts after everything there is sees only what comes."""
    log = engine.open()
    log.append([_numbered(0, 4)])
    cursor = log.start_of(all_shards(), since_s=NOW_S + 1000)

    assert log.read(cursor, limit=10)[0] == []


def test_trim_by_age(engine: Engine) -> None:
    """Entries go once they are past the retention; a reader that stood before them goes on with what is left."""
    log = engine.open()
    cursor = _start(log)
    log.append([_numbered(number, 4, 5) for number in range(3)])
    kept = log.trim(now_s=NOW_S + 10)
    dropped = log.trim(now_s=SystemClock().time_s() + RETENTION_S + 10)
    log.append([_numbered(3, 4)])
    entries, _ = _read_all(log, cursor)

    assert (kept, dropped) == (0, 6)
    assert _values(entries) == {4: [3.0]}


def test_many_entries_are_trimmed_by_age(engine: Engine) -> None:
    """One trim drops all that is too old, however many entries that are."""
    log = engine.open()
    for start in range(0, 1000, 100):
        log.append([_numbered(number, 4) for number in range(start, start + 100)])
    dropped = log.trim(now_s=SystemClock().time_s() + RETENTION_S + 10)

    assert dropped == 1000
    assert log.stats().entries == 0


def _wide(number: int, shard: int) -> Batch:
    return a_uniform_batch(
        projects=[project_in(shard)],
        metrics=[f"metric-{column}" for column in range(500)],
        value=float(number),
        timestamp_s=NOW_S,
    )


def test_size_stays_bounded_without_a_trim(engine: Engine) -> None:
    """Appends alone never grow the log far past its limit, and the newest entries are the ones that stay."""
    limit_bytes = 2_000_000
    log = engine.open(max_bytes=limit_bytes)
    for number in range(400):
        log.append([_wide(number, 7)])
    size_bytes = log.stats().payload_bytes
    log.trim(now_s=NOW_S)
    trimmed_bytes = log.stats().payload_bytes
    entries, _ = _read_all(log, _start(log))
    numbers = _values(entries)[Shard(7)]

    assert limit_bytes / 2 < size_bytes <= limit_bytes * (1 + 1 / 16)
    assert limit_bytes / 2 < trimmed_bytes <= limit_bytes
    assert numbers == [float(number) for number in range(400 - len(numbers), 400)]


def test_flood_shortens_its_own_shard_only(engine: Engine) -> None:
    """When one shard fills the log, the others keep what they have."""
    log = engine.open(max_bytes=3_000_000)
    log.append([_numbered(0, 1, 2)])
    for number in range(400):
        log.append([_wide(number, 7)])
    log.trim(now_s=NOW_S)
    entries, _ = _read_all(log, _start(log))
    values = _values(entries)

    assert (values[Shard(1)], values[Shard(2)]) == ([0.0], [0.0])
    assert len(values[Shard(7)]) < 400


def test_undecodable_entry_is_skipped(engine: Engine) -> None:
    """An entry that is no batch is logged and passed over; the ones around it are read."""
    log = engine.open()
    log.append([_numbered(0, 6)])
    engine.put(Shard(6), b"not a batch")
    log.append([_numbered(1, 6)])
    with structlog.testing.capture_logs() as events:
        entries, cursor = log.read(_start(log), limit=10)

    assert _values(entries) == {6: [0.0, 1.0]}
    assert [event["event"] for event in events] == ["entry_skipped"]
    assert log.read(cursor, limit=10)[0] == []


def test_reader_gets_past_undecodable_entries(engine: Engine) -> None:
    """Even when all that a read brings is undecodable, the cursor moves on."""
    log = engine.open()
    log.append([_numbered(0, 6)])
    _, cursor = _read_all(log, _start(log))
    for _ in range(3):
        engine.put(Shard(6), b"not a batch")
    log.append([_numbered(1, 6)])
    seen: list[Entry] = []
    for _ in range(4):
        more, cursor = log.read(cursor, limit=1)
        seen.extend(more)

    assert _values(seen) == {6: [1.0]}


def test_stats(engine: Engine) -> None:
    """The log tells how full it is, and how old."""
    log = engine.open()
    log.append([_numbered(0, 1, timestamp_s=NOW_S - 60)])
    log.append([_numbered(1, 2, 3)])
    stats = log.stats()

    assert stats.entries == 3
    assert stats.payload_bytes > 3 * 40
    assert stats.oldest_s == pytest.approx(NOW_S - 60, abs=0.001)


def test_sqlite_that_cannot_be_opened(tmp_path: Path) -> None:
    """A directory that cannot be made, or a file that is no log, gives a clear error with the remedy."""
    (tmp_path / "file").write_bytes(b"x" * 10_000)
    for path in [tmp_path / "file" / "samples.db", tmp_path / "file"]:
        engine = Engine("sqlite", {"path": path}, tmp_path, put=lambda _, __: None)
        with pytest.raises(LogUnavailable, match=f"sample log {path} .*(may write to|Move the file away)"):
            engine.open()


def test_sqlite_of_another_layout(tmp_path: Path) -> None:
    """A file of a later release is left alone."""
    connection = sqlite3.connect(tmp_path / "samples.db")
    connection.execute("CREATE TABLE entries (x)")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LogUnavailable, match="has layout 99"):
        Engine("sqlite", {}, tmp_path, put=lambda _, __: None).open()


def test_sqlite_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    """Pages of trimmed entries are used again."""
    engine = Engine("sqlite", {}, tmp_path, put=lambda _, __: None)
    log = engine.open(max_bytes=2_000_000)
    for number in range(1500):
        log.append([_wide(number, 7)])
    log.close()

    assert (tmp_path / "samples.db").stat().st_size < 3_000_000


def test_redis_that_is_not_there(tmp_path: Path) -> None:
    """A Redis that does not answer is named, with the remedy, and without its password."""
    engine = Engine("redis", {"url": "redis://user:geheim@127.0.0.1:1/3"}, tmp_path, put=lambda _, __: None)
    with pytest.raises(LogUnavailable, match=r"127\.0\.0\.1:1/3 does not answer.*See that Redis runs") as raised:
        engine.open()

    assert "geheim" not in str(raised.value)


def test_redis_url_that_cannot_be_read(tmp_path: Path) -> None:
    """A wrong URL is refused without being shown."""
    engine = Engine("redis", {"url": "http://user:geheim@127.0.0.1/3"}, tmp_path, put=lambda _, __: None)
    with pytest.raises(SettingsError, match="has the form redis://") as raised:
        engine.open()

    assert "geheim" not in str(raised.value)


def test_redis_comes_back(redis_server: Any, redis_url: str, tmp_path: Path) -> None:
    """While Redis is away everything says so; once it is back the same log works again."""
    log = Engine("redis", {"url": redis_url}, tmp_path, put=lambda _, __: None).open()
    cursor = _start(log)
    redis_server.stop()
    try:
        for call in [
            lambda: log.append([_numbered(0, 1)]),
            lambda: log.read(cursor, limit=1),
            lambda: log.trim(now_s=NOW_S),
            log.stats,
        ]:
            with pytest.raises(LogUnavailable, match="does not answer"):
                call()
    finally:
        redis_server.start()
    log.append([_numbered(1, 1)])
    entries, _ = _read_all(log, cursor)
    log.close()

    assert _values(entries) == {1: [1.0]}


@pytest.mark.parametrize("projects", [["p1"], [project_in(shard) for shard in range(12)]], ids=["one", "many"])
def test_the_trace_travels_with_the_batch(engine: Engine, projects: list[str]) -> None:
    """What brought the samples is told to everybody who reads them, of one shard or of many."""
    log, traced = engine.open(), new_traceparent()
    batch = a_uniform_batch(projects=projects, timestamp_s=NOW_S)
    log.append([replace(batch, traceparent=traced), batch])
    shards = [shard_of(projects[0])]
    entries, _ = log.read(log.start_of(shards, since_s=NOW_S - 1), limit=10)

    assert [traced, ""] == [entry.batch.traceparent for entry in entries]
