# SPDX-License-Identifier: Apache-2.0
"""Statistics over sliding periods, for many groups of series at once. Pure array operations.

Periods are counted back from a group's watermark w, the time of its newest sample: period k covers the times in
(w - (k+1)·length, w - k·length], so period 0 is the newest and a sample at the watermark belongs to it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alarmd.cache.rings import Rings, Rows
from alarmd.model.rule import Statistic

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

#: Cells (series × samples) gathered at once; keeps the intermediate arrays inside the processor's caches.
_CELLS_AT_ONCE = 1 << 17
#: How many samples back the first look at a group goes.
_FIRST_REACH = 8

#: What is accumulated over the samples for a statistic, beside their count, and from which value on.
_ACCUMULATES: dict[Statistic, tuple[np.ufunc, float] | None] = {
    Statistic.AVG: (np.add, 0.0),
    Statistic.SUM: (np.add, 0.0),
    Statistic.MIN: (np.minimum, np.inf),
    Statistic.MAX: (np.maximum, -np.inf),
    Statistic.COUNT: None,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Members:
    """Which series belong to which of G groups: group g has `series[starts[g]:starts[g+1]]`; no group is empty."""

    series: Rows
    #: Shape (G,), ascending.
    starts: NDArray[np.intp]

    @property
    def single(self) -> bool:
        """Whether every group has exactly one series."""
        return len(self.series) == len(self.starts)

    def sizes(self) -> NDArray[np.intp]:
        """Return how many series each group has, shape (G,)."""
        return np.diff(self.starts, append=len(self.series))

    def watermarks(self, rings: Rings) -> NDArray[np.int64]:
        """Return the time of each group's newest sample, ms since the epoch, shape (G,)."""
        newest_ms = rings.newest_ms[self.series]
        return newest_ms if self.single else np.maximum.reduceat(newest_ms, self.starts)

    def spread(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a value a group as a value a series."""
        return values if self.single else np.repeat(values, self.sizes())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Periods:
    """What the samples of G groups come to in their last P periods."""

    #: Time of each group's newest sample, ms since the epoch, shape (G,).
    watermark_ms: NDArray[np.int64]
    #: Samples a period, shape (G, P), newest period first.
    count: Counts
    #: Sum, minimum or maximum a period, shape (G, P); only those that were asked for.
    accumulated: dict[np.ufunc, Floats]

    def values(self, statistic: Statistic) -> Floats:
        """Return a statistic, shape (G, P); of no meaning where the count is 0."""
        accumulates = _ACCUMULATES[statistic]
        if accumulates is None:
            return self.count.astype(np.float64)
        values = self.accumulated[accumulates[0]]
        return values / np.maximum(self.count, 1) if statistic is Statistic.AVG else values


class Pooling:
    """Computes `Periods` for one length and number of periods, remembering how far back the samples reach."""

    def __init__(self, *, length_ms: int, count: int) -> None:
        self._length_ms = length_ms
        self._count = count
        #: Samples gathered a series, by bank: as many as the densest series of the last pass needed, and one.
        self._reach: dict[int, int] = {}

    def periods(self, rings: Rings, members: Members, statistics: frozenset[Statistic]) -> Periods:
        """Return the statistics of the last periods of each group, pooled over the samples of all its series."""
        watermark_ms = members.watermarks(rings)
        watermark_of_series = members.spread(watermark_ms)
        shape = (len(members.series), self._count)
        wanted = dict(filter(None, (_ACCUMULATES[statistic] for statistic in statistics)))
        totals = Periods(
            watermark_ms=watermark_ms,
            count=np.zeros(shape, np.int64),
            accumulated={ufunc: np.full(shape, start) for ufunc, start in wanted.items()},
        )
        for bank, chosen in rings.by_bank(members.series):
            self._reach[bank] = 1 + self._fill(totals, rings, bank, chosen, members.series, watermark_of_series)
        if members.single:
            return totals
        return Periods(
            watermark_ms=watermark_ms,
            count=np.add.reduceat(totals.count, members.starts, axis=0),
            accumulated={
                ufunc: ufunc.reduceat(values, members.starts, axis=0) for ufunc, values in totals.accumulated.items()
            },
        )

    def _fill(  # noqa: PLR0917  # one pass over one bank, called from one place
        self,
        totals: Periods,
        rings: Rings,
        bank: int,
        chosen: NDArray[np.intp],
        series: Rows,
        watermark_ms: NDArray[np.int64],
    ) -> int:
        """Fill in the rows of all series that lie in one bank; return the most samples that one of them has."""
        reach = self._reach.get(bank, _FIRST_REACH)
        densest = at = 0
        while at < len(chosen):
            rows = chosen[at : at + max(_CELLS_AT_ONCE // reach, 1)]
            times, values = rings.tail(bank, series[rows], reach)
            age = watermark_ms[rows, None] - times
            if reach < rings.capacity_of(bank) and (age[:, -1] < self._length_ms * self._count).any():
                reach = min(reach * 2, rings.capacity_of(bank))
                continue
            sizes = self._sizes(age)
            totals.count[rows] = sizes[:, :-1]
            filled = np.flatnonzero(sizes)
            # Samples stand newest first, so those of one period stand together and the periods of a series in order.
            starts = (np.cumsum(sizes) - sizes.ravel())[filled]
            for ufunc, into in totals.accumulated.items():
                whole = np.full(sizes.size, _IDENTITY[ufunc])
                whole[filled] = ufunc.reduceat(values.ravel(), starts)
                into[rows] = whole.reshape(sizes.shape)[:, :-1]
            densest = max(densest, int(sizes[:, :-1].sum(axis=1).max()))
            at += len(rows)
        return densest

    def _sizes(self, age: NDArray[np.int64]) -> Counts:
        """Return how many samples fall into each period, and behind the last one, shape (series, periods + 1)."""
        period = np.minimum(age // self._length_ms, self._count)
        period += np.arange(len(age))[:, None] * (self._count + 1)
        sizes = np.bincount(period.ravel(), minlength=len(age) * (self._count + 1))
        return sizes.reshape(len(age), self._count + 1)


_IDENTITY = dict(filter(None, _ACCUMULATES.values()))
