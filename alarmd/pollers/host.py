# SPDX-License-Identifier: Apache-2.0
"""This machine itself, by psutil: CPU, memory, load, disks and network interfaces."""

import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
from numpy.typing import NDArray
from pydantic import Field

from alarmd.clock import Clock
from alarmd.model.samples import Batch, Kind, Metric, Resource, labels_of
from alarmd.plugins import Options
from alarmd.pollers.derive import Rates
from alarmd.pollers.source import SourcePlugin

_MIB: Final = 1024 * 1024

#: Seconds of CPU time, over all CPUs; `cpu_util` is made of both.
_TIMES: Final = (
    Metric(name="cpu", unit="ns", kind=Kind.CUMULATIVE),
    Metric(name="cpu.idle", unit="ns", kind=Kind.CUMULATIVE),
)
_MACHINE: Final = (
    *_TIMES,
    Metric(name="cpu_util", unit="%"),
    Metric(name="vcpus", unit="vcpu"),
    Metric(name="memory", unit="MiB"),
    Metric(name="memory.available", unit="MiB"),
    Metric(name="memory.usage", unit="MiB"),
    Metric(name="memory.util", unit="%"),
    Metric(name="load.1m"),
    Metric(name="load.5m"),
    Metric(name="load.15m"),
)
#: Counters and psutil's names of them; a rate is made of each.
_DISK: Final = {
    Metric(name="disk.device.read.bytes", unit="B", kind=Kind.CUMULATIVE): "read_bytes",
    Metric(name="disk.device.read.requests", unit="request", kind=Kind.CUMULATIVE): "read_count",
    Metric(name="disk.device.write.bytes", unit="B", kind=Kind.CUMULATIVE): "write_bytes",
    Metric(name="disk.device.write.requests", unit="request", kind=Kind.CUMULATIVE): "write_count",
}
_NIC: Final = {
    Metric(name="network.incoming.bytes", unit="B", kind=Kind.CUMULATIVE): "bytes_recv",
    Metric(name="network.incoming.packets", unit="packet", kind=Kind.CUMULATIVE): "packets_recv",
    Metric(name="network.outgoing.bytes", unit="B", kind=Kind.CUMULATIVE): "bytes_sent",
    Metric(name="network.outgoing.packets", unit="packet", kind=Kind.CUMULATIVE): "packets_sent",
}


class HostOptions(Options):
    """What the host source can be told."""

    #: Whose the machine is, so that this project's alarms see it.
    project_id: str = ""
    user_id: str = ""
    #: Id of the resource; the host's name when empty. Disks and interfaces are ``<id>-<device>``.
    resource_id: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    #: Two readings of a counter that lie further apart make no rate.
    max_gap_s: float = Field(default=600.0, gt=0)


class HostSource:
    """Reads the machine that it runs on."""

    def __init__(self, *, name: str, options: HostOptions, clock: Clock) -> None:
        self._name = name
        self._options = options
        self._clock = clock
        self._host = options.resource_id or socket.gethostname()
        self._times = Rates(len(_TIMES), max_gap_s=options.max_gap_s)
        self._disks = Rates(len(_DISK), max_gap_s=options.max_gap_s)
        self._nics = Rates(len(_NIC), max_gap_s=options.max_gap_s)

    @property
    def name(self) -> str:
        return self._name

    def resume(self, batches: Iterable[Batch]) -> None:
        ago_s = self._clock.time_s() - self._clock.monotonic_s()
        for batch in batches:
            for rates, counters in ((self._times, _TIMES), (self._disks, (*_DISK,)), (self._nics, (*_NIC,))):
                if set(counters) <= set(batch.metrics):
                    places = np.array([batch.metrics.index(metric) for metric in counters], dtype=np.intp)
                    keys = [resource.id for resource in batch.resources]
                    rates.seed(keys, batch.values[:, places], at_s=batch.timestamp_s - ago_s)

    def poll(self) -> Sequence[Batch]:
        time_s, monotonic_s = self._clock.time_s(), self._clock.monotonic_s()
        batches = [
            self._machine_batch(time_s, monotonic_s),
            self._device_batch(_whole_disks(), _DISK, self._disks, time_s, monotonic_s),
            self._device_batch(psutil.net_io_counters(pernic=True) or {}, _NIC, self._nics, time_s, monotonic_s),
        ]
        return [batch for batch in batches if batch.resources]

    def close(self) -> None:
        """Nothing is kept open."""

    def _machine_batch(self, time_s: float, monotonic_s: float) -> Batch:
        times = psutil.cpu_times()
        # Which times there are depends on the system. A guest's is in the user's already; waiting for a disk is idle.
        busy_s = sum(getattr(times, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq", "steal"))
        idle_s = times.idle + getattr(times, "iowait", 0.0)
        counters = np.array([[busy_s * 1e9, idle_s * 1e9]])
        busy, idle = self._times.update([self._host], [None], counters, at_s=monotonic_s)[0]
        memory = psutil.virtual_memory()
        values = [
            *counters[0],
            busy / (busy + idle) * 100 if busy + idle > 0 else np.nan,
            psutil.cpu_count() or np.nan,
            memory.total / _MIB,
            memory.available / _MIB,
            (memory.total - memory.available) / _MIB,
            memory.percent,
            *psutil.getloadavg(),
        ]
        return self._batch((self._resource(),), _MACHINE, np.array([values], dtype=np.float64), time_s)

    def _device_batch(
        self, entries: dict[str, Any], fields: dict[Metric, str], rates: Rates, time_s: float, monotonic_s: float
    ) -> Batch:
        resources = tuple(self._resource(device) for device in entries)
        counters = np.array(
            [[getattr(entry, field) for field in fields.values()] for entry in entries.values()], dtype=np.float64
        ).reshape(len(entries), len(fields))
        keys = [resource.id for resource in resources]
        derived = rates.update(keys, [None] * len(keys), counters, at_s=monotonic_s)
        metrics = (*fields, *(Metric(name=f"{metric.name}.rate", unit=f"{metric.unit}/s") for metric in fields))
        return self._batch(resources, metrics, np.column_stack((counters, derived)), time_s)

    def _resource(self, device: str = "") -> Resource:
        more = {"device": device, "instance_id": self._host} if device else {}
        return Resource(
            id=f"{self._host}-{device}" if device else self._host,
            project_id=self._options.project_id,
            user_id=self._options.user_id,
            labels=labels_of({"host": self._host, **self._options.labels, **more}.items()),
        )

    def _batch(
        self, resources: tuple[Resource, ...], metrics: tuple[Metric, ...], values: NDArray[np.float64], time_s: float
    ) -> Batch:
        """Return a batch without the metrics of which there is nothing, as there is no rate at first."""
        kept = np.flatnonzero(~np.isnan(values).all(axis=0)) if resources else np.arange(len(metrics))
        return Batch(
            source=self._name,
            timestamp_s=round(time_s, 3),
            metrics=tuple(metrics[column] for column in kept.tolist()),
            resources=resources,
            values=values[:, kept],
            expected=len(resources),
        )


def _whole_disks() -> dict[str, Any]:
    """Return the counters of each disk; partitions would count a second time what their disk has done."""
    counters = psutil.disk_io_counters(perdisk=True) or {}
    disks = Path("/sys/block")
    idle = ("loop", "ram")
    if not disks.is_dir():
        return counters
    return {name: entry for name, entry in counters.items() if (disks / name).exists() and not name.startswith(idle)}


def build(*, name: str, options: HostOptions, clock: Clock) -> HostSource:
    """Return a source that reads nothing until its first poll."""
    return HostSource(name=name, options=options, clock=clock)


PLUGIN = SourcePlugin(options=HostOptions, build=build)
