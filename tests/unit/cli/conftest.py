# SPDX-License-Identifier: Apache-2.0
"""Commands against a real server on loopback, over a real database and log."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import click
import pytest
from cheroot import wsgi
from click.testing import CliRunner, Result

from alarmd.cli.alarm import alarm
from alarmd.cli.delivery import delivery
from alarmd.cli.events import events
from alarmd.cli.quota import quota
from alarmd.cli.samples import samples
from alarmd.cli.secret import secret
from alarmd.cli.silence import silence
from tests.support.rest import Door, open_door


@click.group()
def commands() -> None:
    """The client commands."""


for command in (alarm, samples, events, quota, delivery, secret, silence):
    commands.add_command(command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """Where commands are typed; they reach the server behind it."""

    url: str
    door: Door

    def run(self, *arguments: str, typed: str | None = None, **environment: str) -> Result:
        """Run a command; its exit code is for the test to look at."""
        env = {"ALARMD_URL": self.url, "COLUMNS": "200"} | environment
        return CliRunner().invoke(commands, arguments, input=typed, env=env)

    def ok(self, *arguments: str, typed: str | None = None) -> str:
        """Run a command that must work and return what it printed."""
        result = self.run(*arguments, typed=typed)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *arguments: str) -> Any:
        """Run a command that must work and return what it printed as JSON, decoded."""
        return json.loads(self.ok(*arguments, "--format", "json"))


@contextmanager
def terminal_before(door: Door) -> Iterator[Terminal]:
    """Give a terminal on a machine where a door is reached on loopback."""
    server = wsgi.Server(("127.0.0.1", 0), door.app, numthreads=2)
    server.prepare()
    thread = Thread(target=server.serve)
    thread.start()
    host, port = server.bind_addr
    yield Terminal(url=f"http://{host}:{port}", door=door)
    server.stop()
    thread.join()
    door.close()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal on a machine where alarmd listens on loopback."""
    with terminal_before(open_door(tmp_path)) as opened:
        yield opened
