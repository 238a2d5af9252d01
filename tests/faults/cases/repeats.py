# SPDX-License-Identifier: Apache-2.0
"""Alarms as Heat makes them: they act in one state only, and repeat that for as long as it lasts.

A group that needs more than one step grows by repeats. So none may be left out while all is well, and whoever was away
wants the newest of them, not each of the past; none at all once the load is gone.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

from tests.faults import behaviours
from tests.faults.behaviours import Behaviour
from tests.faults.case import BOTH, Case, Outcome
from tests.faults.journal import Entry, Journal
from tests.faults.outage import pause
from tests.faults.runs import RECOVERY_S
from tests.faults.scene import Scene, Stage
from tests.faults.watches import ALARM, OK
from tests.support.daemon import wait_until

#: How often they repeat themselves: as often as an evaluator looks at them, and more slowly.
_BEATS_S = (1, 2)
_MACHINE = "vm-0"
#: What the receivers do when they are in trouble, by their names.
_TROUBLES: dict[str, Callable[[Entry], Behaviour]] = {
    "broken": lambda _entry: behaviours.status(500),
    "mute": lambda _entry: behaviours.hangs(),
}
#: For how long something is broken, in the short form and in the long one.
_SHORT_S, _LONG_S = 4.0, 20.0
#: Longer than any retry waits, and any beat lasts: what was to come would have come.
_SETTLED_S = 4.0


@dataclass(kw_only=True)
class _Group:
    """What repeats itself, and where that goes."""

    scene: Scene
    journals: dict[str, Journal]

    def turn(self, state: str) -> None:
        """Change the machine's load and wait until all have noticed."""
        self.scene.load.turn(_MACHINE)

        def have_turned() -> bool:
            states = self.scene.states()
            return all(states[each.alarm_id] == state for each in self.scene.watches)

        wait_until(have_turned, what=f"alarms to be {state}", every_s=0.1)

    def await_repeats(self, count: int) -> None:
        """Wait until so many more repeats have taken effect at each receiver."""
        before = self.repeats()
        wait_until(
            lambda: all(now >= before[name] + count for name, now in self.repeats().items()),
            what=f"{count} more repeats at each receiver: {before}",
        )

    def repeats(self) -> dict[str, int]:
        """Return how many repeats have taken effect at each receiver."""
        return {name: _ids(journal) for name, journal in self.journals.items()}


#: Breaks something for as long as its block lasts.
_Breakage = Callable[[Stage, _Group], AbstractContextManager[object]]


def _ids(journal: Journal) -> int:
    return len({entry.webhook_id for entry in journal.entries if entry.is_repeat})


def _play(stage: Stage, breakage: _Breakage, *, times: int, recovers_s: float = 0.0) -> Outcome:
    """Break something again and again; what alarmd stands on excuses it for a while after it is well again."""
    lasts_s = _SHORT_S if stage.short else _LONG_S
    with stage.scene(machines=(_MACHINE,)) as scene, ExitStack() as stack:
        journals = {name: stack.enter_context(scene.receiver(name)) for name in _TROUBLES}
        for name, journal in journals.items():
            for beat_s in _BEATS_S:
                scene.watch(
                    f"{name}-{beat_s}", _MACHINE, url=journal.url, states=(ALARM,), twice=False, repeats_s=beat_s
                )
        # Nobody is told that a load is gone, and what its rise has told may have given way to a repeat.
        scene.load.watches.clear()
        group = _Group(scene=scene, journals=journals)
        with scene.load.running():
            wait_until(lambda: set(scene.states().values()) == {OK}, what="alarms to know their machine", every_s=0.1)
            for number in range(times):
                _break_twice(stage, group, breakage, lasts_s=lasts_s, well_s=recovers_s + lasts_s)
                stage.tell(f"{number + 1} times: {group.repeats()} repeats")
            findings = scene.findings()
            injections = len(scene.faults.faults)
    if not sum(group.repeats().values()):
        findings.complaints.append("nothing was repeated: the case has shown nothing")
    return Outcome(injections=injections, findings=findings)


def _break_twice(stage: Stage, group: _Group, breakage: _Breakage, *, lasts_s: float, well_s: float) -> None:
    """Break something that is well again while the load lasts, and something that is only when the load is gone."""
    group.turn(ALARM)
    group.await_repeats(2)
    with breakage(stage, group):
        pause(lasts_s)
    pause(well_s)
    group.await_repeats(2)
    with breakage(stage, group):
        pause(lasts_s / 2)
        group.turn(OK)
        pause(lasts_s / 2)
    pause(_SETTLED_S)


@contextmanager
def _in_trouble(_stage: Stage, group: _Group) -> Iterator[None]:
    """Have one receiver answer 500 and the other one nothing."""
    with group.scene.faults.during("a receiver answers 500, another one hangs", is_outside=True):
        for name, journal in group.journals.items():
            journal.choose = _TROUBLES[name]
        try:
            yield
        finally:
            for journal in group.journals.values():
                journal.choose = journal.linger


@contextmanager
def _killed(stage: Stage, group: _Group) -> Iterator[None]:
    """Kill notifiers and evaluators, and have a notifier that was stopped leave everything undone until the end."""
    scene = group.scene
    for role in stage.random.sample(("notifier", "evaluator"), 2):
        _kill(scene, role)
    pid = wait_until(lambda: scene.alarmd.children("notifier"), what="a notifier")[0]
    with scene.faults.during("the notifier is stopped, then killed"):
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGKILL)
    scene.alarmd.await_successor("notifier", of=pid)


def _kill(scene: Scene, role: str) -> None:
    pid = wait_until(lambda: scene.alarmd.children(role), what=f"a {role}")[0]
    os.kill(pid, signal.SIGKILL)
    scene.faults.note(f"kill {role} {pid}")
    scene.alarmd.await_successor(role, of=pid)


def _receivers(stage: Stage) -> Outcome:
    return _play(stage, _in_trouble, times=1 if stage.short else 6)


def _kills(stage: Stage) -> Outcome:
    return _play(stage, _killed, times=1 if stage.short else 6, recovers_s=RECOVERY_S)


CASES = (
    Case(
        name="repeats-receivers",
        title="alarms repeat themselves while receivers answer 500 or hang",
        play=_receivers,
        databases=BOTH,
        lasts_s=480.0,
    ),
    Case(
        name="repeats-kills",
        title="alarms repeat themselves, `kill -9` of notifiers and evaluators",
        play=_kills,
        # In the short form `kills` has such alarms.
        in_short=(),
        databases=BOTH,
        lasts_s=480.0,
    ),
)
