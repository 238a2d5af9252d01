# SPDX-License-Identifier: Apache-2.0
"""Rings: the samples of many series as columns in memory, twelve bytes a sample.

Every series has one row in one bank. A bank holds the rings of all series that need about the same number of samples,
so a series polled each second and one polled each five minutes both keep their window without paying for each other.
A ring that is full of samples which are still inside the window moves to the next larger bank; one that is full of
older samples overwrites its oldest. Times are milliseconds after a common base, in four bytes; values are float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32]

#: Sizes of rings, in samples: each a half or a third larger than the one before.
_SIZES = [size << power for power in range(11) for size in (16, 24)][:-1]
SMALLEST_RING = _SIZES[0]
#: Bounds what one series may hold.
LARGEST_RING = _SIZES[-1]
#: Times start this long before the first sample seen, so that samples a little older than it still fit.
_BASE_MARGIN_MS = 86_400_000
_TIME_LIMIT_MS = 2**32 - 1
#: Stands for "no sample yet" in `Rings.newest_ms`.
NEVER_MS = -1


@dataclass(slots=True, eq=False)
class _Bank:
    """The rings of one capacity: row r's oldest sample is at `(head - count) % capacity`, its newest at `head - 1`."""

    times: NDArray[np.uint32]
    values: NDArray[np.float64]
    head: NDArray[np.int32]
    count: NDArray[np.int32]
    free: list[int]

    @classmethod
    def empty(cls, capacity: int) -> "_Bank":
        return cls(
            times=np.zeros((0, capacity), np.uint32),
            values=np.zeros((0, capacity), np.float64),
            head=np.zeros(0, np.int32),
            count=np.zeros(0, np.int32),
            free=[],
        )

    @property
    def capacity(self) -> int:
        return int(self.times.shape[1])

    def take(self, wanted: int) -> Rows:
        """Return that many unused rows, growing by an eighth (at least 64 rows) when there are too few."""
        rows = len(self.head)
        if len(self.free) < wanted:
            grown = rows + max(wanted - len(self.free), rows // 8, 64)
            self.times = _grown(self.times, grown)
            self.values = _grown(self.values, grown)
            self.head = _grown(self.head, grown)
            self.count = _grown(self.count, grown)
            self.free.extend(range(grown - 1, rows - 1, -1))
        taken = np.array(self.free[-wanted:][::-1], np.int32) if wanted else np.zeros(0, np.int32)
        del self.free[len(self.free) - wanted :]
        self.head[taken] = 0
        self.count[taken] = 0
        return taken

    @property
    def nbytes(self) -> int:
        return self.times.nbytes + self.values.nbytes + self.head.nbytes + self.count.nbytes


def _grown(array: NDArray[np.generic], rows: int) -> NDArray:  # type: ignore[type-arg]  # any of the four columns
    grown = np.zeros((rows, *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown


class Rings:
    """The samples of series 0, 1, 2, … Not safe for use by several threads."""

    def __init__(self, *, length_s: float) -> None:
        self._length_ms = round(length_s * 1000)
        self._base_ms: int | None = None
        self._banks: list[_Bank] = []
        self._bank_of = np.zeros(0, np.int8)
        self._row_of = np.zeros(0, np.int32)
        #: Time of each series' newest sample, milliseconds since the epoch; `NEVER_MS` when it has none.
        self.newest_ms: NDArray[np.int64] = np.zeros(0, np.int64)

    def admit(self, series: Sequence[int]) -> None:
        """Give rings to new series; their numbers are those last removed or the next unused ones."""
        numbers = np.array(series, np.int32)
        if not len(numbers):
            return
        needed = int(numbers.max()) + 1
        if needed > len(self.newest_ms):
            size = max(needed, len(self.newest_ms) * 9 // 8)
            self._bank_of = _grown(self._bank_of, size)
            self._row_of = _grown(self._row_of, size)
            self.newest_ms = _grown(self.newest_ms, size)
        self._bank_of[numbers] = 0
        self._row_of[numbers] = self._bank(0).take(len(numbers))
        self.newest_ms[numbers] = NEVER_MS

    def remove(self, series: Sequence[int]) -> None:
        """Take the rings of series away."""
        for number in series:
            self._banks[self._bank_of[number]].free.append(int(self._row_of[number]))
            self.newest_ms[number] = NEVER_MS

    def append(self, series: Rows, time_ms: int, values: NDArray[np.float64]) -> None:
        """Add one sample of the same moment to each of these series, each named once; newer than all they hold."""
        offset = self._offset(time_ms)
        self.newest_ms[series] = time_ms
        banks = self._bank_of[series]
        if len(series) and (banks[0] == banks).all():
            self._append_to(int(banks[0]), series, offset, values)
            return
        for number in np.unique(banks):
            chosen = banks == number
            self._append_to(int(number), series[chosen], offset, values[chosen])

    def insert(self, series: int, time_ms: int, value: float) -> None:
        """Put one late sample in its place; one of the same moment is replaced. Dropped if older than a full ring."""
        offset = self._offset(time_ms)
        number = int(self._bank_of[series])
        bank, row = self._banks[number], self._row_of[series]
        head, count = int(bank.head[row]), int(bank.count[row])
        order = np.arange(head - count, head) % bank.capacity
        times, values = bank.times[row, order], bank.values[row, order]
        place = int(np.searchsorted(times, offset))
        if place < count and times[place] == offset:
            bank.values[row, order[place]] = value
            return
        if count == bank.capacity:
            if bank.capacity < LARGEST_RING and int(times[-1]) - int(times[0]) < self._length_ms:
                self._promote(number, np.array([series], np.int32))
                self.insert(series, time_ms, value)
                return
            if place == 0:
                return
            times, values, place = times[1:], values[1:], place - 1
        times, values = np.insert(times, place, offset), np.insert(values, place, value)
        held = len(times)
        bank.times[row, :held], bank.values[row, :held] = times, values
        bank.head[row], bank.count[row] = held % bank.capacity, held

    def points(self, series: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return everything a series holds, oldest first: times in milliseconds since the epoch, and values."""
        bank = self._banks[self._bank_of[series]]
        row = self._row_of[series]
        order = np.arange(bank.head[row] - bank.count[row], bank.head[row]) % bank.capacity
        return bank.times[row, order].astype(np.int64) + (self._base_ms or 0), bank.values[row, order]

    def by_bank(self, series: Rows) -> list[tuple[int, NDArray[np.intp]]]:
        """Return, for each bank that holds some of these series, its number and which of them it holds."""
        banks = self._bank_of[series]
        if len(series) and (banks[0] == banks).all():
            return [(int(banks[0]), np.arange(len(series)))]
        return [(int(number), np.flatnonzero(banks == number)) for number in np.unique(banks)]

    def tail(self, bank_number: int, series: Rows, length: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the last samples of series that all lie in one bank, newest first, as arrays of (series, length).

        `length` is cut to the bank's capacity. Where a series holds fewer samples its last columns are padding:
        their time is 0, before any window.
        """
        bank = self._banks[bank_number]
        capacity = bank.capacity
        length = min(length, capacity)
        rows = self._row_of[series]
        steps = np.arange(1, length + 1, dtype=np.int32)
        columns = bank.head[rows, None] - steps
        columns += (columns < 0) * np.int32(capacity)
        flat = rows[:, None] * np.intp(capacity) + columns
        times = bank.times.ravel().take(flat).astype(np.int64)
        times += self._base_ms or 0
        count = bank.count[rows]
        if len(count) and count.min() < length:
            times[steps > count[:, None]] = 0
        return times, bank.values.ravel().take(flat)

    def capacity_of(self, bank_number: int) -> int:
        """Return how many samples each series of a bank can hold."""
        return self._banks[bank_number].capacity

    @property
    def nbytes(self) -> int:
        """Memory held by the columns, in bytes."""
        fixed = self._bank_of.nbytes + self._row_of.nbytes + self.newest_ms.nbytes
        return fixed + sum(bank.nbytes for bank in self._banks)

    def _bank(self, number: int) -> _Bank:
        while len(self._banks) <= number:
            self._banks.append(_Bank.empty(_SIZES[len(self._banks)]))
        return self._banks[number]

    def _append_to(self, number: int, series: Rows, offset: int, values: NDArray[np.float64]) -> None:
        bank = self._banks[number]
        rows = self._row_of[series]
        head = bank.head[rows]
        if bank.capacity < LARGEST_RING:
            full = bank.count[rows] == bank.capacity
            if full.any():
                crowded = full & (offset - bank.times[rows, head].astype(np.int64) < self._length_ms)
                if crowded.any():
                    self._promote(number, series[crowded])
                    self._append_to(number + 1, series[crowded], offset, values[crowded])
                    series, values = series[~crowded], values[~crowded]
                    rows, head = rows[~crowded], head[~crowded]
        bank.times[rows, head] = offset
        bank.values[rows, head] = values
        bank.head[rows] = (head + 1) % bank.capacity
        bank.count[rows] = np.minimum(bank.count[rows] + 1, bank.capacity)

    def _promote(self, number: int, series: Rows) -> None:
        """Move full rings to the next bank, unrolled."""
        old, new = self._banks[number], self._bank(number + 1)
        rows, capacity = self._row_of[series], old.capacity
        order = (old.head[rows, None] + np.arange(capacity)) % capacity
        places = new.take(len(series))
        new.times[places, :capacity] = old.times[rows[:, None], order]
        new.values[places, :capacity] = old.values[rows[:, None], order]
        new.head[places] = capacity
        new.count[places] = capacity
        old.free.extend(rows.tolist())
        if len(old.free) == len(old.head):
            self._banks[number] = _Bank.empty(capacity)
        self._bank_of[series] = number + 1
        self._row_of[series] = places

    def _offset(self, time_ms: int) -> int:
        if self._base_ms is None:
            self._base_ms = time_ms - _BASE_MARGIN_MS
        offset = time_ms - self._base_ms
        if offset > _TIME_LIMIT_MS:
            self._rebase(time_ms)
            offset = time_ms - self._base_ms
        return max(offset, 0)

    def _rebase(self, time_ms: int) -> None:
        """Move the base forward, once in seven weeks; samples from before the new base become padding-old."""
        base_ms = time_ms - self._length_ms - _BASE_MARGIN_MS
        shift = base_ms - (self._base_ms or 0)
        for bank in self._banks:
            times = bank.times.astype(np.int64) - shift
            bank.times = np.maximum(times, 0).astype(np.uint32)
        self._base_ms = base_ms
