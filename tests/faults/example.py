# SPDX-License-Identifier: Apache-2.0
"""A line of the table, for tests of what is made of lines."""

from tests.faults.campaign import CASES
from tests.faults.lines import Line
from tests.faults.scene import SQLITE

GOOD = Line(
    case=CASES[0].name,
    title="everybody dies",
    database=SQLITE,
    form="long",
    seed=1,
    revision="abc1234",
    injections=1_000,
    transitions=20,
    lost=0,
    doubled=0,
    worst_lateness_s=1.5,
    complaints=[],
    left_out="",
    took_s=12.5,
    load=1.25,
)
