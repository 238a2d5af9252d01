# SPDX-License-Identifier: Apache-2.0
"""The command never says that all is well of what it has not played, and goes on where it was broken off."""

import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.faults import __main__ as command
from tests.faults.case import Case, Outcome
from tests.faults.evidence import Findings
from tests.faults.scene import SQLITE, Stage


class _Cases:
    """Two cases that are played at once, and note that they were."""

    def __init__(self) -> None:
        self.played: list[str] = []
        self.complaints: dict[str, list[str]] = {}
        self.every = tuple(self._case(name) for name in ("first", "second"))

    def _case(self, name: str) -> Case:
        def playing(_stage: Stage) -> Outcome:
            self.played.append(name)
            if name in self.complaints and not self.complaints[name]:
                raise KeyboardInterrupt
            return Outcome(injections=1, findings=Findings(complaints=list(self.complaints.get(name, []))))

        return Case(name=name, title=name, play=playing, databases=(SQLITE,))

    def interrupt(self, name: str) -> None:
        """Have a case be the run's end."""
        self.complaints[name] = []


@pytest.fixture
def cases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> _Cases:
    """All that there is to play; what bad cases leave behind goes with the test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = _Cases()
    monkeypatch.setattr(command, "CASES", made.every)
    monkeypatch.setattr(command, "revision", lambda: "abc1234")
    monkeypatch.setattr("tests.faults.campaign.revision", lambda: "abc1234")
    return made


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(command.main, arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--short", "storm", "tenant"], "storm is no part of the short form"),
        (["--short", "storm", "tenant"], "tenant is no part of the short form"),
        (["postgres-restart", "--database", "sqlite"], "postgres-restart is played on postgresql only"),
        (["--resume"], "--keep"),
        (["--show"], "--keep"),
    ],
)
def test_what_plays_nothing_says_why(arguments: list[str], said: str) -> None:
    """Nothing is no success, and whoever asked for it is told which case has nothing to play."""
    result = _run(*arguments)

    assert 2 == result.exit_code
    assert said in " ".join(result.output.split())
    assert "good" not in result.output


def test_a_case_without_a_short_form_is_missed_beside_others(cases: _Cases, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that have one are played; of the other it is said that it is not."""
    long_only = Case(name="third", title="third", play=cases.every[0].play, in_short=())
    monkeypatch.setattr(command, "CASES", (*cases.every, long_only))
    result = _run("--short", "first", "third")

    assert 0 == result.exit_code
    assert ["first"] == cases.played
    assert "Not played: third is no part of the short form" in result.output


def test_a_table_of_what_was_left_out_is_no_success(cases: _Cases, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case that lacks a program was not played, and says which one."""
    lame = Case(name="lame", title="lame", play=cases.every[0].play, databases=(SQLITE,), programs=("no-such-program",))
    monkeypatch.setattr(command, "CASES", (lame,))
    result = _run("lame")

    assert 1 == result.exit_code
    assert "nothing played" in result.output
    assert "lame (sqlite) was left out: not installed: no-such-program" in result.output


def test_a_run_that_breaks_off_keeps_what_was_played(cases: _Cases, tmp_path: Path) -> None:
    """The next one plays the rest only, and its table has all of it."""
    kept, page = tmp_path / "kept.jsonl", tmp_path / "page.md"
    cases.interrupt("second")
    broken_off = _run("--keep", str(kept), "--page", str(page))
    rows = kept.read_text(encoding="utf-8").splitlines()
    cases.complaints.clear()
    cases.played.clear()
    resumed = _run("--keep", str(kept), "--page", str(page), "--resume")

    assert 0 != broken_off.exit_code
    assert 1 == len(rows)
    assert 0 == resumed.exit_code
    assert '- Command: `make faults FAULTS_ARGS="--keep kept.jsonl --resume"`' in page.read_text(encoding="utf-8")
    assert ["second"] == cases.played
    assert all(f"| {name} " in page.read_text(encoding="utf-8") for name in ("first", "second"))


def test_a_page_of_one_run_names_a_command_that_plays_it_again(cases: _Cases, tmp_path: Path) -> None:
    """With the same cases, the same form and the same seed."""
    page = tmp_path / "page.md"
    result = _run("--short", "first", "--database", "sqlite", "--seed", "7", "--page", str(page))
    command = '- Command: `make faults FAULTS_ARGS="--short first --database sqlite --seed 7"`'

    assert 0 == result.exit_code
    assert ["first"] == cases.played
    assert command in page.read_text(encoding="utf-8")


def test_rows_that_are_kept_are_shown_without_playing(cases: _Cases, tmp_path: Path) -> None:
    """The page can be written again of what there is, whatever the sources have become; a bad row is still bad."""
    kept, page = tmp_path / "kept.jsonl", tmp_path / "page.md"
    cases.complaints["second"] = ["it was late"]
    _run("--keep", str(kept), "--page", str(tmp_path / "other.md"))
    cases.played.clear()
    result = _run("--keep", str(kept), "--show", "--page", str(page))

    assert 1 == result.exit_code
    assert [] == cases.played
    assert all(f"| {name} " in page.read_text(encoding="utf-8") for name in ("first", "second"))


def test_what_was_bad_is_played_again(cases: _Cases, tmp_path: Path) -> None:
    """A row that is mended takes the place of the bad one; once all are good there is nothing left to play."""
    arguments = ["--keep", str(tmp_path / "kept.jsonl"), "--page", str(tmp_path / "page.md"), "--resume"]
    cases.complaints["first"] = ["it was late"]
    bad = _run(*arguments)
    cases.complaints.clear()
    cases.played.clear()
    mended, again = _run(*arguments), _run(*arguments)

    assert [1, 0, 0] == [bad.exit_code, mended.exit_code, again.exit_code]
    assert ["first"] == cases.played
    assert "2 of 2 are in" in again.output


def test_a_file_of_something_else_is_not_written_over(cases: _Cases, tmp_path: Path) -> None:
    """Before anything is played it is said that this is no file of rows."""
    kept = tmp_path / "notes.txt"
    kept.write_text("buy milk\n", encoding="utf-8")
    result = _run("--keep", str(kept))

    assert 2 == result.exit_code
    assert [] == cases.played
    assert "buy milk\n" == kept.read_text(encoding="utf-8")


def test_a_place_where_nothing_can_be_kept_is_found_out_at_once(cases: _Cases, tmp_path: Path) -> None:
    """No case is played whose row would be lost."""
    result = _run("--keep", str(tmp_path / "missing" / "kept.jsonl"))

    assert 2 == result.exit_code
    assert "Rows cannot be kept in" in result.output
    assert [] == cases.played
