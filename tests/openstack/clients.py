# SPDX-License-Identifier: Apache-2.0
"""Today's clients as tests call them: both command lines and the Python client, each in the way its users do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.openstack.script import Script, script


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command ended with and wrote."""

    status: int
    out: str
    err: str

    @property
    def table(self) -> Any:
        """What was written, decoded: the command was given `-f json`."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody who calls, and where to."""

    url: str
    user: str
    project: str
    roles: str = "member,reader"

    def options_of(self, program: str) -> list[str]:
        """Return the options that tell a command line who calls."""
        prefix = {"aodh": "--", "openstack": "--os-"}[program]
        told = {"user-id": self.user, "project-id": self.project, "roles": self.roles, "aodh-endpoint": self.url}
        options = [word for name, value in told.items() for word in (f"{prefix}{name}", value)]
        return ["--os-auth-type", "aodh-noauth", *options]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """A command line in somebody's hands."""

    process: Script
    program: str
    caller: Caller

    def run(self, *words: str) -> Said:
        """Run a command and return what it said, whatever that is."""
        args = [*self.caller.options_of(self.program), *words]
        return Said(**self.process.ask({"program": self.program, "args": args}))

    def table(self, *words: str) -> Any:
        """Run a command that must end well and return its output, decoded."""
        said = self.run(*words, "-f", "json")
        assert said.status == 0, said.err
        return said.table

    def refusal(self, *words: str) -> str:
        """Run a command that must fail and return what it complains of."""
        said = self.run(*words)
        assert said.status != 0, said.out
        return said.err

    def create(self, name: str, *options: str, kind: str = "event") -> dict[str, Any]:
        """Create an alarm and return what the command shows of it."""
        shown: dict[str, Any] = self.table("alarm", "create", "--name", name, "--type", kind, *options)
        return shown

    def by(self, **changes: str) -> "Shell":
        """Return the same command line in other hands."""
        return replace(self, caller=replace(self.caller, **changes))


class Refused(Exception):
    """What the Python client has raised: the name of the class, and its text."""

    def __init__(self, *, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonClient:
    """The Python client in somebody's hands."""

    process: Script
    caller: Caller

    def __call__(self, name: str, *args: Any, **options: Any) -> Any:
        """Call a method, e.g. `alarm.create`; raises `Refused` when it raises."""
        caller = {name: getattr(self.caller, name) for name in ("url", "user", "project", "roles")}
        answer = self.process.ask({"call": name, "args": args, "options": options, "caller": caller})
        if "raised" in answer:
            raise Refused(kind=answer["raised"], text=answer["text"])
        return answer["returned"]

    def by(self, **changes: str) -> "PythonClient":
        """Return the same client in other hands."""
        return replace(self, caller=replace(self.caller, **changes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """Every client, run by one process."""

    process: Script = field(repr=False)

    def shell(self, program: str, caller: Caller) -> Shell:
        """Return a command line, `aodh` or `openstack`."""
        return Shell(process=self.process, program=program, caller=caller)

    def python(self, caller: Caller) -> PythonClient:
        """Return the Python client."""
        return PythonClient(process=self.process, caller=caller)


@contextmanager
def clients(home: Path) -> Iterator[Clients]:
    """Start the process that runs the clients; it ends with the block."""
    with script("clients", home=home) as process:
        yield Clients(process=process)
