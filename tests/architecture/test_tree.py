# SPDX-License-Identifier: Apache-2.0
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

import alarmd
from tests.architecture import tree

#: Names that say nothing about what a module is for.
VAGUE_NAMES: Final = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}

LONGEST_MODULE: Final = 400

#: Attributes whose reading is reading a clock.
CLOCKS: Final = re.compile(
    r"^(time\.(time|time_ns|monotonic|monotonic_ns|perf_counter|gmtime|localtime)"
    r"|(datetime\.)?datetime\.(now|utcnow|today)|(datetime\.)?date\.today)$"
)


@pytest.mark.parametrize("folder", ["api", "migrations"])
def test_the_mounted_folders_are_linked_into_the_package(folder: str) -> None:
    """Tools that know nothing of the installer find the mounted folders through a link."""
    link = tree.ROOT / "alarmd" / folder

    assert link.is_symlink()
    assert link.resolve() == tree.ROOT / folder


def test_the_api_has_one_name_only() -> None:
    """Importing the API's folder from the top of the tree is refused with the name to use instead."""
    result = subprocess.run(
        [sys.executable, "-c", "import api"], cwd=tree.ROOT, capture_output=True, text=True, check=False
    )

    assert result.returncode == 1
    assert "ImportError: import this package as alarmd.api" in result.stderr


def test_the_version_is_said_once() -> None:
    """The package tells the version that it is built as."""
    project = tomllib.loads((tree.ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == alarmd.__version__


def test_each_folder_with_python_is_a_package() -> None:
    """No folder that holds Python lacks an `__init__.py`, without which the installer would leave it out."""
    folders = {path.parent for path in tree.files(*tree.SHIPPED, "tests", "benchmarks", "examples", suffix=".py")}

    assert sorted(folder for folder in folders if not (folder / "__init__.py").exists()) == []


def test_each_file_names_its_license() -> None:
    """Every source file and script says on its first or second line which license it is under."""
    sources = [
        path
        for suffix in (".py", ".sh", ".mako", ".yml", ".yaml", ".toml")
        for path in tree.files(*tree.FOLDERS, suffix=suffix)
    ]
    sources += [tree.ROOT / "Makefile", tree.ROOT / ".ci/run", tree.ROOT / "setup.py"]

    assert [path for path in sources if not _names_its_license(path)] == []


def _names_its_license(path: Path) -> bool:
    return any("SPDX-License-Identifier: Apache-2.0" in line for line in path.read_text().splitlines()[:2])


def test_modules_are_named_for_what_they_hold() -> None:
    """No module or folder has a name that would fit anything."""
    names = [path for path in tree.files(*tree.FOLDERS, suffix=".py") if {path.stem, path.parent.name} & VAGUE_NAMES]

    assert names == []


def test_no_module_is_too_long() -> None:
    """Whoever opens a module can still read it."""
    lengths = {path: len(path.read_text().splitlines()) for path in tree.files(*tree.SHIPPED, suffix=".py")}

    assert {path: length for path, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_only_the_clock_reads_the_clock() -> None:
    """Everything else in the package is handed a clock or a moment, so tests and replays decide what time it is."""
    readers = [
        f"{path.relative_to(tree.ROOT)}:{line}: {name}"
        for path in tree.files(*tree.SHIPPED, suffix=".py")
        for line, name in tree.attributes_read(path)
        if CLOCKS.match(name) and path != tree.ROOT / "alarmd/clock.py"
    ]

    assert readers == []


def test_only_the_command_line_reads_the_environment() -> None:
    """No module depends on what surrounds the process; settings are read once at the door and passed on as values."""
    readers = [
        f"{path.relative_to(tree.ROOT)}:{line}: {name}"
        for path in tree.files(*tree.SHIPPED, suffix=".py")
        for line, name in tree.attributes_read(path)
        if name in {"os.environ", "os.getenv", "os.environb"} and "cli" not in path.parts
    ]

    assert readers == []


def test_only_the_three_loops_swallow_whatever_comes() -> None:
    """Polling, evaluating and delivering go on after any error; nowhere else is an unforeseen error passed over."""
    swallowers = [
        f"{path.relative_to(tree.ROOT)}:{line}"
        for path in tree.files(*tree.SHIPPED, suffix=".py")
        for line in tree.swallowing_handlers(path)
    ]

    assert len(swallowers) <= 3, swallowers
