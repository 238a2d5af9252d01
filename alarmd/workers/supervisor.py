# SPDX-License-Identifier: Apache-2.0
"""The parent of all processes: starts them, brings back those that die, replaces them, and ends them in order."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from socket import socket

import cotyledon
import structlog
from setproctitle import setproctitle

from alarmd.errors import AlarmdError
from alarmd.runtime import Runtime
from alarmd.settings import Role, Settings, reread
from alarmd.telemetry import SUPERVISOR_REGISTRY, WORKER_RESTARTS, Exposition
from alarmd.workers.api import ApiService
from alarmd.workers.children import Children
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
_REMEDY = (
    "Put it right and send SIGHUP again; until then everything goes on as it was. `alarmd config check FILE` tries it."
)


class Supervisor:
    """Runs the daemon. There can be one in a process, and it has to be made in its main thread."""

    def __init__(self, runtime: Runtime, *, listening: socket | None, hangup: threading.Event) -> None:
        """Make it; `hangup` may be set already, if SIGHUP has come since the settings were read."""
        self._runtime = runtime
        self._hangup = hangup
        self._clock = runtime.clock
        self._exposition = Exposition(runtime.metrics_dir, process="supervisor", registry=SUPERVISOR_REGISTRY)
        self._ready_pipe, child_end = os.pipe()
        os.set_blocking(child_end, False)  # a child must never wait for a parent that has stopped reading
        # Children inherit the mask: Ctrl-C reaches the whole process group, but only the parent may act on it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self._children = Children(drain_timeout_s=runtime.settings.drain_timeout_s)
        self._children.register_hooks(
            on_new_worker=_take_title, on_dead_worker=self._note_death, on_reload=self._hangup.set
        )
        self._roles: dict[object, Role] = {}
        self._counts: dict[object, int] = {}
        wanted = Counter(runtime.processes.values())
        for role, service in _SERVICES.items():
            if role not in wanted:
                continue
            arguments = (self._runtime_now, listening, child_end)
            identity = self._children.add(service, workers=wanted[role], args=arguments)
            self._roles[identity] = role
            self._counts[identity] = wanted[role]
        #: When each process was last started, on the monotonic clock.
        self._born_s: dict[tuple[object, int], float] = {}
        self._started_s = self._clock.monotonic_s()

    def run(
        self,
        *,
        on_ready: Callable[[], None],
        read_settings: Callable[[], Settings],
        on_settings: Callable[[Settings], None],
    ) -> None:
        """Run until SIGTERM or SIGINT, then exit this process with status 0.

        Args:
            on_ready: Called once, in a thread, as soon as every process is up.
            read_settings: Reads the settings again; raises `AlarmdError` for those that cannot be used.
            on_settings: Told of settings that count from now on, before processes start with them.
        """
        self._exposition.clear()
        self._exposition.publish()
        setproctitle("alarmd: supervisor")
        threading.Thread(target=self._await_interrupt, name="interrupt", daemon=True).start()
        threading.Thread(target=self._await_ready, args=(on_ready,), name="ready", daemon=True).start()
        reading = (read_settings, on_settings)
        threading.Thread(target=self._await_hangups, args=reading, name="hangup", daemon=True).start()
        self._children.run()

    def _runtime_now(self) -> Runtime:
        """Return what a process that is being born works with."""
        return self._runtime

    def _await_interrupt(self) -> None:
        """Turn the first Ctrl-C into an orderly end, and a second one into an immediate one."""
        signal.sigwait({signal.SIGINT})
        os.kill(os.getpid(), signal.SIGTERM)
        signal.sigwait({signal.SIGINT})
        os._exit(1)  # the children notice by themselves

    def _await_ready(self, on_ready: Callable[[], None]) -> None:
        ready: set[str] = set()
        rest = b""
        # Which are awaited may change meanwhile; those that take the places of others tell of themselves as well.
        while not ready.issuperset(self._runtime.processes):
            *lines, rest = (rest + os.read(self._ready_pipe, 4096)).split(b"\n")
            ready |= {line.decode() for line in lines}
        on_ready()

    def _await_hangups(self, read_settings: Callable[[], Settings], on_settings: Callable[[Settings], None]) -> None:
        while True:
            self._hangup.wait()
            # First, so that what is said from here on is not missed.
            self._hangup.clear()
            # A thread for each, so that one that fails in a way that nobody has thought of is not the last one.
            turn = threading.Thread(target=self._reload, args=(read_settings, on_settings), name="reload", daemon=True)
            turn.start()
            turn.join()

    def _reload(self, read_settings: Callable[[], Settings], on_settings: Callable[[Settings], None]) -> None:
        """Read the settings again, and replace every process by one that has them; do nothing if they are wrong."""
        wrong, fresh = "", self._runtime.settings
        try:
            fresh = read_settings()
        except AlarmdError as error:
            wrong = error.message
        # From here on things are imported, logged and changed that no process may be born in the middle of.
        with self._children.forking:
            if self._children.is_ending:
                return
            wrong = wrong or self._take(fresh, on_settings)
            if wrong:
                logger.error("settings_refused", error=wrong, remedy=_REMEDY)
                return
            self._recount()
            self._children.replace_all()

    def _take(self, fresh: Settings, on_settings: Callable[[Settings], None]) -> str:
        """Have settings count for all processes to come, as far as they can; return what is wrong with them, if so."""
        try:
            replace(self._runtime, settings=fresh).check()  # what is wrong with that for which it is too early, too
            read = reread(self._runtime.settings, fresh)
            runtime = replace(self._runtime, settings=read.settings)
            runtime.check()
        except AlarmdError as error:
            return error.message
        self._runtime = runtime
        on_settings(runtime.settings)
        if read.waiting:
            logger.warning("settings_need_restart", waiting=read.waiting)
        logger.info("settings_reloaded", changed=read.changed)
        return ""

    def _recount(self) -> None:
        """Tell cotyledon how many processes there are to be, which makes it forget how many it has forked lately."""
        wanted = Counter(self._runtime.processes.values())
        for identity, role in self._roles.items():
            self._counts[identity] = wanted[role]
            self._children.reconfigure(identity, wanted[role])  # type: ignore[arg-type]

    def _note_death(self, service_id: object, worker_id: int, exit_code: int) -> None:
        """Count a death; called by cotyledon just before it starts the successor."""
        role = self._roles[service_id]
        now_s = self._clock.monotonic_s()
        lived_s = now_s - self._born_s.get((service_id, worker_id), self._started_s)
        self._born_s[service_id, worker_id] = now_s
        tell = logger.info if exit_code == 0 else logger.warning
        tell("worker_died", role=role, worker=worker_id, exit_code=exit_code, lived_s=round(lived_s, 1))
        if worker_id >= self._counts[service_id]:  # it has no successor, and its numbers count no more
            self._runtime.exposition(f"{role}[{worker_id}]").withdraw()
            return
        WORKER_RESTARTS.labels(role).inc()
        if lived_s > _HEALTHY_S:
            # cotyledon takes many deaths in a row for a crash loop and pauses all of them for five seconds. This one
            # was no part of a loop, and telling the same number of workers again makes it forget the earlier ones.
            self._children.reconfigure(service_id, self._counts[service_id])  # type: ignore[arg-type]
        # Last, because a full disk must not keep the rest from being done; cotyledon logs what a hook raises.
        self._exposition.publish()


def _take_title(service_id: object, worker_id: int, service: cotyledon.Service) -> None:
    """Show in the list of processes what this one does; called in the child."""
    del service_id, worker_id
    if isinstance(service, RoleService):
        setproctitle(f"alarmd: {service.process}")
