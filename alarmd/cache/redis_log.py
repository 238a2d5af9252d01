# SPDX-License-Identifier: Apache-2.0
"""The engine of the sample log past one machine: Redis Streams (Redis 6.2 or later, or Valkey), one a partition.

A position is two ids, one in the shard's stream and one in that of mixed entries; an id begins with the moment of the
append on the server's clock. All parts of an append go in one MULTI, so the streams must live on one server (with or
without replicas), not on a cluster. What Redis has taken survives any alarmd process; how it survives Redis itself is
Redis' own setting (`appendonly`).

How it is bounded: `trim` drops by the moment of the append, which no sample is later than by more than the clocks
differ, and then measures the streams in Redis' memory and shortens the fullest ones. A writer measures by itself
whenever it has appended a sixteenth of `LogLimits.max_bytes`; so with W writers and nobody who trims, the streams
hold at most (1 + W/16) times that.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import redis
import structlog
from pydantic import Field
from redis.backoff import NoBackoff
from redis.retry import Retry

from alarmd.cache.codec import Decoder, Undecodable, encode, timestamp_ms_of
from alarmd.cache.log import Cursor, Entry, LogLimits, LogPlugin, LogStats, Position
from alarmd.cache.mixed import PARTITIONS, Excerpts, Partition, parts_of, shares
from alarmd.cache.redis_streams import BATCH, Row, Streams, fields_of, start_at
from alarmd.cache.share import TRIM_TO
from alarmd.clock import Clock
from alarmd.errors import LogUnavailable, SettingsError
from alarmd.model.samples import Batch
from alarmd.model.shard import Shard
from alarmd.plugins import Options
from alarmd.telemetry import ENTRIES_UNREADABLE, LOG_TRIMMED

_log: Final = structlog.get_logger()

#: A writer measures the log when it has appended this part of the limit.
_MEASURE_EVERY: Final = 1 / 16
#: How often `trim` shortens the streams before it leaves the rest to its next turn. Entries of different sizes make
#: more than one round necessary; each round shortens every stream that is too large.
_MAX_ROUNDS: Final = 20


class RedisLogOptions(Options):
    """What the Redis log can be told."""

    #: Where Redis is: ``redis://``, ``rediss://`` (TLS) or ``unix://``.
    url: str = "redis://127.0.0.1:6379/0"
    #: What the streams' names begin with; a deployment of its own needs one of its own.
    prefix: str = "alarmd:samples:"
    #: How long to wait for a connection, and for each answer.
    connect_timeout_s: float = Field(default=2.0, gt=0)
    timeout_s: float = Field(default=10.0, gt=0)
    #: By how much the clocks of those who take samples may run ahead of Redis' clock.
    clock_skew_s: float = Field(default=300.0, ge=0)
    #: How many decoded resources a reader remembers, about 300 bytes each. More than it follows is of no use.
    remembered_resources: int = Field(default=200_000, gt=0)


class RedisLog:
    """A sample log in Redis Streams, for any number of hosts."""

    def __init__(self, *, limits: LogLimits, options: RedisLogOptions) -> None:
        self._limits = limits
        self._options = options
        self._decoder = Decoder(max_resources=options.remembered_resources)
        self._excerpts = Excerpts(max_resources=options.remembered_resources)
        self._unmeasured_bytes = 0
        try:
            self._place = _place_of(options.url)
            self._redis = redis.Redis.from_url(
                options.url,
                socket_connect_timeout=options.connect_timeout_s,
                socket_timeout=options.timeout_s,
                # An append that was tried again after a time-out might stand in the log twice.
                retry=Retry(NoBackoff(), 0),
                decode_responses=False,
            )
            self._streams = Streams(self._redis, self._key)
        except ValueError:
            # Neither the URL nor the error is shown: both may hold a password, and parts of it.
            raise SettingsError(
                "The url of the Redis log cannot be read. It has the form redis://[:PASSWORD@]HOST[:PORT]/NUMBER, "
                "rediss://… for TLS, or unix:///PATH; special characters of a password are percent-encoded."
            ) from None
        with self._answering():
            self._redis.ping()

    def append(self, batches: Iterable[Batch]) -> int:
        count = 0
        size = 0
        with self._answering():
            pipeline = self._redis.pipeline(transaction=True)
            for batch in batches:
                count += batch.point_count
                for part in parts_of(batch):
                    payload = encode(part.batch)
                    size += len(payload)
                    pipeline.xadd(self._key(part.partition), fields_of(payload, part.shards))  # type: ignore[arg-type]
            if size > self._limits.max_bytes * TRIM_TO:
                raise LogUnavailable(
                    f"{size} bytes of samples at once do not fit into a log of {self._limits.max_bytes} bytes. "
                    "Raise max_bytes of the log, or send fewer samples at once.",
                    bytes=size,
                )
            if size:
                pipeline.execute()
        self._measure_after(size)
        return count

    def read(self, cursor: Mapping[Shard, Position], *, limit: int) -> tuple[Sequence[Entry], Cursor]:
        if not cursor:
            return [], {}
        with self._answering():
            rows, behind = self._streams.read(cursor, limit=limit)
        return list(self._entries_of(rows)), behind

    def start_of(self, shards: Iterable[Shard], *, since_s: float) -> Cursor:
        # Samples are appended after they were true, so an entry from before that moment is older than it, unless the
        # clock that stamped them runs ahead.
        start_ms = max(0, int((since_s - self._options.clock_skew_s) * 1000) - 1)
        return dict.fromkeys(shards, start_at(start_ms))

    def trim(self, *, now_s: float) -> int:
        before_ms = max(0, int((now_s - self._limits.retention_s) * 1000))
        with self._answering():
            pipeline = self._redis.pipeline(transaction=False)
            for partition in PARTITIONS:
                pipeline.xtrim(self._key(partition), minid=f"{before_ms}-0", approximate=False)
            dropped = int(sum(pipeline.execute()))
        return dropped + self._make_room()

    def stats(self) -> LogStats:
        with self._answering():
            lengths, sizes = self._measure()
            pipeline = self._redis.pipeline(transaction=False)
            for partition in lengths:
                pipeline.xrange(self._key(partition), count=1)
            heads = [head for reply in pipeline.execute() for head in reply]
        moments_ms = []
        for _, fields in heads:
            try:
                moments_ms.append(timestamp_ms_of(fields.get(BATCH, b"")))
            except Undecodable:
                continue  # it has been logged by its readers
        oldest_s = min(moments_ms) / 1000 if moments_ms else None
        return LogStats(entries=sum(lengths.values()), payload_bytes=sum(sizes.values()), oldest_s=oldest_s)

    def close(self) -> None:
        self._redis.close()

    def _key(self, partition: Partition) -> str:
        return f"{self._options.prefix}{partition}"

    def _entries_of(self, rows: Iterable[Row]) -> Iterator[Entry]:
        for row in rows:
            try:
                batch = self._decoder.decode(row.fields.get(BATCH, b""))
            except Undecodable as error:
                _log.warning("entry_skipped", partition=row.partition, position=row.place, reason=str(error))
                ENTRIES_UNREADABLE.inc()
                continue
            entry = self._excerpts.entry(row.partition, row.place, batch, row.wanted)
            if entry is not None:
                yield entry

    def _measure_after(self, appended_bytes: int) -> None:
        self._unmeasured_bytes += appended_bytes
        if self._unmeasured_bytes < self._limits.max_bytes * _MEASURE_EVERY:
            return
        self._unmeasured_bytes = 0
        try:
            LOG_TRIMMED.inc(self._make_room())
        except LogUnavailable as error:
            # The samples are in, and whoever trims next makes room.
            _log.warning("log_not_measured", reason=error.message)

    def _make_room(self) -> int:
        """Drop the oldest entries of the fullest partitions while the log is past its size; return how many."""
        dropped = 0
        with self._answering():
            for _ in range(_MAX_ROUNDS):
                lengths, sizes = self._measure()
                if sum(sizes.values()) <= self._limits.max_bytes:
                    break
                pipeline = self._redis.pipeline(transaction=False)
                for partition, share in shares(sizes, budget=int(self._limits.max_bytes * TRIM_TO)).items():
                    if sizes[partition] > share:
                        keep = lengths[partition] * share // sizes[partition]
                        pipeline.xtrim(self._key(partition), maxlen=keep, approximate=False)
                dropped += sum(pipeline.execute())
        if dropped:
            _log.warning("log_full", max_bytes=self._limits.max_bytes, dropped=dropped)
        return dropped

    def _measure(self) -> tuple[dict[Partition, int], dict[Partition, int]]:
        """Return how many entries each stream holds, and how many bytes of Redis' memory they take."""
        pipeline = self._redis.pipeline(transaction=False)
        for partition in PARTITIONS:
            pipeline.xlen(self._key(partition))
            # Zero samples means all of them. Anything less would take the oldest entries for all others.
            pipeline.memory_usage(self._key(partition), samples=0)
        replies = pipeline.execute()
        lengths = dict(zip(PARTITIONS, replies[::2], strict=True))
        sizes = {partition: size or 0 for partition, size in zip(PARTITIONS, replies[1::2], strict=True)}
        return lengths, sizes

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise LogUnavailable(
                f"The sample log in Redis at {self._place} does not answer: {error} "
                "See that Redis runs there and that the url of the log is right.",
                place=self._place,
            ) from error


def _place_of(url: str) -> str:
    """Return where a URL points, without the secrets in it."""
    parts = urlsplit(url)
    return parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}{parts.path}"


def _build(*, options: Any, state_dir: Path, limits: LogLimits, clock: Clock) -> RedisLog:
    del state_dir, clock  # Redis has its own disk and its own clock
    return RedisLog(limits=limits, options=options)


PLUGIN: Final = LogPlugin(options=RedisLogOptions, build=_build)
