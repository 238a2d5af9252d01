# SPDX-License-Identifier: Apache-2.0
"""The virtual machines of a libvirt host, in two bulk calls a poll however many they are.

1. STATE and INTERFACE, which libvirtd answers by itself: nothing can hold that up.
2. CPU_TOTAL, VCPU, BALLOON and BLOCK, for which libvirtd asks each QEMU. NOWAIT skips a QEMU that somebody waits for
   already, but the call that first meets one that has stopped waits with it. So this call has connections and threads
   of its own (`libvirt_lines`): when it is late it is left waiting, and made once more on another connection. That one
   skips the machine the first waits for and returns at once, with all there is to know of every other.

   CPU_TOTAL is here and not in the first call since libvirt 9 asks QEMU for part of that group, too.

What a domain's XML says (owner, group, devices; see `libvirt_domains`) is read once a domain and again when libvirt
tells of a change: never in each poll.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import libvirt
import numpy as np
import structlog
from numpy.typing import NDArray
from pydantic import Field

from alarmd.clock import Clock
from alarmd.errors import SourceUnavailable
from alarmd.model.samples import Batch, Metric, Resource
from alarmd.plugins import Options
from alarmd.pollers import libvirt_stats as tables
from alarmd.pollers.derive import Rates
from alarmd.pollers.libvirt_directory import Directory
from alarmd.pollers.libvirt_domains import Domain
from alarmd.pollers.libvirt_lines import Connect, Lines, LinesTaken, connect
from alarmd.pollers.source import SourcePlugin

_log = structlog.get_logger()

_HOST_ALWAYS: Final = libvirt.VIR_DOMAIN_STATS_STATE
_HOST_GROUPS: Final = {"network": libvirt.VIR_DOMAIN_STATS_INTERFACE}
_MONITOR_ALWAYS: Final = libvirt.VIR_DOMAIN_STATS_CPU_TOTAL | libvirt.VIR_DOMAIN_STATS_VCPU
_MONITOR_GROUPS: Final = {"memory": libvirt.VIR_DOMAIN_STATS_BALLOON, "disk": libvirt.VIR_DOMAIN_STATS_BLOCK}
_ACTIVE: Final = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
_NOWAIT: Final = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT

_CLOSE_WAIT_S: Final = 1.0

Group = Literal["memory", "disk", "network"]


class LibvirtOptions(Options):
    """What a libvirt source can be told."""

    #: libvirt's name of the host, e.g. ``qemu:///system`` or ``qemu+ssh://root@hv1/system``.
    uri: str = "qemu:///system"
    #: What to read besides the CPU and the power state.
    groups: frozenset[Group] = frozenset({"memory", "disk", "network"})
    #: Labels for all machines of this host; a machine's own win.
    labels: dict[str, str] = Field(default_factory=dict)
    #: How long one poll may take at most.
    deadline_s: float = Field(default=5.0, gt=0, le=300)
    #: How long the call that asks QEMU may take before it is made once more on another connection.
    patience_s: float = Field(default=1.0, gt=0, le=300)
    #: How many calls of a kind may be stuck at a time, one for each stopped QEMU. libvirtd has 20 workers by default.
    stuck_calls: int = Field(default=8, ge=2, le=64)
    #: Two readings of a counter that lie further apart make no rate.
    max_gap_s: float = Field(default=600.0, gt=0)
    #: What a guest said of its memory longer ago than this is no evidence.
    guest_memory_max_age_s: float = Field(default=120.0, gt=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """The answer to one bulk call."""

    #: libvirt's domain and its statistics, by UUID.
    domains: Mapping[str, tuple[Any, tables.Stats]]
    #: The middle of the call, by both clocks.
    time_s: float
    monotonic_s: float

    def stats_of(self, domain: Domain) -> tables.Stats:
        """Return a domain's statistics, empty when it has not reported."""
        return self.domains[domain.uuid][1] if domain.uuid in self.domains else {}


class LibvirtSource:
    """Reads all active domains of one libvirt host."""

    def __init__(self, *, name: str, options: LibvirtOptions, clock: Clock, connect: Connect = connect) -> None:
        self._name = name
        self._options = options
        self._clock = clock
        self._connect = connect
        self._directory = Directory(labels=options.labels)
        self._host = Lines(
            options.uri,
            connect=self._connect_and_listen,
            release=self._directory.release,
            stuck_calls=options.stuck_calls,
            clock=clock,
        )
        self._monitor = Lines(options.uri, connect=connect, stuck_calls=options.stuck_calls, clock=clock)
        self._cpu = Rates(1, max_gap_s=options.max_gap_s)
        self._disk = Rates(len(tables.DISK_RATES), max_gap_s=options.max_gap_s)
        self._nic = Rates(len(tables.NIC_RATES), max_gap_s=options.max_gap_s)
        self._is_late = False

    @property
    def name(self) -> str:
        return self._name

    def resume(self, batches: Iterable[Batch]) -> None:
        ago_s = self._clock.time_s() - self._clock.monotonic_s()
        for batch in batches:
            at_s = batch.timestamp_s - ago_s
            _seed(self._cpu, tables.MACHINE, batch, at_s=at_s)
            _seed(self._disk, tables.DISK, batch, at_s=at_s)
            _seed(self._nic, tables.NIC, batch, at_s=at_s)

    def poll(self) -> Sequence[Batch]:
        until_s = self._clock.monotonic_s() + self._options.deadline_s
        try:
            host = self._read(self._host, _HOST_ALWAYS, _HOST_GROUPS, until_s=until_s, patience_s=until_s)
            self._read_xml(host, until_s=until_s)
        except (TimeoutError, LinesTaken) as error:
            raise self._unavailable(_in_words(error, self._options)) from error
        except libvirt.libvirtError as error:
            raise self._unavailable(str(error)) from error
        monitor = self._read_monitor(until_s=until_s)
        domains = [self._directory[uuid] for uuid in host.domains if uuid in self._directory]
        batches = self._batches(domains, host, monitor, missed=len(host.domains) - len(domains))
        return [batch for batch in batches if batch.resources or batch.expected]

    def close(self) -> None:
        self._host.close(wait_s=_CLOSE_WAIT_S)
        self._monitor.close(wait_s=_CLOSE_WAIT_S)

    def _connect_and_listen(self, uri: str) -> Any:
        connection = self._connect(uri)
        try:
            self._directory.listen(connection)
        except libvirt.libvirtError:
            self._directory.release(connection)
            connection.close()
            raise
        return connection

    def _unavailable(self, cause: str) -> SourceUnavailable:
        uri = self._options.uri
        return SourceUnavailable(
            f"libvirt at {uri} does not answer: {cause.rstrip('.')}. "
            f"Check that its daemon runs and that this user may read it: virsh --readonly --connect '{uri}' list",
            source=self._name,
            uri=uri,
        )

    def _read(
        self, lines: Lines, always: int, groups: Mapping[str, int], *, until_s: float, patience_s: float
    ) -> _Reading:
        stats = always | sum(groups[group] for group in groups.keys() & self._options.groups)

        def ask(connection: Any) -> _Reading:
            time_s, monotonic_s = self._clock.time_s(), self._clock.monotonic_s()
            answer = connection.getAllDomainStats(stats, _ACTIVE | _NOWAIT)
            half_s = (self._clock.monotonic_s() - monotonic_s) / 2
            domains = {domain.UUIDString(): (domain, entry) for domain, entry in answer}
            return _Reading(domains=domains, time_s=time_s + half_s, monotonic_s=monotonic_s + half_s)

        return lines.ask(ask, patience_s=patience_s, until_s=until_s)

    def _read_monitor(self, *, until_s: float) -> _Reading | None:
        """Return what QEMU was asked for, or None when that could not be had in time: the rest is reported without."""
        try:
            reading = self._read(
                self._monitor, _MONITOR_ALWAYS, _MONITOR_GROUPS, until_s=until_s, patience_s=self._options.patience_s
            )
        except (TimeoutError, LinesTaken, libvirt.libvirtError) as error:
            if not self._is_late:
                cause = _in_words(error, self._options)
                _log.warning("monitor_call_late", source=self._name, cause=cause, stuck_calls=self._monitor.stuck)
            self._is_late = True
            return None
        if self._is_late:
            _log.info("monitor_call_recovered", source=self._name, stuck_calls=self._monitor.stuck)
        self._is_late = False
        return reading

    def _read_xml(self, host: _Reading, *, until_s: float) -> None:
        """Bring the directory up to date; a domain that went away meanwhile is left out this time."""
        runs = {uuid: domain.ID() for uuid, (domain, _) in host.domains.items()}
        nics = {uuid: tables.names_of(stats, "net") for uuid, (_, stats) in host.domains.items()}
        due = self._directory.due(runs, nics)
        if not due:
            return

        def ask(_connection: Any) -> dict[str, str]:
            return {uuid: xml for uuid in due if (xml := _xml_of(host.domains[uuid][0]))}

        for uuid, xml in self._host.ask(ask, patience_s=until_s, until_s=until_s).items():
            self._directory.learn(uuid, xml, run=runs[uuid], nics=nics[uuid])

    def _batches(
        self, domains: Sequence[Domain], host: _Reading, monitor: _Reading | None, *, missed: int
    ) -> Iterator[Batch]:
        qemu = monitor or host  # nothing of the monitor's is in the host's answer, so all of that is then missing
        memory = [
            tables.without_stale_memory(
                qemu.stats_of(domain), now_s=qemu.time_s, max_age_s=self._options.guest_memory_max_age_s
            )
            for domain in domains
        ]
        machines = tables.machine_table(domains, memory, [host.stats_of(domain) for domain in domains])
        cpu = self._cpu.update(machines.keys, machines.epochs, machines.values[:, :1], at_s=qemu.monotonic_s)
        derived = np.column_stack(
            (tables.cpu_util(cpu[:, 0], tables.vcpus(machines.values)), tables.memory_util(machines.values))
        )
        yield self._batch(qemu, tables.MACHINE, machines, (tables.CPU_UTIL, tables.MEMORY_UTIL), derived, missed=missed)
        disks = tables.disk_table(domains, [qemu.stats_of(domain) for domain in domains])
        if "disk" in self._options.groups:
            yield self._device_batch(qemu, tables.DISK, disks, self._disk, tables.DISK_RATES)
        nics = tables.nic_table(domains, [host.stats_of(domain) for domain in domains])
        if "network" in self._options.groups:
            yield self._device_batch(host, tables.NIC, nics, self._nic, tables.NIC_RATES)

    def _device_batch(
        self,
        reading: _Reading,
        columns: Sequence[tables.Column],
        table: tables.Table,
        rates: Rates,
        derived: tuple[Metric, ...],
    ) -> Batch:
        counters = table.values[:, : len(derived)]
        values = rates.update(table.keys, table.epochs, counters, at_s=reading.monotonic_s)
        return self._batch(reading, columns, table, derived, values, missed=0)

    def _batch(
        self,
        reading: _Reading,
        columns: Sequence[tables.Column],
        table: tables.Table,
        derived: tuple[Metric, ...],
        derived_values: NDArray[np.float64],
        *,
        missed: int,
    ) -> Batch:
        """Return a batch without the resources and the metrics of which there is nothing."""
        metrics = (*(column.metric for column in columns), *derived)
        values = np.column_stack((table.values, derived_values))
        present = ~np.isnan(values)
        rows, kept = np.flatnonzero(present.any(axis=1)), np.flatnonzero(present.any(axis=0))
        return Batch(
            source=self._name,
            timestamp_s=round(reading.time_s, 3),
            metrics=tuple(metrics[column] for column in kept.tolist()),
            resources=tuple(table.resources[row] for row in rows.tolist()),
            values=values[np.ix_(rows, kept)],
            expected=len(table.resources) + missed,
        )


def _xml_of(domain: Any) -> str | None:
    try:
        return str(domain.XMLDesc(0))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def _in_words(error: BaseException, options: LibvirtOptions) -> str:
    match error:
        case TimeoutError():
            return f"no answer within {options.deadline_s:g} s (deadline_s)"
        case LinesTaken():
            return f"{options.stuck_calls} calls are still stuck from earlier polls (stuck_calls)"
        case _:
            return str(error)


def _seed(rates: Rates, columns: Sequence[tables.Column], batch: Batch, *, at_s: float) -> None:
    """Give rates the counters of a batch, if it is about them."""
    places = {metric.name: place for place, metric in enumerate(batch.metrics)}
    names = [column.metric.name for column in columns[: rates.columns]]
    if not places.keys() >= set(names):
        return
    wanted = np.array([places[name] for name in names], dtype=np.intp)
    rates.seed([_key_of(resource) for resource in batch.resources], batch.values[:, wanted], at_s=at_s)


def _key_of(resource: Resource) -> tuple[str, str]:
    labels = dict(resource.labels)
    return (labels.get("instance_id", resource.id), labels.get("device", ""))


def build(*, name: str, options: LibvirtOptions, clock: Clock) -> LibvirtSource:
    """Return a source that opens nothing until its first poll."""
    return LibvirtSource(name=name, options=options, clock=clock)


PLUGIN = SourcePlugin(options=LibvirtOptions, build=build)
