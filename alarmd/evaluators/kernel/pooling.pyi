# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

from alarmd.evaluators.kernel.measuring import Formula
from alarmd.evaluators.kernel.statistics import Floats, Index, Quantity

def pool(cells: Floats, names: Sequence[Quantity], starts: Index, into: Floats) -> None: ...
def across(
    cells: Floats,
    names: Sequence[Quantity],
    formula: Formula | None,
    ages: Floats,
    starts: Index,
    units: Index,
    wanted: Sequence[Quantity],
    into: Floats,
) -> None: ...
def percentile(
    cells: Floats,
    names: Sequence[Quantity],
    formula: Formula | None,
    starts: Index,
    units: Index,
    percent: float,
    into: Floats,
) -> None: ...
