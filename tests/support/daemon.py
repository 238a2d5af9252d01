# SPDX-License-Identifier: Apache-2.0
"""A real `alarmd run`, started as an operator would start it, for tests that look at it from outside."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil
import requests

_Value = TypeVar("_Value")

#: How long anything may take that a test waits for, unless it says otherwise.
DEADLINE_S = 20.0


def wait_until(
    look: Callable[[], _Value | None], *, deadline_s: float = DEADLINE_S, what: str = "", every_s: float = 0.02
) -> _Value:
    """Return what `look` finds, as soon as it finds something; fails after the deadline."""
    end_s = time.monotonic() + deadline_s
    pause = threading.Event()
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end_s:
            raise AssertionError(f"waited {deadline_s:g} s in vain for {what or look}")
        pause.wait(every_s)


class Daemon:
    """One running alarmd, on a port of its own."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        *,
        state_dir: Path,
        log: Path,
        begin: Callable[[], "subprocess.Popen[bytes]"] | None = None,
    ) -> None:
        self._begin = begin
        self._log_start = 0
        self.process = process
        self.state_dir = state_dir
        self._log = log
        self.url = ""

    @property
    def log(self) -> str:
        """What the daemon has written so far, to both of its outputs."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def await_ready(self, *, deadline_s: float = DEADLINE_S) -> None:
        """Wait until every process is up and `/readyz` says so."""

        def look() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"alarmd ended with status {self.process.returncode}:\n{self.log}")
            announced = re.search(r"is ready at (http://\S+)", self.log[self._log_start :])
            if not announced:
                return False
            self.url = announced[1]
            try:
                return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
            except requests.Timeout:
                # The port is the supervisor's: while its children are replaced, requests wait for those that follow.
                return False

        try:
            wait_until(look, deadline_s=deadline_s, what="the daemon to be ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log}") from error

    def request(self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Any:
        """Ask the API and return the decoded answer; fails unless the status is a success."""
        response = requests.request(method, f"{self.url}{path}", json=body, headers=headers, timeout=10)
        assert response.ok, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None

    @property
    def metrics(self) -> str:
        """The page of metrics."""
        return requests.get(f"{self.url}/metrics", timeout=10).text

    def children(self, role: str) -> list[int]:
        """Return the process ids of a role's processes, in the order of their numbers."""
        found = {}
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                title = " ".join(child.cmdline())
            except psutil.NoSuchProcess:
                continue
            if match := re.search(rf"alarmd: {role}\[(\d+)\]", title):
                found[int(match[1])] = child.pid
        return [found[number] for number in sorted(found)]

    def kill(self, role: str, *, number: int = 0) -> int:
        """Kill one process of a role with SIGKILL and return its id."""
        pid = wait_until(lambda: self.children(role)[number:], what=f"a {role} to kill")[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    def await_successor(self, role: str, *, of: int, deadline_s: float = DEADLINE_S) -> int:
        """Wait until a killed process has a successor and return the id of that."""

        def look() -> list[int]:
            return [pid for pid in self.children(role) if pid != of]

        return wait_until(look, deadline_s=deadline_s, what=f"a new {role}")[0]

    def stop(self, *, number: int = signal.SIGTERM, deadline_s: float = DEADLINE_S) -> int:
        """End the daemon in order and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(deadline_s)

    def restart(self, *, deadline_s: float = DEADLINE_S) -> None:
        """Start it again, after its end, as it was started; it may have another port."""
        assert self._begin is not None, "nobody has said how"
        self._log_start = len(self.log)
        self.url = ""
        self.process = self._begin()
        self.await_ready(deadline_s=deadline_s)

    def kill_all(self) -> None:
        """End what is left of it, at once."""
        try:
            family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            family = []
        for member in family:
            with _gone_is_fine():
                member.kill()
        self.process.wait(DEADLINE_S)


@contextmanager
def daemon(
    state_dir: Path,
    *,
    options: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    sources: str = "[]",
    await_ready: bool = True,
    command: Sequence[str] = (),
    log: Path | None = None,
) -> Iterator[Daemon]:
    """Start `alarmd run` on a state directory and a free port; ends it after the block.

    It polls nothing unless told to, and its own environment holds no other settings than those given. `command` is put
    before its own, to change the world that it lives in.
    """
    # A log each, also for one that follows another on the same directory.
    log = log or state_dir.parent / f"{state_dir.name}-{len(list(state_dir.parent.glob('*.log')))}.log"

    def begin() -> "subprocess.Popen[bytes]":
        return start(
            ["--state-dir", str(state_dir), "--listen", "127.0.0.1:0", *options],
            environ={"ALARMD_POLLER__SOURCES": sources, **(environ or {})},
            log=log,
            command=command,
        )

    running = Daemon(begin(), state_dir=state_dir, log=log, begin=begin)
    try:
        if await_ready:
            running.await_ready()
        yield running
    finally:
        running.kill_all()


def start(
    options: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    log: Path,
    cwd: Path | None = None,
    command: Sequence[str] = (),
) -> "subprocess.Popen[bytes]":
    """Start `alarmd run` with these options and return its process; both outputs go to one file."""
    # Where bytecode may not be written, each start would compile everything anew.
    foreign = ("ALARMD_", "STATE_DIRECTORY", "PYTHONDONTWRITEBYTECODE")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    with log.open("ab") as output:
        return subprocess.Popen(
            [*command, sys.executable, "-m", "alarmd", "run", *options],
            env={**inherited, **(environ or {})},
            cwd=cwd or log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Its own process group: a signal for the tests is none for the daemon, and the other way round.
            start_new_session=True,
        )


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except psutil.NoSuchProcess:
        return
