# SPDX-License-Identifier: Apache-2.0
"""Programs that a benchmark runs beside itself: they end with it, whatever happens, and leave nothing behind."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from alarmd.clock import Clock

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 20.0
_LOOK_S = 0.05


class Program:
    """One child process whose output goes to a file. As a context it is stopped at the end."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        output: Path,
        clock: Clock,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        stop_with: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.output = output
        self._clock = clock
        self._name = Path(command[0]).name
        self._stop_with = stop_with
        # Where there is a `setpriv`, the program ends even if this process is killed.
        leash = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        switch = {"user": user, "group": user, "extra_groups": []} if user else {}
        with output.open("wb") as into:
            self._process = subprocess.Popen(  # type: ignore[call-overload]  # mypy cannot see into `switch`
                [*leash, *command],
                stdin=subprocess.DEVNULL,
                stdout=into,
                stderr=subprocess.STDOUT,
                cwd=output.parent,
                env=env,
                start_new_session=True,
                **switch,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id."""
        return int(self._process.pid)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait_until(
        self,
        ready: Callable[[], bool],
        *,
        what: str,
        timeout_s: float = _START_TIMEOUT_S,
        every_s: float = _LOOK_S,
    ) -> None:
        """Return once something is so; raise a `ClickException` with the program's last words if it never will be."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        while not ready():
            if self._process.poll() is not None:
                raise self._failed(f"{self._name} ended while {what} was awaited")
            if self._clock.monotonic_s() > deadline_s:
                raise self._failed(f"{what} did not come within {timeout_s:g} s")
            time.sleep(every_s)

    def stop(self) -> None:
        """End the program in order, or by force when it takes too long."""
        if self._process.poll() is not None:
            return
        self._process.send_signal(self._stop_with)
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _failed(self, cause: str) -> click.ClickException:
        said = self.output.read_text(errors="replace").strip()[-2000:]
        return click.ClickException(f"{cause}. It said:\n{said}")


def find_program(name: str, *, remedy: str, folders: Sequence[Path] = ()) -> Path:
    """Return where a program stands, looking into the folders first; raise a `ClickException` with the remedy."""
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    found = shutil.which(name)
    if found is None:
        raise click.ClickException(f"{name} is not installed. {remedy}")
    return Path(found)


def free_port() -> int:
    """Return a port of the loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
