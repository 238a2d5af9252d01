# SPDX-License-Identifier: Apache-2.0
"""The seam of the sample log: the only way from a producer of samples to an evaluator.

The log is cut into shards. Within a shard samples have an order, and a reader that keeps a cursor sees each sample of
its shards once, in that order, however many writers there are. Old entries go when they pass the age or the size that
the operator set; a reader that was away for longer than that simply goes on with the oldest entry left.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NewType, Protocol

from alarmd.clock import Clock
from alarmd.model.samples import Batch
from alarmd.model.shard import Shard
from alarmd.plugins import Options

#: Where a reader stands in one shard. Opaque; each engine has its own form.
Position = NewType("Position", str)

#: Where a reader stands in each of the shards it follows.
Cursor = dict[Shard, Position]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One batch, or what of it lies in the shards that its reader follows."""

    #: The shard that it is of, or those that its reader was looking for in it when it is of many.
    shards: frozenset[Shard]
    #: Where it stands, for those who look for it.
    position: Position
    batch: Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLimits:
    """The bounds of the log. Whichever is reached first trims the oldest entries."""

    #: Entries whose samples are older than this go.
    retention_s: float
    #: Upper bound of what the log may hold, over all shards. The fullest shards give way first.
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStats:
    """How full the log is."""

    entries: int
    #: Size of the payloads.
    payload_bytes: int
    #: Time of the oldest sample left, seconds since the epoch; None when the log is empty.
    oldest_s: float | None


class SampleLog(Protocol):
    """An append-only, bounded log of batches. Safe to use from several threads and processes."""

    def append(self, batches: Iterable[Batch]) -> int:
        """Append batches, to be read by those who follow their shards; return how many samples they hold.

        When it returns, the samples survive the death of any alarmd process. All or nothing.
        Raises `LogUnavailable`.
        """

    def read(self, cursor: Mapping[Shard, Position], *, limit: int) -> tuple[Sequence[Entry], Cursor]:
        """Return up to `limit` entries after the cursor, in order within each shard, and the cursor behind them.

        Of a batch with resources of many shards an entry holds those of the shards that the cursor follows.

        Never blocks for new entries; as long as there are more, it returns as many as it may. An entry that cannot be
        decoded is skipped, logged and counted.
        Raises `LogUnavailable`.
        """

    def start_of(self, shards: Iterable[Shard], *, since_s: float) -> Cursor:
        """Return a cursor from which every entry with samples at or after `since_s` (epoch) is still to come.

        Entries older than that may come too. Raises `LogUnavailable`.
        """

    def trim(self, *, now_s: float) -> int:
        """Drop what is past the limits; return how many entries went. Raises `LogUnavailable`."""

    def stats(self) -> LogStats:
        """Return how full the log is. Raises `LogUnavailable`."""

    def close(self) -> None:
        """Let go of files and connections."""


class LogFactory(Protocol):
    """Builds a log engine from its checked options."""

    def __call__(self, *, options: Any, state_dir: Path, limits: LogLimits, clock: Clock) -> SampleLog:
        """Return a log, ready for use; raises `LogUnavailable` when it cannot be opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPlugin:
    """What an entry point in ``alarmd.logs`` points at."""

    options: type[Options]
    build: LogFactory
