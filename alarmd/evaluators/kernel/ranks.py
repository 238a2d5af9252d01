# SPDX-License-Identifier: Apache-2.0
"""Ranks: which members units have, beside each other in ragged rows."""

from typing import Any

import numpy as np

from alarmd.evaluators.kernel.statistics import Index


class Ranks:
    """M members in U units: unit u has the members `starts[u]:starts[u + 1]`, and at least one."""

    def __init__(self, starts: Index, members: int) -> None:
        self.starts = starts
        self.members = members
        self.is_single = members == len(starts)

    def reduce(self, ufunc: np.ufunc, values: Any) -> Any:
        """Return what the values of members come to, a value a unit, along the last axis."""
        return values if self.is_single else ufunc.reduceat(values, self.starts, axis=-1)

    def spread(self, values: Any) -> Any:
        """Return a value a unit as a value a member, along the last axis."""
        if self.is_single:
            return values
        return np.repeat(values, np.diff(self.starts, append=self.members), axis=-1)

    def unit_of(self) -> Any:
        """Return the unit of each member."""
        return self.spread(np.arange(len(self.starts)))

    def members_of(self, unit: int) -> slice:
        """Return where the members of a unit are."""
        return slice(self.starts[unit], self.starts[unit + 1] if unit + 1 < len(self.starts) else self.members)

    def before(self, count: Index) -> Any:
        """Return how many the members before each one have in the same period and unit."""
        total = np.cumsum(count, axis=1) - count
        return total - self.spread(total[:, self.starts])

    def run(self, units: slice, members: slice) -> "Ranks":
        """Return the same for some units in a row, which have these members."""
        return Ranks(self.starts[units] - members.start, members.stop - members.start)

    def some(self, units: Index) -> "tuple[Ranks, Index]":
        """Return the same for some of the units, and which members these have."""
        if self.is_single:
            return Ranks(np.arange(len(units)), len(units)), units
        begins, ends = self.starts[units], self.starts.take(units + 1, mode="clip")
        ends[units == len(self.starts) - 1] = self.members
        sizes = ends - begins
        starts = np.cumsum(sizes) - sizes
        total = int(sizes.sum())
        return Ranks(starts, total), np.repeat(begins - starts, sizes) + np.arange(total)
