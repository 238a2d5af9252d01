# SPDX-License-Identifier: Apache-2.0
"""Verdicts: what a rule says of its window, before anybody asks which state the alarm was in."""

from enum import IntEnum


class Outcome(IntEnum):
    """How the periods of a window stand to the threshold. Small integers: plans keep them in arrays."""

    #: Too few periods have data to say anything.
    UNKNOWN = 0
    ALL_OUTSIDE = 1
    NONE_OUTSIDE = 2
    #: Some periods are outside, the latest among them.
    MIXED_LATEST_OUTSIDE = 3
    #: Some periods are outside, the latest is not.
    MIXED_LATEST_INSIDE = 4
    #: Nothing can be said yet, or nothing has changed enough: the state stays.
    UNDECIDED = 5
