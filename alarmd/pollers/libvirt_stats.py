# SPDX-License-Identifier: Apache-2.0
"""From libvirt's bulk statistics to tables: which key means which metric.

Names and units are Ceilometer's. Devices are known by their name: the number in a key such as ``block.0.rd.bytes`` is a
position that changes when another device goes. All functions are pure.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alarmd.model.samples import Kind, Metric, Resource
from alarmd.pollers.libvirt_domains import Domain

#: One domain's statistics as libvirt returns them.
Stats: TypeAlias = Mapping[str, Any]

_NAN = float("nan")
_KIB_PER_MIB = 1024


#: Takes a value out of statistics; all its keys begin with a prefix, which names the device if it is one's.
Read: TypeAlias = Callable[[Stats, str], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A metric and where its value stands among the statistics."""

    metric: Metric
    read: Read


def _key(key: str) -> Read:
    return lambda stats, prefix: float(stats.get(prefix + key, _NAN))


def _mib(key: str) -> Read:
    return lambda stats, prefix: float(stats.get(prefix + key, _NAN)) / _KIB_PER_MIB


def _capacity(stats: Stats, prefix: str) -> float:
    return float(max(stats.get(prefix + "capacity", _NAN), stats.get(prefix + "physical", 0)))


def _allocation(stats: Stats, prefix: str) -> float:
    """Return the highest offset written so far; before the first write, the size on the host's disk says more."""
    return float(stats.get(prefix + "allocation") or stats.get(prefix + "physical", _NAN))


def _memory_in_use(stats: Stats, _prefix: str) -> float:
    """Return MiB in use as the guest sees it; what its driver says of free memory depends on the driver's age."""
    free = stats.get("balloon.usable", stats.get("balloon.unused", _NAN))
    return float(stats.get("balloon.available", _NAN) - free) / _KIB_PER_MIB


def _gauge(name: str, unit: str, read: Read) -> Column:
    return Column(metric=Metric(name=name, unit=unit), read=read)


def _counter(name: str, unit: str, read: Read) -> Column:
    return Column(metric=Metric(name=name, unit=unit, kind=Kind.CUMULATIVE), read=read)


#: `cpu` is the time of the whole QEMU process, not the sum of its vCPUs: that one drops when a vCPU is unplugged, and
#: jumps when a vCPU's time cannot be read for a moment.
MACHINE = (
    _counter("cpu", "ns", _key("cpu.time")),
    _gauge("power.state", "", _key("state.state")),
    _gauge("vcpus", "vcpu", _key("vcpu.current")),
    _gauge("memory", "MiB", _mib("balloon.current")),
    _gauge("memory.available", "MiB", _mib("balloon.available")),
    _gauge("memory.usage", "MiB", _memory_in_use),
    _gauge("memory.resident", "MiB", _mib("balloon.rss")),
    _counter("memory.swap.in", "MiB", _mib("balloon.swap_in")),
    _counter("memory.swap.out", "MiB", _mib("balloon.swap_out")),
)

#: The counters of `DISK_RATES` come first, in that order.
DISK = (
    _counter("disk.device.read.bytes", "B", _key("rd.bytes")),
    _counter("disk.device.read.requests", "request", _key("rd.reqs")),
    _counter("disk.device.write.bytes", "B", _key("wr.bytes")),
    _counter("disk.device.write.requests", "request", _key("wr.reqs")),
    _counter("disk.device.read.latency", "ns", _key("rd.times")),
    _counter("disk.device.write.latency", "ns", _key("wr.times")),
    _gauge("disk.device.capacity", "B", _capacity),
    _gauge("disk.device.allocation", "B", _allocation),
    _gauge("disk.device.usage", "B", _key("physical")),
)
DISK_RATES = (
    Metric(name="disk.device.read.bytes.rate", unit="B/s"),
    Metric(name="disk.device.read.requests.rate", unit="request/s"),
    Metric(name="disk.device.write.bytes.rate", unit="B/s"),
    Metric(name="disk.device.write.requests.rate", unit="request/s"),
)

#: The counters of `NIC_RATES` come first, in that order.
NIC = (
    _counter("network.incoming.bytes", "B", _key("rx.bytes")),
    _counter("network.incoming.packets", "packet", _key("rx.pkts")),
    _counter("network.outgoing.bytes", "B", _key("tx.bytes")),
    _counter("network.outgoing.packets", "packet", _key("tx.pkts")),
    _counter("network.incoming.packets.error", "packet", _key("rx.errs")),
    _counter("network.incoming.packets.drop", "packet", _key("rx.drop")),
    _counter("network.outgoing.packets.error", "packet", _key("tx.errs")),
    _counter("network.outgoing.packets.drop", "packet", _key("tx.drop")),
)
NIC_RATES = (
    Metric(name="network.incoming.bytes.rate", unit="B/s"),
    Metric(name="network.incoming.packets.rate", unit="packet/s"),
    Metric(name="network.outgoing.bytes.rate", unit="B/s"),
    Metric(name="network.outgoing.packets.rate", unit="packet/s"),
)

CPU_UTIL = Metric(name="cpu_util", unit="%")
MEMORY_UTIL = Metric(name="memory.util", unit="%")

_GUEST_MEMORY = ("balloon.available", "balloon.usable", "balloon.unused", "balloon.swap_in", "balloon.swap_out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The values of some columns on R resources that should have reported."""

    #: What the resource's counters are remembered by.
    keys: Sequence[tuple[str, str]]
    #: What must stay the same for a counter to be the same counter.
    epochs: Sequence[tuple[int, int]]
    resources: Sequence[Resource]
    #: Shape (R, columns); NaN where there is no value.
    values: NDArray[np.float64]


def machine_table(domains: Sequence[Domain], stats: Sequence[Stats], host_stats: Sequence[Stats]) -> Table:
    """Return the table of `MACHINE`, from what QEMU was asked for and from what libvirtd knows by itself.

    A number of vCPUs that libvirt does not tell this time is taken from the XML.
    """
    values = _values(MACHINE, [(entry, "") for entry in stats])
    values[:, _index(MACHINE, "power.state")] = [entry.get("state.state", _NAN) for entry in host_stats]
    column = _index(MACHINE, "vcpus")
    unknown = np.isnan(values[:, column])
    values[unknown, column] = np.array([domain.vcpus for domain in domains], dtype=np.float64)[unknown]
    return Table(
        keys=[(domain.uuid, "") for domain in domains],
        epochs=[(domain.run, int(vcpus)) for domain, vcpus in zip(domains, values[:, column], strict=True)],
        resources=[domain.machine for domain in domains],
        values=values,
    )


def disk_table(domains: Sequence[Domain], stats: Sequence[Stats]) -> Table:
    """Return the table of `DISK`, with a row for each disk that has something in it."""
    return _device_table(DISK, domains, stats, _disks)


def nic_table(domains: Sequence[Domain], stats: Sequence[Stats]) -> Table:
    """Return the table of `NIC`, with a row for each interface that the host can count."""
    return _device_table(NIC, domains, stats, _nics)


def without_stale_memory(stats: Stats, *, now_s: float, max_age_s: float) -> Stats:
    """Return statistics without what the guest said of its memory if that was too long ago to be evidence."""
    if now_s - float(stats.get("balloon.last-update", now_s)) <= max_age_s or "balloon.available" not in stats:
        return stats
    return {key: value for key, value in stats.items() if key not in _GUEST_MEMORY}


def names_of(stats: Stats, group: str) -> frozenset[str]:
    """Return the names of the devices of a group, ``block`` or ``net``."""
    return frozenset(_prefixes(stats, group))


def cpu_util(rates: NDArray[np.float64], vcpus: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the use of a machine's vCPUs in percent, from nanoseconds a second.

    Cut at 100: QEMU's own threads are in the counter too and may carry a busy machine a little above.
    """
    return np.minimum(rates / 1e9 / vcpus * 100, 100.0)


def memory_util(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the use of the memory that the guest has in percent, from the values of `machine_table`."""
    available = values[:, _index(MACHINE, "memory.available")]
    with np.errstate(divide="ignore", invalid="ignore"):
        used = values[:, _index(MACHINE, "memory.usage")] / available * 100
    return np.where(available > 0, used, _NAN)


def vcpus(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the number of vCPUs out of the values of `machine_table`."""
    return values[:, _index(MACHINE, "vcpus")]


def _index(columns: Sequence[Column], name: str) -> int:
    return next(number for number, column in enumerate(columns) if column.metric.name == name)


def _values(columns: Sequence[Column], places: Sequence[tuple[Stats, str]]) -> NDArray[np.float64]:
    reads = [column.read for column in columns]
    values = [[read(stats, prefix) for read in reads] for stats, prefix in places]
    return np.array(values, dtype=np.float64).reshape(len(places), len(columns))


#: Yields a domain's devices: the name, the resource, and what its keys begin with.
_Devices: TypeAlias = Callable[[Domain, Stats], Iterator[tuple[str, Resource, str]]]


def _device_table(
    columns: Sequence[Column], domains: Sequence[Domain], stats: Sequence[Stats], devices: _Devices
) -> Table:
    rows = [
        (domain, device, resource, (entry, prefix))
        for domain, entry in zip(domains, stats, strict=True)
        for device, resource, prefix in devices(domain, entry)
    ]
    return Table(
        keys=[(domain.uuid, device) for domain, device, _, _ in rows],
        epochs=[(domain.run, domain.plugging) for domain, _, _, _ in rows],
        resources=[resource for _, _, resource, _ in rows],
        values=_values(columns, [place for _, _, _, place in rows]),
    )


def _disks(domain: Domain, stats: Stats) -> Iterator[tuple[str, Resource, str]]:
    prefixes = _prefixes(stats, "block")
    for device, resource in domain.disks.items():
        prefix = prefixes.get(device, _NOWHERE)
        # An empty drive has counters and no capacity; a disk that could not be asked has neither, and is missed.
        if f"{prefix}capacity" in stats or (f"{prefix}rd.reqs" not in stats and device in domain.filled):
            yield device, resource, prefix


def _nics(domain: Domain, stats: Stats) -> Iterator[tuple[str, Resource, str]]:
    prefixes = _prefixes(stats, "net")
    for device, resource in domain.nics.items():
        yield device, resource, prefixes.get(device, _NOWHERE)


#: What no key begins with.
_NOWHERE = "nowhere."


def _prefixes(stats: Stats, group: str) -> dict[str, str]:
    """Return what the keys of each device of a group begin with, by the device's name."""
    prefixes = (f"{group}.{number}." for number in range(stats.get(f"{group}.count", 0)))
    return {stats[f"{prefix}name"]: prefix for prefix in prefixes if f"{prefix}name" in stats}
