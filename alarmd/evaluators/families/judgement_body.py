# SPDX-License-Identifier: Apache-2.0
"""What rules may say beyond Aodh's attributes of how values are judged, as clients write it.

All of it may be left out, and what is left out is not shown: clients compare the rule that they sent with the one that
is kept.
"""

from math import ceil
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from alarmd.complaints import invalid
from alarmd.errors import InvalidInput
from alarmd.evaluators.families.rule_body import Number, RuleBody, whole_number
from alarmd.evaluators.family import RuleLimits
from alarmd.model.rule import Comparison, Judgement, MissingData

#: How many periods a rule may look at, whatever the operator allows (`RuleLimits.periods`).
MAX_PERIODS = 1000

_UPWARD = frozenset({Comparison.GT, Comparison.GE})
_DOWNWARD = frozenset({Comparison.LT, Comparison.LE})


def optional(description: str) -> Any:
    """Return what a member is that is shown only when somebody has said it."""
    return Field(default=None, exclude_if=lambda value: value is None, description=description)


#: A year.
_LONGEST_S = 31_536_000
#: What is checked stands before how it is read, so that those who describe the API see it.
_Seconds = Annotated[int, Field(ge=0, le=_LONGEST_S), BeforeValidator(whole_number)]


class JudgementBody(RuleBody):
    """Base of rules over periods: what they may say beyond Aodh's attributes."""

    datapoints_to_alarm: Annotated[int, Field(ge=1, le=MAX_PERIODS), BeforeValidator(whole_number)] | None = optional(
        "alarm when so many of the evaluation_periods are outside, ok when fewer are"
    )
    treat_missing_data: MissingData | None = optional(
        "what a period without data is: passed over (missing, the default), either side (ignore), outside (breaching) "
        "or inside (not_breaching)"
    )
    recovery_threshold: Number | None = optional("what values are held against instead while in alarm")
    hold_for: _Seconds | None = optional(
        "seconds; alarm only if the condition was met for so much longer than the evaluation_periods"
    )
    keep_for: _Seconds | None = optional("seconds; alarm stays until the condition was last met longer ago")
    minimum_coverage: Annotated[Number, Field(gt=0, le=1)] | None = optional(
        "the share of a group's members that must have reported in a period; with fewer, it is one without data"
    )

    @property
    def coverage(self) -> float:
        """The `Reading.minimum_coverage` that is meant."""
        return self.minimum_coverage or 0.0

    def judgement(
        self, *, comparison: Comparison, threshold: float, evaluation_periods: int, period_s: float
    ) -> Judgement:
        """Return how values are judged; raises `InvalidInput` for what contradicts the rest of the rule."""
        judgement = Judgement(
            comparison=comparison,
            threshold=threshold,
            evaluation_periods=evaluation_periods,
            datapoints_to_alarm=self.datapoints_to_alarm,
            missing=self.treat_missing_data or MissingData.MISSING,
            recovery_threshold=self.recovery_threshold,
            hold_periods=ceil((self.hold_for or 0) / period_s),
            keep_periods=ceil((self.keep_for or 0) / period_s),
        )
        if self.datapoints_to_alarm is not None and self.datapoints_to_alarm > evaluation_periods:
            raise invalid(
                "datapoints_to_alarm",
                self.datapoints_to_alarm,
                f"Value should be lower or equal to evaluation_periods, which is {evaluation_periods}",
            )
        if self.recovery_threshold is not None:
            _refuse_backward(self.recovery_threshold, comparison, threshold)
        periods = evaluation_periods + judgement.hold_periods + judgement.keep_periods
        if periods > MAX_PERIODS:
            raise InvalidInput(
                f"The rule looks at {periods} periods of {period_s:g} s, {judgement.hold_periods} of them for hold_for "
                f"and {judgement.keep_periods} for keep_for, but {MAX_PERIODS} is the most. Make hold_for or keep_for "
                "shorter, or the periods longer."
            )
        return judgement


def check_reach(judgement: Judgement, limits: RuleLimits, *, look_back: int, period_s: int, remedy: str) -> None:
    """Refuse a rule that reads more periods than an operator allows, or looks back further than the window goes.

    Args:
        judgement: How many periods are judged.
        limits: What is allowed.
        look_back: How many periods are read beside them, to bridge gaps.
        period_s: How long each is.
        remedy: What somebody can change whose rule looks back too far.
    """
    judged = judgement.reach_periods
    read = f"{judged} periods of {period_s} s and {look_back} to bridge gaps"
    if judged + look_back > limits.periods:
        raise InvalidInput(
            f"The rule reads {judged + look_back} periods ({read}), but {limits.periods} is the most that one rule "
            "may. Use fewer or longer periods, or a shorter hold_for or keep_for, or ask the operator to raise "
            "api.max_rule_periods."
        )
    reach_s = period_s * (judged + look_back)
    if reach_s > limits.window_s:
        raise InvalidInput(
            f"The rule looks back {reach_s} s ({read}), but the window holds {limits.window_s:g} s. {remedy}, or ask "
            "the operator to raise window.length_s."
        )


def _refuse_backward(recovery: float, comparison: Comparison, threshold: float) -> None:
    """Refuse a recovery threshold beyond the threshold: the alarm would go off and end with every tick."""
    if comparison not in _UPWARD | _DOWNWARD:
        raise invalid(
            "recovery_threshold", recovery, "It goes with the comparison_operator lt, le, gt or ge only; leave it out"
        )
    if comparison in _UPWARD and recovery > threshold:
        raise invalid(
            "recovery_threshold", recovery, f"Value should be lower or equal to threshold, which is {threshold:g}"
        )
    if comparison in _DOWNWARD and recovery < threshold:
        raise invalid(
            "recovery_threshold", recovery, f"Value should be greater or equal to threshold, which is {threshold:g}"
        )
