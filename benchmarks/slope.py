# SPDX-License-Identifier: Apache-2.0
"""The slope: how what a pass takes grows with the number of alarms, and how far from a straight line it does."""

from collections.abc import Sequence

import numpy as np


def slope(points: Sequence[tuple[int, float]]) -> dict[str, float]:
    """Fit a line through pairs of alarms and milliseconds, in which each point counts by its share and not its size.

    `linearity` is the largest distance of a point from the line, as a share of the point: 0 is a line.
    """
    alarms, took_ms = (np.array(column, np.float64) for column in zip(*points, strict=True))
    rise, base = np.polyfit(alarms, took_ms, 1, w=1 / took_ms)
    told = {f"tick_ms_at_{size}": took for size, took in points}
    return {
        **told,
        "slope_ns_per_alarm": float(rise * 1e6),
        "base_ms": float(base),
        "linearity": float(np.max(np.abs((rise * alarms + base) / took_ms - 1))),
    }
