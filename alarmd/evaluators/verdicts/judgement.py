# SPDX-License-Identifier: Apache-2.0
"""How the values of one alarm are held against its threshold, and what would have to happen for its state to change.

The same as `judging` says of columns; for values that came one alarm at a time, and for people who ask why. Values
stand newest first, None where a period has none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from alarmd.evaluators.verdicts.comparing import COMPARE, OPPOSITE, condition_in_words
from alarmd.evaluators.verdicts.judging import Shape, outcomes
from alarmd.evaluators.verdicts.transition_table import NEXT_STATE, OUTCOMES, STATE_CODES, STATES
from alarmd.model.alarm import State
from alarmd.model.rule import Comparison, Judgement, MissingData
from alarmd.model.verdict import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How the values of one alarm stand to its threshold."""

    outcome: Outcome
    #: How many of the newest values are outside, those included that count as outside because there are none.
    outside: int
    #: The value of the newest period, None when it has none.
    latest: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """One way in which the state of an alarm would change."""

    becomes: State
    #: What values would have to be like, None where there would have to be none.
    comparison: Comparison | None
    bound: float
    #: How many further periods would have to be like that; 0 when it is enough that the newest one were.
    periods: int

    @property
    def needs(self) -> str:
        """What it takes in words, e.g. ``2 more periods > 80``."""
        what = condition_in_words(self.comparison, self.bound) if self.comparison else "without data"
        if not self.periods:
            return f"the newest value {what}"
        return f"{self.periods} more {'period' if self.periods == 1 else 'periods'} {what}"


def judge(values: Sequence[float | None], judgement: Judgement, *, state: State) -> Judged:
    """Return how values stand to the threshold of an alarm in a state; those beyond the last are without data."""
    threshold = threshold_of(judgement, state=state)
    compare = COMPARE[judgement.comparison]
    sides = [None if value is None else compare(value, threshold) for value in values]
    return Judged(
        outcome=_outcome(sides, judgement, state=state),
        outside=_window(sides, judgement, ago=0).count(True),
        latest=values[0] if values else None,
    )


def threshold_of(judgement: Judgement, *, state: State) -> float:
    """Return what values are held against while the alarm is in a state."""
    if state is State.ALARM and judgement.recovery_threshold is not None:
        return judgement.recovery_threshold
    return judgement.threshold


def next_state(state: State, outcome: Outcome) -> State:
    """Return the state that follows from an outcome."""
    return STATES[int(NEXT_STATE[STATE_CODES[state] * OUTCOMES + outcome])]


def what_would_flip(values: Sequence[float | None], judgement: Judgement, *, state: State) -> tuple[Flip, ...]:
    """Return the shortest ways out of the state that an alarm has with these values: by values outside, inside, none.

    What would have to be of the newest period is told rather than of further ones. Where periods without data are
    passed over, they are no way out by themselves, only silence is.
    """
    state = next_state(state, judge(values, judgement, state=state).outcome)
    bound = threshold_of(judgement, state=state)
    compare = COMPARE[judgement.comparison]
    sides = [nan if value is None else float(compare(value, bound)) for value in values]
    ways: list[tuple[float, Comparison | None]] = [
        (1.0, judgement.comparison),
        (0.0, OPPOSITE[judgement.comparison]),
        (nan, None),
    ]
    if judgement.missing is MissingData.MISSING:
        ways.pop()
    flips = []
    for side, comparison in ways:
        first, *further = _states_after(side, sides, judgement, state=state)
        # Data that is there does not become missing.
        states = [state if comparison is None or not sides else first, *further]
        changed = next((count for count, after in enumerate(states) if after is not state), None)
        if changed is not None:
            flips.append(Flip(becomes=states[changed], comparison=comparison, bound=bound, periods=changed))
    return tuple(flips)


def _states_after(side: float, sides: Sequence[float], judgement: Judgement, *, state: State) -> list[State]:
    """Return the states that would follow if the newest period were on a side, or 1, 2, … further ones were.

    Sides are 1 outside, 0 inside, NaN without data. After as many further periods as are looked at, nothing changes.
    """
    shape = Shape.of(judgement)._replace(comparison=Comparison.GT)
    courses = [[side, *sides[1:]], *([side] * count + [*sides] for count in range(1, shape.reach + 1))]
    table = np.array([(course + [nan] * shape.reach)[: shape.reach] for course in courses])
    ages = [np.ascontiguousarray(column) for column in table.T]
    is_alarm = np.full(len(courses), state is State.ALARM)
    found, _ = outcomes(shape, ages, np.full(len(courses), 0.5), is_alarm)
    return [next_state(state, Outcome(code)) for code in found.tolist()]


def _outcome(sides: Sequence[bool | None], judgement: Judgement, *, state: State) -> Outcome:
    found = _window_outcome(sides, judgement, ago=0)
    if judgement.hold_periods and found is Outcome.MIXED_LATEST_OUTSIDE:
        return Outcome.UNDECIDED  # a trend is no condition that has held
    if found is Outcome.ALL_OUTSIDE:
        held = (_holds(sides, judgement, ago=ago) for ago in range(1, judgement.hold_periods + 1))
        return found if all(held) else Outcome.UNDECIDED
    if found is Outcome.NONE_OUTSIDE and state is State.ALARM:
        held = (_holds(sides, judgement, ago=ago) for ago in range(1, judgement.keep_periods + 1))
        return Outcome.UNDECIDED if any(held) else found
    return found


def _holds(sides: Sequence[bool | None], judgement: Judgement, *, ago: int) -> bool:
    return _window_outcome(sides, judgement, ago=ago) is Outcome.ALL_OUTSIDE


def _window(sides: Sequence[bool | None], judgement: Judgement, *, ago: int) -> list[bool | None]:
    """Return the sides of the periods that are looked at together, those without data on the side they count for."""
    chosen = list(sides[ago : ago + judgement.evaluation_periods])
    chosen += [None] * (judgement.evaluation_periods - len(chosen))
    if judgement.missing in {MissingData.BREACHING, MissingData.NOT_BREACHING}:
        stand_in = judgement.missing is MissingData.BREACHING
        return [stand_in if side is None else side for side in chosen]
    return chosen


def _window_outcome(sides: Sequence[bool | None], judgement: Judgement, *, ago: int) -> Outcome:
    """Return how the periods stand that were the newest ones so many periods ago."""
    window = _window(sides, judgement, ago=ago)
    outside, gaps = window.count(True), window.count(None)
    if gaps and judgement.missing is MissingData.MISSING:
        return Outcome.UNKNOWN
    if outside >= (judgement.datapoints_to_alarm or len(window)):
        return Outcome.ALL_OUTSIDE
    if outside + gaps < (judgement.datapoints_to_alarm or 1):
        return Outcome.NONE_OUTSIDE
    if gaps:
        return Outcome.UNDECIDED
    return Outcome.MIXED_LATEST_OUTSIDE if window[0] else Outcome.MIXED_LATEST_INSIDE
