# SPDX-License-Identifier: Apache-2.0
"""The directory of a host's domains: what their XML says, read once and again only when it has changed."""

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

import libvirt
import structlog

from alarmd.pollers.libvirt_domains import Domain, parse_domain

_log = structlog.get_logger()


class Directory:
    """Knows the domains of one host. Used by one thread, and told of changes by libvirt's event thread."""

    def __init__(self, *, labels: Mapping[str, str]) -> None:
        self._labels = labels
        self._domains: dict[str, Domain] = {}
        self._due: set[str] = set()
        #: NICs that a domain's XML did not explain, so that it is not read in every poll because of them.
        self._unexplained: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()
        self._changed: set[str] = set()
        self._everything_changed = False
        self._plugged: Counter[str] = Counter()
        self._callbacks: dict[int, list[int]] = {}

    def __getitem__(self, uuid: str) -> Domain:
        return self._domains[uuid]

    def __contains__(self, uuid: str) -> bool:
        return uuid in self._domains

    def listen(self, connection: Any) -> None:
        """Hear of changes through a new connection. What happened since the last one broke is read again.

        Called by the thread that uses the connection. Raises `libvirt.libvirtError`.
        """
        callbacks = self._callbacks[id(connection)] = []
        for event, callback in (
            (libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, self._metadata_changed),
            (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, self._device_changed),
            (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, self._device_changed),
        ):
            callbacks.append(connection.domainEventRegisterAny(None, event, callback, None))
        with self._lock:
            self._everything_changed = True

    def due(self, runs: Mapping[str, int], nics: Mapping[str, frozenset[str]]) -> list[str]:
        """Return the domains whose XML has to be read.

        Args:
            runs: libvirt's number of the present run of every domain that is there; all others are forgotten.
            nics: Names of the NICs that libvirt counts, for each of these domains.
        """
        self._take_changes(runs)
        return [uuid for uuid, run in runs.items() if self._is_due(uuid, run, nics[uuid])]

    def learn(self, uuid: str, xml: str, *, run: int, nics: frozenset[str]) -> None:
        """Take in the XML of a domain."""
        with self._lock:
            plugging = self._plugged[uuid]
        domain = parse_domain(xml, run=run, plugging=plugging, labels=self._labels)
        self._domains[uuid] = domain
        self._unexplained[uuid] = nics - domain.nics.keys()
        self._due.discard(uuid)
        _log.debug("domain_read", uuid=uuid, run=run, project=domain.machine.project_id)

    def release(self, connection: Any) -> None:
        """Stop listening to a connection that is about to be closed; libvirt would keep it otherwise.

        Called by the thread that uses the connection.
        """
        for callback in self._callbacks.pop(id(connection), ()):
            with suppress(libvirt.libvirtError):  # the other end may have gone already; ours is tidied up all the same
                connection.domainEventDeregisterAny(callback)

    def _is_due(self, uuid: str, run: int, nics: frozenset[str]) -> bool:
        domain = self._domains.get(uuid)
        if domain is None or domain.run != run or uuid in self._due:
            return True
        return not nics <= domain.nics.keys() | self._unexplained[uuid]

    def _take_changes(self, present: Collection[str]) -> None:
        with self._lock:
            changed: Iterable[str] = present if self._everything_changed else self._changed
            self._due = {uuid for uuid in (*self._due, *changed) if uuid in present}
            self._changed = set()
            self._everything_changed = False
            for uuid in self._plugged.keys() - present:
                del self._plugged[uuid]
        for uuid in self._domains.keys() - present:
            del self._domains[uuid], self._unexplained[uuid]

    def _metadata_changed(self, _connection: Any, domain: Any, *_: Any) -> None:
        with self._lock:
            self._changed.add(domain.UUIDString())

    def _device_changed(self, _connection: Any, domain: Any, *_: Any) -> None:
        with self._lock:
            self._changed.add(domain.UUIDString())
            self._plugged[domain.UUIDString()] += 1
