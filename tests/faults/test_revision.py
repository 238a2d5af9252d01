# SPDX-License-Identifier: Apache-2.0
"""A row says on which sources it was played, and only those."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults import revision as module
from tests.faults.revision import revision

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def _git(root: Path, *arguments: str) -> str:
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", "-C", str(root), *who, *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def _commit(root: Path, name: str, text: str) -> str:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    _git(root, "add", name)
    _git(root, "commit", "-q", "-m", "Change it")
    return _git(root, "log", "-1", "--format=%h")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of which nothing was committed."""
    _git(tmp_path, "init", "-q")
    monkeypatch.setattr(module, "_ROOT", tmp_path)
    return tmp_path


def test_it_is_the_last_commit_that_changed_what_is_played(root: Path) -> None:
    """A page that is written about it makes no other alarmd of it."""
    played = _commit(root, "alarmd/clock.py", "import time\n")
    _commit(root, "docs/fault-report.md", "all is well\n")
    (root / "docs" / "notes.md").write_text("really\n", encoding="utf-8")

    assert played == revision()


def test_what_is_not_committed_is_told_apart(root: Path) -> None:
    """Two states beyond a commit are two, whether a file was changed or added; going back is the same again."""
    played = _commit(root, "alarmd/clock.py", "import time\n")
    changed = root / "alarmd" / "clock.py"
    changed.write_text("import datetime\n", encoding="utf-8")
    first = revision()
    changed.write_text("import calendar\n", encoding="utf-8")
    second = revision()
    (root / "alarmd" / "new.py").write_text("x = 1\n", encoding="utf-8")
    third = revision()
    (root / "alarmd" / "new.py").write_text("x = 2\n", encoding="utf-8")
    fourth = revision()
    (root / "alarmd" / "new.py").unlink()

    assert 5 == len({played, first, second, third, fourth})
    assert all(each.startswith(f"{played}+") for each in (first, second, third, fourth))
    assert second == revision()


def test_without_git_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources that were unpacked somewhere have no commit."""
    monkeypatch.setattr(module, "_ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert not revision()
