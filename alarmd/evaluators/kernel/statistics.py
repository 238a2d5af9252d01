# SPDX-License-Identifier: Apache-2.0
"""Statistics of the samples of many series in periods that are counted back from a moment. Pure array operations.

Samples stand as columns: the newest of each series, the one before it, and so on. So a period is a run of columns,
which begins and ends elsewhere for each series, but for series that report at one pace nearly at the same.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ages = NDArray[np.uint32]
Index = NDArray[np.intp]
Flags = NDArray[np.bool_]

#: How many times the number of samples may be masked and reduced before it is quicker to turn them around.
_RAGGED = 6


class Quantity(Enum):
    """What is computed of the samples of a series in a period; what a measure says is made of these."""

    COUNT = auto()
    SUM = auto()
    MIN = auto()
    MAX = auto()
    FIRST = auto()
    LAST = auto()
    #: How long before the end of the newest period the first and the last sample lie, ms.
    FIRST_AGE = auto()
    LAST_AGE = auto()
    #: The sum of the squares of what values lie from their mean.
    SQUARES = auto()
    #: The time that differences span, s.
    SPAN = auto()


#: How values become one, and what none at all come to.
REDUCES: dict[Quantity, tuple[np.ufunc, float]] = {
    Quantity.SUM: (np.add, 0.0),
    Quantity.MIN: (np.minimum, np.inf),
    Quantity.MAX: (np.maximum, -np.inf),
    Quantity.SPAN: (np.add, 0.0),
    Quantity.SQUARES: (np.add, 0.0),
}


class Columns:
    """The samples of R series, newest first, K of each at most, in P periods."""

    def __init__(self, values: Floats, ages: Ages, bounds: Index) -> None:
        #: Shape (K, R).
        self.values = values
        self.ages = ages
        #: Shape (P + 1, R): period p of series r is `values[bounds[p, r]:bounds[p + 1, r], r]`.
        self.bounds = bounds
        self._lowest = bounds.min(axis=1).tolist()
        self._highest = bounds.max(axis=1).tolist()
        self._spans: Floats | None = None
        self._masks: dict[int, list[Flags | None]] = {}

    @classmethod
    def of(cls, values: Floats, ages: Ages, *, length_ms: int, periods: int, skipped: Index | None) -> "Columns":
        """Sort samples into periods by their ages, which ascend but for the first `skipped` ones of each series."""
        bounds = np.empty((periods + 1, ages.shape[1]), np.intp)
        bounds[0] = 0 if skipped is None else skipped
        for period in range(1, periods + 1):
            before = np.uint32(min(period * length_ms, 2**31 - 1))
            if skipped is None:
                low = int(bounds[period - 1].min())
                high = _first_row_behind(ages, before, low, max(len(ages) // periods, 2))
                bounds[period] = _count(ages[low:high] < before) + low
            else:
                bounds[period] = _count(ages < before) + skipped
        return cls(values, ages, bounds)

    def differences(self, *, is_delta: Flags, needs_span: bool) -> "Columns":
        """Return what changes from each sample to its next instead, each at the moment of the later sample.

        Series of deltas are their own differences, but those of which the span is to be told need a sample before.
        """
        values = np.empty_like(self.values)
        np.subtract(self.values[:-1], self.values[1:], out=values[:-1])
        values[-1] = np.nan
        values[:, is_delta] = self.values[:, is_delta]
        without_first = np.minimum(self.bounds, np.maximum(self.bounds[-1] - 1, self.bounds[0]))
        bounds = without_first if needs_span else np.where(is_delta, self.bounds, without_first)
        return Columns(values, self.ages, bounds)

    def restart_at_zero(self, falling: Flags, fell_to: Floats) -> None:
        """Take counters that have fallen for such as have started anew."""
        resets = (self.values < 0) & falling
        self.values[resets] = fell_to[resets]

    def fill(self, into: dict[Quantity, Floats], at: slice) -> None:
        """Compute quantities, each into the columns `at` of an array of shape (P, all series)."""
        counts = (self.bounds[1:] - self.bounds[:-1]).astype(np.float64)
        into[Quantity.COUNT][:, at] = counts
        sums: Floats | None = None
        for quantity, array in into.items():
            if quantity is Quantity.SUM:
                sums = self._reduce(self.values, Quantity.SUM)
                array[:, at] = sums
            elif quantity in {Quantity.MIN, Quantity.MAX}:
                array[:, at] = self._reduce(self.values, quantity)
            elif quantity is Quantity.SPAN:
                array[:, at] = self._reduce(self._span(), Quantity.SPAN)
            elif quantity is Quantity.SQUARES:
                sums = self._reduce(self.values, Quantity.SUM) if sums is None else sums
                array[:, at] = self._squares(sums / np.maximum(counts, 1))
            elif quantity is not Quantity.COUNT:
                array[:, at] = self._ends(quantity)

    def narrowed(self, chosen: Flags) -> "Columns":
        """Return some of the series alone."""
        at = np.flatnonzero(chosen)
        return Columns(self.values.take(at, axis=1), self.ages.take(at, axis=1), self.bounds.take(at, axis=1))

    def scatter(self, put: Callable[[int, Index, Index, Floats], None]) -> None:
        """Hand out all samples, period by period: period, series, place in the period, values."""
        for period in range(len(self.bounds) - 1):
            low, high = self._lowest[period], self._highest[period + 1]
            steps = np.arange(low, high)[:, None]
            is_in = (steps >= self.bounds[period]) & (steps < self.bounds[period + 1])
            step, series = np.nonzero(is_in)
            put(period, series, step + low - self.bounds[period, series], self.values[low:high][is_in])

    def _span(self) -> Floats:
        """Return the seconds from each sample to the one before it; of no meaning for the oldest."""
        if self._spans is None:
            self._spans = np.zeros(self.values.shape)
            np.subtract(self.ages[1:], self.ages[:-1], out=self._spans[:-1], casting="unsafe")
            self._spans /= 1000
        return self._spans

    def _ends(self, quantity: Quantity) -> Any:
        """Return the newest or oldest of each period, or its age; of no meaning, or NaN, where there is none."""
        is_last = quantity in {Quantity.LAST, Quantity.LAST_AGE}
        step = self.bounds[:-1] if is_last else self.bounds[1:] - 1
        series = self.values.shape[1]
        at = step * series + np.arange(series)
        if quantity in {Quantity.FIRST, Quantity.LAST}:
            return np.take(self.values, at, mode="clip")
        ages = np.take(self.ages, at, mode="clip").astype(np.float64)
        ages[self.bounds[1:] == self.bounds[:-1]] = np.nan
        return ages

    def _squares(self, means: Floats) -> Floats:
        squares = np.empty(means.shape)
        for period, mean in enumerate(means):
            low, high = self._lowest[period], self._highest[period + 1]
            apart = self.values[low:high] - mean
            apart *= apart
            self._reduce_period(apart, period, Quantity.SQUARES, squares[period], first=low)
        return squares

    def _reduce(self, values: Floats, quantity: Quantity) -> Floats:
        ufunc, nothing = REDUCES[quantity]
        masked = sum(
            (self._highest[p] - self._lowest[p]) + (self._highest[p + 1] - self._lowest[p + 1])
            for p in range(len(self._lowest) - 1)
        )
        if masked > _RAGGED * len(values):
            return self._reduce_turned(values, ufunc, nothing)
        result = np.empty((len(self.bounds) - 1, values.shape[1]))
        for period in range(len(result)):
            self._reduce_period(values, period, quantity, result[period])
        return result

    def _reduce_period(self, values: Floats, period: int, quantity: Quantity, into: Floats, *, first: int = 0) -> None:
        """Reduce one period: the columns that all series have in it as they are, those that only some have masked.

        It goes from the newest to the oldest, whoever is reduced beside, so that sums are the same to the last bit.
        `first` is the column that `values` begin with.
        """
        ufunc, nothing = REDUCES[quantity]
        into[:] = nothing
        for step, mask in enumerate(self._masks_of(period), start=self._lowest[period]):
            column = values[step - first]
            ufunc(into, column if mask is None else np.where(mask, column, nothing), out=into)

    def _masks_of(self, period: int) -> list[Flags | None]:
        """Return of which series each column lies in a period, from the first that does of any; None: of all."""
        masks = self._masks.get(period)
        if masks is None:
            begins, ends = self.bounds[period], self.bounds[period + 1]
            sure, until = self._highest[period], self._lowest[period + 1]
            masks = self._masks[period] = []
            for step in range(self._lowest[period], self._highest[period + 1]):
                if step < sure:
                    masks.append(begins <= step if step < until else (begins <= step) & (ends > step))
                else:
                    masks.append(None if step < until else ends > step)
        return masks

    def _reduce_turned(self, values: Floats, ufunc: np.ufunc, nothing: float) -> Floats:
        """Reduce series whose periods lie far apart: the newest sample of each of their periods, the next one, …."""
        series = values.shape[1]
        sizes = (self.bounds[1:] - self.bounds[:-1]).ravel()
        order = np.argsort(-sizes, kind="stable")
        at = (self.bounds[:-1] * series + np.arange(series)).ravel()[order]
        # How many periods have more than so many samples.
        having = len(sizes) - np.cumsum(np.bincount(sizes))
        reduced, flat = np.full(len(sizes), nothing), values.ravel()
        for step, count in enumerate(having.tolist()):
            some = reduced[:count]
            ufunc(some, flat.take(at[:count] + step * series), out=some)
        result = np.empty(len(sizes))
        result[order] = reduced
        return result.reshape(-1, series)


def _first_row_behind(ages: Ages, before: np.uint32, low: int, step: int) -> int:
    """Return a row from which on all ages are at least so high, found in steps of so many rows."""
    high = low + step
    while high < len(ages) and (ages[high] < before).any():
        high += step
    return min(high, len(ages))


def _count(flags: Flags) -> Index:
    """Return how many are true in each column."""
    kind = np.uint8 if len(flags) < 2**8 else np.uint32
    counts: NDArray[Any] = np.add.reduce(flags.view(np.uint8), axis=0, dtype=kind)
    return counts.astype(np.intp)
