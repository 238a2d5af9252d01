# SPDX-License-Identifier: Apache-2.0
"""The processes below the supervisor, as cotyledon keeps them, and what it takes to have others in their place."""

import multiprocessing
import signal
import threading
from multiprocessing.process import BaseProcess
from typing import Any

import cotyledon

#: How long a process may take from its fork to the point from which on it can be told to end.
_BIRTH_S = 10.0


class Children(cotyledon.ServiceManager):
    """cotyledon's manager with numbers of processes that may also become smaller, and SIGHUP for its hooks only.

    As it is, it starts anew what it has ended for being too many, and takes the numbers of those that are there for
    the lowest ones; two notifiers with the same number would send everything twice. And it passes SIGHUP on to every
    process, whatever its hooks make of it.
    """

    def __init__(self, *, drain_timeout_s: int) -> None:
        super().__init__(graceful_shutdown_timeout=drain_timeout_s, mp_context=multiprocessing.get_context("fork"))
        #: Held while a process is forked. Whoever holds it knows that there are no others than those that are noted,
        #: and that no copy is made of a lock (that of a log, of an import) which it holds itself.
        self.forking = threading.Lock()
        self._told: set[BaseProcess] = set()
        #: Whether all of them are ended for good.
        self.is_ending = False
        self.register_hooks(on_terminate=self._end)

    def replace_all(self) -> None:
        """Have every process end in order; its successor comes at once.

        To be called with `forking` held, and not once `is_ending`.
        """
        # Copies, since cotyledon's own thread takes out those that have ended.
        running = [item for processes in list(self._running_services.values()) for item in list(processes.items())]
        # Those that still finish what they have in hand would get more time for it if they were told again.
        self._told &= {process for process, _ in running}
        for process, info in running:
            if process in self._told:
                continue
            # Before it has its own handlers, a signal would reach the parent by way of what the two share.
            if info.started_event.wait(_BIRTH_S):
                process.terminate()
            else:
                process.kill()
            self._told.add(process)

    def _end(self) -> None:
        """Leave what is running to cotyledon; called by it before it ends them all."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # or it would kill what is left of Python after its last handler
        with self.forking:
            self.is_ending = True

    def _reload(self) -> None:
        self._run_hooks("reload")

    def _start_worker(self, service_id: Any, worker_id: Any) -> None:
        with self.forking:
            # Within, for the number may have changed while this waited.
            if worker_id < self._services[service_id].workers:
                super()._start_worker(service_id, worker_id)

    def _adjust_workers(self) -> None:
        for service_id, service in self._services.items():
            there = {info.worker_id for info in self._running_services[service_id].values()}
            for worker_id in sorted(set(range(service.workers)) - there):
                self._start_worker(service_id, worker_id)
