# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

from tests.architecture import tree

#: Folders of the tree and the packages they are in the wheel.
MOUNTED: Final = {"alarmd": "alarmd", "api": "alarmd/api", "migrations": "alarmd/migrations"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the source distribution from a copy of the tree, and the wheel from nothing but that; return the wheel."""
    copy = tree.copy_to(tmp_path_factory.mktemp("packaging") / "tree")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(copy / "dist")]
    result = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (path,) = (copy / "dist").glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_one_package(wheel: zipfile.ZipFile) -> None:
    """Installing alarmd adds `alarmd` to what can be imported, and nothing like `api` or `tests` beside it."""
    tops = {name.split("/")[0] for name in wheel.namelist()}

    assert {top for top in tops if not top.endswith(".dist-info")} == {"alarmd"}


def test_the_wheel_holds_all_of_the_tree(wheel: zipfile.ZipFile) -> None:
    """Each module of the tree, also of the mounted folders, is in the wheel, under the name it is imported by."""
    expected = {
        f"{package}/{path.relative_to(tree.ROOT / folder)}"
        for folder, package in MOUNTED.items()
        for path in tree.files(folder, suffix=".py")
    }

    assert expected == {name for name in wheel.namelist() if name.endswith(".py")}


def test_the_wheel_says_that_it_is_typed(wheel: zipfile.ZipFile) -> None:
    """Type checkers of those who use alarmd as a library read its annotations."""
    assert "alarmd/py.typed" in wheel.namelist()


def test_the_wheel_holds_the_files_that_are_no_python(wheel: zipfile.ZipFile) -> None:
    """Templates and the like travel with the package that reads them."""
    expected = {
        f"{package}/{path.relative_to(tree.ROOT / folder)}"
        for folder, package in MOUNTED.items()
        for path in tree.files(folder)
        if path.suffix not in {".py", ".pyc"}
    }

    assert expected - set(wheel.namelist()) == set()


def test_an_unpacked_wheel_can_be_imported(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """The mounted packages come from the wheel itself, not from the tree that it was built from."""
    wheel.extractall(tmp_path)
    program = "import alarmd.api, alarmd.migrations; print(alarmd.api.__file__, alarmd.migrations.__file__)"
    result = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert result.stdout.split() == [
        str(tmp_path / "alarmd/api/__init__.py"),
        str(tmp_path / "alarmd/migrations/__init__.py"),
    ]
