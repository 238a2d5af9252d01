# SPDX-License-Identifier: Apache-2.0
"""Scripts of ours that run inside .venv-openstack: asked with a line of JSON each, for as long as a context lasts."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.openstack import programs

_FOLDER: Final = Path(__file__).parent / "scripts"


class Script:
    """A running script."""

    def __init__(self, process: "subprocess.Popen[str]", *, errors: Path) -> None:
        self._process = process
        self._errors = errors

    def line(self) -> str:
        """Return the next line that it writes; fails with its complaints when it has ended instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"it has ended: {self._errors.read_text()[-8000:]}"
        return line.strip()

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Ask something and return what came of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.line())
        assert "failed" not in answer, answer["failed"]
        return answer


@contextmanager
def script(name: str, *arguments: str, home: Path) -> Iterator[Script]:
    """Start a script by the name of its file; it ends with the block, as its input does."""
    errors = home / f"{name}.err"
    with errors.open("w") as complaints:
        process = subprocess.Popen(
            [programs.program("python"), str(_FOLDER / f"{name}.py"), *arguments],
            env=programs.environment(home),
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        )
    # Closes its input, and waits for it.
    with process:
        yield Script(process, errors=errors)
