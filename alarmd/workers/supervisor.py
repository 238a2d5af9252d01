# SPDX-License-Identifier: Apache-2.0
"""The parent of all processes: starts them, brings back those that die, and ends them in order."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from socket import socket

import cotyledon
import structlog
from setproctitle import setproctitle

from alarmd.runtime import Runtime
from alarmd.settings import Role
from alarmd.telemetry import SUPERVISOR_REGISTRY, WORKER_RESTARTS, Exposition
from alarmd.workers.api import ApiService
from alarmd.workers.evaluator import EvaluatorService
from alarmd.workers.notifier import NotifierService
from alarmd.workers.poller import PollerService
from alarmd.workers.service import RoleService

logger = structlog.get_logger()

#: In the order in which they are started: the receivers of work before its makers.
_SERVICES: dict[Role, type[RoleService]] = {
    "api": ApiService,
    "notifier": NotifierService,
    "evaluator": EvaluatorService,
    "poller": PollerService,
}
#: A process that lived for longer than this was in good health, and its successor comes at once.
_HEALTHY_S = 1.0


class Supervisor:
    """Runs the daemon. There can be one in a process, and it has to be made in its main thread."""

    def __init__(self, runtime: Runtime, *, listening: socket | None) -> None:
        self._runtime = runtime
        self._clock = runtime.clock
        self._exposition = Exposition(runtime.metrics_dir, process="supervisor", registry=SUPERVISOR_REGISTRY)
        self._ready_pipe, child_end = os.pipe()
        os.set_blocking(child_end, False)  # a child must never wait for a parent that has stopped reading
        # Children inherit the mask: Ctrl-C reaches the whole process group, but only the parent may act on it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self._manager = cotyledon.ServiceManager(
            graceful_shutdown_timeout=runtime.settings.drain_timeout_s,
            mp_context=multiprocessing.get_context("fork"),
        )
        self._manager.register_hooks(on_new_worker=_take_title, on_dead_worker=self._note_death)
        self._roles: dict[object, Role] = {}
        self._counts: dict[object, int] = {}
        wanted = list(runtime.processes.values())
        for role, service in _SERVICES.items():
            if role not in wanted:
                continue
            identity = self._manager.add(service, workers=wanted.count(role), args=(runtime, listening, child_end))
            self._roles[identity] = role
            self._counts[identity] = wanted.count(role)
        #: When each process was last started, on the monotonic clock.
        self._born_s: dict[tuple[object, int], float] = {}
        self._started_s = self._clock.monotonic_s()

    def run(self, *, on_ready: Callable[[], None]) -> None:
        """Run until SIGTERM or SIGINT, then exit this process with status 0.

        `on_ready` is called once, in a thread, as soon as every process is up.
        """
        self._exposition.clear()
        self._exposition.publish()
        setproctitle("alarmd: supervisor")
        threading.Thread(target=self._await_interrupt, name="interrupt", daemon=True).start()
        threading.Thread(target=self._await_ready, args=(on_ready,), name="ready", daemon=True).start()
        self._manager.run()

    def _await_interrupt(self) -> None:
        """Turn the first Ctrl-C into an orderly end, and a second one into an immediate one."""
        signal.sigwait({signal.SIGINT})
        os.kill(os.getpid(), signal.SIGTERM)
        signal.sigwait({signal.SIGINT})
        os._exit(1)  # the children notice by themselves

    def _await_ready(self, on_ready: Callable[[], None]) -> None:
        missing = set(self._runtime.processes)
        rest = b""
        while missing:
            *lines, rest = (rest + os.read(self._ready_pipe, 4096)).split(b"\n")
            missing -= {line.decode() for line in lines}
        on_ready()

    def _note_death(self, service_id: object, worker_id: int, exit_code: int) -> None:
        """Count a death; called by cotyledon just before it starts the successor."""
        role = self._roles[service_id]
        now_s = self._clock.monotonic_s()
        lived_s = now_s - self._born_s.get((service_id, worker_id), self._started_s)
        self._born_s[service_id, worker_id] = now_s
        tell = logger.info if exit_code == 0 else logger.warning
        tell("worker_died", role=role, worker=worker_id, exit_code=exit_code, lived_s=round(lived_s, 1))
        WORKER_RESTARTS.labels(role).inc()
        if lived_s > _HEALTHY_S:
            # cotyledon takes many deaths in a row for a crash loop and pauses all of them for five seconds. This one
            # was no part of a loop, and telling the same number of workers again makes it forget the earlier ones.
            self._manager.reconfigure(service_id, self._counts[service_id])  # type: ignore[arg-type]
        # Last, because a full disk must not keep the rest from being done; cotyledon logs what a hook raises.
        self._exposition.publish()


def _take_title(service_id: object, worker_id: int, service: cotyledon.Service) -> None:
    """Show in the list of processes what this one does; called in the child."""
    del service_id, worker_id
    if isinstance(service, RoleService):
        setproctitle(f"alarmd: {service.process}")
