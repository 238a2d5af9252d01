# SPDX-License-Identifier: Apache-2.0
"""An exporter that hands out a fleet's samples, a round a scrape, with the moments at which they were taken."""

import threading
from collections.abc import Iterator

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

    def is_up_to_date(self) -> bool:
        """Whether every round has been served whose time has come."""
        return self._fleet.moment_s(self._served) > self._clock.time_s()

    def scrape(self, _: bytes = b"") -> bytes:
        """Return the answer to a scrape, in Prometheus's text format."""
        with self._lock:
            if not self.is_up_to_date():
                self._body = "".join(self._lines(self._served)).encode()
                self._served += 1
            return self._body

    def _lines(self, number: int) -> Iterator[str]:
        yield f"# TYPE {METRIC.name} gauge\n"
        for batch in self._fleet.report(number):
            time_ms = round(batch.timestamp_s * 1000)
            for resource, value in zip(batch.resources, batch.values[:, 0].tolist(), strict=True):
                yield f'{METRIC.name}{{project="{resource.project_id}",vm="{resource.id}"}} {value:.6g} {time_ms}\n'
