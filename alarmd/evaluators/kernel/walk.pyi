# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alarmd.cache.bank import Lanes
from alarmd.evaluators.kernel.statistics import Floats, Index, Quantity
from alarmd.evaluators.kernel.sweep import Extent, Subjects

def reduce(
    lanes: Lanes,
    rows: NDArray[np.int32],
    newest_ms: NDArray[np.int64],
    subjects: Subjects,
    extent: Extent,
    members: Index,
    names: Sequence[Quantity],
    cells: Floats,
) -> None: ...
def collect(
    lanes: Lanes,
    rows: NDArray[np.int32],
    newest_ms: NDArray[np.int64],
    subjects: Subjects,
    extent: Extent,
    members: Index,
    starts: Index,
    samples: Floats,
) -> None: ...
