# SPDX-License-Identifier: Apache-2.0
"""An exporter on the loopback that hands out a fleet's samples, a round a scrape, with the moments they were taken."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from alarmd.clock import Clock
from benchmarks.fleet import METRIC, Fleet


class Exporter:
    """Serves the next round whose time has come, and the one before it again until then."""

    def __init__(self, fleet: Fleet, *, clock: Clock) -> None:
        self._fleet = fleet
        self._clock = clock
        self._lock = threading.Lock()
        self._served = 0
        self._body = b""

    @property
    def is_up_to_date(self) -> bool:
        """Whether every round has been served whose time has come."""
        return self._fleet.moment_s(self._served) > self._clock.time_s()

    @property
    def served(self) -> int:
        """How many rounds have been served."""
        return self._served

    def scrape(self) -> bytes:
        """Return the answer to a scrape, in Prometheus's text format."""
        with self._lock:
            if not self.is_up_to_date:
                self._body = "".join(self._lines(self._served)).encode()
                self._served += 1
            return self._body

    def _lines(self, number: int) -> Iterator[str]:
        yield f"# TYPE {METRIC.name} gauge\n"
        for batch in self._fleet.report(number):
            time_ms = round(batch.timestamp_s * 1000)
            for resource, value in zip(batch.resources, batch.values[:, 0].tolist(), strict=True):
                yield f'{METRIC.name}{{project="{resource.project_id}",vm="{resource.id}"}} {value:.6g} {time_ms}\n'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:  # the name is the library's
        body = self.server.exporter.scrape()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's signature
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, exporter: Exporter) -> None:
        self.exporter = exporter
        super().__init__(("127.0.0.1", 0), _Handler)


@contextmanager
def serving(exporter: Exporter) -> Iterator[str]:
    """Serve for as long as the context lasts; give the address, ``HOST:PORT``."""
    server = _Server(exporter)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
