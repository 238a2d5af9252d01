# SPDX-License-Identifier: Apache-2.0
"""Heat's engine as tests use it: stacks of alarms, one action after the other."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.openstack import programs
from tests.openstack.clients import Caller

_SCRIPT: Final = Path(__file__).parent / "scripts" / "heat_stacks.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What became of a stack of one alarm."""

    state: tuple[str, str]
    reason: str
    alarm_id: str | None
    show: Any


class HeatEngine:
    """One process with Heat's engine in it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def do(self, action: str, stack: str, caller: Caller, resource: dict[str, Any] | None = None) -> Stack:
        """Do something with a stack whose only resource is called `alarm`, and return what became of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        who = {name: getattr(caller, name) for name in ("url", "user", "project", "roles")}
        question = {"do": action, "stack": stack, "caller": who, "resources": {"alarm": resource}}
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the engine has ended"
        answer = json.loads(line)
        assert "failed" not in answer, answer["failed"]
        alarm = answer["resources"].get("alarm", {})
        action_, status = answer["state"]
        return Stack(state=(action_, status), reason=answer["reason"], alarm_id=alarm.get("id"), show=alarm.get("show"))


@contextmanager
def heat_engine(home: Path) -> Iterator[HeatEngine]:
    """Start an engine; it ends with the block."""
    with (home / "heat.err").open("w") as errors:
        process = subprocess.Popen(
            [programs.program("python"), str(_SCRIPT)],
            env=programs.environment(home),
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    with process:
        yield HeatEngine(process)
        assert process.stdin is not None
        process.stdin.close()
