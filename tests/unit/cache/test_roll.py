# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from alarmd.cache.roll import Attendance
from alarmd.cache.window import Window, WindowLimits
from alarmd.model.samples import Resource, roll_call
from tests.support.samples import a_batch, a_resource

DISK = a_resource("vm-1-vda", labels={"instance_id": "vm-1"})


class Site:
    """Hosts that are polled each ten seconds, and what a window makes of it."""

    def __init__(self) -> None:
        self.window = Window(WindowLimits(length_s=3600, lateness_s=10))

    def poll(self, at_s: float, machines: Sequence[str | Resource], *, host: str = "h1", missing: int = 0) -> None:
        batches = []
        if machines:
            batch = a_batch({one: {"cpu_util": 1.0} for one in machines}, timestamp_s=at_s + 0.5, source=host)
            batches = [replace(batch, expected=len(machines) + missing)]
            self.window.append(batch, now_s=at_s + 1)
        self.window.append(roll_call(host, batches, started_s=at_s), now_s=at_s + 1)

    def left(self, resource_id: str) -> bool:
        number = self.window.directory.find("", resource_id, "cpu_util")
        assert number is not None
        return bool(self.window.roll.have_left(np.array([number], np.int32))[0])

    def attendance(self, at_s: float) -> Attendance:
        return self.window.roll.attendance(now_ms=round(at_s * 1000), memory_ms=600_000, lateness_ms=10_000)


def test_a_machine_has_left_once_its_host_was_read_twice_without_it() -> None:
    """One complete poll without it may have come before its last sample; two tell."""
    site = Site()
    seen = []
    for at_s, machines in [(0, ["vm-1", "vm-2"]), (10, ["vm-2"]), (20, ["vm-2"]), (30, ["vm-1", "vm-2"])]:
        site.poll(at_s, machines)
        seen.append((site.left("vm-1"), site.left("vm-2")))

    assert [(False, False), (False, False), (True, False), (False, False)] == seen


def test_nobody_has_left_a_host_that_is_silent_or_read_in_part() -> None:
    """A dead host takes nobody away, nor one of which not all could be read."""
    site = Site()
    site.poll(0, ["vm-1", "vm-2"])
    for at_s in (10, 20, 30):
        site.poll(at_s, ["vm-2"], missing=1)

    assert (False, False) == (site.left("vm-1"), site.left("vm-2"))


def test_the_last_machine_of_a_host_leaves_too() -> None:
    """A host without machines still says that it was read."""
    site = Site()
    site.poll(0, ["vm-1"])
    for at_s in (10, 20):
        site.poll(at_s, [])

    assert site.left("vm-1")


def test_a_disk_leaves_with_its_machine_only() -> None:
    """What belongs to a machine that is still there is missing, not gone."""
    site = Site()
    site.poll(0, [DISK, "vm-1"])
    site.poll(10, ["vm-1"])
    site.poll(20, ["vm-1"])
    first = site.left(DISK.id)
    site.poll(30, [])
    site.poll(40, [])

    assert (False, True) == (first, site.left(DISK.id))


def test_a_machine_that_moves_is_where_it_was_seen_last() -> None:
    """Once its new host has reported it, the old one may be without it."""
    site = Site()
    site.poll(0, ["vm-1"])
    for at_s in (10, 20, 30):
        site.poll(at_s, [])
        site.poll(at_s, ["vm-1"], host="h2")

    assert not site.left("vm-1")


def test_attendance_counts_silent_hosts_and_what_ran_there() -> None:
    """A host is silent once it has missed three polls and the lateness budget; machines that left are not missing."""
    site = Site()
    for at_s in (0, 10, 20, 30):
        site.poll(at_s, ["vm-1", "vm-2"] if at_s < 20 else ["vm-1"])
        site.poll(at_s, ["vm-3"], host="h2")
    for at_s in (40, 50, 60, 70):
        site.poll(at_s, ["vm-3"], host="h2")
    before, after = site.attendance(69.0), site.attendance(71.0)

    assert Attendance(machines=2, sources=2) == before
    assert Attendance(machines=2, missing_machines=1, sources=2, silent_sources=1) == after


def test_the_forgotten_take_no_room() -> None:
    """Machines and hosts that nobody has heard of for the length of the window make room for others."""
    site = Site()
    for round_ in range(20):
        at_s = round_ * 4000.0
        site.poll(at_s, [f"vm-{round_}-{number}" for number in range(10)], host=f"h{round_}")
        site.window.expire(now_s=at_s)
    roll = site.window.roll

    assert roll.source_count <= 2
    assert len(roll._newest_ms) < 60
