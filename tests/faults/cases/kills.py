# SPDX-License-Identifier: Apache-2.0
"""`kill -9`: of every role at random moments, and at the two moments that matter most to a webhook."""

import json
import os
import signal
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler

from tests.faults import behaviours
from tests.faults.behaviours import Behaviour
from tests.faults.case import BOTH, Case, Outcome
from tests.faults.journal import Entry
from tests.faults.killer import Killer
from tests.faults.scene import Scene, Stage
from tests.faults.watches import ALARM, Watch, watch
from tests.support.daemon import wait_until

MACHINES = tuple(f"vm-{number}" for number in range(7))
#: Everybody watches this one, so that what one change of it causes takes a while and is often cut in two.
CROWDED = MACHINES[-1]
CROWD = 60
HOST = "this-host"
#: How often alarms that act in one state only repeat that.
REPEATS_S = 1
#: The host is polled twice as often as its alarms look at it.
_SOURCES = json.dumps([{"type": "host", "interval_s": 0.5, "resource_id": HOST}])

#: Kills of each role and how many successors die too, on each database: in the short form, and in the long one.
_SHORT, _LONG = (2, 2), (110, 80)
#: How long it takes at most from a change of load to the transition's commit.
_COMMITTED_S = 10.0
#: How often one of the two moments is hit.
_TIMES_SHORT, _TIMES_LONG = 2, 20


def _roles(stage: Stage) -> Outcome:
    each, newborn = _SHORT if stage.short else _LONG
    with stage.scene(machines=MACHINES, sources=_SOURCES) as scene:
        for machine in MACHINES:
            for periods in (1, 2):
                scene.watch(f"{machine}-{periods}", machine, periods=periods)
            # As Heat makes them: nobody is told that a load is gone.
            scene.watch(f"{machine}-steps", machine, states=(ALARM,), twice=False, repeats_s=REPEATS_S)
        for number in range(CROWD):
            scene.watch(f"crowd-{number}", CROWDED, threshold=50.0 + number / 10)
        hosts = _watch_host(scene)
        killer = Killer(scene.alarmd, scene.load, scene.journal, scene.faults, seed=stage.seed)
        with scene.running():
            killer.run(each=each, newborn=newborn, tell=stage.tell)
            killer.await_successors()
            complaints = scene.come_to_rest()
            # Nothing is repeated any more while all is read.
            scene.load.calm()
            findings = scene.findings()
            findings.complaints[:0] = complaints
            for each_host in hosts:
                # Polled all the time, and never busy: whoever dies, it is neither blind nor fires.
                history = scene.history(each_host)
                if history != ["ok"]:
                    findings.complaints.append(f"{each_host.name} went through {history}")
        _judge_end(scene, killer.kills, killer, findings.complaints)
    return Outcome(injections=killer.count, findings=findings)


def _watch_host(scene: Scene) -> list[Watch]:
    """Create alarms on this machine that never fire and tell nobody."""
    rules = (("cpu_util", 1, 1), ("cpu_util", 1, 3), ("cpu_util", 2, 1), ("cpu_util", 2, 2), ("memory.util", 1, 1))
    return [
        watch(
            scene.alarmd,
            scene.journal.url,
            f"host-{metric}-{period_s}-{periods}",
            HOST,
            metric=metric,
            states=(),
            threshold=1000.0,
            period_s=period_s,
            periods=periods,
        )
        for metric, period_s, periods in rules
    ]


def _judge_end(scene: Scene, kills: Mapping[str, int], killer: Killer, complaints: list[str]) -> None:
    try:
        wait_until(lambda: killer.restarts() == kills, what=f"restarts to be counted: {dict(kills)}")
    except AssertionError as error:
        complaints.append(f"{error}; they are {dict(killer.restarts())}")
    if scene.alarmd.stop() != 0 or "Traceback" in scene.alarmd.log:
        complaints.append("alarmd did not end well; see its log")


def _between_commit_and_post(stage: Stage) -> Outcome:
    """Stop the notifier, so that it cannot post; kill it as soon as a transition is committed."""
    times = _TIMES_SHORT if stage.short else _TIMES_LONG
    with stage.scene() as scene:
        scene.watch_all()
        with scene.running():
            scene.load.stop_flipping()
            hits = sum(_kill_before_post(stage, scene) for _ in range(times))
            findings = scene.findings()
        if hits < times / 2:
            findings.complaints.append(f"only {hits} of {times} kills came after a commit: the case has shown little")
    return Outcome(injections=hits, findings=findings)


def _kill_before_post(stage: Stage, scene: Scene) -> bool:
    """Return whether there was a transition to be told of when it was killed."""
    scene.await_quiet()
    machine = stage.random.choice(scene.machines)
    victim = next(each for each in scene.watches if each.resource_id == machine)
    before = len(scene.history(victim))
    pid = wait_until(lambda: scene.alarmd.children("notifier"), what="a notifier")[0]
    with scene.faults.during("notifier stopped, then killed before it could post"):
        os.kill(pid, signal.SIGSTOP)
        scene.load.turn(machine)
        try:
            wait_until(lambda: len(scene.history(victim)) > before, deadline_s=_COMMITTED_S)
        except AssertionError:
            # It was stopped with SQLite's lock in its hands.
            hit = False
        else:
            hit = True
        finally:
            os.kill(pid, signal.SIGKILL)
    scene.alarmd.await_successor("notifier", of=pid)
    return hit


def _between_post_and_answer(stage: Stage) -> Outcome:
    """Have the receiver kill the notifier while it holds what that has posted."""
    times = _TIMES_SHORT if stage.short else _TIMES_LONG
    with stage.scene() as scene:
        scene.watch_all()
        with scene.running():
            scene.load.stop_flipping()
            for _ in range(times):
                scene.await_quiet()
                trap = _Trap(scene)
                scene.journal.choose = trap.choose
                scene.load.turn(stage.random.choice(scene.machines))
                wait_until(trap.killed.is_set, what="a webhook to hold")
                scene.journal.choose = scene.journal.linger
                scene.alarmd.await_successor("notifier", of=trap.pid)
            findings = scene.findings()
        if not any(count > 1 for count in _counts(scene).values()):
            findings.complaints.append("no webhook came twice, so none was cut off: the case has shown nothing")
    return Outcome(injections=times, findings=findings)


class _Trap:
    """Kills the notifier that posts the next webhook, which has been written down and is never answered."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._lock = threading.Lock()
        self.killed = threading.Event()
        self.pid = wait_until(lambda: scene.alarmd.children("notifier"), what="a notifier")[0]

    def choose(self, entry: Entry) -> Behaviour:
        """Have the first webhook snap the trap; the others that are held with it die with it."""
        del entry
        return Behaviour(takes=True, answer=self._snap)

    def _snap(self, handler: BaseHTTPRequestHandler, end: threading.Event) -> None:
        with self._lock:
            if not self.killed.is_set():
                os.kill(self.pid, signal.SIGKILL)
                self._scene.faults.note("notifier killed by the receiver")
                self.killed.set()
        behaviours.hangs(for_s=0.1).answer(handler, end)


def _counts(scene: Scene) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in scene.journal.entries:
        counts[entry.webhook_id] = counts.get(entry.webhook_id, 0) + 1
    return counts


CASES = (
    Case(name="kills", title="`kill -9` of every role, at random moments", play=_roles, lasts_s=750.0, in_short=BOTH),
    Case(name="kill-before-post", title="`kill -9` between commit and POST", play=_between_commit_and_post),
    Case(
        name="kill-before-answer",
        title="`kill -9` between POST and answer",
        play=_between_post_and_answer,
        lasts_s=150.0,
    ),
)
