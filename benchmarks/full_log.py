# SPDX-License-Identifier: Apache-2.0
"""A sample log as an hour of hosts fills it: a batch a host every ten seconds, all metrics of all its machines."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from alarmd.cache.log import SampleLog
from alarmd.clock import Clock
from alarmd.model.samples import Batch, Kind, Metric, Resource
from benchmarks.report import tell

INTERVAL_S = 10.0
#: The first of what every machine reports, and what `MEAN` is the mean of.
WATCHED = "cpu_util"
MEAN = 50.0

_VMS_A_HOST = 100
_NOISE = 5.0
#: Names as Ceilometer has them; more metrics than these are numbered.
_METRICS = (
    Metric(name=WATCHED, unit="%"),
    Metric(name="memory.usage", unit="MB"),
    Metric(name="memory.resident", unit="MB"),
    Metric(name="vcpus", unit="vcpu"),
    Metric(name="cpu", unit="ns", kind=Kind.CUMULATIVE),
    Metric(name="disk.device.read.bytes", unit="B", kind=Kind.CUMULATIVE),
    Metric(name="disk.device.write.bytes", unit="B", kind=Kind.CUMULATIVE),
    Metric(name="network.incoming.bytes", unit="B", kind=Kind.CUMULATIVE),
    Metric(name="network.outgoing.bytes", unit="B", kind=Kind.CUMULATIVE),
    Metric(name="network.incoming.packets", unit="packet", kind=Kind.CUMULATIVE),
)
_TOLD_EVERY = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """How much is reported; machine i belongs to project i modulo the number of projects."""

    hosts: int
    metrics: int
    projects: int

    @property
    def machines(self) -> int:
        """How many machines there are."""
        return self.hosts * _VMS_A_HOST

    def resource(self, number: int) -> Resource:
        """Return a machine."""
        return Resource(id=f"vm-{number:07d}", project_id=f"project-{number % self.projects}")


class LogFiller:
    """Brings a log up to the present, round by round, from a moment on."""

    def __init__(self, log: SampleLog, estate: Estate, *, since_s: float, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._next_s = since_s
        extra = (Metric(name=f"metric.{number}") for number in range(len(_METRICS), estate.metrics))
        self._metrics = (*_METRICS[: estate.metrics], *extra)
        firsts = range(0, estate.machines, _VMS_A_HOST)
        self._hosts = [tuple(estate.resource(first + one) for one in range(_VMS_A_HOST)) for first in firsts]
        self._random = np.random.default_rng(1)
        self.samples = 0

    def catch_up(self) -> None:
        """Append every round whose time has come."""
        rounds = 0
        while self._next_s <= self._clock.time_s():
            self.samples += self._log.append(self._round(self._next_s))
            self._next_s += INTERVAL_S
            rounds += 1
            if not rounds % _TOLD_EVERY:
                tell(f"  {self.samples:,} samples")

    def _round(self, moment_s: float) -> Iterator[Batch]:
        for number, resources in enumerate(self._hosts):
            values = self._random.normal(MEAN, _NOISE, (len(resources), len(self._metrics)))
            yield Batch(
                source=f"libvirt:host-{number}",
                # Hosts have moments of their own; none is ahead of the clock.
                timestamp_s=round(moment_s - INTERVAL_S * self._random.random(), 3),
                metrics=self._metrics,
                resources=resources,
                values=values,
                expected=len(resources),
            )
