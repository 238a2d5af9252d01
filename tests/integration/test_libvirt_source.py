# SPDX-License-Identifier: Apache-2.0
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from alarmd.cli.demo.hypervisor import Hypervisor
from alarmd.cli.demo.machines import Machine, Machines
from alarmd.clock import SystemClock
from alarmd.errors import SourceUnavailable
from alarmd.model.samples import Batch, Resource
from alarmd.pollers.libvirt import LibvirtOptions, LibvirtSource
from alarmd.pollers.libvirt_lines import connect

pytestmark = pytest.mark.libvirt

DEADLINE_S = 60.0
CLOCK = SystemClock()

_numbers = count()


class Poll:
    """What one poll returned, by resource and metric."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self.batches = list(batches)
        self.values: dict[tuple[str, str], float] = {}
        self.resources: dict[str, Resource] = {}
        for batch in self.batches:
            for resource, row in zip(batch.resources, batch.values.tolist(), strict=True):
                self.resources[resource.id] = resource
                for metric, value in zip(batch.metrics, row, strict=True):
                    if not np.isnan(value):
                        self.values[resource.id, metric.name] = value

    def metrics_of(self, resource_id: str) -> set[str]:
        return {metric for identity, metric in self.values if identity == resource_id}

    def labels_of(self, resource_id: str) -> dict[str, str]:
        return dict(self.resources[resource_id].labels)


Sources = Callable[..., LibvirtSource]


@pytest.fixture
def sources(hypervisor: Hypervisor) -> Iterator[Sources]:
    """Make sources on the private libvirtd; closed after the test."""
    made = []

    def make(*, connect: Callable[[str], Any] = connect, **options: Any) -> LibvirtSource:
        options = {"uri": hypervisor.uri, **options}
        made.append(LibvirtSource(name="hv", options=LibvirtOptions(**options), clock=CLOCK, connect=connect))
        return made[-1]

    yield make
    for source in made:
        source.close()


def a_machine(**facts: Any) -> Machine:
    return Machine(name=f"vm-{next(_numbers)}", **{"project_id": "acme", "labels": {"group": "web"}, **facts})


def started(machines: Machines, number: int = 1, **facts: Any) -> list[Machine]:
    several = [a_machine(**facts) for _ in range(number)]
    for machine in several:
        machines.start(machine)
    return several


def can_have_taps(hypervisor: Hypervisor) -> bool:
    return hypervisor.privileged and Path("/dev/net/tun").exists()


def pause(seconds: float) -> None:
    """Let the machines run for a while: what they do in it is what is measured."""
    Event().wait(seconds)


def poll_until(source: LibvirtSource, wanted: Callable[[Poll], bool], *, every_s: float = 0.5) -> Poll:
    """Poll until it shows what is wanted; fail with the last poll after the deadline."""
    until_s = CLOCK.monotonic_s() + DEADLINE_S
    while not wanted(poll := Poll(source.poll())):
        assert CLOCK.monotonic_s() < until_s, poll.values
        pause(every_s)
    return poll


def is_busy(machine: Machine) -> Callable[[Poll], bool]:
    """Tell whether a machine burns what it can get, which other tests may make less than the whole."""
    return lambda poll: 30 <= poll.values.get((machine.uuid, "cpu_util"), -1) <= 100


def is_idle(machine: Machine) -> Callable[[Poll], bool]:
    return lambda poll: 0 <= poll.values.get((machine.uuid, "cpu_util"), -1) <= 10


class Counting:
    """A connection that counts the calls that go to libvirt."""

    calls: list[str]

    def __init__(self, uri: str, calls: list[str]) -> None:
        self._connection = connect(uri)
        self.calls = calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._connection, name)

        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            answer = method(*arguments)
            if name == "getAllDomainStats":
                return [(_CountingDomain(domain, self.calls), stats) for domain, stats in answer]
            return answer

        return call


class _CountingDomain:
    """A domain that counts its calls; its id and UUID it knows without asking."""

    def __init__(self, domain: Any, calls: list[str]) -> None:
        self._domain = domain
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        if name not in {"UUIDString", "ID"}:
            self._calls.append(name)
        return getattr(self._domain, name)


def test_two_bulk_calls_however_many_machines(machines: Machines, sources: Sources) -> None:
    """A poll makes two calls, and reads the XML of a new machine once."""
    calls: list[str] = []
    source = sources(connect=lambda uri: Counting(uri, calls))
    seen = []
    for number in (1, 3, 0):
        started(machines, number)
        calls.clear()
        source.poll()
        seen.append([name for name in calls if name not in {"isAlive", "domainEventRegisterAny"}])

    bulk, xml = "getAllDomainStats", "XMLDesc"
    assert seen == [[bulk, xml, bulk], [bulk, xml, xml, xml, bulk], [bulk, bulk]]


def test_load_is_seen(machines: Machines, sources: Sources) -> None:
    """A key makes a machine busy, the next one lets it sleep; nobody else's use changes."""
    busy, idle = started(machines, 2)
    source = sources()
    poll_until(source, lambda poll: is_idle(busy)(poll) and is_idle(idle)(poll))

    machines.press_key(busy.name)
    loaded = poll_until(source, is_busy(busy))
    machines.press_key(busy.name)
    poll_until(source, is_idle(busy))

    assert loaded.values[busy.uuid, "cpu_util"] > 2 * loaded.values[idle.uuid, "cpu_util"]


def test_use_is_of_all_vcpus(machines: Machines, sources: Sources) -> None:
    """What a machine burns is counted against all its vCPUs: one busy of two is half of it."""
    (machine,) = started(machines, vcpus=2)
    source = sources()
    machines.press_key(machine.name)
    poll_until(source, lambda poll: poll.values.get((machine.uuid, "cpu_util"), 0) > 20)
    first = Poll(source.poll())
    pause(1)
    second = Poll(source.poll())

    burnt_ns = second.values[machine.uuid, "cpu"] - first.values[machine.uuid, "cpu"]
    elapsed_s = second.batches[0].timestamp_s - first.batches[0].timestamp_s
    assert second.values[machine.uuid, "vcpus"] == 2
    assert second.values[machine.uuid, "cpu_util"] == pytest.approx(burnt_ns / elapsed_s / 2e9 * 100, rel=0.02)


def test_machines_and_devices_are_described(hypervisor: Hypervisor, machines: Machines, sources: Sources) -> None:
    """Machine, disk and NIC each carry project, user and group, so a group alarm works on any of their metrics."""
    tap = f"altap{os.getpid() % 100000}" if can_have_taps(hypervisor) else ""
    (machine,) = started(machines, user_id="joe", tap=tap)
    source = sources(labels={"host": "hv1"})
    source.poll()
    poll = poll_until(source, lambda poll: (f"{machine.uuid}-hda", "disk.device.read.bytes.rate") in poll.values)

    disk = f"{machine.uuid}-hda"
    nic = f"{machine.name}-{machine.uuid}-{tap}"
    expected = [machine.uuid, disk, *([nic] if tap else [])]
    assert sorted(poll.resources) == sorted(expected)
    for identity in expected:
        assert (poll.resources[identity].project_id, poll.resources[identity].user_id) == ("acme", "joe")
        assert poll.labels_of(identity)["group"] == "web"
        assert poll.labels_of(identity)["host"] == "hv1"
    assert (poll.labels_of(disk)["instance_id"], poll.labels_of(disk)["device"]) == (machine.uuid, "hda")
    assert poll.metrics_of(machine.uuid) >= {
        *("cpu", "cpu_util", "vcpus", "memory", "memory.resident", "power.state"),
    }
    assert (poll.values[machine.uuid, "memory"], poll.values[machine.uuid, "power.state"]) == (16, 1)
    assert poll.values[disk, "disk.device.capacity"] == 64 * 1024
    assert [batch.expected for batch in poll.batches] == [1] * len(expected)


def test_network_traffic_is_seen(hypervisor: Hypervisor, machines: Machines, sources: Sources) -> None:
    """What is sent to a machine's interface comes out as its incoming rate."""
    if not can_have_taps(hypervisor):
        pytest.skip("an interface that the host sees needs root and /dev/net/tun")
    tap = f"alnet{os.getpid() % 100000}"
    (machine,) = started(machines, tap=tap)
    source = sources()
    nic = f"{machine.name}-{machine.uuid}-{tap}"
    source.poll()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((tap, 0))
        for _ in range(100):
            sender.send(b"\xff" * 6 + b"\x02" * 6 + b"\x88\xb5" + b"x" * 986)
    pause(0.5)
    poll = Poll(source.poll())

    assert poll.values[nic, "network.incoming.bytes"] >= 100_000
    assert poll.values[nic, "network.incoming.bytes.rate"] > 10_000
    assert poll.values[nic, "network.incoming.packets.rate"] > 10


NOVA = """
<nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/{version}">
  <nova:name>web-1</nova:name><nova:flavor name="m1.tiny"/>
  <nova:owner><nova:user uuid="u1">joe</nova:user><nova:project uuid="p{version}">acme</nova:project></nova:owner>
</nova:instance>
"""


def test_metadata_is_read_and_followed(machines: Machines, sources: Sources) -> None:
    """Nova's metadata of both versions is understood, and a change of ours shows in the next polls by itself."""
    (new,) = started(machines, project_id="", labels={}, extra_metadata=NOVA.format(version="1.1"))
    (old,) = started(machines, project_id="", labels={}, extra_metadata=NOVA.format(version="1.0"))
    (nobodys,) = started(machines, project_id="", labels={})
    source = sources()
    poll = Poll(source.poll())
    machines.set_metadata(Machine(name=old.name, project_id="mine", labels={"group": "db"}))
    changed = poll_until(source, lambda poll: "group" in poll.labels_of(old.uuid), every_s=0.05)

    assert [poll.resources[machine.uuid].project_id for machine in (new, old, nobodys)] == ["p1.1", "p1.0", ""]
    assert poll.labels_of(new.uuid)["flavor_name"] == "m1.tiny"
    assert (changed.resources[old.uuid].project_id, changed.labels_of(old.uuid)["group"]) == ("mine", "db")
    assert changed.labels_of(old.uuid)["display_name"] == "web-1"


def test_restarts_and_removals_make_no_absurd_rate(machines: Machines, sources: Sources) -> None:
    """Machines that restart, go and come leave gaps in their rates, never a negative or an impossible value."""
    restarted, removed, other = started(machines, 3)
    source = sources()
    machines.press_key(restarted.name)
    polls = [poll_until(source, is_busy(restarted))]
    machines.remove(restarted.name)
    machines.remove(removed.name)
    machines.start(restarted)
    (new,) = started(machines)
    after = Poll(source.poll())
    for _ in range(3):
        pause(0.3)
        polls.append(Poll(source.poll()))

    rates = {key: value for poll in polls for key, value in poll.values.items() if "rate" in key[1] or "util" in key[1]}
    utils = [value for (_, metric), value in rates.items() if metric == "cpu_util"]
    assert "cpu_util" not in after.metrics_of(restarted.uuid) | after.metrics_of(new.uuid)
    assert "cpu_util" in after.metrics_of(other.uuid)
    assert removed.uuid not in after.resources
    assert {restarted.uuid, new.uuid, other.uuid} <= {identity for identity, metric in rates if metric == "cpu_util"}
    assert all(0 <= value <= 100 for value in utils)
    assert all(0 <= value <= 1e9 for value in rates.values())


def test_a_stopped_qemu_holds_up_nobody_else(hypervisor: Hypervisor, machines: Machines, sources: Sources) -> None:
    """With one QEMU stopped the others keep every metric, polls stay within the deadline, and it comes back."""
    several = started(machines, 4)
    stopped, others = several[0], several[1:]
    source = sources(deadline_s=4, patience_s=0.5)
    full = poll_until(source, lambda poll: all("cpu_util" in poll.metrics_of(machine.uuid) for machine in several))
    os.kill(hypervisor.pid_of(stopped.name), signal.SIGSTOP)
    polls, durations = [], []
    try:
        for _ in range(3):
            pause(0.2)
            started_s = CLOCK.monotonic_s()
            polls.append(Poll(source.poll()))
            durations.append(CLOCK.monotonic_s() - started_s)
    finally:
        os.kill(hypervisor.pid_of(stopped.name), signal.SIGCONT)
    disk = f"{stopped.uuid}-hda"
    recovered = poll_until(source, lambda poll: "disk.device.read.bytes.rate" in poll.metrics_of(disk))

    assert durations[0] < 4
    assert max(durations[1:]) < 0.5
    for poll in polls:
        for machine in others:
            for identity in (machine.uuid, f"{machine.uuid}-hda"):
                assert poll.metrics_of(identity) == full.metrics_of(identity)
        assert {"cpu", "cpu_util", "power.state"} <= poll.metrics_of(stopped.uuid)
        assert disk not in poll.resources
        assert [(batch.expected, len(batch.resources)) for batch in poll.batches] == [(4, 4), (4, 3)]
    assert recovered.metrics_of(stopped.uuid) == full.metrics_of(stopped.uuid)


def test_a_restart_of_libvirtd_costs_no_sample(hypervisor: Hypervisor, machines: Machines, sources: Sources) -> None:
    """While libvirtd is away polls say so; when it is back they go on, with rates over the gap."""
    (machine,) = started(machines)
    source = sources()
    poll_until(source, lambda poll: "cpu_util" in poll.metrics_of(machine.uuid))
    hypervisor.kill_daemon()
    try:
        with pytest.raises(SourceUnavailable, match=r"libvirt at qemu.* does not answer: .*virsh"):
            source.poll()
    finally:
        hypervisor.start_daemon()
    poll = Poll(source.poll())
    machines.set_metadata(Machine(name=machine.name, project_id="mine"))
    poll_until(source, lambda poll: poll.resources[machine.uuid].project_id == "mine", every_s=0.05)

    assert 0 <= poll.values[machine.uuid, "cpu_util"] <= 100


def test_a_hung_libvirtd_is_given_up(hypervisor: Hypervisor, machines: Machines, sources: Sources) -> None:
    """A libvirtd that accepts and says nothing costs a poll its deadline, no more; then it goes on."""
    started(machines)
    source, late = sources(deadline_s=0.5, stuck_calls=2), sources(deadline_s=0.5)
    source.poll()
    assert hypervisor.daemon_pid is not None
    os.kill(hypervisor.daemon_pid, signal.SIGSTOP)
    started_s = CLOCK.monotonic_s()
    try:
        for asked in (source, source, source, late):
            with pytest.raises(SourceUnavailable, match=r"no answer within 0.5 s|2 calls are still stuck"):
                asked.poll()
        took_s = CLOCK.monotonic_s() - started_s
    finally:
        os.kill(hypervisor.daemon_pid, signal.SIGCONT)

    assert took_s < 4 * 0.5 + 0.5
    until_s = CLOCK.monotonic_s() + DEADLINE_S
    while True:
        try:
            assert len(source.poll()) == len(late.poll()) == 2
        except SourceUnavailable:
            assert CLOCK.monotonic_s() < until_s
            pause(0.1)
        else:
            break


def test_a_restart_of_the_poller_costs_no_rate(machines: Machines, sources: Sources) -> None:
    """A source that is given its predecessor's samples has rates in its first poll."""
    (machine,) = started(machines)
    before = sources().poll()
    pause(0.5)
    source = sources()
    source.resume(before)
    poll = Poll(source.poll())

    assert 0 <= poll.values[machine.uuid, "cpu_util"] <= 100
    assert "disk.device.read.bytes.rate" in poll.metrics_of(f"{machine.uuid}-hda")


def test_groups_that_are_not_wanted_are_not_read(machines: Machines, sources: Sources) -> None:
    """A source that is to read the CPU alone does so."""
    (machine,) = started(machines)
    poll = Poll(sources(groups=[]).poll())

    assert poll.metrics_of(machine.uuid) == {"cpu", "power.state", "vcpus"}
    assert set(poll.resources) == {machine.uuid}


def test_a_host_without_machines_is_fine(sources: Sources) -> None:
    """Nothing runs, nothing is reported, nothing fails."""
    assert sources().poll() == []


def test_a_wrong_uri_is_explained(sources: Sources) -> None:
    """A URI that nobody answers names itself, the cause, and what to do."""
    uri = "qemu+unix:///system?socket=/nowhere/libvirt-sock"
    with pytest.raises(SourceUnavailable, match=r"/nowhere/libvirt-sock.*Check that its daemon runs"):
        sources(uri=uri).poll()
