# SPDX-License-Identifier: Apache-2.0
"""Banks: rings of one capacity, in columns of which each holds one step of many rings.

Rings stand in blocks of 64 lanes, and a block holds all lanes of a step together: series that report at the same pace
write and read neighbouring memory. So rings that join a block start where their neighbours are.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: Rows of a bank, one a ring.
Rows: TypeAlias = NDArray[np.intp]
Floats: TypeAlias = NDArray[np.float64]

#: Rings a block. A power of two.
_LANES = 64
#: A bank that must grow grows by this share, at least by one block.
_GROWTH = 64
#: Empty lanes beyond these, and beyond a quarter of a bank, are given back.
_SPARE_LANES = 1024
#: Of so many rings, one is few.
_FEW = 16
#: Where one of so many lanes is wanted, it is quicker to copy them all than to fetch each sample by itself.
_SPARSE = 4
#: Samples copied at once; keeps the intermediate arrays inside the processor's caches.
_COPIED_AT_ONCE = 1 << 19
#: Stands for the age of what a ring does not hold. Any age that exists is smaller.
PADDING = np.uint32(2**31)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lanes:
    """A bank as it lies in memory, for those who read very many of its rings. Of no use once the rings have changed.

    Step s of the ring in row r is at `(r - l) * capacity + s * abreast + l`, where l is `r % abreast`. Its newest
    sample is in step `head[r] - 1`, the one before it in `head[r] - 2`, and so on, around the end, `count[r]` of them.
    Their times are `high << 16 | low`, ms since the epoch, of which no more is kept than `mask` says.
    """

    capacity: int
    #: How many rings lie side by side.
    abreast: int
    mask: int
    head: NDArray[np.int32]
    count: NDArray[np.int32]
    low: NDArray[np.uint16]
    #: Of one byte each, or of two.
    high: NDArray[Any]
    values: Floats


class Bank:
    """Rings of one capacity: row r's newest sample is at `head[r] - 1`, its oldest at `head[r] - count[r]`.

    Times are kept modulo 2**24, or 2**32 in wide banks, so whoever keeps them must see to it that all samples of a
    ring lie closer together than that. A sample takes 11 bytes, 12 in wide banks.
    """

    def __init__(self, capacity: int, *, is_wide: bool) -> None:
        self.capacity = capacity
        self.mask = np.uint32(2**32 - 1 if is_wide else 2**24 - 1)
        self.head = np.zeros(0, np.int32)
        self.count = np.zeros(0, np.int32)
        self._low = np.zeros(0, np.uint16)
        self._high: NDArray[Any] = np.zeros(0, np.uint16 if is_wide else np.uint8)
        self._values = np.zeros(0, np.float64)
        self._free: list[int] = []

    @property
    def nbytes(self) -> int:
        """Memory held by the columns, in bytes."""
        return sum(one.nbytes for one in (self.head, self.count, self._low, self._high, self._values))

    def lanes(self) -> Lanes:
        """Return the columns themselves, to be read only, and only until a ring changes."""
        return Lanes(
            capacity=self.capacity,
            abreast=_LANES,
            mask=int(self.mask),
            head=self.head,
            count=self.count,
            low=self._low,
            high=self._high,
            values=self._values,
        )

    def take(self, wanted: int) -> Rows:
        """Return that many empty rows; more are made when there are too few."""
        rows = len(self.head)
        lacking = wanted - len(self._free)
        if lacking > 0:
            blocks = max(-(-lacking // _LANES), rows // _LANES // _GROWTH)
            self._resize(rows + blocks * _LANES)
            self._free[:0] = range(rows + blocks * _LANES - 1, rows - 1, -1)
        taken = np.array(self._free[len(self._free) - wanted :][::-1], np.intp)
        del self._free[len(self._free) - wanted :]
        self.count[taken] = 0
        self._fall_in(taken)
        return taken

    def release(self, rows: Rows) -> None:
        """Take back rows that are used no more."""
        self.count[rows] = 0
        self._free.extend(rows.tolist())

    @property
    def rows(self) -> int:
        """How many rings there is room for."""
        return len(self.head)

    @property
    def is_empty(self) -> bool:
        """Whether no row is in use."""
        return len(self._free) == len(self.head)

    @property
    def is_wasteful(self) -> bool:
        """Whether so many lanes are empty that it is worth moving the others together."""
        return len(self._free) > max(_SPARE_LANES, len(self.head) // 4)

    def compact(self) -> tuple[Rows, Rows]:
        """Move rings together and give memory back; return which rows have moved, and where they are now."""
        size = -(-(len(self.head) - len(self._free)) // _LANES) * _LANES
        free = np.sort(np.array(self._free, np.intp))
        is_used = np.ones(len(self.head), np.bool_)
        is_used[free] = False
        moved = size + np.flatnonzero(is_used[size:])
        places = free[: len(moved)]
        steps = np.arange(self.capacity)[:, None] * _LANES
        for start in range(0, len(moved), _LANES):
            some = slice(start, start + _LANES)
            to, at = self._base(places[some]) + steps, self._base(moved[some]) + steps
            for column in (self._low, self._high, self._values):
                column[to] = column[at]
        self.head[places], self.count[places] = self.head[moved], self.count[moved]
        self._free = free[len(moved) :][free[len(moved) :] < size][::-1].tolist()
        self._resize(size)
        return moved, places

    def append(self, rows: Rows, time_ms: int, values: Floats) -> None:
        """Put one sample behind the newest of each of these rings; full ones lose their oldest."""
        head = self.head[rows]
        at = self._base(rows)
        at += head * np.intp(_LANES)
        stamp = time_ms & int(self.mask)
        self._low[at] = stamp & 0xFFFF
        self._high[at] = stamp >> 16
        self._values[at] = values
        head += 1
        head[head == self.capacity] = 0
        self.head[rows] = head
        count = self.count[rows]
        count += count < self.capacity
        self.count[rows] = count

    def oldest_age(self, rows: Rows, now_ms: int) -> NDArray[np.uint32]:
        """Return how much older than a moment the oldest samples of rings that are not empty are, ms."""
        column = self.head[rows] - self.count[rows]
        column += (column < 0) * np.int32(self.capacity)
        return self._ages(self._base(rows) + column * np.intp(_LANES), np.uint32(now_ms & int(self.mask)))

    def write(self, rows: Rows, times_ms: NDArray[np.int64], values: Floats) -> None:
        """Replace what rings hold, by arrays of shape (samples, rows), oldest first, no more than fit."""
        held = len(times_ms)
        column = (self.head[rows] - held + np.arange(held)[:, None]) % self.capacity
        at = self._base(rows) + column * _LANES
        stamps = times_ms & int(self.mask)
        self._low[at] = stamps & 0xFFFF
        self._high[at] = stamps >> 16
        self._values[at] = values
        self.count[rows] = held

    def tail(self, rows: Rows, newest_ms: NDArray[np.int64], length: int) -> tuple[NDArray[np.uint32], Floats]:
        """Return the last samples of rings, newest first, as arrays of shape (length, rows): ages and values.

        Ages are ms before the newest sample of the same ring, whose time has to be given. `length` is at most the
        capacity. What a ring does not hold has the age `PADDING`.
        """
        newest = (newest_ms & int(self.mask)).astype(np.uint32)
        head = self.head[rows]
        if len(rows) < _LANES or not _is_dense(rows):
            ages, values = self._tail_each(rows, newest, head, length)
        else:
            first, is_behind, odd = self._pace(head)
            ages, values = self._tail_abreast(rows, newest, first, length + (is_behind is not None))
            if is_behind is not None:
                ages, values = (np.where(is_behind, one[1:], one[:-1]) for one in (ages, values))
            if len(odd):
                ages[:, odd], values[:, odd] = self._tail_each(rows[odd], newest[odd], head[odd], length)
        count = self.count[rows]
        if len(rows) and count.min() < length:
            ages[np.arange(1, length + 1)[:, None] > count] = PADDING
        return ages, values

    def _pace(self, head: NDArray[np.int32]) -> tuple[int, NDArray[np.bool_] | None, Rows]:
        """Return where most rings are, which of them are one step behind when many are, and which are elsewhere.

        When those that report in turn are looked at in the middle of a round, some are a step ahead of the others.
        """
        first = int(head[len(head) // 2])
        odd = np.flatnonzero(head != first)
        if len(odd) * _FEW <= len(head):
            return first, None, odd
        ahead = (first + 1) % self.capacity
        if np.count_nonzero(head == ahead) > np.count_nonzero(head == (first - 1) % self.capacity):
            first = ahead
        is_behind = head == (first - 1) % self.capacity
        return first, is_behind, np.flatnonzero((head != first) & ~is_behind)

    def _tail_each(
        self, rows: Rows, newest: NDArray[np.uint32], head: NDArray[np.int32], length: int
    ) -> tuple[NDArray[np.uint32], Floats]:
        """Return the last samples of rings, wherever they are."""
        column = head - np.arange(1, length + 1, dtype=np.int32)[:, None]
        column += (column < 0) * np.int32(self.capacity)
        at = column * np.intp(_LANES)
        at += self._base(rows)
        return self._ages(at, newest), self._values.take(at)

    def _tail_abreast(
        self, rows: Rows, newest: NDArray[np.uint32], head: int, length: int
    ) -> tuple[NDArray[np.uint32], Floats]:
        """Return the same steps of rings that lie close together."""
        steps = (head - np.arange(1, length + 1)) % self.capacity
        lanes = max(_COPIED_AT_ONCE // length // _LANES, 1) * _LANES
        edges = np.arange(int(rows[0]) // _LANES * _LANES + lanes, int(rows[-1]) + 1, lanes)
        if not len(edges):
            return self._tail_of_blocks(rows, newest, steps)
        ages, values = np.empty((length, len(rows)), np.uint32), np.empty((length, len(rows)))
        start = 0
        for end in [*np.searchsorted(rows, edges).tolist(), len(rows)]:
            if start < end:
                some = slice(start, end)
                ages[:, some], values[:, some] = self._tail_of_blocks(rows[some], newest[some], steps)
            start = end
        return ages, values

    def _tail_of_blocks(
        self, rows: Rows, newest: NDArray[np.uint32], steps: NDArray[np.intp]
    ) -> tuple[NDArray[np.uint32], Floats]:
        """Return steps of rings: those of whole blocks are copied, from the first of them to the last."""
        first, last = int(rows[0]), int(rows[-1])
        start = first // _LANES
        blocks = slice(start, last // _LANES + 1)
        low: NDArray[Any]
        high: NDArray[Any]
        values: NDArray[Any]
        low, high, values = (
            self._blocks(column)[blocks].transpose(1, 0, 2)[steps].reshape(len(steps), -1)
            for column in (self._low, self._high, self._values)
        )
        offset = start * _LANES
        if last - first + 1 == len(rows):
            lanes = slice(first - offset, last + 1 - offset)
            return _age(newest, low[:, lanes], high[:, lanes], self.mask), values[:, lanes]
        newest_of = np.zeros(low.shape[1], np.uint32)
        newest_of[rows - offset] = newest
        ages = _age(newest_of, low, high, self.mask)
        # Unlike an index, it leaves the samples of a step side by side.
        return ages.take(rows - offset, axis=1), values.take(rows - offset, axis=1)

    def _ages(self, at: Rows, newest: NDArray[np.uint32] | np.uint32) -> NDArray[np.uint32]:
        return _age(newest, self._low.take(at), self._high.take(at), self.mask)

    def _blocks(self, column: NDArray[Any]) -> NDArray[Any]:
        """Return a column by block, step and lane."""
        return column.reshape(-1, self.capacity, _LANES)

    def _base(self, rows: Rows) -> Any:
        """Return where the first steps of rings are."""
        lane = rows & (_LANES - 1)
        return (rows - lane) * self.capacity + lane

    def _fall_in(self, rows: Rows) -> None:
        """Let empty rings start where a neighbour in their block is."""
        blocks, block_of = np.unique(rows // _LANES, return_inverse=True)
        is_held = self.count.reshape(-1, _LANES)[blocks] > 0
        neighbour = blocks * _LANES + is_held.argmax(axis=1)
        # Most rings join in the middle of a round, when the neighbour has reported and they are about to.
        head = (self.head[neighbour] - 1) % self.capacity
        self.head[rows] = np.where(is_held.any(axis=1), head, 0)[block_of]

    def _resize(self, rows: int) -> None:
        """Make room for so many rows; what lies in rows that stay is kept."""
        for column in (self._low, self._high, self._values):
            # In place: no copy of what may be gigabytes, and nobody else holds these arrays.
            column.resize(rows * self.capacity, refcheck=False)
        self.head.resize(rows, refcheck=False)
        self.count.resize(rows, refcheck=False)


def _is_dense(rows: Rows) -> bool:
    """Return whether rows ascend and there are several of most blocks between the first and the last."""
    return bool(int(rows[-1]) - int(rows[0]) < len(rows) * _SPARSE and (rows[1:] > rows[:-1]).all())


def _age(
    newest: NDArray[np.uint32] | np.uint32, low: NDArray[np.uint16], high: NDArray[Any], mask: np.uint32
) -> NDArray[np.uint32]:
    age = high.astype(np.uint32)
    age <<= np.uint32(16)
    age |= low
    np.subtract(newest, age, out=age)
    age &= mask
    return age
