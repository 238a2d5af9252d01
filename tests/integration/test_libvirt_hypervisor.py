# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from alarmd.cli.demo.hypervisor import Hypervisor, HypervisorUnavailable
from alarmd.cli.demo.keeper import machines_of
from alarmd.cli.demo.machines import Machine, Machines, boot_sector
from alarmd.clock import SystemClock

pytestmark = pytest.mark.libvirt

DEADLINE_S = 30.0

#: Starts a hypervisor and a machine, tells where, and waits to be killed.
PROGRAM = """
import sys
from alarmd.cli.demo.hypervisor import Hypervisor
from alarmd.cli.demo.machines import Machine, Machines
with Hypervisor() as hypervisor:
    Machines(hypervisor).start(Machine(name="orphan"))
    print("folder", hypervisor.folder, flush=True)
    sys.stdin.read()
"""


def test_the_boot_sector_is_one() -> None:
    """The BIOS starts what has 512 bytes and ends in its signature."""
    sector = boot_sector()

    assert len(sector) == 512
    assert sector[-2:] == b"\x55\xaa"


def test_machines_come_and_go(hypervisor: Hypervisor, machines: Machines) -> None:
    """A machine runs from its start to its removal, as a process of its own."""
    machines.start(Machine(name="come-and-go"))
    names, pid = machines.names(), hypervisor.pid_of("come-and-go")
    machines.remove("come-and-go")

    assert names == ["come-and-go"]
    assert pid > 1
    assert machines.names() == []
    with pytest.raises(HypervisorUnavailable, match="come-and-go"):
        hypervisor.pid_of("come-and-go")


def test_what_libvirt_refuses_is_said_in_its_words(machines: Machines) -> None:
    """Removing a machine that does not run fails with libvirt's reason."""
    with pytest.raises(HypervisorUnavailable, match="no domain with matching name 'nobody'"):
        machines.remove("nobody")


def test_nothing_outlives_a_killed_parent(hypervisor: Hypervisor) -> None:
    """When who started a hypervisor is killed, its libvirtd, its machines (stopped ones too) and its files go."""
    del hypervisor  # only so that this test is skipped, or fails, where no hypervisor can be had
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        lines = iter(parent.stdout.readline, b"")
        folder = Path(next(line.split()[1].decode() for line in lines if line.startswith(b"folder")))
        pids = [pid for _, pid in machines_of(folder)] + [int((folder / "daemon.pid").read_text())]
        os.kill(pids[0], signal.SIGSTOP)
        parent.kill()

    clock = SystemClock()
    until_s = clock.monotonic_s() + DEADLINE_S
    while folder.exists() or any(is_running(pid) for pid in pids):
        assert clock.monotonic_s() < until_s
        Event().wait(0.05)

    assert len(pids) == 2


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
