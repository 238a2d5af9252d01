# SPDX-License-Identifier: Apache-2.0
"""The source tree, as the architecture tests look at it."""

import ast
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

#: Folders at the top that hold what the project itself wrote.
FOLDERS: Final = ("alarmd", "api", "migrations", "tests", "benchmarks", "deploy", "examples", "docs", ".ci", ".github")

#: The ones that make up the package.
SHIPPED: Final = ("alarmd", "api", "migrations")

_IGNORED: Final = shutil.ignore_patterns(
    ".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "build", "dist", "*.egg-info", "*.so", "alarmd-state"
)


def files(*folders: str, suffix: str = "") -> Iterator[Path]:
    """Yield the files below the named folders of the tree; links to folders are not followed."""
    for folder in folders:
        for parent, children, names in os.walk(ROOT / folder):
            children[:] = [child for child in children if child != "__pycache__"]
            yield from (Path(parent) / name for name in names if name.endswith(suffix))


def copy_to(target: Path) -> Path:
    """Copy the tree, links as links, without what tools have made in it; return where it is."""
    return Path(shutil.copytree(ROOT, target, symlinks=True, ignore=_IGNORED))


def attributes_read(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the dotted name of each attribute that a file reads, e.g. ``time.monotonic``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            yield node.lineno, ast.unparse(node)


def swallowing_handlers(path: Path) -> Iterator[int]:
    """Yield the line of each handler in a file that takes every `Exception` and raises nothing in its place."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = "Exception" if node.type is None else ast.unparse(node.type)
        if caught == "Exception" and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node)):
            yield node.lineno
