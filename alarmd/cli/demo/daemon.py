# SPDX-License-Identifier: Apache-2.0
"""The alarmd that the demo starts: `alarmd run` as anybody would run it, on a temporary state directory."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Self

from alarmd.cli.client import Client, RequestRefused
from alarmd.clock import Clock
from alarmd.errors import AlarmdError

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 20.0
_LOOK_EVERY_S = 0.05
#: How much of the daemon's log is shown when it does not start.
_LAST_WORDS = 2_000


class DemoDaemon:
    """A running alarmd with one source; a context manager that stops it again."""

    def __init__(self, folder: Path, *, source: Mapping[str, Any], secret: str, clock: Clock) -> None:
        self._folder = folder
        self._source = source
        self._secret = secret
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._client: Client | None = None

    def __enter__(self) -> Self:
        config = self._folder / "alarmd.toml"
        config.touch(mode=0o600)
        config.write_text(self._config(), encoding="utf-8")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own program, with a file that we have just written
                [sys.executable, "-m", "alarmd", "run", "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={name: value for name, value in os.environ.items() if not name.startswith("ALARMD_")},
            )
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def client(self) -> Client:
        """The way to its REST API, for the project that owns the machines."""
        if self._client is None:
            raise AlarmdError("The demo's alarmd is not running.")
        return self._client

    def samples(self, metric: str, labels: Mapping[str, str]) -> dict[str, float]:
        """Return the newest value of a metric by resource, for resources with these labels."""
        arguments = [("metric", metric), *((f"labels.{name}", value) for name, value in labels.items())]
        found = self.client.get("/v3/series", arguments)["series"]
        return {one["resource_id"]: one["latest"]["value"] for one in found}

    def newest_sample_s(self, metric: str, resource_ids: Sequence[str], *, before_s: float) -> float:
        """Return the time of the newest sample of some resources before a moment, seconds since the epoch."""
        newest = [0.0]
        for resource_id in resource_ids:
            arguments = [("metric", metric), ("resource_id", resource_id), ("end", str(before_s))]
            for series in self.client.get("/v3/series/data", arguments)["series"]:
                newest += [_epoch_s(point["timestamp"]) for point in series["points"]]
        return max(newest)

    def stop(self) -> None:
        """Stop it in order, and at once when it does not react."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def _log(self) -> Path:
        return self._folder / "alarmd.log"

    def _config(self) -> str:
        source = "\n".join(f"{key} = {_toml(value)}" for key, value in self._source.items())
        return (
            f"state_dir = {_toml(str(self._folder / 'state'))}\n"
            f'[api]\nlisten = "127.0.0.1:0"\n'
            f"[poller]\njitter_s = 0.0\n"
            f"[[poller.sources]]\n{source}\n"
            f"[notifier]\nsecret = {_toml(self._secret)}\n"
            f'[logging]\nformat = "json"\n'
        )

    def _await_ready(self) -> None:
        deadline_s = self._clock.monotonic_s() + _START_TIMEOUT_S
        pause = Event()
        while self._clock.monotonic_s() < deadline_s and self._process and self._process.poll() is None:
            words = self._log.read_text(encoding="utf-8", errors="replace")
            announced = re.search(r"is ready at (http://\S+)", words)
            if announced:
                self._client = Client(announced[1], headers={"X-Project-Id": PROJECT, "X-Roles": "member,reader"})
                if self._is_ready():
                    return
            pause.wait(_LOOK_EVERY_S)
        words = self._log.read_text(encoding="utf-8", errors="replace")
        raise AlarmdError(f"`alarmd run` did not get ready. Its last words:\n{words[-_LAST_WORDS:]}")

    def _is_ready(self) -> bool:
        try:
            self.client.get("/readyz")
        except RequestRefused:
            return False
        return True


#: The tenant that owns the demo's machines and alarms.
PROJECT = "demo"


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)


def _epoch_s(timestamp: str) -> float:
    moment = datetime.fromisoformat(timestamp)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
