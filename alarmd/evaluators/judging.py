# SPDX-License-Identifier: Apache-2.0
"""How the values of many alarms are held against their thresholds: `judgement` for columns, array operations only."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alarmd.model.rule import Comparison, Judgement, MissingData
from alarmd.model.verdict import Outcome

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Counts: TypeAlias = NDArray[np.int16]

_COMPARE: dict[Comparison, Callable[..., Flags]] = {
    Comparison.LT: np.less,
    Comparison.LE: np.less_equal,
    Comparison.EQ: np.equal,
    Comparison.NE: np.not_equal,
    Comparison.GE: np.greater_equal,
    Comparison.GT: np.greater,
}


class Shape(NamedTuple):
    """What all alarms of a cell have in common of their judgement; their thresholds are their own."""

    comparison: Comparison
    evaluation_periods: int
    datapoints_to_alarm: int | None = None
    missing: MissingData = MissingData.MISSING
    hold_periods: int = 0
    keep_periods: int = 0
    has_recovery: bool = False

    @classmethod
    def of(cls, judgement: Judgement) -> "Shape":
        """Return the shape of one judgement."""
        return cls(
            comparison=judgement.comparison,
            evaluation_periods=judgement.evaluation_periods,
            datapoints_to_alarm=judgement.datapoints_to_alarm,
            missing=judgement.missing,
            hold_periods=judgement.hold_periods,
            keep_periods=judgement.keep_periods,
            has_recovery=judgement.recovery_threshold is not None,
        )

    @property
    def reach(self) -> int:
        """How many values an alarm is judged by, at most."""
        return self.evaluation_periods + max(self.hold_periods, self.keep_periods)

    @property
    def depends_on_state(self) -> bool:
        """Whether `outcomes` has to be told which alarms are in alarm, for their threshold or otherwise."""
        return self.has_recovery or self.keep_periods > 0

    @property
    def to_alarm(self) -> int:
        """From how many values outside on the alarm's condition holds."""
        return self.datapoints_to_alarm or self.evaluation_periods

    @property
    def to_ok(self) -> int:
        """Below how many values outside all is well."""
        return self.datapoints_to_alarm or 1


def outcomes(
    shape: Shape, values: Sequence[Floats], threshold: Floats, is_alarm: Flags | None
) -> tuple[NDArray[np.int8], Counts]:
    """Return how the values of each alarm stand to its threshold, and how many of the newest ones are outside.

    `values` are `shape.reach` arrays, newest first, NaN where there is none; `threshold` is what applies as the alarm
    is now. Periods without data are among those outside where they count as outside. `is_alarm` says which alarms are
    in alarm; it may be None where `shape.depends_on_state` is not.
    """
    periods = _Periods(shape, values, threshold)
    outside, gaps = periods.first()
    latest = periods.outside[0]
    outcome = _verdicts(shape).take(2 * outside + latest)
    if gaps is not None and shape.missing is MissingData.MISSING:
        outcome[gaps > 0] = Outcome.UNKNOWN
    elif gaps is not None:
        # What there is decides only when it decides whatever the rest may be.
        open_ = (outside < shape.to_alarm) & (outside + gaps >= shape.to_ok) & (gaps > 0)
        outcome[open_] = Outcome.UNDECIDED
    if shape.hold_periods:
        _hold(outcome, periods)
    if shape.keep_periods:
        if is_alarm is None:
            raise ValueError("How long an alarm is kept can be said only of alarms whose state is known.")
        _keep(outcome, periods, is_alarm)
    return outcome, outside


class _Periods:
    """Which periods of which alarms are outside, and which are without data where that matters."""

    def __init__(self, shape: Shape, values: Sequence[Floats], threshold: Floats) -> None:
        self.shape = shape
        compare = _COMPARE[shape.comparison]
        #: Newest first, as all of these.
        self.outside = [compare(column, threshold) for column in values]
        gaps = [np.isnan(column) for column in values]
        if shape.missing is MissingData.BREACHING:
            self.outside = [outside | gap for outside, gap in zip(self.outside, gaps, strict=True)]
        elif shape.comparison is Comparison.NE:
            # The one comparison that NaN passes.
            self.outside = [outside & ~gap for outside, gap in zip(self.outside, gaps, strict=True)]
        self.gaps = gaps if shape.missing in {MissingData.MISSING, MissingData.IGNORE} else None

    def first(self) -> tuple[Counts, Counts | None]:
        """Return how many of the newest periods are outside, and how many are without data."""
        wanted = self.shape.evaluation_periods
        return _total(self.outside[:wanted]), None if self.gaps is None else _total(self.gaps[:wanted])

    def holds(self, *, back: int) -> list[Flags]:
        """Return whether the condition held as many periods ago, for 1, 2, … to `back`."""
        wanted = self.shape.evaluation_periods
        outside, gaps = self.first()
        held = []
        for ago in range(1, back + 1):
            _slide(outside, self.outside, ago, wanted)
            holds = np.greater_equal(outside, self.shape.to_alarm)
            if gaps is not None and self.gaps is not None:
                _slide(gaps, self.gaps, ago, wanted)
                if self.shape.missing is MissingData.MISSING:
                    holds &= gaps == 0
            held.append(holds)
        return held


def _hold(outcome: NDArray[np.int8], periods: _Periods) -> None:
    """Take back what has not held long enough."""
    outcome[outcome == Outcome.MIXED_LATEST_OUTSIDE] = Outcome.UNDECIDED
    found = outcome == Outcome.ALL_OUTSIDE
    if found.any():
        held = np.logical_and.reduce(periods.holds(back=periods.shape.hold_periods))
        outcome[found & ~held] = Outcome.UNDECIDED


def _keep(outcome: NDArray[np.int8], periods: _Periods, is_alarm: Flags) -> None:
    """Take back what is well again, but was not a short while ago."""
    found = (outcome == Outcome.NONE_OUTSIDE) & is_alarm
    if found.any():
        held = np.logical_or.reduce(periods.holds(back=periods.shape.keep_periods))
        outcome[found & held] = Outcome.UNDECIDED


def _total(flags: Sequence[Flags]) -> Counts:
    total = flags[0].astype(np.int16)
    for flag in flags[1:]:
        total += flag
    return total


def _slide(total: Counts, flags: Sequence[Flags], ago: int, wanted: int) -> None:
    """Move a sum over `wanted` periods one period into the past, to those that begin `ago` periods back."""
    total += flags[ago + wanted - 1]
    total -= flags[ago - 1]


def _verdicts(shape: Shape) -> NDArray[np.int8]:
    """Return the outcome by ``2 * values outside + latest is outside`` where nothing is missing."""
    table = np.zeros(2 * (shape.evaluation_periods + 1), np.int8)
    table[0::2] = Outcome.MIXED_LATEST_INSIDE
    table[1::2] = Outcome.MIXED_LATEST_OUTSIDE
    table[: 2 * shape.to_ok] = Outcome.NONE_OUTSIDE
    table[2 * shape.to_alarm :] = Outcome.ALL_OUTSIDE
    return table
