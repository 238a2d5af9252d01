# SPDX-License-Identifier: Apache-2.0
"""What Gnocchi's aggregation methods mean over alarmd's own cache, and those that alarmd adds.

Two ways. The usual one does what their names say: rates are those of each member, safe from counters that start anew,
and what grows while a period lasts is looked at when the period is over. The strict one says what Gnocchi says to
Aodh, to the digit: what a change of the group makes of a rate, too.
"""

import re
from dataclasses import replace
from math import ceil
from typing import Final

from alarmd.evaluators.families.measure import CHANGES, is_percentile, measure_of
from alarmd.model.rule import Differences, Measure, Percentile, Reading, Selector, Statistic

#: What Gnocchi 4 lists as its `aggregation_methods`, each also of the differences between points (``rate:``).
PLAIN_METHODS: Final = ("count", "first", "last", "max", "mean", "median", "min", "std", "sum")
RATE: Final = "rate:"
#: What Gnocchi has of percentiles.
_PERCENTILE: Final = re.compile("[1-9][0-9]?pct")
#: What alarmd adds, beside percentiles as `threshold` has them: Gnocchi's `std` is that of a sample.
_ADDED: Final = ("stddev",)
#: What Gnocchi makes of several series.
_ACROSS_GNOCCHI: Final = frozenset({"mean", "median", "std", "min", "max", "sum", "count"})
#: How many periods are looked through for a sample that lends itself.
_LENT: Final = 10
#: What grows while a period lasts.
_GROWING: Final = frozenset({"sum", "count"})

_MEASURES: Final[dict[str, Measure]] = {
    "count": Statistic.COUNT,
    "first": Statistic.FIRST,
    "last": Statistic.LAST,
    "max": Statistic.MAX,
    "mean": Statistic.AVG,
    "median": Percentile(50),
    "min": Statistic.MIN,
    "sum": Statistic.SUM,
}
#: How Gnocchi names what is made of several series.
_ACROSS_NAMES: Final[dict[Measure, str]] = {
    Statistic.AVG: "mean",
    Statistic.MIN: "min",
    Statistic.MAX: "max",
    Statistic.SUM: "sum",
    Statistic.COUNT: "count",
    Statistic.STDDEV: "std",
    Percentile(50): "median",
}


def is_gnocchis(method: str) -> bool:
    """Return whether Gnocchi has a method."""
    base = base_of(method)
    return base in PLAIN_METHODS or _PERCENTILE.fullmatch(base) is not None


def is_method(name: str) -> bool:
    """Return whether a name is that of a method, Gnocchi's or one that alarmd adds."""
    base = base_of(name)
    return is_gnocchis(name) or name in CHANGES or base in _ADDED or is_percentile(base)


def base_of(method: str) -> str:
    """Return a method without ``rate:``."""
    return method.removeprefix(RATE)


def is_rate(method: str) -> bool:
    """Return whether a method is one of differences."""
    return method.startswith(RATE)


def goes_across(method: str) -> bool:
    """Return whether Gnocchi makes a method of several series, or says that it does (`count`)."""
    return base_of(method) in _ACROSS_GNOCCHI


def across_name(over_members: str | None) -> str | None:
    """Return Gnocchi's name for what is made of several series; None where it has none, or nothing is said."""
    return None if over_members is None else _ACROSS_NAMES.get(measure_of(over_members))


def grows(method: str, over_members: str | None = None) -> bool:
    """Return whether what a method gives, or what the members' values become, grows while its period lasts."""
    return base_of(method) in _GROWING or over_members in _GROWING


def look_back_of(*, granularity_s: int, lateness_s: float, strict: bool) -> int:
    """Return how many periods beside those that are judged may be used when some are empty.

    The newest period is one that has just begun. Aodh asks for two more than it judges.
    """
    return 2 if strict else 1 + max(1, ceil(lateness_s / granularity_s))


def lent_of(reading: Reading, *, periods: int, window_s: float) -> int:
    """Return how many periods before all others are read for the sample that the oldest difference is taken from.

    Gnocchi takes it wherever it is; where Gnocchi is to be met, it is looked for as far as the window goes, or nearly.
    """
    if reading.differences is not Differences.PLAIN:
        return 0
    return max(0, min(_LENT, int(window_s / reading.period_s) - periods))


def of_one(selector: Selector, method: str, *, granularity_s: int, strict: bool, coverage: float) -> Reading:
    """Return how the values of one series are read: those that Gnocchi keeps of it, or that it would keep."""
    if method in CHANGES:
        return Reading(
            selector=selector,
            period_s=granularity_s,
            over_time=Statistic.RATE,
            differences=Differences.RESET_SAFE,
            # As `threshold` has it: from how fast it grew while it was seen.
            scale=float(granularity_s) if method == "delta" else 1.0,
            is_aligned=True,
            minimum_coverage=coverage,
        )
    rates = Differences.PLAIN if strict else Differences.RESET_SAFE
    return Reading(
        selector=selector,
        period_s=granularity_s,
        over_time=_over_time(base_of(method)),
        differences=rates if is_rate(method) else Differences.NONE,
        is_aligned=True,
        complete_only=not strict and grows(method),
        minimum_coverage=coverage,
    )


def of_several(
    selector: Selector, method: str, over_members: str | None, *, granularity_s: int, strict: bool, coverage: float
) -> Reading:
    """Return how the values of several series are read as one: each of them first, then what is made of these.

    Without its own name for the second, the method says both.
    """
    if over_members is not None or method in CHANGES:
        of_each = of_one(selector, method, granularity_s=granularity_s, strict=strict, coverage=coverage)
        return replace(
            of_each,
            # A change belongs to one member: those of several are never taken together by themselves.
            over_members=measure_of(over_members or "avg"),
            complete_only=not strict and grows(method, over_members),
        )
    base = base_of(method)
    if is_rate(method) and not strict:
        # Gnocchi gives how much the whole changed from period to period; so does this of whole periods.
        return Reading(
            selector=selector,
            period_s=granularity_s,
            over_time=Statistic.RATE,
            over_members=_over_members(base),
            differences=Differences.RESET_SAFE,
            scale=float(granularity_s),
            is_aligned=True,
            complete_only=grows(method),
            minimum_coverage=coverage,
        )
    return Reading(
        selector=selector,
        period_s=granularity_s,
        over_time=_over_time(base),
        over_members=_over_members(base),
        is_aligned=True,
        complete_only=not strict and grows(method),
        difference_of_results=is_rate(method),
        minimum_coverage=coverage,
    )


def _over_time(base: str) -> Measure:
    return Statistic.SAMPLE_STDDEV if base == "std" else _measure(base)


def _over_members(base: str) -> Measure:
    return Statistic.STDDEV if base == "std" else _measure(base)


def _measure(base: str) -> Measure:
    if base.endswith("pct"):
        return Percentile(float(base.removesuffix("pct")))
    return _MEASURES.get(base) or measure_of(base)
