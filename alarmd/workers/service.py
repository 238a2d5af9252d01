# SPDX-License-Identifier: Apache-2.0
"""What the process of any role has in common: it opens its parts after the fork, keeps its jobs going, and drains."""

import os
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from socket import socket
from typing import ClassVar

import cotyledon
import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception_type, sleep_using_event, stop_when_event_set
from tenacity import wait_exponential as growing

from alarmd.errors import Unavailable
from alarmd.runtime import Runtime
from alarmd.settings import Role
from alarmd.telemetry import name_process
from alarmd.workers.heap import search_rarely
from alarmd.workers.pace import Pace, Schedule

logger = structlog.get_logger()

#: How often a process shows its metrics to the others.
_PUBLISH_S = 1.0
#: Which part of the time to drain a process takes for itself before it is ended; the rest is for closing.
_DRAIN_SHARE = 0.8


class RoleService(cotyledon.Service):
    """One process of one role.

    The parent forks it from a thread, so nothing that holds a file, a lock or a thread is made before `run`.
    """

    role: ClassVar[Role]

    def __init__(
        self, worker_id: int, runtime_now: Callable[[], Runtime], listening: socket | None, ready_pipe: int
    ) -> None:
        super().__init__(worker_id)  # type: ignore[arg-type]  # cotyledon's own NewType
        self.process = f"{self.role}[{worker_id}]"
        # Asked after the fork: it may be another than that of the processes before.
        self.runtime = runtime = runtime_now()
        self.clock = runtime.clock
        #: Closes what `open` has opened, in reverse order.
        self.closing = ExitStack()
        self.stopping = threading.Event()
        self.listening = self.accept_or_close(listening)
        self._ready_pipe = ready_pipe
        self._exposition = runtime.exposition(self.process)
        self._schedule: Schedule | None = None
        # Held while the process starts, so that it is never drained half open.
        self._starting = threading.Lock()
        name_process(self.process)
        search_rarely()

    @abstractmethod
    def open(self) -> Sequence[Pace]:
        """Open the parts and return the jobs; tried again while it raises `Unavailable`."""

    def accept_or_close(self, listening: socket | None) -> socket | None:
        """Let go of the API's socket: a process that keeps it would keep the port after the daemon's end."""
        if listening is not None:
            listening.close()
        return None

    def serve(self) -> None:
        """Do what takes a thread for good; returns when told to stop."""

    def drain(self, timeout_s: float) -> None:
        """End what is under way beside the jobs; called only if the process was open."""

    def run(self) -> None:
        """Start; called by cotyledon in a thread of its own."""
        with self._starting:
            jobs = self._open_patiently()
            if self.stopping.is_set():
                return
            # For whoever asks right after the start. Should it fail, the job below fails as well and says so.
            with suppress(OSError):
                self._exposition.publish()
            publishing = Pace("metrics", self._publish, interval_s=_PUBLISH_S, clock=self.clock)
            self._schedule = Schedule([*jobs, publishing])
            self._schedule.start()
        logger.info("worker_ready", pid=os.getpid())
        with suppress(BlockingIOError):  # nobody reads any more, and thousands of restarts have filled the pipe
            os.write(self._ready_pipe, f"{self.process}\n".encode())
        self.serve()

    def reload(self) -> None:
        """Do nothing; called by cotyledon on SIGHUP. What it means is for the parent to say."""

    def terminate(self) -> None:
        """Drain and close; called by cotyledon on SIGTERM. The process ends after it."""
        budget_s = self.runtime.settings.drain_timeout_s * _DRAIN_SHARE
        deadline_s = self.clock.monotonic_s() + budget_s
        self.stopping.set()
        if not self._starting.acquire(timeout=budget_s):
            logger.warning("worker_stopped_while_starting")
            return
        stuck = []
        if self._schedule is not None:
            stuck = self._schedule.stop(clock=self.clock, timeout_s=budget_s)
            self.drain(max(0.0, deadline_s - self.clock.monotonic_s()))
        if stuck:
            # Their parts are in use: closing them could block. The end of the process closes everything.
            logger.warning("jobs_cut_off", jobs=stuck)
        else:
            self.closing.close()
        logger.info("worker_stopped", pid=os.getpid())

    def _publish(self) -> None:
        self._exposition.publish()

    def _open_patiently(self) -> Sequence[Pace]:
        """Open; while something outside does not answer, wait and try again."""
        retrying = Retrying(
            retry=retry_if_exception_type(Unavailable),
            wait=growing(multiplier=0.2, max=5),
            stop=stop_when_event_set(self.stopping),
            sleep=sleep_using_event(self.stopping),
            before_sleep=self._tell,
            retry_error_callback=lambda _state: (),
        )
        jobs: Sequence[Pace] = retrying(self._open_once)
        return jobs

    def _open_once(self) -> Sequence[Pace]:
        self.closing.close()  # what an earlier try has left open
        return self.open()

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        logger.warning("worker_waits", error=str(error), attempt=state.attempt_number)
