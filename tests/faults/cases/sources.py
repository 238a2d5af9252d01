# SPDX-License-Identifier: Apache-2.0
"""Hypervisors that are polled, and die, hang and come back: silence shrinks no group."""

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from alarmd.cli.demo.hypervisor import Hypervisor
from alarmd.cli.demo.machines import Machine, Machines
from tests.faults.case import Case, Outcome
from tests.faults.outage import pause
from tests.faults.scene import Scene, Stage
from tests.faults.watches import ALARM, BLIND, OK, Watch
from tests.support.daemon import wait_until

_PERIOD_S, _LATENESS_S = 2.0, 2.0
#: Longer than it takes to find out that nothing comes any more.
_LASTS_S = _PERIOD_S + _LATENESS_S + 4.0
_HOSTS = ("hv-0", "hv-1")
_EACH = 2
#: As the group's alarm has it: fewer than three processors is too few to be busy, so the group would shrink.
_FEW = 3


class _Host:
    """A hypervisor with its machines, all of them of one group."""

    def __init__(self, name: str, hypervisor: Hypervisor) -> None:
        self.name = name
        self.hypervisor = hypervisor
        self.machines = [Machine(name=f"{name}-{number}", labels={"group": "web"}) for number in range(_EACH)]
        starter = Machines(hypervisor)
        for machine in self.machines:
            starter.start(machine)

    def remove_machines(self) -> None:
        """Turn all machines off, so that they have really gone."""
        starter = Machines(self.hypervisor)
        for machine in self.machines:
            starter.remove(machine.name)

    @contextmanager
    def dead(self) -> Iterator[None]:
        """Have nobody answer for it."""
        self.hypervisor.kill_daemon()
        try:
            yield
        finally:
            self.hypervisor.start_daemon()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Have it take questions and say nothing."""
        pid = self.hypervisor.daemon_pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


def _play(stage: Stage) -> Outcome:
    """Have one hypervisor die, then hang, then all of them die; the machines run all the time."""
    times = 1 if stage.short else 5
    with ExitStack() as stack:
        hosts = [_Host(name, stack.enter_context(Hypervisor())) for name in _HOSTS]
        sources = [
            {"type": "libvirt", "name": each.name, "uri": each.hypervisor.uri, "interval_s": 0.5, "deadline_s": 2.0}
            for each in hosts
        ]
        scene = stack.enter_context(stage.scene(sources=json.dumps(sources), lateness_s=_LATENESS_S))
        scene.watch_all()
        watched = {each.name: [_watch_machine(scene, machine) for machine in each.machines] for each in hosts}
        group = _watch_group(scene)
        complaints: list[str] = []
        with scene.running():
            _await_states(scene, [group, *watched["hv-0"], *watched["hv-1"]], OK)
            for _ in range(times):
                for broken, breakage in (
                    (hosts[:1], hosts[0].dead),
                    (hosts[1:], hosts[1].hanging),
                    (hosts, lambda: _all_dead(hosts)),
                ):
                    complaints += _break(scene, broken, breakage, watched, group)
            findings = scene.findings()
            findings.complaints += complaints
            findings.complaints += _judge(scene, [group, *watched["hv-0"], *watched["hv-1"]])
            # An alarm that could not fire at all would have shown nothing.
            hosts[1].remove_machines()
            _await_states(scene, [group], ALARM)
    return Outcome(injections=times * (len(hosts) + 2), findings=findings)


@contextmanager
def _all_dead(hosts: Sequence[_Host]) -> Iterator[None]:
    with ExitStack() as stack:
        for each in hosts:
            stack.enter_context(each.dead())
        yield


def _break(
    scene: Scene,
    broken: Sequence[_Host],
    breakage: Callable[[], AbstractContextManager[None]],
    watched: dict[str, list[Watch]],
    group: Watch,
) -> list[str]:
    mine = [watch for host in broken for watch in watched[host.name]]
    with scene.faults.during(f"{', '.join(each.name for each in broken)}: no answer"), breakage():
        pause(_LASTS_S)
        dead = scene.states()
    everybody = [group, *(watch for watches in watched.values() for watch in watches)]
    _await_states(scene, everybody, OK)
    return [
        f"{each.name} was {dead[each.alarm_id]} with its host dead" for each in mine if dead[each.alarm_id] != BLIND
    ]


def _judge(scene: Scene, watches: Sequence[Watch]) -> list[str]:
    """Blind they may have been, and nothing else but well: there never was a reason to shrink anything."""
    complaints = []
    for each in watches:
        history = scene.history(each)
        if set(history) - {OK, BLIND}:
            complaints.append(f"{each.name} went through {history}")
    shrunk = [
        entry.path for entry in scene.journal.entries if entry.path in {f"/{each.name}/alarm" for each in watches}
    ]
    return complaints + [f"{path} was told to shrink" for path in shrunk]


def _watch_machine(scene: Scene, machine: Machine) -> Watch:
    return _watch(scene, f"alone-{machine.name}", machine.uuid, threshold=0.5)


def _watch_group(scene: Scene) -> Watch:
    """Watch the sum over the group: without half of its members it falls below the threshold."""
    rule = {"query": [{"field": "labels.group", "op": "eq", "value": "web"}], "group_statistic": "sum"}
    return _watch(scene, "group", "group", threshold=_FEW, rule=rule)


def _watch(scene: Scene, name: str, resource_id: str, **options: Any) -> Watch:
    made = scene.watch(name, resource_id, metric="vcpus", operator="lt", period_s=_PERIOD_S, **options)
    scene.polled.add(made.alarm_id)
    return made


def _await_states(scene: Scene, watches: Sequence[Watch], state: str) -> None:
    def look() -> bool:
        states = scene.states()
        return all(states[each.alarm_id] == state for each in watches)

    wait_until(look, what=f"{', '.join(each.name for each in watches)} to be {state}", every_s=0.1)


CASES = (
    Case(
        name="dead-hypervisors",
        title="hypervisors that are polled die, hang and come back (0 of 2 hosts)",
        play=_play,
        lasts_s=150.0,
        in_short=(),
        programs=("libvirtd", "qemu-system-x86_64"),
        as_root=True,
    ),
)
