# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus for tests: it scrapes what a test exposes, and may begin with a past."""

import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.support.daemon import wait_until
from tests.support.loopback import Handler, serving
from tests.support.promql import METRICS
from tests.support.servers import _directory, _Server, find_program

#: How long what is exposed takes to be known, at most.
KNOWN_WITHIN_S: Final = 20.0
_SCRAPE_INTERVAL: Final = "200ms"


class PrometheusServer(_Server):
    """A Prometheus of its own on a free port of the loopback."""

    def __init__(self, directory: Path, *, target: str) -> None:
        super().__init__(directory)
        self._program = find_program("prometheus")
        self._promtool = find_program("promtool")
        self._target = target
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def remember(self, openmetrics: str) -> None:
        """Give it a past, before it starts: OpenMetrics with the moments of the samples."""
        source = self.directory / "past.om"
        source.write_text(openmetrics)
        command = [self._promtool, "tsdb", "create-blocks-from", "openmetrics", source, self.directory / "data"]
        subprocess.run([str(part) for part in command], check=True, capture_output=True, cwd=self.directory)

    def start(self, *options: str) -> None:
        """Start the server; returns when it is ready."""
        job = {
            "job_name": "test",
            "scrape_interval": _SCRAPE_INTERVAL,
            "scrape_timeout": _SCRAPE_INTERVAL,
            "honor_labels": True,
            "static_configs": [{"targets": [self._target]}],
        }
        config = self.directory / "prometheus.yml"
        config.write_text(json.dumps({"scrape_configs": [job]}))  # JSON is YAML
        command = [
            str(self._program),
            f"--config.file={config}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
            *options,
        ]
        self._spawn(command, user=None)
        self._wait_until(self._is_ready)

    def stop(self) -> None:
        """End the server."""
        self._end(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal: SIGSTOP has it take connections and say nothing, until SIGCONT."""
        if self._process is not None:
            self._process.send_signal(number)

    def query(self, query: str, *, at_s: float | None = None) -> Any:
        """Return what a query answers; raises `HTTPError` for one that cannot be carried out."""
        arguments = {"query": query} | ({"time": f"{at_s:.3f}"} if at_s is not None else {})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{urllib.parse.urlencode(arguments)}") as answer:
            return json.loads(answer.read())["data"]["result"]

    def requests(self, path: str) -> int:
        """Return how many requests it has answered under a path."""
        with urllib.request.urlopen(f"{self.url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        wanted = [line for line in lines if line.startswith("prometheus_http_requests_total{")]
        return sum(int(float(line.rpartition(" ")[2])) for line in wanted if f'handler="{path}"' in line)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready"):
                return True
        except (urllib.error.URLError, OSError):
            return False


class Exhibition:
    """What a test exposes: a text in Prometheus' format, until it is replaced."""

    def __init__(self) -> None:
        self.address = ""
        self.text = ""


@contextmanager
def exhibition() -> Iterator[Exhibition]:
    """Expose something for as long as the context lasts."""
    shown = Exhibition()

    class Door(Handler):
        def respond(self) -> None:
            self.say(200, shown.text.encode(), {"Content-Type": "text/plain; version=0.0.4"})

    with serving(Door) as url:
        shown.address = url.removeprefix("http://")
        yield shown


class Observatory:
    """A Prometheus and what it looks at."""

    def __init__(self, server: PrometheusServer, shown: Exhibition) -> None:
        self.server = server
        self._shown = shown

    def show(self, *lines: str) -> None:
        """Expose these samples and no others, and wait until Prometheus knows them."""
        generation = str(time.monotonic_ns())
        self._shown.text = "\n".join([*lines, f'generation{{number="{generation}"}} 1', ""])
        seen = partial(self.server.query, f'generation{{number="{generation}"}}')
        wait_until(seen, deadline_s=KNOWN_WITHIN_S, what="Prometheus to scrape")


@contextmanager
def observatory() -> Iterator[Observatory]:
    """Run a Prometheus that looks at what it is shown, for as long as the context lasts."""
    with exhibition() as shown, prometheus(target=shown.address) as server:
        yield Observatory(server, shown)


@contextmanager
def prometheus(*, target: str = "127.0.0.1:9", past: str = "") -> Iterator[PrometheusServer]:
    """Run a Prometheus for as long as the context lasts."""
    with _directory() as directory:
        server = PrometheusServer(directory, target=target)
        if past:
            server.remember(past)
        server.start()
        try:
            yield server
        finally:
            server.stop()


#: The moment up to which a pair remembers, and since when, seconds since the epoch.
PAST_ENDS_S: Final = 1_600_000_000
_PAST_S: Final = 7200
_PAST_STEP_S: Final = 60


@contextmanager
def pair() -> Iterator[tuple[PrometheusServer, PrometheusServer]]:
    """Run two: the first remembers what project p1 did, the second what p2 and the operator's own things did too."""
    with prometheus(past=_past_of("p1")) as alone, prometheus(past=_past_of("p1", "p2", "")) as together:
        yield alone, together


def _past_of(*projects: str) -> str:
    """Return the last hours of all metrics of the queries that are made up; the values tell one series from another."""
    lines = []
    for name in METRICS:
        lines.append(f"# TYPE {name} gauge")
        for number, (project, vm) in enumerate((project, vm) for project in projects for vm in ("a", "b", "}")):
            labels = f'vm="{vm}",by="{vm}",sum="x"' + (f',project="{project}"' if project else "")
            lines += [
                f"{name}{{{labels}}} {number * 1000 + moment % 977} {moment}"
                for moment in range(PAST_ENDS_S - _PAST_S, PAST_ENDS_S + 1, _PAST_STEP_S)
            ]
    return "\n".join([*lines, "# EOF", ""])
