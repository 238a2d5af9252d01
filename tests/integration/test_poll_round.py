# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from structlog.testing import capture_logs

from alarmd.cache.log import Cursor, Entry, LogLimits, LogStats, Position, SampleLog
from alarmd.cache.sqlite_log import PLUGIN, SqliteLogOptions
from alarmd.clock import ManualClock
from alarmd.cluster.doorbell import Bell
from alarmd.cluster.local_doorbell import LocalDoorbell
from alarmd.errors import LogUnavailable, SourceUnavailable
from alarmd.model.samples import Batch
from alarmd.model.shard import Shard, all_shards
from alarmd.model.trace import read_traceparent, trace_id_of
from alarmd.pollers.round import PollRound
from alarmd.pollers.source import StaticSource
from alarmd.telemetry import REGISTRY
from tests.support.batches import a_uniform_batch

DEADLINE_S = 5.0


class Failing:
    """A log that does not answer as long as it is told so."""

    def __init__(self, log: SampleLog) -> None:
        self._log = log
        self.is_down = False

    def append(self, batches: Iterable[Batch]) -> int:
        self._check()
        return self._log.append(batches)

    def read(self, cursor: Mapping[Shard, Position], *, limit: int) -> tuple[Sequence[Entry], Cursor]:
        self._check()
        return self._log.read(cursor, limit=limit)

    def start_of(self, shards: Iterable[Shard], *, since_s: float) -> Cursor:
        self._check()
        return self._log.start_of(shards, since_s=since_s)

    def trim(self, *, now_s: float) -> int:
        return self._log.trim(now_s=now_s)

    def stats(self) -> LogStats:
        return self._log.stats()

    def close(self) -> None:
        self._log.close()

    def _check(self) -> None:
        if self.is_down:
            raise LogUnavailable("The disk is full.")


class Moody(StaticSource):
    """A source that fails with what it is given, until it is given nothing."""

    error: Exception | None = None

    def poll(self) -> Sequence[Batch]:
        if self.error is not None:
            raise self.error
        return super().poll()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def log(tmp_path: Path, clock: ManualClock) -> Iterator[Failing]:
    limits = LogLimits(retention_s=7200, max_bytes=10_000_000)
    log = Failing(PLUGIN.build(options=SqliteLogOptions(), state_dir=tmp_path, limits=limits, clock=clock))
    yield log
    log.close()


@pytest.fixture
def doorbell(tmp_path: Path) -> Iterator[LocalDoorbell]:
    doorbell = LocalDoorbell(tmp_path / "bells")
    yield doorbell
    doorbell.close()


def a_round(source: StaticSource, log: Failing, doorbell: LocalDoorbell, clock: ManualClock) -> PollRound:
    return PollRound(source=source, log=log, doorbell=doorbell, clock=clock, retry_pauses_s=(0.001,), backlog_polls=2)


def moments(log: Failing) -> list[float]:
    return [batch.timestamp_s for batch in logged(log) if batch.resources]


def logged(log: Failing) -> list[Batch]:
    entries, _ = log.read(log.start_of(all_shards(), since_s=0), limit=1000)
    return [entry.batch for entry in entries]


def batches(clock: ManualClock, *offsets_s: float, source: str = "static") -> list[Batch]:
    return [a_uniform_batch(source=source, timestamp_s=clock.time_s() + offset_s) for offset_s in offsets_s]


def counted(metric: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(metric, labels) or 0.0


def test_a_turn_appends_and_rings(log: Failing, doorbell: LocalDoorbell, clock: ManualClock) -> None:
    """What a poll says is in the log when the bell rings."""
    listener = doorbell.listen(Bell.SAMPLES)
    a_round(StaticSource(batches(clock, 1)), log, doorbell, clock).run()

    assert listener.wait(DEADLINE_S)
    assert moments(log) == [clock.time_s() + 1]
    listener.close()


def test_the_first_turn_takes_up_the_counters(log: Failing, doorbell: LocalDoorbell, clock: ManualClock) -> None:
    """A source is given its own batches of the last two minutes, oldest first, once."""
    log.append([*batches(clock, -5, -300, -10), *batches(clock, -7, source="other")])
    source = StaticSource(batches(clock, 1, 2))
    turns = a_round(source, log, doorbell, clock)
    turns.run()
    turns.run()

    assert [batch.timestamp_s - clock.time_s() for batch in source.resumed_with] == [-10, -5]


def test_a_failing_source_is_named_once(log: Failing, doorbell: LocalDoorbell, clock: ManualClock) -> None:
    """However a source fails the next poll comes; the same failure is logged once, its end too."""
    source = Moody(batches(clock, 1), name="moody")
    turns = a_round(source, log, doorbell, clock)
    failed = counted("alarmd_polls_total", source="moody", outcome="failed")
    with capture_logs() as logs:
        for error in (
            SourceUnavailable("gone", uri="x"),
            SourceUnavailable("gone", uri="x"),
            ZeroDivisionError(),
            None,
        ):
            source.error = error
            turns.run()

    said = [(entry["event"], entry.get("error")) for entry in logs if entry["event"].startswith("poll")]
    assert said == [
        ("poll_failed", "SourceUnavailable: gone"),
        ("poll_failed", "ZeroDivisionError: "),
        ("poll_recovered", None),
    ]
    assert counted("alarmd_polls_total", source="moody", outcome="failed") == failed + 3
    assert len(moments(log)) == 1


def test_samples_wait_for_the_log(log: Failing, doorbell: LocalDoorbell, clock: ManualClock) -> None:
    """While the log is away the newest polls are kept, up to the bound, and appended when it is back; others count."""
    turns = a_round(StaticSource(batches(clock, 1, 2, 3, 4, 5)), log, doorbell, clock)
    lost = counted("alarmd_samples_rejected_total", reason="log_unavailable")
    log.is_down = True
    for _ in range(4):
        turns.run()
    log.is_down = False
    turns.run()

    assert [moment - clock.time_s() for moment in moments(log)] == [3, 4, 5]
    assert counted("alarmd_samples_rejected_total", reason="log_unavailable") == lost + 2


def test_turns_never_overlap(log: Failing, doorbell: LocalDoorbell, clock: ManualClock) -> None:
    """A turn that comes while another is under way is skipped."""
    entered, leave = Event(), Event()

    class Slow(StaticSource):
        def poll(self) -> Sequence[Batch]:
            entered.set()
            leave.wait(DEADLINE_S)
            return super().poll()

    turns = a_round(Slow(batches(clock, 1, 2)), log, doorbell, clock)
    first = Thread(target=turns.run)
    first.start()
    entered.wait(DEADLINE_S)
    turns.run()
    leave.set()
    first.join(DEADLINE_S)

    assert len(moments(log)) == 1


class Twofold(StaticSource):
    """A source that reports its batches two by two."""

    def poll(self) -> Sequence[Batch]:
        return [*super().poll(), *super().poll()]


def test_a_poll_begins_a_trace(log: Failing, doorbell: LocalDoorbell, clock: ManualClock) -> None:
    """All batches of one poll are of one trace, and the next poll begins another."""
    rounds = a_round(Twofold(batches(clock, 1, 2, 3, 4)), log, doorbell, clock)
    rounds.run()
    rounds.run()
    entries, _ = log.read(log.start_of(all_shards(), since_s=0), limit=10)
    polled = [entry.batch for entry in entries if entry.batch.resources]
    traces = [trace_id_of(read_traceparent(batch.traceparent)) for batch in polled]

    assert len(traces) == 4
    assert traces[0] == traces[1] != traces[2] == traces[3]


def test_every_poll_ends_with_a_roll_call(log: Failing, doorbell: LocalDoorbell, clock: ManualClock) -> None:
    """A batch without resources says when the source was read and how many resources were missing."""
    moment_s = clock.time_s()
    whole, partial = batches(clock, 1, 2)
    empty = replace(
        whole, resources=(), metrics=(), values=np.zeros((0, 0)), expected=0, timestamp_s=partial.timestamp_s
    )
    rounds = a_round(
        StaticSource([whole, replace(partial, expected=partial.expected + 3), empty]), log, doorbell, clock
    )
    for _ in range(3):
        rounds.run()
        clock.advance(1)
    calls = [(batch.timestamp_s - moment_s, batch.expected) for batch in logged(log) if not batch.resources]

    assert [(0, 0), (1, 3), (2, 0)] == calls


def test_a_source_that_fails_calls_no_roll(log: Failing, doorbell: LocalDoorbell, clock: ManualClock) -> None:
    """Of a source that could not be read nobody knows who has left."""
    source = Moody(batches(clock, 1))
    source.error = SourceUnavailable("gone", source="static")
    a_round(source, log, doorbell, clock).run()

    assert logged(log) == []
