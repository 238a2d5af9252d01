# SPDX-License-Identifier: Apache-2.0
"""Points: the values that a rule really holds against its threshold, chosen from the periods of its window."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alarmd.evaluators.statistics import Counts, Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Points:
    """The last N values of each of G groups."""

    #: N arrays of shape (G,), newest first; NaN where a group has fewer.
    values: list[Floats]
    #: How many each group has, at most N, shape (G,).
    held: NDArray[np.int64]
    #: Whether what there is, or is not, is fresh enough to say something, shape (G,).
    known: NDArray[np.bool_]


def latest_points(
    values: Floats, count: Counts, *, wanted: int, exclude_outliers: bool
) -> tuple[list[Floats], NDArray[np.int64]]:
    """Choose the newest `wanted` periods that have samples, from arrays of shape (G, P), newest period first.

    Empty periods are passed over, so values need not be adjacent (as in Aodh). With `exclude_outliers` a period whose
    number of samples lies more than two standard deviations from the mean of the window is passed over as well.
    """
    usable = count > 0
    if exclude_outliers:
        usable &= ~_outliers(count, usable)
    if usable[:, :wanted].all():
        return [values[:, k] for k in range(wanted)], np.full(len(values), wanted)
    # A stable sort of "unusable" brings the usable periods to the front and leaves them newest first.
    order = np.argsort(~usable, axis=1, kind="stable")[:, :wanted]
    chosen = np.where(np.take_along_axis(usable, order, axis=1), np.take_along_axis(values, order, axis=1), np.nan)
    held = np.minimum(usable.sum(axis=1), wanted)
    return [np.ascontiguousarray(chosen[:, k]) for k in range(wanted)], held


def _outliers(count: Counts, usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    periods = np.maximum(usable.sum(axis=1, keepdims=True), 1)
    mean = np.where(usable, count, 0).sum(axis=1, keepdims=True) / periods
    variance = (np.where(usable, count - mean, 0.0) ** 2).sum(axis=1, keepdims=True) / periods
    return np.asarray(np.abs(count - mean) > 2 * np.sqrt(variance), np.bool_)
