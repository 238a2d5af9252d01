# SPDX-License-Identifier: Apache-2.0
"""Heat's engine as tests use it: stacks of alarms, one action after the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.openstack.clients import Caller
from tests.openstack.script import Script, script


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What became of a stack of one alarm."""

    state: tuple[str, str]
    reason: str
    alarm_id: str | None
    show: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatEngine:
    """One process with Heat's engine in it."""

    process: Script = field(repr=False)

    def do(self, action: str, stack: str, caller: Caller, resource: dict[str, Any] | None = None) -> Stack:
        """Do something with a stack whose only resource is called `alarm`, and return what became of it."""
        who = {name: getattr(caller, name) for name in ("url", "user", "project", "roles")}
        answer = self.process.ask({"do": action, "stack": stack, "caller": who, "resources": {"alarm": resource}})
        alarm = answer["resources"].get("alarm", {})
        action_, status = answer["state"]
        return Stack(state=(action_, status), reason=answer["reason"], alarm_id=alarm.get("id"), show=alarm.get("show"))


@contextmanager
def heat_engine(home: Path) -> Iterator[HeatEngine]:
    """Start an engine; it ends with the block."""
    with script("heat_stacks", home=home) as process:
        yield HeatEngine(process=process)
