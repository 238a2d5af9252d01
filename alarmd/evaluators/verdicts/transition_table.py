# SPDX-License-Identifier: Apache-2.0
"""Aodh's transition table for threshold rules, as an array: which state follows from a state and an outcome."""

import numpy as np
from numpy.typing import NDArray

from alarmd.model.alarm import State
from alarmd.model.verdict import Outcome

#: States in the order of their codes.
STATES = (State.OK, State.ALARM, State.INSUFFICIENT_DATA)
#: State -> code, as kept in arrays.
STATE_CODES = {state: code for code, state in enumerate(STATES)}

_NEXT = {
    State.OK: {
        Outcome.UNKNOWN: State.INSUFFICIENT_DATA,
        Outcome.ALL_OUTSIDE: State.ALARM,
        Outcome.NONE_OUTSIDE: State.OK,
        Outcome.MIXED_LATEST_OUTSIDE: State.OK,
        Outcome.MIXED_LATEST_INSIDE: State.OK,
        Outcome.UNDECIDED: State.OK,
    },
    State.ALARM: {
        Outcome.UNKNOWN: State.INSUFFICIENT_DATA,
        Outcome.ALL_OUTSIDE: State.ALARM,
        Outcome.NONE_OUTSIDE: State.OK,
        Outcome.MIXED_LATEST_OUTSIDE: State.ALARM,
        Outcome.MIXED_LATEST_INSIDE: State.ALARM,
        Outcome.UNDECIDED: State.ALARM,
    },
    State.INSUFFICIENT_DATA: {
        Outcome.UNKNOWN: State.INSUFFICIENT_DATA,
        Outcome.ALL_OUTSIDE: State.ALARM,
        Outcome.NONE_OUTSIDE: State.OK,
        Outcome.MIXED_LATEST_OUTSIDE: State.ALARM,
        Outcome.MIXED_LATEST_INSIDE: State.OK,
        Outcome.UNDECIDED: State.INSUFFICIENT_DATA,
    },
}


def _table() -> NDArray[np.int8]:
    return np.array([[STATE_CODES[_NEXT[state][outcome]] for outcome in Outcome] for state in STATES], np.int8)


#: State code × outcome -> next state code, flattened: index with ``state * OUTCOMES + outcome``.
NEXT_STATE: NDArray[np.int8] = _table().ravel()
OUTCOMES = len(Outcome)
