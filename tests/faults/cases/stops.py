# SPDX-License-Identifier: Apache-2.0
"""SIGSTOP, as a machine that is paused or swaps does it, and SIGCONT when the world has moved on."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import psutil

from tests.faults import behaviours
from tests.faults.behaviours import Behaviour
from tests.faults.case import Case, Outcome
from tests.faults.journal import Entry
from tests.faults.outage import outages, pause
from tests.faults.scene import Scene, Stage
from tests.support.daemon import wait_until

_SHORT_S, _LONG_S = 5.0, 60.0
#: Less than the stop: whoever mistook its own absence for that of samples would go blind.
_LATENESS_S = 2.0
#: For how long at most a notifier holds what it has claimed: two attempts, and a while to wait for a free thread.
_LEASE_S = 30.0


def _evaluator(stage: Stage) -> Outcome:
    """The load goes on meanwhile, so some of its peaks are never seen; the last one is."""
    lasts_s = _SHORT_S if stage.short else _LONG_S
    return outages(
        stage, _stopped_evaluator, what="evaluator stopped", lasts_s=lasts_s, patient=False, lateness_s=_LATENESS_S
    )


@contextmanager
def _stopped_evaluator(stage: Stage, scene: Scene) -> Iterator[None]:
    del stage
    pid = scene.alarmd.children("evaluator")[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _notifier(stage: Stage) -> Outcome:
    """Of two notifiers one is stopped while the receiver holds its request; the other one takes over what it held."""
    lasts_s = _SHORT_S if stage.short else _LONG_S
    environ = {"ALARMD_NOTIFIER__WORKERS": "2"}
    with stage.scene(environ=environ, deadline_s=_LONG_S) as scene:
        scene.watch_all()
        with scene.running():
            pause(1.0)
            trap = _Trap(scene)
            scene.journal.choose = trap.choose
            wait_until(trap.stopped.is_set, what="a notifier to stop")
            scene.journal.choose = scene.journal.linger
            with scene.faults.during("notifier stopped with a request in its hands"):
                pause(lasts_s)
            came = [entry for entry in scene.journal.entries if entry.webhook_id == trap.webhook_id]
            trap.go_on()
            pause(2.0)
            findings = scene.findings()
        if lasts_s > _LEASE_S and len(came) < 2:
            findings.complaints.append("nobody took over what the stopped notifier had in its hands")
    return Outcome(injections=1, findings=findings)


class _Trap:
    """Stops the notifier that posts the next webhook."""

    def __init__(self, scene: Scene) -> None:
        self._pids = scene.alarmd.children("notifier")
        self._alarmd = scene.alarmd
        self._lock = threading.Lock()
        self._pid = 0
        self.stopped = threading.Event()
        self.webhook_id = ""

    def choose(self, entry: Entry) -> Behaviour:
        """Take the webhook and leave it without an answer for a while."""
        with self._lock:
            if self.webhook_id:
                return behaviours.takes(after_s=0.2)
            self.webhook_id = entry.webhook_id
        return Behaviour(takes=True, answer=self._snap)

    def go_on(self) -> None:
        """Let the notifier go on."""
        os.kill(self._pid, signal.SIGCONT)

    def _snap(self, handler: BaseHTTPRequestHandler, end: threading.Event) -> None:
        self._pid = _process_at(handler.client_address[1], self._pids)
        os.kill(self._pid, signal.SIGSTOP)
        self.stopped.set()
        behaviours.takes(after_s=0.5).answer(handler, end)


def _process_at(port: int, pids: list[int]) -> int:
    """Return which process has a connection from a port."""
    for pid in pids:
        if any(each.laddr.port == port for each in psutil.Process(pid).net_connections()):
            return pid
    raise AssertionError(f"none of {pids} has a connection from port {port}")


CASES = (
    Case(name="stop-evaluator", title="SIGSTOP of the evaluator, then SIGCONT", play=_evaluator),
    Case(name="stop-notifier", title="SIGSTOP of a notifier with a request in its hands, then SIGCONT", play=_notifier),
)
