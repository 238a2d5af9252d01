# SPDX-License-Identifier: Apache-2.0
"""The round: polls one source, appends what it says to the sample log, and rings."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from threading import Event, Lock

import structlog

from alarmd.cache.log import SampleLog
from alarmd.clock import Clock
from alarmd.cluster.doorbell import Bell, Doorbell
from alarmd.errors import AlarmdError, LogUnavailable
from alarmd.model.samples import Batch, roll_call
from alarmd.model.shard import all_shards
from alarmd.model.trace import new_traceparent
from alarmd.pollers.source import Source
from alarmd.telemetry import POLL_SECONDS, POLLS, SAMPLES_APPENDED, SAMPLES_REJECTED

_logger = structlog.get_logger()

#: How far back a source may take up its counters.
_RESUME_S = 120.0
_ENTRIES_AT_ONCE = 1000


class PollRound:
    """Polls one source, turn by turn; a turn that comes while another is under way is skipped.

    Threads and connections are the source's, and are made by the first turn.
    """

    def __init__(
        self,
        *,
        source: Source,
        log: SampleLog,
        doorbell: Doorbell,
        clock: Clock,
        retry_pauses_s: Sequence[float] = (0.1, 0.4, 1.0),
        backlog_polls: int = 30,
    ) -> None:
        """Take everything that is needed.

        Args:
            source: What is polled; closed with the round.
            log: Where samples go.
            doorbell: Rung when samples have gone there.
            clock: Tells the time.
            retry_pauses_s: How long to wait before each further try of a turn when the log does not answer.
            backlog_polls: How many polls are kept for the next turn while the log does not answer; the oldest are lost
                beyond that.
        """
        self._source = source
        self._log = log
        self._doorbell = doorbell
        self._clock = clock
        self._retry_pauses_s = tuple(retry_pauses_s)
        self._backlog_polls = backlog_polls
        self._backlog: deque[Sequence[Batch]] = deque()
        self._has_resumed = False
        self._under_way = Lock()
        self._closing = Event()
        self._complaints: dict[str, str] = {}

    @property
    def source(self) -> str:
        """Name of the source."""
        return self._source.name

    def run(self) -> None:
        """Take one turn. Never raises: what goes wrong is logged when it is new, and counted."""
        if not self._under_way.acquire(blocking=False):
            _logger.warning("poll_skipped", source=self.source, reason="the last one is still under way")
            return
        try:
            self._turn()
        finally:
            self._under_way.release()

    def close(self) -> None:
        """Let go of the source; a turn under way stops retrying."""
        self._closing.set()
        self._source.close()

    def _turn(self) -> None:
        started_s, polled_at_s = self._clock.monotonic_s(), self._clock.time_s()
        try:
            if not self._has_resumed:
                self._has_resumed = True
                self._resume()
            trace = new_traceparent()
            batches = [replace(batch, traceparent=trace) for batch in self._source.poll()]
        except Exception as error:  # noqa: BLE001  # the poll loop: a source may fail in any way, the next poll comes
            POLLS.labels(self.source, "failed").inc()
            self._complain("poll_failed", error)
            batches = []
        else:
            call = roll_call(self.source, batches, started_s=polled_at_s)
            POLLS.labels(self.source, "partial" if call.expected else "ok").inc()
            batches = [*(batch for batch in batches if batch.resources), call]
            self._settle("poll_failed", "poll_recovered")
        POLL_SECONDS.labels(self.source).observe(self._clock.monotonic_s() - started_s)
        if batches:
            self._backlog.append(batches)
        if self._backlog:
            self._append()

    def _append(self) -> None:
        """Append what waits, oldest first; each poll goes whole or not at all, so nothing of it goes twice."""
        for pause_s in (0.0, *self._retry_pauses_s):
            if pause_s:
                self._closing.wait(pause_s)
            try:
                while self._backlog:
                    SAMPLES_APPENDED.inc(self._log.append(self._backlog[0]))
                    self._backlog.popleft()
                    self._doorbell.ring(Bell.SAMPLES)
            except LogUnavailable as error:
                self._complain("samples_held_back", error)
            else:
                self._settle("samples_held_back", "samples_caught_up")
                return
        while len(self._backlog) > self._backlog_polls:
            lost = sum(batch.point_count for batch in self._backlog.popleft())
            SAMPLES_REJECTED.labels("log_unavailable").inc(lost)
            _logger.error("samples_lost", source=self.source, samples=lost, held_back_polls=self._backlog_polls)

    def _resume(self) -> None:
        """Give the source its own recent batches, so that its first poll already makes rates."""
        try:
            batches = sorted(self._recent_batches(), key=lambda batch: batch.timestamp_s)
        except LogUnavailable as error:
            self._complain("resume_skipped", error)
            return
        self._source.resume(batches)
        _logger.info("source_resumed", source=self.source, batches=len(batches))

    def _recent_batches(self) -> Iterator[Batch]:
        since_s = self._clock.time_s() - _RESUME_S
        cursor = self._log.start_of(all_shards(), since_s=since_s)
        while True:
            entries, cursor = self._log.read(cursor, limit=_ENTRIES_AT_ONCE)
            if not entries:
                return
            for entry in entries:
                is_own = entry.batch.source == self.source and entry.batch.timestamp_s >= since_s
                if is_own and entry.batch.resources:
                    yield entry.batch

    def _complain(self, event: str, error: Exception) -> None:
        """Log an error unless it is what was said last; one that lasts for days must not fill the disk."""
        text = f"{type(error).__name__}: {error}"
        if self._complaints.get(event) == text:
            return
        self._complaints[event] = text
        if isinstance(error, AlarmdError):
            facts = {key: value for key, value in error.facts.items() if key != "source"}
            _logger.warning(event, source=self.source, error=text, **facts)
        else:
            _logger.error(event, source=self.source, error=text, exc_info=error)

    def _settle(self, event: str, recovered: str) -> None:
        if self._complaints.pop(event, None) is not None:
            _logger.info(recovered, source=self.source)
