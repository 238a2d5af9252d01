# SPDX-License-Identifier: Apache-2.0
"""Rates out of counters: correct over resets, restarts, gaps and comings and goings, or absent; never guessed.

A counter's rate over an interval is known only if the counter was read at both ends and nothing began anew between.
So an interval is dropped (NaN) when the value went down, when the resource's *epoch* changed (another boot, another
plugging, another number of vCPUs), when it is longer than `max_gap_s`, and when it is the resource's first.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray


class Rates:
    """Turns C counters of any number of resources into rates per second.

    Keeps one row a resource that was named in the last call, and nothing else: whoever is gone is forgotten.
    """

    def __init__(self, columns: int, *, max_gap_s: float) -> None:
        self.columns = columns
        self._max_gap_s = max_gap_s
        self._rows: dict[Hashable, int] = {}
        self._epochs: list[Hashable | None] = []
        self._values = np.empty((0, columns))
        self._read_at_s = np.empty((0, columns))

    def __len__(self) -> int:
        return len(self._rows)

    def seed(self, keys: Sequence[Hashable], values: NDArray[np.float64], *, at_s: float) -> None:
        """Take the counters of R resources, shape (R, C), as an earlier process read them; older ones first.

        NaN leaves the value before it. The epochs are not known, so whichever follow are taken for the same ones.
        """
        new = [key for key in dict.fromkeys(keys) if key not in self._rows]
        self._rows.update((key, row) for row, key in enumerate(new, start=len(self._epochs)))
        self._epochs += [None] * len(new)
        nothing = np.full((len(new), self.columns), np.nan)
        self._values = np.vstack((self._values, nothing))
        self._read_at_s = np.vstack((self._read_at_s, nothing))
        rows = np.array([self._rows[key] for key in keys], dtype=np.intp)
        present = ~np.isnan(values)
        self._values[rows] = np.where(present, values, self._values[rows])
        self._read_at_s[rows] = np.where(present, at_s, self._read_at_s[rows])

    def update(
        self, keys: Sequence[Hashable], epochs: Sequence[Hashable], values: NDArray[np.float64], *, at_s: float
    ) -> NDArray[np.float64]:
        """Take the counters of R resources, shape (R, C), and return their rates per second, shape (R, C).

        Args:
            keys: The resources, each once. State of all others is dropped.
            epochs: What must be equal at both ends of an interval, one a resource.
            values: NaN where a counter was not reported; the interval then goes on until it is.
            at_s: When they were read, in seconds on a clock that nobody sets.
        """
        before, since_s = self._state_of(keys, epochs)
        elapsed_s = at_s - since_s
        present = ~np.isnan(values)
        with np.errstate(invalid="ignore"):  # comparisons with NaN are false, which is what is meant
            fresh = elapsed_s <= self._max_gap_s
            known = present & fresh & (elapsed_s > 0) & (values >= before)
        rates = np.full(values.shape, np.nan)
        np.divide(values - before, elapsed_s, out=rates, where=known)
        self._rows = {key: row for row, key in enumerate(keys)}
        self._epochs = list(epochs)
        self._values = np.where(present, values, np.where(fresh, before, np.nan))
        self._read_at_s = np.where(present, at_s, np.where(fresh, since_s, np.nan))
        return rates

    def _state_of(
        self, keys: Sequence[Hashable], epochs: Sequence[Hashable]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the values kept for these resources and when they were read, NaN for who is new or began anew."""
        last = len(self._epochs)
        rows = np.array(
            [self._row_of(key, epoch, last) for key, epoch in zip(keys, epochs, strict=True)], dtype=np.intp
        )
        nothing = np.full((1, self.columns), np.nan)
        return np.vstack((self._values, nothing))[rows], np.vstack((self._read_at_s, nothing))[rows]

    def _row_of(self, key: Hashable, epoch: Hashable, otherwise: int) -> int:
        row = self._rows.get(key, otherwise)
        if row == otherwise or self._epochs[row] in (None, epoch):
            return row
        return otherwise
