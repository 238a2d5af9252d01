# SPDX-License-Identifier: Apache-2.0
"""What was played stays known, however the run ends, and nothing passes for good that was not."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.faults.campaign import CASES
from tests.faults.example import GOOD
from tests.faults.lines import Kept, Line, NoLines, lacking
from tests.faults.scene import POSTGRESQL, SQLITE

PARTS = [(CASES[0], SQLITE)]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """A file that there is not yet."""
    return Kept(tmp_path / "kept.jsonl")


def test_rows_are_read_in_the_order_of_the_table(kept: Kept) -> None:
    """Whoever is done first, the table has cases in their order, and SQLite before PostgreSQL."""
    other = replace(GOOD, case=CASES[1].name)
    elsewhere = replace(GOOD, database=POSTGRESQL)
    for line in (other, elsewhere, GOOD):
        kept.add([line])

    assert [GOOD, elsewhere, other] == kept.lines()


def test_a_case_that_is_played_again_leaves_nothing_of_its_old_rows(kept: Kept) -> None:
    """One that broke off had a single row; those that it has when it goes well have other titles."""
    hangs, drips = replace(GOOD, title="one hangs"), replace(GOOD, title="one drips")
    elsewhere = replace(GOOD, database=POSTGRESQL)
    kept.add([replace(GOOD, complaints=["AssertionError"])])
    kept.add([elsewhere])
    kept.add([hangs, drips])

    assert [hangs, drips, elsewhere] == kept.lines()


def test_a_write_that_breaks_off_loses_no_row(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is replaced as a whole, so until then there are the rows of before."""
    kept.add([GOOD])

    def killed(_path: Path, _target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        kept.add([replace(GOOD, case=CASES[1].name)])

    assert [GOOD] == kept.lines()


def test_rows_of_before_are_read(tmp_path: Path) -> None:
    """Rows that were kept before anybody noted how long they took are as good as any."""
    path = tmp_path / "kept.jsonl"
    old = {name: value for name, value in asdict(GOOD).items() if name not in {"took_s", "load"}}
    path.write_text(f"{json.dumps(old)}\n", encoding="utf-8")

    assert [replace(GOOD, took_s=None, load=None)] == Kept(path).lines()


@pytest.mark.parametrize("text", ["{", "[]", '{"case": "kills"}', '"kills"'])
def test_what_is_no_row_is_named(tmp_path: Path, text: str) -> None:
    """A file of something else is left as it is, and the line that gives it away is told."""
    path = tmp_path / "kept.jsonl"
    path.write_text(f"{json.dumps(asdict(GOOD))}\n{text}\n", encoding="utf-8")

    with pytest.raises(NoLines, match=r"line 2 of .*kept\.jsonl"):
        Kept(path).add([GOOD])
    assert path.read_text(encoding="utf-8").endswith(f"{text}\n")


def test_nothing_is_lacking_where_a_case_was_good() -> None:
    """A case with several rows was good if each of them is."""
    beside = replace(GOOD, title="and one beside them")

    assert [] == lacking(PARTS, [GOOD, beside], short=False, revision="abc1234")
    assert PARTS == lacking(PARTS, [], short=False, revision="abc1234")


@pytest.mark.parametrize(
    "further",
    [
        replace(GOOD, lost=1),
        replace(GOOD, doubled=1),
        replace(GOOD, complaints=["late"]),
        replace(GOOD, left_out="only root can do this"),
        replace(GOOD, form="short"),
        replace(GOOD, revision="abc1234+0f0f"),
        replace(GOOD, revision=""),
    ],
)
def test_a_case_of_which_a_row_is_bad_or_of_something_else_is_lacking(further: Line) -> None:
    """What is wrong, shorter, or of other sources does not stand for what is asked for."""
    assert PARTS == lacking(PARTS, [GOOD, further], short=False, revision="abc1234")


def test_without_a_revision_everything_is_lacking() -> None:
    """Where git says nothing, nobody knows whether it was the same that was played."""
    assert PARTS == lacking(PARTS, [replace(GOOD, revision="")], short=False, revision="")
