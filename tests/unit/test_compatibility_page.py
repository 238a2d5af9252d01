# SPDX-License-Identifier: Apache-2.0
"""The page about what differs from Aodh: every difference has a reason, and stands there once."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "aodh-compatibility.md"
HEAD = ["what Aodh does", "what alarmd does", "why"]


def tables() -> list[list[list[str]]]:
    """Return the rows of each table, without its head, cell by cell."""
    lines = [*PAGE.read_text().splitlines(), ""]
    found: list[list[list[str]]] = []
    for before, line in pairwise(["", *lines]):
        if line.startswith("|"):
            if not before.startswith("|"):
                found.append([])
            found[-1].append([cell.strip() for cell in line.strip("|").split(" | ")])
    return [table for table in found if table[0] == HEAD]


def test_every_difference_has_a_reason() -> None:
    """What Aodh does, what alarmd does, and why: three cells with something in each."""
    rows = [row for table in tables() for row in table[2:]]

    assert len(rows) > 60
    assert [] == [row for row in rows if len(row) != len(HEAD) or not all(row)]


def test_no_difference_is_told_twice() -> None:
    """Each is looked for in one place."""
    told = Counter(row[0] for table in tables() for row in table[2:])

    assert [] == [first for first, times in told.items() if times > 1]
