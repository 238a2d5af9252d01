# SPDX-License-Identifier: Apache-2.0
"""Methods: how readings make values of samples, whichever series they read."""

from dataclasses import dataclass

from alarmd.model.rule import Differences, Measure, Reading, Statistic


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A `Reading` without its selector and its periods: what is computed alike for many units. Hashable."""

    over_time: Measure
    over_members: Measure | None = None
    differences: Differences = Differences.NONE
    scale: float = 1.0
    complete_only: bool = False
    difference_of_results: bool = False
    lent_periods: int = 0
    exclude_outliers: bool = False
    minimum_coverage: float = 0.0

    @classmethod
    def of(cls, reading: Reading) -> "Method":
        """Return how a reading computes. A rate is one of a counter, unless said otherwise."""
        differences = reading.differences
        if reading.over_time is Statistic.RATE and differences is Differences.NONE:
            differences = Differences.RESET_SAFE
        return cls(
            over_time=reading.over_time,
            over_members=reading.over_members,
            differences=differences,
            scale=reading.scale,
            complete_only=reading.complete_only,
            difference_of_results=reading.difference_of_results,
            lent_periods=reading.lent_periods,
            exclude_outliers=reading.exclude_outliers,
            minimum_coverage=reading.minimum_coverage,
        )
