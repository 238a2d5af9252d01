# SPDX-License-Identifier: Apache-2.0
"""Points: the values that a rule really holds against its threshold, chosen from the periods of its window."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alarmd.evaluators.kernel.statistics import Flags, Floats, Index


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Points:
    """The last N values of each of G units, by place."""

    #: N arrays of shape (G,), newest first; NaN where there is none.
    values: list[Floats]
    #: How many each has, at most N, shape (G,).
    held: NDArray[np.int16]
    #: Whether what there is, or is not, is fresh enough to say something, shape (G,).
    known: Flags

    @classmethod
    def none(cls, size: int, *, wanted: int, known: bool) -> "Points":
        """Return points without any value."""
        return cls(
            values=[np.full(size, np.nan) for _ in range(wanted)],
            held=np.zeros(size, np.int16),
            known=np.full(size, known),
        )

    def grown(self, size: int, *, known: bool) -> "Points":
        """Return these, and more without any value."""
        more = Points.none(size - len(self.held), wanted=len(self.values), known=known)
        return Points(
            values=[np.append(old, new) for old, new in zip(self.values, more.values, strict=True)],
            held=np.append(self.held, more.held),
            known=np.append(self.known, more.known),
        )

    def clear(self, place: int) -> None:
        """Forget the values at a place."""
        for values in self.values:
            values[place] = np.nan
        self.held[place] = 0

    def put(self, places: Index, values: Floats) -> None:
        """Replace the values at places by an array of shape (N, places)."""
        for into, new in zip(self.values, values, strict=True):
            into[places] = new
        self.held[places] = len(values) - np.isnan(values).sum(axis=0, dtype=np.int16)


def outliers(count: Floats, usable: Flags) -> Flags:
    """Return which periods have unusually few or many samples, all arrays of shape (P, U).

    That is more than two standard deviations from the mean of the usable ones.
    """
    periods = np.maximum(usable.sum(axis=0), 1)
    mean = np.where(usable, count, 0).sum(axis=0) / periods
    variance = (np.where(usable, count - mean, 0.0) ** 2).sum(axis=0) / periods
    return np.asarray(np.abs(count - mean) > 2 * np.sqrt(variance), np.bool_)


def steps(values: Floats) -> Floats:
    """Return what changed to each value from the next older one that there is, where there is one; shape (P, U)."""
    changed = np.full(values.shape, np.nan)
    before = np.full(values.shape[1], np.nan)
    for period in range(len(values) - 1, -1, -1):
        changed[period] = values[period] - before
        before = np.where(np.isnan(values[period]), before, values[period])
    return changed


def latest(values: Floats, *, wanted: int) -> Floats:
    """Return the newest values that there are, passing over NaN, as (wanted, U) from (P, U); NaN behind the last."""
    chosen = _cut(values, wanted)
    lacking = np.flatnonzero(np.isnan(chosen).any(axis=0))
    if not len(lacking):
        return chosen
    some = values[:, lacking]
    is_there = ~np.isnan(some)
    place = np.cumsum(is_there, axis=0) - 1
    period, unit = np.nonzero(is_there & (place < wanted))
    moved = np.full((wanted, len(lacking)), np.nan)
    moved[place[period, unit], unit] = some[period, unit]
    chosen = chosen.copy()
    chosen[:, lacking] = moved
    return chosen


def placed(values: Floats, shift: Index | int, *, wanted: int) -> Floats:
    """Return values at their places in time, as (wanted, U) from (P, U), moved on by so many periods."""
    if not np.any(shift):
        return _cut(values, wanted)
    period = np.arange(wanted)[:, None] - shift
    is_there = (period >= 0) & (period < len(values))
    period = np.broadcast_to(np.where(is_there, period, 0), (wanted, values.shape[1]))
    return np.where(is_there, np.take_along_axis(values, period, axis=0), np.nan)


def _cut(values: Floats, wanted: int) -> Floats:
    if len(values) >= wanted:
        return values[:wanted]
    return np.concatenate([values, np.full((wanted - len(values), values.shape[1]), np.nan)])
