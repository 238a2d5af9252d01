# SPDX-License-Identifier: Apache-2.0
"""The roll: which machines the sources still report, so that one that was taken away is told from one that is silent.

A machine is a resource, or what a resource is part of (its label ``instance_id``). After each poll a source's poller
calls the roll: a batch without resources, which says that the source was read and how much of it could not be. Pushers
call none, so of what they push nobody knows whether it is missing or gone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from alarmd.model.samples import Batch, Resource

#: Numbers of machines, of sources, or of series.
Numbers: TypeAlias = NDArray[np.int32]

_NEVER_MS = -1
#: Series of which nothing has been noted, and what nobody has reported.
_NOBODY = -1
#: A source is silent once it has missed so many of its polls.
_MISSED_POLLS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendance:
    """How many of those that should report do."""

    #: Machines that were heard of lately and have not left, of sources that call the roll.
    machines: int = 0
    #: Of these, those that have not reported for some polls.
    missing_machines: int = 0
    sources: int = 0
    silent_sources: int = 0


class Roll:
    """Who was reported when, and by whom. Not safe for use by several threads."""

    def __init__(self) -> None:
        #: By project and id.
        self._machines: dict[tuple[str, str], int] = {}
        self._free: list[int] = []
        self._newest_ms: NDArray[np.int64] = np.zeros(0, np.int64)
        self._source_of: Numbers = np.zeros(0, np.int32)
        self._machine_of: Numbers = np.zeros(0, np.int32)
        self._sources: dict[str, int] = {}
        self._free_sources: list[int] = []
        #: By source: when it was last heard of, how far apart its polls are, and its last two complete polls.
        self._heard_ms: NDArray[np.int64] = np.zeros(0, np.int64)
        self._interval_ms: NDArray[np.int64] = np.zeros(0, np.int64)
        self._complete_ms: NDArray[np.int64] = np.zeros((2, 0), np.int64)

    def machines_of(self, resources: Sequence[Resource]) -> Numbers:
        """Return the numbers of the machines that resources are, or are part of; each once."""
        keys = dict.fromkeys((one.project_id, _machine_id(one)) for one in resources)
        return np.array([self._machine(key) for key in keys], np.int32)

    def place(self, series: int, resource: Resource) -> None:
        """Note which machine a series is of."""
        if series >= len(self._machine_of):
            self._machine_of = _grown(self._machine_of, series + 1, _NOBODY)
        self._machine_of[series] = self._machine((resource.project_id, _machine_id(resource)))

    def saw(self, machines: Numbers, source: str, time_ms: int) -> None:
        """Note that a source has reported machines."""
        newer = machines[self._newest_ms[machines] <= time_ms]
        self._newest_ms[newer] = time_ms
        self._source_of[newer] = self._source(source)

    def call(self, batch: Batch) -> None:
        """Note what a batch without resources says: when its source was read, and whether all of it was."""
        source, time_ms = self._source(batch.source), round(batch.timestamp_s * 1000)
        heard_ms, interval_ms = int(self._heard_ms[source]), int(self._interval_ms[source])
        if time_ms <= heard_ms:
            return
        if heard_ms != _NEVER_MS:
            gap_ms = time_ms - heard_ms
            # A pause does not make the source one that is polled rarely.
            self._interval_ms[source] = min(max(gap_ms, interval_ms // 2), interval_ms * 2) if interval_ms else gap_ms
        self._heard_ms[source] = time_ms
        if not batch.expected:
            self._complete_ms[:, source] = self._complete_ms[1, source], time_ms

    def have_left(self, series: Numbers) -> NDArray[np.bool_]:
        """Return of which series the machines are gone: their sources were since read twice, completely, without them.

        Twice, since what a source says of one poll may come a little before or after the samples of that poll.
        """
        if not len(self._newest_ms):
            return np.zeros(len(series), np.bool_)
        return self._are_gone(self._machines_at(series))

    def sources_of(self, series: Numbers) -> Numbers:
        """Return the numbers of the sources that have reported the machines of series last; -1 where there is none."""
        machines = self._machines_at(series)
        found: Numbers = np.where(machines == _NOBODY, np.int32(_NOBODY), self._source_of[machines])
        return found

    @property
    def source_count(self) -> int:
        """How many sources there are."""
        return len(self._sources)

    def attendance(self, *, now_ms: int, memory_ms: int, lateness_ms: int) -> Attendance:
        """Return how many of those heard of in the last `memory_ms` still report."""
        calls = (self._interval_ms > 0) & (self._heard_ms >= now_ms - memory_ms)
        since_ms = now_ms - _MISSED_POLLS * self._interval_ms - lateness_ms
        is_silent = calls & (self._heard_ms < since_ms)
        machines = np.flatnonzero((self._source_of != _NOBODY) & (self._newest_ms >= now_ms - memory_ms))
        newest_ms, source = self._newest_ms[machines], self._source_of[machines]
        counts = calls[source] & ~self._are_gone(machines)
        return Attendance(
            machines=int(np.count_nonzero(counts)),
            missing_machines=int(np.count_nonzero(counts & (newest_ms < since_ms[source]))),
            sources=int(np.count_nonzero(calls)),
            silent_sources=int(np.count_nonzero(is_silent)),
        )

    def hosts_with(self, groups: Sequence[Collection[int]], *, share: float) -> tuple[int, int]:
        """Return of how many sources groups of series hold a share of the machines, and how many sources there are.

        Groups that are spread over several sources do not count, nor do sources that call no roll.
        """
        series = np.fromiter(chain.from_iterable(groups), np.int32)
        if not len(series):
            return 0, 0
        sizes = np.array([len(group) for group in groups])
        starts = np.cumsum(sizes) - sizes
        source = self.sources_of(series)
        is_alone = np.minimum.reduceat(source, starts) == np.maximum.reduceat(source, starts)
        machines = np.unique(self._machines_at(series)[np.repeat(is_alone, sizes) & (source != _NOBODY)])
        known = self._source_of[self._source_of != _NOBODY]
        of_source = np.bincount(known, minlength=len(self._heard_ms))
        found = np.bincount(self._source_of[machines], minlength=len(self._heard_ms))
        calls = (self._heard_ms != _NEVER_MS) & (of_source > 0)
        return int(np.count_nonzero(calls & (found > 0) & (found >= share * of_source))), int(np.count_nonzero(calls))

    def expire(self, *, oldest_ms: int) -> bool:
        """Forget who has not been heard of since a moment; return whether numbers of machines are free again."""
        is_old = (self._source_of != _NOBODY) & (self._newest_ms < oldest_ms)
        is_any = bool(is_old.any())
        if is_any:
            for key in [key for key, number in self._machines.items() if is_old[number]]:
                self._free.append(self._machines.pop(key))
            # Nobody's number is the last, of which it does not matter what stands there.
            placed = self._machine_of != _NOBODY
            self._machine_of[placed & is_old[self._machine_of]] = _NOBODY
            self._source_of[is_old] = _NOBODY
        held = set(np.unique(self._source_of).tolist())
        for name, number in list(self._sources.items()):
            if number not in held and self._heard_ms[number] < oldest_ms:
                self._free_sources.append(self._sources.pop(name))
        return is_any

    def _machines_at(self, series: Numbers) -> Numbers:
        if len(series) and int(series.max()) >= len(self._machine_of):
            self._machine_of = _grown(self._machine_of, int(series.max()) + 1, _NOBODY)
        return self._machine_of[series]

    def _are_gone(self, machines: NDArray[np.integer]) -> NDArray[np.bool_]:
        source = self._source_of[machines]
        if not self._complete_ms.shape[1]:
            return np.zeros(len(machines), np.bool_)
        is_told = (machines != _NOBODY) & (source != _NOBODY)
        gone: NDArray[np.bool_] = is_told & (self._newest_ms[machines] < self._complete_ms[0, source])
        return gone

    def _machine(self, key: tuple[str, str]) -> int:
        number = self._machines.get(key)
        if number is None:
            number = self._free.pop() if self._free else len(self._machines)
            self._machines[key] = number
            if number >= len(self._newest_ms):
                self._newest_ms = _grown(self._newest_ms, number + 1, _NEVER_MS)
                self._source_of = _grown(self._source_of, number + 1, _NOBODY)
            self._newest_ms[number], self._source_of[number] = _NEVER_MS, _NOBODY
        return number

    def _source(self, name: str) -> int:
        number = self._sources.get(name)
        if number is None:
            number = self._free_sources.pop() if self._free_sources else len(self._sources)
            self._sources[name] = number
            if number >= len(self._heard_ms):
                self._heard_ms = _grown(self._heard_ms, number + 1, _NEVER_MS)
                self._interval_ms = _grown(self._interval_ms, number + 1, 0)
                size = len(self._heard_ms)
                before, last = self._complete_ms
                self._complete_ms = np.stack([_grown(before, size, _NEVER_MS), _grown(last, size, _NEVER_MS)])
            self._heard_ms[number], self._interval_ms[number] = _NEVER_MS, 0
            self._complete_ms[:, number] = _NEVER_MS
        return number


def _machine_id(resource: Resource) -> str:
    return next((value for name, value in resource.labels if name == "instance_id"), resource.id)


def _grown(array: NDArray, size: int, nothing: int) -> NDArray:  # type: ignore[type-arg]  # keeps its type
    """Return an array with room for so many at least, and some more."""
    room = max(size, len(array) * 9 // 8 + 16) if size > len(array) else len(array)
    return np.append(array, np.full(room - len(array), nothing, array.dtype))
