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

        Ages are ms before the newest sample of the same ring, whose time has to be given. Every ring must hold as many.
        """
        newest = (newest_ms & int(self.mask)).astype(np.uint32)
        column = self.head[rows] - np.arange(1, length + 1, dtype=np.int32)[:, None]
        column += (column < 0) * np.int32(self.capacity)
        at = column * np.intp(_LANES)
        at += self._base(rows)
        return self._ages(at, newest), self._values.take(at)

    def _ages(self, at: Rows, newest: NDArray[np.uint32] | np.uint32) -> NDArray[np.uint32]:
        age = self._high.take(at).astype(np.uint32)
        age <<= np.uint32(16)
        age |= self._low.take(at)
        np.subtract(newest, age, out=age)
        age &= self.mask
        return age

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
