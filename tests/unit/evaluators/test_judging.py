# SPDX-License-Identifier: Apache-2.0
"""Judgements, for columns and for one alarm, held against each other and against the reference."""

from dataclasses import replace
from math import nan

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from alarmd.evaluators.verdicts.judgement import judge, next_state, threshold_of, what_would_flip
from alarmd.evaluators.verdicts.judging import Shape, outcomes
from alarmd.model.alarm import State
from alarmd.model.rule import Comparison, Judgement, MissingData
from alarmd.model.verdict import Outcome
from tests.support import reference_judgement as reference

SAID = {
    reference.ALARM: Outcome.ALL_OUTSIDE,
    reference.OK: Outcome.NONE_OUTSIDE,
    reference.TREND_ALARM: Outcome.MIXED_LATEST_OUTSIDE,
    reference.TREND_OK: Outcome.MIXED_LATEST_INSIDE,
    reference.UNKNOWN: Outcome.UNKNOWN,
    reference.NOTHING: Outcome.UNDECIDED,
}


@st.composite
def judgements(draw: st.DrawFn) -> Judgement:
    """Draw a judgement with any of the optional attributes; thresholds lie among the `VALUES`."""
    periods = draw(st.integers(1, 5))
    comparison = draw(st.sampled_from(Comparison))
    threshold = float(draw(st.integers(1, 3)))
    directed = comparison not in {Comparison.EQ, Comparison.NE}
    step = -1.0 if comparison in {Comparison.GT, Comparison.GE} else 1.0
    return Judgement(
        comparison=comparison,
        threshold=threshold,
        evaluation_periods=periods,
        datapoints_to_alarm=draw(st.none() | st.integers(1, periods)),
        missing=draw(st.sampled_from(MissingData)),
        recovery_threshold=threshold + step * draw(st.integers(0, 2)) if directed and draw(st.booleans()) else None,
        hold_periods=draw(st.sampled_from([0, 0, 1, 2, 4])),
        keep_periods=draw(st.sampled_from([0, 0, 1, 3, 6])),
    )


VALUES = st.lists(st.sampled_from([None, 0.0, 1.0, 2.0, 3.0, 4.0]), max_size=12)
#: What lasts is rare among values that are drawn one by one.
RUNS = st.lists(
    st.tuples(st.sampled_from([None, 0.0, 2.0, 4.0]), st.integers(1, 6)).map(lambda run: [run[0]] * run[1]), max_size=4
).map(lambda runs: [value for run in runs for value in run])
STATES = st.sampled_from(State)


def column_outcomes(judgement: Judgement, rows: list[tuple[list[float | None], State]]) -> list[tuple[Outcome, int]]:
    """Return what is found of several alarms of one shape at once."""
    shape = Shape.of(judgement)
    table = np.full((shape.reach, len(rows)), nan)
    for column, (values, _) in enumerate(rows):
        for age, value in enumerate(values[: shape.reach]):
            table[age, column] = nan if value is None else value
    threshold = np.array([threshold_of(judgement, state=state) for _, state in rows])
    is_alarm = np.array([state is State.ALARM for _, state in rows]) if shape.depends_on_state else None
    outcome, outside = outcomes(shape, list(table), threshold, is_alarm)
    return [(Outcome(code), count) for code, count in zip(outcome.tolist(), outside.tolist(), strict=True)]


@settings(max_examples=1000, deadline=None)
@given(judgement=judgements(), rows=st.lists(st.tuples(st.one_of(VALUES, RUNS), STATES), min_size=1, max_size=8))
def test_columns_and_one_alarm_are_judged_as_the_reference_judges(
    judgement: Judgement, rows: list[tuple[list[float | None], State]]
) -> None:
    """Every outcome, count and next state agrees, whatever is missing and whatever the attributes are."""
    expected = [reference.said_of(values, judgement, state) for values, state in rows]
    one_by_one = [judge(values, judgement, state=state) for values, state in rows]
    for said, _ in expected:
        event(said)

    assert [(SAID[said], outside) for said, outside in expected] == column_outcomes(judgement, rows)
    assert [(SAID[said], outside) for said, outside in expected] == [(one.outcome, one.outside) for one in one_by_one]
    assert [reference.next_of(said, state) for (said, _), (_, state) in zip(expected, rows, strict=True)] == [
        next_state(state, one.outcome) for one, (_, state) in zip(one_by_one, rows, strict=True)
    ]
    assert [values[0] if values else None for values, _ in rows] == [one.latest for one in one_by_one]


@settings(max_examples=300, deadline=None)
@given(judgement=judgements(), values=st.one_of(VALUES, RUNS), state=STATES)
def test_what_lies_beyond_the_reach_changes_nothing(
    judgement: Judgement, values: list[float | None], state: State
) -> None:
    """A rule that was allowed to look back so far needs to be given no more."""
    reach = Shape.of(judgement).reach

    assert judge(values[:reach], judgement, state=state) == judge(values, judgement, state=state)
    assert judgement.reach_periods == reach


GT_80 = Judgement(comparison=Comparison.GT, threshold=80.0, evaluation_periods=3)


@pytest.mark.parametrize(
    ("values", "changes", "state", "expected"),
    [
        pytest.param([90, 90, 90], {}, State.OK, Outcome.ALL_OUTSIDE, id="all of three"),
        pytest.param([90, 90], {}, State.OK, Outcome.UNKNOWN, id="too few"),
        pytest.param([90, 70, 90], {}, State.OK, Outcome.MIXED_LATEST_OUTSIDE, id="mixed"),
        pytest.param([70, 90, 90], {"datapoints_to_alarm": 2}, State.OK, Outcome.ALL_OUTSIDE, id="two of three"),
        pytest.param([90, 70, 70], {"datapoints_to_alarm": 2}, State.ALARM, Outcome.NONE_OUTSIDE, id="one is not two"),
        pytest.param(
            [90, None, 90],
            {"datapoints_to_alarm": 2, "missing": MissingData.IGNORE},
            State.OK,
            Outcome.ALL_OUTSIDE,
            id="enough, whatever the gap is",
        ),
        pytest.param(
            [90, None, 70],
            {"datapoints_to_alarm": 2, "missing": MissingData.IGNORE},
            State.ALARM,
            Outcome.UNDECIDED,
            id="the gap would decide",
        ),
        pytest.param(
            [None, None, None], {"missing": MissingData.IGNORE}, State.ALARM, Outcome.UNDECIDED, id="silence ignored"
        ),
        pytest.param(
            [None, None, None], {"missing": MissingData.BREACHING}, State.OK, Outcome.ALL_OUTSIDE, id="a dead man"
        ),
        pytest.param(
            [None, 90, 90], {"missing": MissingData.NOT_BREACHING}, State.ALARM, Outcome.MIXED_LATEST_INSIDE, id="fine"
        ),
        pytest.param([75, 75, 75], {"recovery_threshold": 70.0}, State.ALARM, Outcome.ALL_OUTSIDE, id="not recovered"),
        pytest.param([75, 75, 75], {"recovery_threshold": 70.0}, State.OK, Outcome.NONE_OUTSIDE, id="not gone off"),
        pytest.param([90] * 4, {"hold_periods": 2}, State.OK, Outcome.UNDECIDED, id="not yet held"),
        pytest.param([90] * 5, {"hold_periods": 2}, State.OK, Outcome.ALL_OUTSIDE, id="held"),
        pytest.param([90, 90, 90, 70, 90], {"hold_periods": 2}, State.OK, Outcome.UNDECIDED, id="held with a pause"),
        pytest.param(
            [70] * 3 + [90] * 3, {"keep_periods": 3}, State.ALARM, Outcome.UNDECIDED, id="kept, it held three ago"
        ),
        pytest.param([70] * 4 + [90] * 3, {"keep_periods": 3}, State.ALARM, Outcome.NONE_OUTSIDE, id="kept no longer"),
        pytest.param([70] * 3 + [90] * 3, {"keep_periods": 3}, State.OK, Outcome.NONE_OUTSIDE, id="nothing to keep"),
    ],
)
def test_how_values_stand_to_a_threshold(
    values: list[float | None], changes: dict[str, object], state: State, expected: Outcome
) -> None:
    """Each attribute by an example."""
    judgement = replace(GT_80, **changes)  # type: ignore[arg-type]  # by name

    assert expected is judge(values, judgement, state=state).outcome
    assert [expected] == [outcome for outcome, _ in column_outcomes(judgement, [(values, state)])]


#: Beyond all thresholds that are drawn, on either side, and on each of them.
_ANYTHING = [-9.0, 0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 9.0, None]


@settings(max_examples=500, deadline=None)
@given(judgement=judgements(), values=st.one_of(VALUES, RUNS), state=STATES)
def test_flips_are_the_shortest_ways_to_another_state(
    judgement: Judgement, values: list[float | None], state: State
) -> None:
    """Going a way leads where it says and going it less far does not; sides without a way lead nowhere."""

    def after(course: list[float | None]) -> State:
        return reference.next_of(reference.said_of(course, judgement, settled)[0], settled)

    settled = state
    settled = after(values)
    bound = judgement.threshold
    if settled is State.ALARM and judgement.recovery_threshold is not None:
        bound = judgement.recovery_threshold
    flips = {flip.comparison: flip for flip in what_would_flip(values, judgement, state=state)}
    for value in _ANYTHING:
        if value is None and judgement.missing is MissingData.MISSING:
            continue
        meant = [
            flip
            for comparison, flip in flips.items()
            if (value is None and comparison is None)
            or (value is not None and comparison is not None and reference.COMPARE[comparison](value, flip.bound))
        ]
        ways = [after([value, *values[1:]]) if value is not None and values else settled]
        ways += [after([value] * count + values) for count in range(1, 2 * judgement.reach_periods)]
        changes = [count for count, state_then in enumerate(ways) if state_then is not settled]

        assert [flip.periods for flip in meant] == changes[:1]
        assert [flip.becomes for flip in meant] == [ways[count] for count in changes[:1]]
        assert {bound} >= {flip.bound for flip in meant}


@pytest.mark.parametrize(
    ("values", "changes", "state", "expected"),
    [
        ([70, 90, 90], {}, State.OK, [("the newest value > 80", State.ALARM)]),
        ([90, 70, 70], {}, State.OK, [("2 more periods > 80", State.ALARM)]),
        ([90, 90, 90], {}, State.ALARM, [("3 more periods <= 80", State.OK)]),
        (
            [75, 72],
            {"recovery_threshold": 72.5, "evaluation_periods": 1},
            State.ALARM,
            [("the newest value <= 72.5", State.OK)],
        ),
        ([], {}, State.OK, [("3 more periods > 80", State.ALARM), ("3 more periods <= 80", State.OK)]),
        (
            [70, 70, 70],
            {"missing": MissingData.BREACHING},
            State.OK,
            [("3 more periods > 80", State.ALARM), ("3 more periods without data", State.ALARM)],
        ),
        ([90, 90, 90], {"hold_periods": 2}, State.OK, [("2 more periods > 80", State.ALARM)]),
        ([90, 90, 90], {"keep_periods": 5}, State.ALARM, [("6 more periods <= 80", State.OK)]),
        (
            [90, 90, 90],
            {"datapoints_to_alarm": 1, "comparison": Comparison.NE, "threshold": 90.0},
            State.OK,
            [("the newest value != 90", State.ALARM)],
        ),
    ],
)
def test_what_would_flip_an_alarm_is_told_in_words(
    values: list[float | None], changes: dict[str, object], state: State, expected: list[tuple[str, State]]
) -> None:
    """Each way says what it needs and where it leads."""
    flips = what_would_flip(values, replace(GT_80, **changes), state=state)  # type: ignore[arg-type]  # by name

    assert expected == [(flip.needs, flip.becomes) for flip in flips]


def test_whoever_judges_by_the_state_has_to_be_told_it() -> None:
    """A shape that keeps alarms refuses columns without their states instead of guessing."""
    shape = Shape.of(replace(GT_80, keep_periods=1))
    values = [np.array([70.0])] * shape.reach

    with pytest.raises(ValueError, match="whose state is known"):
        outcomes(shape, values, np.array([80.0]), None)


def test_many_alarms_with_a_long_past_are_judged_as_each_alone() -> None:
    """However many there are: the past is looked at in parts."""
    judgement = Judgement(comparison=Comparison.GT, threshold=1.0, evaluation_periods=2, hold_periods=900)
    kinds: list[list[float | None]] = [
        [2.0] * 902,
        [*[2.0] * 901, 0.0],
        [*[2.0] * 450, None, *[2.0] * 451],
        [0.0],
    ]
    alone = [column_outcomes(judgement, [(kind, State.OK)])[0] for kind in kinds]

    assert alone * 200 == column_outcomes(judgement, [(kind, State.OK) for kind in kinds] * 200)
    assert [Outcome.ALL_OUTSIDE, Outcome.UNDECIDED, Outcome.UNDECIDED] == [outcome for outcome, _ in alone[:3]]
