# SPDX-License-Identifier: Apache-2.0
"""Statistics: what the samples of series come to in periods that are counted back from a moment."""

from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Index = NDArray[np.intp]
Flags = NDArray[np.bool_]


class Quantity(Enum):
    """What is computed of the samples of a series in a period; what a measure says is made of these."""

    COUNT = auto()
    SUM = auto()
    MIN = auto()
    MAX = auto()
    FIRST = auto()
    LAST = auto()
    #: How long before the end of the newest period the first and the last sample lie, ms.
    FIRST_AGE = auto()
    LAST_AGE = auto()
    #: The sum of the squares of what values lie from their mean.
    SQUARES = auto()
    #: The time that differences span, s.
    SPAN = auto()
