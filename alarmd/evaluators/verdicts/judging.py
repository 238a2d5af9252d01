# SPDX-License-Identifier: Apache-2.0
"""How the values of many alarms are held against their thresholds: `judgement` for columns, array operations only."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alarmd.evaluators.verdicts.comparing import COMPARE
from alarmd.model.rule import Comparison, Judgement, MissingData
from alarmd.model.verdict import Outcome

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Counts: TypeAlias = NDArray[np.int16]

#: Values of the past that are looked at together: quick, and little memory however many alarms there are.
_VALUES_AT_ONCE = 1 << 18


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
    wanted = shape.evaluation_periods
    sides = _sides(shape, values[:wanted], threshold)
    outside = _total(sides.outside)
    outcome = _verdicts(shape).take(2 * outside + sides.outside[0])
    if sides.gaps is not None:
        _allow_for_gaps(shape, outcome, outside, _total(sides.gaps))
    if shape.hold_periods:
        outcome[outcome == Outcome.MIXED_LATEST_OUTSIDE] = Outcome.UNDECIDED
        rows = np.flatnonzero(outcome == Outcome.ALL_OUTSIDE)
        held = _held(shape, values, threshold, rows, back=shape.hold_periods, how_often=np.all)
        outcome[rows[~held]] = Outcome.UNDECIDED
    if shape.keep_periods:
        if is_alarm is None:
            raise ValueError("How long an alarm is kept can be said only of alarms whose state is known.")
        rows = np.flatnonzero((outcome == Outcome.NONE_OUTSIDE) & is_alarm)
        held = _held(shape, values, threshold, rows, back=shape.keep_periods, how_often=np.any)
        outcome[rows[held]] = Outcome.UNDECIDED
    return outcome, outside


class _Sides(NamedTuple):
    """Which periods are outside, and which are without data where that is neither; newest first."""

    outside: list[Flags]
    gaps: list[Flags] | None


def _sides(shape: Shape, values: Sequence[Floats], threshold: Floats) -> _Sides:
    compare = COMPARE[shape.comparison]
    outside = [compare(column, threshold) for column in values]
    gaps = [np.isnan(column) for column in values]
    if shape.missing is MissingData.BREACHING:
        return _Sides([side | gap for side, gap in zip(outside, gaps, strict=True)], None)
    if shape.comparison is Comparison.NE:
        # The one comparison that NaN passes.
        outside = [side & ~gap for side, gap in zip(outside, gaps, strict=True)]
    return _Sides(outside, None if shape.missing is MissingData.NOT_BREACHING else gaps)


def _allow_for_gaps(shape: Shape, outcome: NDArray[np.int8], outside: Counts, gaps: Counts) -> None:
    """Take back what gaps leave open: everything, or what they could turn."""
    if shape.missing is MissingData.MISSING:
        np.putmask(outcome, gaps > 0, Outcome.UNKNOWN)
    else:
        could_turn = (outside < shape.to_alarm) & (outside + gaps >= shape.to_ok) & (gaps > 0)
        np.putmask(outcome, could_turn, Outcome.UNDECIDED)


def _held(
    shape: Shape,
    values: Sequence[Floats],
    threshold: Floats,
    rows: NDArray[np.intp],
    *,
    back: int,
    how_often: Callable[..., Flags],
) -> Flags:
    """Return whether the condition of some alarms held, always or ever, 1, 2, … to `back` periods ago."""
    wanted = shape.evaluation_periods
    held = np.empty(len(rows), np.bool_)
    at_once = max(_VALUES_AT_ONCE // (wanted + back), 1)
    for start in range(0, len(rows), at_once):
        some = rows[start : start + at_once]
        together = np.stack([column[some] for column in values[: wanted + back]])
        sides = _sides(shape, [together], threshold[some])
        met = _past_totals(sides.outside[0], wanted) >= shape.to_alarm
        if sides.gaps is not None and shape.missing is MissingData.MISSING:
            met &= _past_totals(sides.gaps[0], wanted) == 0
        held[start : start + at_once] = how_often(met, axis=0)
    return held


def _past_totals(flags: Flags, wanted: int) -> Counts:
    """Return the sums over `wanted` periods that begin 1, 2, … periods back; a row for each."""
    summed = np.cumsum(flags, axis=0, dtype=np.int16)
    return summed[wanted:] - summed[:-wanted]


def _total(flags: Sequence[Flags]) -> Counts:
    total = flags[0].astype(np.int16)
    for flag in flags[1:]:
        total += flag
    return total


def _verdicts(shape: Shape) -> NDArray[np.int8]:
    """Return the outcome by ``2 * values outside + latest is outside`` where nothing is missing."""
    table = np.zeros(2 * (shape.evaluation_periods + 1), np.int8)
    table[0::2] = Outcome.MIXED_LATEST_INSIDE
    table[1::2] = Outcome.MIXED_LATEST_OUTSIDE
    table[: 2 * shape.to_ok] = Outcome.NONE_OUTSIDE
    table[2 * shape.to_alarm :] = Outcome.ALL_OUTSIDE
    return table
