# SPDX-License-Identifier: Apache-2.0
"""What the demo scales: a group of virtual machines, or, where none can be had, of processes on this host."""

import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any, Protocol

import psutil

from alarmd.cli.demo.daemon import PROJECT
from alarmd.cli.demo.hypervisor import Hypervisor, HypervisorUnavailable
from alarmd.cli.demo.machines import Machine, Machines
from alarmd.errors import AlarmdError

#: How long the host is looked at before it is loaded, and how busy it may be for that.
_LOOK_S, _TOO_BUSY_PERCENT = 2.0, 70.0

#: The group's label, in libvirt's metadata and in the alarms' queries.
LABELS = {"group": "web"}


class ScalingGroup(Protocol):
    """Something that can be loaded and scaled."""

    #: Name of the source that watches it.
    source: str
    #: Which statistic of the members' CPU the alarms look at.
    statistic: str
    #: Above this, in percent, a member is busy; below that, none is.
    busy_percent: float
    idle_percent: float

    def poller_source(self) -> Mapping[str, Any]:
        """Return the settings of the source that reads the group."""

    def members(self) -> dict[str, str]:
        """Return the members' names by resource id."""

    def toggle_load(self) -> None:
        """Make the first member busy, or idle again."""

    def add(self) -> str:
        """Add a member; return its name."""

    def remove(self) -> str:
        """Remove the member that came last; return its name."""

    def close(self) -> None:
        """Remove everything."""


class MachineGroup:
    """Virtual machines on a private hypervisor."""

    source = "libvirt"
    # The busiest member decides, and far from both ends: a machine that shares its processor with others must do.
    statistic = "max"
    busy_percent = 25.0
    idle_percent = 10.0

    def __init__(self) -> None:
        """Start the hypervisor and the first machine. Raises `HypervisorUnavailable`."""
        self._stack = ExitStack()
        self._members: list[Machine] = []
        self._started = 0
        try:
            self._hypervisor = self._stack.enter_context(Hypervisor())
            self._machines = Machines(self._hypervisor)
            self._stack.callback(self._machines.close)
            self.add()
        except BaseException:
            self._stack.close()
            raise

    @property
    def accelerator(self) -> str:
        """``kvm``, or ``qemu`` for software emulation."""
        return self._hypervisor.accelerator

    def poller_source(self) -> Mapping[str, Any]:
        return {"type": "libvirt", "uri": self._hypervisor.uri, "interval_s": 0.5, "deadline_s": 2.0}

    def members(self) -> dict[str, str]:
        return {machine.uuid: machine.name for machine in self._members}

    def toggle_load(self) -> None:
        self._machines.press_key(self._members[0].name)

    def add(self) -> str:
        self._started += 1
        machine = Machine(name=f"web-{self._started}", project_id=PROJECT, user_id="demo", labels=LABELS)
        self._machines.start(machine)
        self._members.append(machine)
        return machine.name

    def remove(self) -> str:
        machine = self._members.pop()
        self._machines.remove(machine.name)
        return machine.name

    def close(self) -> None:
        self._stack.close()


class HostGroup:
    """This machine: its load is real, but the members that come and go are only names."""

    source = "host"
    # The machine has other things to do as well, so short bursts must not decide.
    statistic = "avg"

    def __init__(self, *, resource_id: str, processors: int) -> None:
        """Look for a moment at how busy the machine is anyway; raises `AlarmdError` when there is too little room."""
        usual = psutil.cpu_percent(interval=_LOOK_S)
        if usual > _TOO_BUSY_PERCENT:
            raise AlarmdError(
                f"This machine is {usual:.0f} % busy already, so nobody could see a load come and go. "
                "Try again when it has less to do."
            )
        self.idle_percent = usual + (100 - usual) * 0.35
        self.busy_percent = usual + (100 - usual) * 0.65
        self._resource_id = resource_id
        self._processors = processors
        self._names = ["web-1"]
        self._burners: list[subprocess.Popen[bytes]] = []

    def poller_source(self) -> Mapping[str, Any]:
        return {"type": "host", "interval_s": 0.5, "project_id": PROJECT, "labels": LABELS}

    def members(self) -> dict[str, str]:
        return {self._resource_id: " + ".join(self._names)}

    def toggle_load(self) -> None:
        if self._burners:
            self.close()
            return
        burn = [sys.executable, "-c", "while True: pass"]
        self._burners = [subprocess.Popen(burn) for _ in range(self._processors)]  # noqa: S603  # nothing from outside

    def add(self) -> str:
        self._names.append(f"web-{len(self._names) + 1}")
        return self._names[-1]

    def remove(self) -> str:
        return self._names.pop()

    def close(self) -> None:
        for burner in self._burners:
            burner.kill()
            with suppress(subprocess.TimeoutExpired):
                burner.wait(5)
        self._burners = []


__all__ = ["LABELS", "HostGroup", "HypervisorUnavailable", "MachineGroup", "ScalingGroup"]
