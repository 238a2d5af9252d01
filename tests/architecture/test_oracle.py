# SPDX-License-Identifier: Apache-2.0
"""The oracle of the fault campaign judges alarmd by what is documented: it may not know a line of its code."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture import tree

ORACLE = "tests.faults.oracle"


def _file_of(root: Path, module: str) -> Path | None:
    """Return where a module of the tree is written; none if it is no module of the tree."""
    path = root / module.replace(".", "/")
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)


def _imports(path: Path) -> Iterator[str]:
    """Yield all that a file imports, wherever in it, and what may be a module as if it were one."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            yield from (node.module or "", *(f"{node.module}.{each.name}" for each in node.names))


def _reached(root: Path) -> dict[str, str]:
    """Return what the oracle imports, by itself or by way of others of the tests, and who of them does so."""
    found: dict[str, str] = {}
    waiting = [ORACLE]
    while waiting:
        importer = waiting.pop()
        path = _file_of(root, importer)
        for name in _imports(path) if path else ():
            packages = [".".join(name.split(".")[:depth]) for depth in range(1, name.count(".") + 2)]
            fresh = [each for each in packages if each not in found]
            found |= dict.fromkeys(fresh, importer)
            waiting += [each for each in fresh if each.startswith("tests.")]
    return found


def _of_alarmd(root: Path) -> dict[str, str]:
    return {name: who for name, who in _reached(root).items() if name.split(".")[0] in tree.SHIPPED}


def test_the_oracle_knows_nothing_of_alarmd() -> None:
    """Neither it nor anything that it is made of imports alarmd."""
    reached = _reached(tree.ROOT)

    assert {} == _of_alarmd(tree.ROOT)
    assert {"tests.faults.ends", "tests.faults.runs", "tests.support.daemon"} <= reached.keys()


def test_knowledge_by_way_of_others_is_found(tmp_path: Path) -> None:
    """An import that is planted two modules away, and within a function, is found."""
    copy = tree.copy_to(tmp_path / "tree")
    with (copy / "tests/support/daemon.py").open("a", encoding="utf-8") as file:
        file.write("\n\ndef _planted() -> None:\n    from alarmd.store import outbox\n")

    assert {"alarmd", "alarmd.store", "alarmd.store.outbox"} == _of_alarmd(copy).keys()
