# SPDX-License-Identifier: Apache-2.0
"""Close-ups: what one rule sees in the window, in a form for people; made of the evidence that a plan gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from alarmd.evaluators.answers.in_words import number
from alarmd.evaluators.kernel.look_back import periods_read
from alarmd.model.rule import Differences, MissingData, WindowRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """One period of a rule, as it stands."""

    start: datetime
    end: datetime
    #: None when it has none.
    value: float | None
    samples: int
    #: How many members have samples in it, and the share of all members that this is.
    reporting: int
    coverage: float
    #: Why its value is not one of those that are held against the threshold; empty when it is.
    because: str

    @property
    def counts(self) -> bool:
        """Whether its value is held against the threshold."""
        return not self.because


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseUp:
    """What a rule sees."""

    #: Members that there are in the window, that were heard of lately, and that report in the newest period.
    known: int
    remembered: int
    reporting: int
    #: How many do not, and the ids of the first of them.
    missing: int
    missing_named: tuple[str, ...]
    #: Time of the newest sample; None without any.
    newest: datetime | None
    #: Whether nothing has come for so long that nothing there is counts.
    is_silent: bool
    #: For how long the rule can be judged without a further sample, seconds; None where that cannot be told.
    lasts_s: float | None
    #: The values that are held against the threshold, newest first; None where there is none.
    values: tuple[float | None, ...]
    #: Newest first; the oldest ones may be left out.
    periods: tuple[Period, ...]
    #: What it takes for the rule to be judged and is not there; empty when nothing is missing.
    lacking: str


def close_up(rule: WindowRule, evidence: Mapping[str, Any], *, now: datetime, lateness_s: float) -> CloseUp:
    """Return what a rule sees, from the evidence of its layer."""
    watermark = evidence["watermark"]
    members, missing = evidence["members"], evidence["missing"]
    newest = None if watermark is None else _moment(watermark)
    age_s = float("inf") if newest is None else (now - newest).total_seconds()
    patience_s = rule.reading.period_s + lateness_s
    values = tuple(evidence["values"])
    return CloseUp(
        known=members["known"],
        remembered=members["remembered"],
        reporting=members["reporting"],
        missing=missing["count"],
        missing_named=tuple(missing["resources"]),
        newest=newest,
        is_silent=newest is None or (_goes_by_age(rule) and age_s > patience_s),
        lasts_s=_lasts_s(rule, evidence["periods"], now=now, left_s=patience_s - age_s, lateness_s=lateness_s),
        values=values,
        periods=tuple(_periods(rule, evidence["periods"], members["remembered"], _shift(rule, age_s, lateness_s))),
        lacking=_lacking(rule, values, newest, age_s, patience_s),
    )


def _periods(rule: WindowRule, periods: list[dict[str, Any]], remembered: int, place: int) -> list[Period]:
    """Return periods with why they do not count; the newest of them stands at a place among those judged."""
    shown = []
    for one in periods:
        because = _because(rule, one, place)
        shown.append(
            Period(
                start=_moment(one["start"]),
                end=_moment(one["end"]),
                value=one["value"],
                samples=one["samples"],
                reporting=one["reporting"],
                coverage=one["reporting"] / remembered if remembered else 0.0,
                because=because,
            )
        )
        if one["value"] is not None or rule.judgement.missing is not MissingData.MISSING:
            place += 1
    return shown


def _because(rule: WindowRule, period: Mapping[str, Any], place: int) -> str:
    if period["value"] is None:
        passed_over = str(period.get("passed_over", "no change could be taken"))
        return "no change could be taken" if period["samples"] and passed_over == "no samples" else passed_over
    if place < rule.judgement.evaluation_periods:
        return ""
    if place < rule.judgement.reach_periods:
        return "looked at only for how long it has held"
    return "older than what is judged"


def _shift(rule: WindowRule, age_s: float, lateness_s: float) -> int:
    """Return how many periods without anything stand in front of the first one that there is."""
    if rule.reading.is_aligned:
        # The period that has not ended is none that could be judged.
        return -int(rule.reading.complete_only and rule.judgement.missing is not MissingData.MISSING)
    if rule.judgement.missing is MissingData.MISSING or age_s == float("inf"):
        return 0
    return max(int((age_s - lateness_s) // rule.reading.period_s), 0)


def _lacking(
    rule: WindowRule, values: tuple[float | None, ...], newest: datetime | None, age_s: float, patience_s: float
) -> str:
    if newest is None:
        return "no series that the rule means has samples in the window"
    if rule.judgement.missing is not MissingData.MISSING:
        return ""
    if _goes_by_age(rule) and age_s > patience_s:
        return f"the newest sample is {age_s:.0f} s old, and data is missing after {number(patience_s)} s"
    wanted = rule.judgement.evaluation_periods
    held = sum(value is not None for value in values[:wanted])
    if held >= wanted:
        return ""
    old = f"; the newest sample is {age_s:.0f} s old" if age_s > patience_s else ""
    return f"{held} of the {wanted} periods that it takes have a value{old}"


def _goes_by_age(rule: WindowRule) -> bool:
    """Whether all data is missing once the newest sample is too old; else each period is there or not, by itself."""
    return rule.judgement.missing is MissingData.MISSING and not rule.reading.is_aligned


def _lasts_s(
    rule: WindowRule, periods: Sequence[Mapping[str, Any]], *, now: datetime, left_s: float, lateness_s: float
) -> float | None:
    reading, wanted = rule.reading, rule.judgement.evaluation_periods
    if _goes_by_age(rule):
        return left_s if left_s >= 0 else None
    starts = [float(one["start"]) for one in periods if one["value"] is not None]
    if (
        rule.judgement.missing is not MissingData.MISSING
        or reading.complete_only
        or reading.difference_of_results
        or reading.differences is not Differences.NONE
        or len(starts) < wanted
    ):
        return None
    return starts[wanted - 1] + periods_read(rule, lateness_s=lateness_s) * reading.period_s - now.timestamp()


def _moment(time_s: float) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)
