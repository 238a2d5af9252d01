# SPDX-License-Identifier: Apache-2.0
"""Percentiles of many pools of values at once."""

import numpy as np

from alarmd.evaluators.kernel.statistics import Floats, Index


class Pools:
    """Values by pools of known sizes, which are filled one after the other and then sorted.

    Pools of about the same size lie together, as rows of one array, so that they can be sorted in a few steps.
    """

    def __init__(self, sizes: Index) -> None:
        self._sizes = sizes
        #: Rows are as long as the next power of two.
        width = np.where(sizes > 0, np.left_shift(1, np.ceil(np.log2(np.maximum(sizes, 1))).astype(np.intp)), 0)
        order = np.argsort(width, kind="stable")
        self._starts = np.empty(len(sizes), np.intp)
        self._starts[order] = np.cumsum(width[order]) - width[order]
        widths, counts = np.unique(width, return_counts=True)
        self._shapes = [(int(n), int(w)) for w, n in zip(widths, counts, strict=True) if w]
        self._values = np.full(int(width.sum()), np.inf)

    def put(self, pool: Index, place: Index, values: Floats) -> None:
        """Put values into places of pools; every place below a pool's size once."""
        self._values[self._starts[pool] + place] = values

    def sort(self) -> None:
        """Sort all pools."""
        start = 0
        for count, width in self._shapes:
            end = start + count * width
            self._values[start:end].reshape(count, width).sort(axis=1)
            start = end

    def percentile(self, percent: float) -> Floats:
        """Return a percentile of each pool, interpolated linearly; NaN for those that are empty."""
        is_filled = self._sizes > 0
        place = (self._sizes[is_filled] - 1) * (percent / 100)
        below = np.floor(place).astype(np.intp)
        above = np.ceil(place).astype(np.intp)
        starts = self._starts[is_filled]
        low, high = self._values[starts + below], self._values[starts + above]
        result = np.full(len(self._sizes), np.nan)
        result[is_filled] = low + (high - low) * (place - below)
        return result
