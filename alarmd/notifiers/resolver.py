# SPDX-License-Identifier: Apache-2.0
"""Looks up names without letting a name server hold anybody up beyond a deadline."""

import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from ipaddress import ip_address
from threading import Lock, Thread
from typing import TypeAlias

from alarmd.notifiers.targets import IPAddress

#: Returns the addresses of a name, at least one, best first; raises OSError when there are none.
Lookup: TypeAlias = Callable[[str], tuple[IPAddress, ...]]

#: How many names may be looked up at once, and how many of them for one project: those whose name servers are silent
#: go on for long after whoever asked has left, and must not keep others from asking.
_MAX_RUNNING = 256
_MAX_OF_ONE = 16


def system_lookup(name: str) -> tuple[IPAddress, ...]:
    """Return the addresses of a name as the system's resolver gives them."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(ip_address(address[0]) for *_, address in found))


class Resolver:
    """Looks up names with a deadline. Safe to use from several threads.

    The system's resolver cannot be interrupted, so each lookup runs in a thread of its own that may be left behind. A
    name is looked up once at a time, whoever asks, so a name whose server is silent costs one such thread.
    """

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._lookup = lookup
        self._lock = Lock()
        self._running: dict[str, Future[tuple[IPAddress, ...]]] = {}
        #: How many of them are looked up for whom.
        self._shares: Counter[str] = Counter()

    def resolve(self, name: str, *, timeout_s: float, project_id: str = "") -> tuple[IPAddress, ...]:
        """Return the addresses of a name, at least one, best first.

        Raises OSError when the name has none, or the system has no thread left for it; TimeoutError when the answer
        does not come in time, or too many names are looked up already: for the project, or for all.
        """
        with self._lock:
            future = self._running.get(name)
            if future is None:
                self._check_share(project_id)
                future = self._start(name, project_id)
        return future.result(timeout_s)

    def _start(self, name: str, project_id: str) -> Future[tuple[IPAddress, ...]]:
        future: Future[tuple[IPAddress, ...]] = Future()
        try:
            Thread(target=self._run, args=(name, future, project_id), name="resolver", daemon=True).start()
        except RuntimeError as error:
            raise OSError(f"the name cannot be looked up: {error}") from error
        # Not before the thread is there: nobody else would take it out. The thread waits for our lock to do so.
        self._running[name] = future
        self._shares[project_id] += 1
        return future

    def _check_share(self, project_id: str) -> None:
        if self._shares[project_id] >= _MAX_OF_ONE:
            raise TimeoutError(f"{_MAX_OF_ONE} other names of this project are still being looked up")
        if len(self._running) >= _MAX_RUNNING:
            raise TimeoutError(f"{_MAX_RUNNING} other names are still being looked up")

    def _run(self, name: str, future: Future[tuple[IPAddress, ...]], project_id: str) -> None:
        addresses: tuple[IPAddress, ...] = ()
        failure: OSError | None = OSError("the lookup broke off")
        try:
            addresses, failure = self._lookup(name), None
        except OSError as error:
            failure = error
        except UnicodeError:
            # Python's own check of a label that is too long for the name system.
            failure = OSError("the name is not valid")
        finally:
            # Taken out before anybody is told: who asks after an answer has come gets a lookup of their own.
            self._take_out(name, project_id)
            if failure is None:
                future.set_result(addresses)
            else:
                future.set_exception(failure)

    def _take_out(self, name: str, project_id: str) -> None:
        with self._lock:
            del self._running[name]
            self._shares[project_id] -= 1
            if not self._shares[project_id]:
                del self._shares[project_id]
