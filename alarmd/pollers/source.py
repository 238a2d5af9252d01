# SPDX-License-Identifier: Apache-2.0
"""The seam of the pollers: a source reads something and returns batches."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from alarmd.clock import Clock
from alarmd.model.samples import Batch
from alarmd.plugins import Options


class Source(Protocol):
    """Something that can be asked for samples.

    A source is built and used in one process, and polled by one thread at a time.
    """

    @property
    def name(self) -> str:
        """Unique name, e.g. ``libvirt:hv1``; the `source` of its batches."""

    def resume(self, batches: Iterable[Batch]) -> None:
        """Take up counters where the last process left them, from this source's own recent batches, oldest first.

        Called once, before the first poll, so that a restart costs no rate.
        """

    def poll(self) -> Sequence[Batch]:
        """Read everything once and return it, each batch stamped with the moment it was really read.

        Raises `SourceUnavailable` when nothing could be read; what could be read in part is returned, with
        `Batch.expected` telling how much should have been there. Must return within its own deadline.
        """

    def close(self) -> None:
        """Let go of connections and threads; a poll in progress may still end."""


class SourceFactory(Protocol):
    """Builds a source from its checked options."""

    def __call__(self, *, name: str, options: Any, clock: Clock) -> Source:
        """Return a source; opens nothing until the first poll."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlugin:
    """What an entry point in ``alarmd.pollers`` points at."""

    options: type[Options]
    build: SourceFactory


class StaticSource:
    """A source that reports the batches it was given, one a poll; for tests and replays."""

    def __init__(self, batches: Iterable[Batch], *, name: str = "static") -> None:
        self._batches = iter(batches)
        self._name = name
        self.resumed_with: list[Batch] = []

    @property
    def name(self) -> str:
        return self._name

    def resume(self, batches: Iterable[Batch]) -> None:
        self.resumed_with.extend(batches)

    def poll(self) -> Sequence[Batch]:
        batch = next(self._batches, None)
        return [] if batch is None else [batch]

    def close(self) -> None:
        self._batches = iter(())
