# SPDX-License-Identifier: Apache-2.0
"""How the values of one alarm are judged, slowly and from the description of the attributes, not from the product."""

from collections.abc import Callable, Sequence

from alarmd.model.alarm import State
from alarmd.model.rule import Comparison, Judgement, MissingData

COMPARE: dict[Comparison, Callable[[float, float], bool]] = {
    Comparison.LT: lambda value, threshold: value < threshold,
    Comparison.LE: lambda value, threshold: value <= threshold,
    Comparison.EQ: lambda value, threshold: value == threshold,
    Comparison.NE: lambda value, threshold: value != threshold,
    Comparison.GE: lambda value, threshold: value >= threshold,
    Comparison.GT: lambda value, threshold: value > threshold,
}

#: What may be said of values: a state, a trend where some are outside and some are not, that they are too few, or
#: nothing at all.
ALARM, OK, TREND_ALARM, TREND_OK, UNKNOWN, NOTHING = "alarm", "ok", "trend alarm", "trend ok", "unknown", "nothing"


def said_of(values: Sequence[float | None], judgement: Judgement, state: State) -> tuple[str, int]:
    """Return what is said of values, newest first, and how many of the newest are outside."""
    threshold = judgement.threshold
    if state is State.ALARM and judgement.recovery_threshold is not None:
        threshold = judgement.recovery_threshold
    periods = judgement.evaluation_periods
    longest = periods + max(judgement.hold_periods, judgement.keep_periods)
    padded = [*values, *([None] * longest)]

    def window(ago: int) -> list[bool | None]:
        return [
            None if value is None else COMPARE[judgement.comparison](value, threshold)
            for value in padded[ago : ago + periods]
        ]

    said = _of_window(window(0), judgement)
    outside = sum(_taken_for(side, judgement) is True for side in window(0))
    if judgement.hold_periods:
        before = [_of_window(window(ago), judgement) for ago in range(judgement.hold_periods + 1)]
        if said == TREND_ALARM or (said == ALARM and set(before) != {ALARM}):
            said = NOTHING
    if judgement.keep_periods and state is State.ALARM:
        before = [_of_window(window(ago), judgement) for ago in range(1, judgement.keep_periods + 1)]
        if said == OK and ALARM in before:
            said = NOTHING
    return said, outside


def _taken_for(side: bool | None, judgement: Judgement) -> bool | None:
    if side is None and judgement.missing is MissingData.BREACHING:
        return True
    if side is None and judgement.missing is MissingData.NOT_BREACHING:
        return False
    return side


def _of_window(sides: list[bool | None], judgement: Judgement) -> str:
    sides = [_taken_for(side, judgement) for side in sides]
    if None not in sides:
        return _of_whole_window([side is True for side in sides], judgement.datapoints_to_alarm)
    if judgement.missing is MissingData.MISSING:
        return UNKNOWN
    # What is not known may be outside or inside; something is said when it is said either way.
    worst = _of_whole_window([side is not False for side in sides], judgement.datapoints_to_alarm)
    best = _of_whole_window([side is True for side in sides], judgement.datapoints_to_alarm)
    return worst if worst == best and worst in {ALARM, OK} else NOTHING


def _of_whole_window(sides: list[bool], datapoints_to_alarm: int | None) -> str:
    if datapoints_to_alarm is not None:
        return ALARM if sides.count(True) >= datapoints_to_alarm else OK
    if all(sides):
        return ALARM
    if not any(sides):
        return OK
    return TREND_ALARM if sides[0] else TREND_OK


def next_of(said: str, state: State) -> State:
    """Return the state that follows."""
    if said == ALARM:
        return State.ALARM
    if said == OK:
        return State.OK
    if said == UNKNOWN:
        return State.INSUFFICIENT_DATA
    if said != NOTHING and state is State.INSUFFICIENT_DATA:
        return State.ALARM if said == TREND_ALARM else State.OK
    return state
