# SPDX-License-Identifier: Apache-2.0
"""A real `alarmd run` with its state in a directory of its own."""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alarmd.clock import Clock
from benchmarks.process import Program

_READY = re.compile(r" is ready at http://(\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A daemon that is ready."""

    #: ``HOST:PORT`` of its API.
    address: str
    #: What it writes to stdout and stderr.
    output: Path

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return what its log tells so far under a name, in order."""
        return events(self.output, name)


@contextmanager
def daemon(directory: Path, *, store_url: str | None, clock: Clock) -> Iterator[Daemon]:
    """Run a daemon on a free port and wait until it is ready; without a URL the database is SQLite's."""
    directory.mkdir()
    settings = {} if store_url is None else {"STORE__URL": store_url}
    with started(directory, listen="127.0.0.1:0", settings=settings, clock=clock) as program:
        output = program.output
        program.wait_until(lambda: bool(_READY.search(output.read_text(errors="replace"))), what="the daemon's start")
        found = _READY.search(output.read_text(errors="replace"))
        yield Daemon(address=found[1] if found else "", output=output)


def started(
    directory: Path,
    *,
    listen: str,
    settings: Mapping[str, str],
    clock: Clock,
    roles: str = "api,evaluator,notifier",
) -> Program:
    """Start every role but the poller's, with some settings by the names of their variables; wait for nothing."""
    # Settings of whoever runs this must not change what is measured.
    env = {key: value for key, value in os.environ.items() if not key.startswith("ALARMD_")}
    env["ALARMD_LOGGING__FORMAT"] = "json"
    env |= {f"ALARMD_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "alarmd", "run", "--state-dir", str(directory / "state")]
    command += ["--listen", listen, "--roles", roles, "--migrate"]
    return Program(command, output=directory / "alarmd.log", clock=clock, env=env)


def events(output: Path, name: str) -> list[dict[str, Any]]:
    """Return what a daemon's log tells so far under a name, in order."""
    lines = output.read_text(errors="replace").splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{") and f'"{name}"' in line]
    return [one for one in told if one["event"] == name]
