# SPDX-License-Identifier: Apache-2.0
import pytest

from alarmd.evaluators.verdicts.transition_table import NEXT_STATE, OUTCOMES, STATE_CODES, STATES
from alarmd.model.alarm import State
from alarmd.model.verdict import Outcome

OK, ALARM, UNKNOWN = State.OK, State.ALARM, State.INSUFFICIENT_DATA


@pytest.mark.parametrize(
    ("state", "outcome", "expected"),
    [
        (UNKNOWN, Outcome.ALL_OUTSIDE, ALARM),
        (UNKNOWN, Outcome.NONE_OUTSIDE, OK),
        (UNKNOWN, Outcome.MIXED_LATEST_OUTSIDE, ALARM),
        (UNKNOWN, Outcome.MIXED_LATEST_INSIDE, OK),
        (UNKNOWN, Outcome.UNKNOWN, UNKNOWN),
        (OK, Outcome.ALL_OUTSIDE, ALARM),
        (OK, Outcome.NONE_OUTSIDE, OK),
        (OK, Outcome.MIXED_LATEST_OUTSIDE, OK),
        (OK, Outcome.MIXED_LATEST_INSIDE, OK),
        (OK, Outcome.UNKNOWN, UNKNOWN),
        (ALARM, Outcome.ALL_OUTSIDE, ALARM),
        (ALARM, Outcome.NONE_OUTSIDE, OK),
        (ALARM, Outcome.MIXED_LATEST_OUTSIDE, ALARM),
        (ALARM, Outcome.MIXED_LATEST_INSIDE, ALARM),
        (ALARM, Outcome.UNKNOWN, UNKNOWN),
    ],
)
def test_states_follow_each_other_as_in_aodh(state: State, outcome: Outcome, expected: State) -> None:
    """Each state and outcome together lead to the state that Aodh's clients know."""
    assert expected is STATES[NEXT_STATE[STATE_CODES[state] * OUTCOMES + outcome]]
