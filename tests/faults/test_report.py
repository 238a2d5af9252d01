# SPDX-License-Identifier: Apache-2.0
"""The page says what was found: no row may look better than it is, and no sum may leave one out."""

from dataclasses import replace
from pathlib import Path

from tests.faults import example, report
from tests.faults.campaign import CASES

GOOD = replace(example.GOOD, took_s=None, load=None)
BAD = replace(GOOD, case=CASES[1].name, title="a clock", form="short", seed=2, lost=2, complaints=["two never came"])
LEFT_OUT = replace(GOOD, case=CASES[2].name, title="a mount", injections=0, transitions=0, left_out="only root may")


def _cells(page: str, title: str) -> list[str]:
    row = next(line for line in page.splitlines() if line.startswith(f"| {title} "))
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_the_page_sums_every_row_and_its_verdict(tmp_path: Path) -> None:
    """A row that is bad makes the sum bad, and what it lost is in there; one that was left out counts for nothing."""
    page = tmp_path / "page.md"
    report.write_page([GOOD, BAD, LEFT_OUT], command="it", note="By night.", page=page)
    written = page.read_text(encoding="utf-8")

    assert ["everybody dies", "sqlite", "long", "1,000", "20", "0", "0", "1.5 s", "good"] == _cells(
        written, "everybody dies"
    )
    assert ["a clock", "sqlite", "short", "1,000", "20", "2", "0", "1.5 s", "BAD"] == _cells(written, "a clock")
    assert "left out" == _cells(written, "a mount")[-1]
    assert ["all", "", "1 long, 1 short", "2,000", "40", "2", "0", "1.5 s", "1 BAD"] == _cells(written, "all")
    assert "- Seeds: 1, 2" in written
    assert "- By night." in written
    assert "- Rows by commit: abc1234 2" in written
    assert "- a mount: only root may" in written
    assert "- a clock: two never came" in written


def test_the_page_tells_how_busy_the_machine_was_if_that_is_known(tmp_path: Path) -> None:
    """Rows that were kept before anybody wrote that down say nothing of it, and so does a page with one of them."""
    page = tmp_path / "page.md"
    loads = [replace(GOOD, load=0.7), replace(BAD, load=3.25), LEFT_OUT]
    report.write_page(loads, command="it", page=page)
    told = page.read_text(encoding="utf-8")
    report.write_page([*loads, GOOD], command="it", page=page)

    assert "- Load average when cases ended: 0.7 to 3.2, on " in told
    assert "Load average" not in page.read_text(encoding="utf-8")


def test_a_table_of_which_nothing_was_played_is_not_good() -> None:
    """Where everything was left out, nothing is known to be well."""
    verdict = [cell.strip() for cell in report.as_table([LEFT_OUT]).splitlines()[-1].strip("|").split("|")][-1]

    assert "nothing played" == verdict
