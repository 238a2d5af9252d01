# SPDX-License-Identifier: Apache-2.0
"""Which quantities measures are made of, and how."""

import numpy as np

from alarmd.evaluators.kernel.statistics import Floats, Quantity
from alarmd.model.rule import Measure, Percentile, Statistic

#: Beside the count.
NEEDS: dict[Statistic, frozenset[Quantity]] = {
    Statistic.AVG: frozenset({Quantity.SUM}),
    Statistic.SUM: frozenset({Quantity.SUM}),
    Statistic.MIN: frozenset({Quantity.MIN}),
    Statistic.MAX: frozenset({Quantity.MAX}),
    Statistic.COUNT: frozenset(),
    Statistic.FIRST: frozenset({Quantity.FIRST, Quantity.FIRST_AGE}),
    Statistic.LAST: frozenset({Quantity.LAST, Quantity.LAST_AGE}),
    Statistic.STDDEV: frozenset({Quantity.SUM, Quantity.SQUARES}),
    Statistic.SAMPLE_STDDEV: frozenset({Quantity.SUM, Quantity.SQUARES}),
    Statistic.RATE: frozenset({Quantity.SUM, Quantity.SPAN}),
}


def needs(over_time: Measure, over_members: Measure | None) -> frozenset[Quantity]:
    """Return which quantities it takes, beside the count, to make one value a period of samples."""
    of_time = frozenset() if isinstance(over_time, Percentile) else NEEDS[over_time]
    if over_members is not None:
        # Which member has the newest or oldest sample is asked only where all samples are taken together.
        of_time -= {Quantity.FIRST_AGE, Quantity.LAST_AGE}
    by_age = {Quantity.LAST_AGE} if over_members in {Statistic.FIRST, Statistic.LAST} else frozenset()
    return of_time | by_age


def measured(measure: Statistic, quantities: dict[Quantity, Floats]) -> Floats:
    """Return what quantities come to; NaN where there are no samples."""
    count = quantities[Quantity.COUNT]
    if measure is Statistic.COUNT:
        values = count
    elif measure is Statistic.AVG:
        values = quantities[Quantity.SUM] / np.maximum(count, 1)
    elif measure is Statistic.STDDEV:
        values = np.sqrt(quantities[Quantity.SQUARES] / np.maximum(count, 1))
    elif measure is Statistic.SAMPLE_STDDEV:
        values = np.where(count > 1, np.sqrt(quantities[Quantity.SQUARES] / np.maximum(count - 1, 1)), np.nan)
    elif measure is Statistic.RATE:
        values = quantities[Quantity.SUM] / quantities[Quantity.SPAN]
    else:
        values = quantities[Quantity[measure.name]]
    return values if count.all() else np.where(count > 0, values, np.nan)
