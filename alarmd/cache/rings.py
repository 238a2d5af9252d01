# SPDX-License-Identifier: Apache-2.0
"""Rings: the samples of many series as columns in memory, eleven bytes a sample.

Every series has one row in one bank. A bank holds the rings of all series that need about the same number of samples,
so a series polled each second and one polled each five minutes both keep their window without paying for each other.
A ring that is full of samples which are still inside the window moves to the bank that will hold the whole window at
this pace; one that is full of older samples overwrites its oldest.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alarmd.cache.bank import Bank, Floats, Lanes, Rows

__all__ = ["LARGEST_RING", "NEVER_MS", "SMALLEST_RING", "Numbers", "Rings"]

#: Numbers of series.
Numbers = NDArray[np.int32]

#: Sizes of rings, in samples: each about a fifth larger than the one before.
_SIZES = sorted({round(16 * 2 ** (step / 4)) for step in range(41)})
SMALLEST_RING = _SIZES[0]
#: Bounds what one series may hold.
LARGEST_RING = _SIZES[-1]
#: A ring that is full grows at most so many times larger, lest a burst takes memory for an hour of bursts.
_LARGEST_STEP = 6
#: Stands for "no sample yet" in `Rings.newest_ms`.
NEVER_MS = -1
#: The share of what its pace calls for that a ring gets, lest a little unrest makes it one size too large.
_CAUTION = 0.95
#: After how long a gap a ring begins anew, at a third of what its times can tell: 93 minutes, or twelve days.
_NARROW_MS, _WIDE_MS = 2**24 // 3 - 1, 2**30 - 1


class Rings:
    """The samples of series 0, 1, 2, … Not safe for use by several threads."""

    def __init__(self, *, length_s: float) -> None:
        self._length_ms = round(length_s * 1000)
        self._is_wide = self._length_ms > _NARROW_MS
        self._span_ms = _WIDE_MS if self._is_wide else _NARROW_MS
        self._banks: list[Bank | None] = [None] * len(_SIZES)
        self._bank_of = np.zeros(0, np.int8)
        self._row_of = np.zeros(0, np.int32)
        #: Time of each series' newest sample, milliseconds since the epoch; `NEVER_MS` when it has none.
        self.newest_ms: NDArray[np.int64] = np.zeros(0, np.int64)
        #: In which turn (see there) each series last had a sample, or was admitted.
        self.turn_of: NDArray[np.uint32] = np.zeros(0, np.uint32)
        self._turn = 1
        #: Changes whenever a series lies elsewhere than before.
        self.layout = 0

    def turn(self) -> int:
        """Begin a new turn and return the number of the last: what comes from now on has a larger one."""
        self._turn += 1
        return self._turn - 1

    def admit(self, series: Sequence[int]) -> None:
        """Give rings to new series; their numbers are those last removed or the next unused ones."""
        numbers = np.array(series, np.int32)
        if not len(numbers):
            return
        self.layout += 1
        needed = int(numbers.max()) + 1
        if needed > len(self.newest_ms):
            size = max(needed, len(self.newest_ms) * 33 // 32)
            for column in (self._bank_of, self._row_of, self.newest_ms, self.turn_of):
                column.resize(size, refcheck=False)
        self._bank_of[numbers] = 0
        self._row_of[numbers] = self._bank(0).take(len(numbers))
        self.newest_ms[numbers] = NEVER_MS
        self.turn_of[numbers] = self._turn

    def remove(self, series: Sequence[int]) -> None:
        """Take the rings of series away."""
        self.layout += 1
        numbers = np.array(series, np.int32)
        for number, chosen in self.by_bank(numbers):
            rows = self._row_of[numbers[chosen]].astype(np.intp)
            # Nowhere, so that nobody finds them where others are put.
            self._bank_of[numbers[chosen]], self._row_of[numbers[chosen]] = -1, -1
            self._release(number, rows)
        self.newest_ms[numbers] = NEVER_MS

    def append(self, series: Numbers, time_ms: int, values: Floats) -> None:
        """Add one sample of the same moment to each of these series, each named once; newer than all they hold."""
        if not len(series):
            return
        newest_ms = self.newest_ms[series]
        gap_ms = time_ms - int(newest_ms.min())
        groups = self.by_bank(series)
        if gap_ms * _SIZES[groups[-1][0]] > self._span_ms:
            self._forget_ancient(series, newest_ms, time_ms)
        moved = [self._make_room(number, series[chosen], time_ms) for number, chosen in groups]
        if any(moved):
            groups = self.by_bank(series)
        for number, chosen in groups:
            self._bank(number).append(self._row_of[series[chosen]].astype(np.intp), time_ms, values[chosen])
        self.newest_ms[series] = time_ms
        self.turn_of[series] = self._turn

    def insert(self, series: int, time_ms: int, value: float) -> None:
        """Put one late sample in its place; one of the same moment is replaced. Dropped if older than a full ring."""
        newest_ms = int(self.newest_ms[series])
        if newest_ms - time_ms > self._span_ms:
            return
        self.turn_of[series] = self._turn
        number = int(self._bank_of[series])
        bank, row = self._bank(number), self._row_of[series : series + 1].astype(np.intp)
        times, values = self.points(series)
        place = int(np.searchsorted(times, time_ms))
        if place < len(times) and times[place] == time_ms:
            values[place] = value
        else:
            if len(times) == bank.capacity:
                if bank.capacity < LARGEST_RING and times[-1] - times[0] < self._length_ms:
                    self._promote(number, np.array([series], np.int32), times[-1:] - times[:1])
                    self.insert(series, time_ms, value)
                    return
                if place == 0:
                    return
                times, values, place = times[1:], values[1:], place - 1
            times, values = np.insert(times, place, time_ms), np.insert(values, place, value)
            # One more sample ends one column further on, as it does for those whose samples come in order.
            bank.head[row] = (bank.head[row] + 1) % bank.capacity
        bank.write(row, times[:, None], values[:, None])

    def points(self, series: int) -> tuple[NDArray[np.int64], Floats]:
        """Return everything a series holds, oldest first: times in milliseconds since the epoch, and values."""
        bank = self._bank(int(self._bank_of[series]))
        row = self._row_of[series : series + 1].astype(np.intp)
        newest_ms = self.newest_ms[series : series + 1]
        ages, values = bank.tail(row, newest_ms, int(bank.count[row[0]]))
        return (newest_ms - ages.astype(np.int64))[::-1, 0], values[::-1, 0]

    def by_bank(self, series: Numbers) -> list[tuple[int, NDArray[np.intp] | slice]]:
        """Return, for each bank that holds some of these series, its number and which of them it holds."""
        banks = self._bank_of[series]
        if len(series) and (banks[0] == banks).all():
            return [(int(banks[0]), slice(None))]
        return [(int(number), np.flatnonzero(banks == number)) for number in np.unique(banks)]

    def whereabouts(self, series: Numbers) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
        """Return in which banks, and there in which rows, series are: neighbours in a bank are so in memory."""
        return self._bank_of[series], self._row_of[series]

    def lanes(self, bank_number: int) -> Lanes:
        """Return a bank as it lies in memory, to be read only, and only until a series changes.

        Series that are gone are in bank -1, which stands for any: they are in none of its rows.
        """
        return self._bank(max(bank_number, 0)).lanes()

    @property
    def nbytes(self) -> int:
        """Memory held by the columns, in bytes."""
        fixed = self._bank_of.nbytes + self._row_of.nbytes + self.newest_ms.nbytes + self.turn_of.nbytes
        return fixed + sum(bank.nbytes for bank in self._banks if bank is not None)

    def _bank(self, number: int) -> Bank:
        bank = self._banks[number]
        if bank is None:
            bank = self._banks[number] = Bank(_SIZES[number], is_wide=self._is_wide)
        return bank

    def _make_room(self, number: int, series: Numbers, time_ms: int) -> bool:
        """Move rings on that are full of samples from inside the window; return whether any was."""
        bank = self._bank(number)
        if bank.capacity == LARGEST_RING:
            return False
        rows = self._row_of[series].astype(np.intp)
        full = bank.count[rows] == bank.capacity
        if not full.any():
            return False
        if not full.all():
            series, rows = series[full], rows[full]
        age_ms = bank.oldest_age(rows, time_ms)
        crowded = age_ms < self._length_ms
        if not crowded.any():
            return False
        self._promote(number, series[crowded], age_ms[crowded])
        return True

    def _promote(self, number: int, series: Numbers, span_ms: NDArray[np.integer]) -> None:
        """Move full rings to larger banks, which will do for the window if they go on at the pace of their span."""
        self.layout += 1
        old, rows = self._bank(number), self._row_of[series].astype(np.intp)
        ages, values = old.tail(rows, self.newest_ms[series], old.capacity)
        times = (self.newest_ms[series] - ages.astype(np.int64))[::-1]
        needed = _CAUTION * old.capacity * self._length_ms / np.maximum(span_ms, 1)
        wanted = np.searchsorted(_SIZES, np.minimum(needed, old.capacity * _LARGEST_STEP))
        wanted = np.clip(wanted, number + 1, len(_SIZES) - 1)
        for larger in np.unique(wanted).tolist():
            chosen = wanted == larger
            bank = self._bank(larger)
            places = bank.take(int(np.count_nonzero(chosen)))
            bank.write(places, times[:, chosen], values[::-1, chosen])
            self._bank_of[series[chosen]] = larger
            self._row_of[series[chosen]] = places
        self._release(number, rows)

    def _release(self, number: int, rows: Rows) -> None:
        """Give rows back whose series are elsewhere already, and memory with them when it is much."""
        bank = self._bank(number)
        bank.release(rows)
        if bank.is_empty:
            self._banks[number] = None
        elif bank.is_wasteful:
            moved, places = bank.compact()
            now_at = np.arange(bank.rows + int(moved.max(initial=0)) + 1)
            now_at[moved] = places
            held = np.flatnonzero((self._bank_of == number) & (self._row_of >= bank.rows))
            self._row_of[held] = now_at[self._row_of[held]]

    def _forget_ancient(self, series: Numbers, newest_ms: NDArray[np.int64], time_ms: int) -> None:
        """Drop samples that would lie too far before the one that comes.

        Needed only after gaps so long that a ring full of such spans more than `_span_ms`: without them, a ring that
        spans no more than that never spans twice as much, and with the next such gap that is what its times can tell.
        """
        for number, chosen in self.by_bank(series):
            bank, rows = self._bank(number), self._row_of[series[chosen]].astype(np.intp)
            is_silent = newest_ms[chosen] < time_ms - self._span_ms
            bank.count[rows[is_silent]] = 0
            held = rows[bank.count[rows] > 0]
            while len(held):
                held = held[bank.oldest_age(held, time_ms) > self._span_ms]
                bank.count[held] -= 1
                held = held[bank.count[held] > 0]
