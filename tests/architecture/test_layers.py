# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import tree


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the import linter on the tree in a folder."""
    linter = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([linter, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


def test_everybody_imports_only_what_the_house_allows() -> None:
    """Every import contract in pyproject.toml is kept."""
    result = lint_imports(tree.ROOT)

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("place", "statement", "told"),
    [
        ("alarmd/pollers/planted.py", "import alarmd.evaluators", "alarmd.pollers is not allowed to import"),
        ("alarmd/cache/planted.py", "import alarmd.store", "alarmd.cache is not allowed to import"),
        ("alarmd/store/planted.py", "import alarmd.workers", "alarmd.store is not allowed to import"),
        ("alarmd/evaluators/planted.py", "import alarmd.api", "alarmd.evaluators is not allowed to import"),
        ("api/planted.py", "import alarmd.cli", "alarmd.api is not allowed to import"),
        ("alarmd/model/planted.py", "import alarmd.settings", "alarmd.model is not allowed to import"),
        ("alarmd/model/planted.py", "import sqlalchemy", "alarmd.model is not allowed to import sqlalchemy"),
    ],
)
def test_a_planted_import_is_found(place: str, statement: str, told: str, tmp_path: Path) -> None:
    """An import that the house forbids breaks a contract, in the mounted folders too."""
    copy = tree.copy_to(tmp_path / "tree")
    (copy / place).write_text(f"{statement}\n")
    result = lint_imports(copy)

    assert result.returncode == 1
    assert told in result.stdout


def test_a_room_that_is_not_in_the_plan_is_found(tmp_path: Path) -> None:
    """A new folder in the package needs a place in the layers first."""
    copy = tree.copy_to(tmp_path / "tree")
    attic = copy / "alarmd/attic"
    attic.mkdir()
    (attic / "__init__.py").touch()
    result = lint_imports(copy)

    assert result.returncode == 1
    assert "alarmd.attic" in result.stdout
