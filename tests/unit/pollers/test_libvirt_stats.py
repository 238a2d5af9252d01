# SPDX-License-Identifier: Apache-2.0
from math import isnan
from typing import Any

import numpy as np

from alarmd.pollers import libvirt_stats as tables
from alarmd.pollers.libvirt_domains import Domain, parse_domain

UUID = "3ed32af6-86c7-470e-9119-5a7ff3c35ea3"


def a_domain(devices: str = "", *, run: int = 1) -> Domain:
    xml = f"<domain><name>vm</name><uuid>{UUID}</uuid><vcpu>2</vcpu><devices>{devices}</devices></domain>"
    return parse_domain(xml, run=run, plugging=0, labels={})


def row(columns: tuple[tables.Column, ...], table: tables.Table, number: int = 0) -> dict[str, float]:
    values = table.values[number].tolist()
    return {column.metric.name: value for column, value in zip(columns, values, strict=True) if not isnan(value)}


def test_memory_is_told_in_mebibytes() -> None:
    """What libvirt counts in KiB comes out in MiB; usage and utilisation need the guest's driver."""
    stats = {
        "balloon.current": 524288,
        "balloon.rss": 102400,
        "balloon.available": 409600,
        "balloon.unused": 1,
        "balloon.usable": 307200,
    }
    with_driver = tables.machine_table([a_domain()], [stats], [{}])
    without = tables.machine_table(
        [a_domain()], [{"balloon.current": 524288, "balloon.rss": 102400}], [{"state.state": 1}]
    )

    assert row(tables.MACHINE, with_driver) == {
        "vcpus": 2.0,
        "memory": 512.0,
        "memory.available": 400.0,
        "memory.usage": 100.0,
        "memory.resident": 100.0,
    }
    assert tables.memory_util(with_driver.values).tolist() == [25.0]
    assert row(tables.MACHINE, without) == {"power.state": 1.0, "vcpus": 2.0, "memory": 512.0, "memory.resident": 100.0}
    assert isnan(tables.memory_util(without.values)[0])


def test_an_old_guest_driver_tells_unused_memory_only() -> None:
    """Where the guest does not say what is usable, what is unused counts."""
    table = tables.machine_table([a_domain()], [{"balloon.available": 2048, "balloon.unused": 1024}], [{}])

    assert row(tables.MACHINE, table)["memory.usage"] == 1.0


def test_stale_guest_memory_is_no_evidence() -> None:
    """What the guest said too long ago is left out; what the host knows stays."""
    stats = {"balloon.available": 1, "balloon.usable": 1, "balloon.rss": 1, "balloon.last-update": 1000}

    assert tables.without_stale_memory(stats, now_s=1100, max_age_s=120) == stats
    assert set(tables.without_stale_memory(stats, now_s=1121, max_age_s=120)) == {
        "balloon.rss",
        "balloon.last-update",
    }


def test_vcpus_fall_back_to_the_xml_and_start_a_new_epoch() -> None:
    """A number of vCPUs that libvirt does not tell is the XML's; another number is another epoch."""
    domain = a_domain(run=3)

    assert tables.machine_table([domain], [{}], [{}]).epochs == [(3, 2)]
    assert tables.machine_table([domain], [{"vcpu.current": 4}], [{}]).epochs == [(3, 4)]


def test_cpu_util_never_passes_a_hundred() -> None:
    """Nanoseconds a second become percent of all vCPUs; QEMU's own threads do not carry it beyond 100."""
    rates, vcpus = np.array([0.8e9, 1.0e9, 2.2e9, np.nan]), np.array([1.0, 2.0, 2.0, 1.0])

    np.testing.assert_equal(tables.cpu_util(rates, vcpus), np.array([80.0, 50.0, 100.0, np.nan]))


def disk(number: int, name: str, **fields: int) -> dict[str, Any]:
    entry = {f"block.{number}.{key.replace('_', '.')}": value for key, value in fields.items()}
    return {f"block.{number}.name": name, **entry}


DISKS = """
<disk><source file='/a'/><target dev='vda'/></disk>
<disk><source file='/b'/><target dev='vdb'/></disk>
<disk device='cdrom'><target dev='sda'/></disk>
"""


def test_disks_are_found_by_name() -> None:
    """A disk keeps its values when another one goes and the positions move; sizes follow Ceilometer's meaning."""
    full = {"rd_bytes": 10, "rd_reqs": 1, "capacity": 100, "allocation": 0, "physical": 40}
    both = {"block.count": 2, **disk(0, "vda", rd_reqs=9, capacity=7), **disk(1, "vdb", **full)}
    alone = {"block.count": 1, **disk(0, "vdb", **full)}
    for stats in (both, alone):
        table = tables.disk_table([a_domain(DISKS)], [stats])
        place = [key[1] for key in table.keys].index("vdb")

        assert row(tables.DISK, table, place) == {
            "disk.device.read.bytes": 10.0,
            "disk.device.read.requests": 1.0,
            "disk.device.capacity": 100.0,
            "disk.device.allocation": 40.0,
            "disk.device.usage": 40.0,
        }


def test_empty_drives_are_left_out_and_silent_disks_are_missed() -> None:
    """A drive without a medium has counters and no capacity; a disk that could not be asked has a row of nothing."""
    stats = {
        "block.count": 3,
        **disk(0, "vda", rd_reqs=1, capacity=7),
        **disk(1, "vdb"),
        **disk(2, "sda", rd_reqs=0, rd_bytes=0),
    }
    table = tables.disk_table([a_domain(DISKS)], [stats])

    assert [key[1] for key in table.keys] == ["vda", "vdb"]
    assert row(tables.DISK, table, 1) == {}


def test_nics_are_found_by_name() -> None:
    """A NIC is known by the host's name of it, wherever it stands in libvirt's list."""
    nics = "".join(
        f"<interface><mac address='52:54:00:00:00:0{n}'/><target dev='tap{n}'/></interface>" for n in range(2)
    )
    stats = {"net.count": 1, "net.0.name": "tap1", "net.0.rx.bytes": 5, "net.0.tx.pkts": 6}
    table = tables.nic_table([a_domain(nics)], [stats])

    assert tables.names_of(stats, "net") == {"tap1"}
    assert [key[1] for key in table.keys] == ["tap0", "tap1"]
    assert row(tables.NIC, table, 0) == {}
    assert row(tables.NIC, table, 1) == {"network.incoming.bytes": 5.0, "network.outgoing.packets": 6.0}


def test_nothing_makes_empty_tables() -> None:
    """A host without domains has tables without rows."""
    for table in (tables.machine_table([], [], []), tables.disk_table([], []), tables.nic_table([], [])):
        assert len(table.values) == 0
