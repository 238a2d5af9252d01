# SPDX-License-Identifier: Apache-2.0
"""Connections to receivers, and those that are kept open between deliveries."""

import select
from threading import Lock
from typing import TypeAlias

from alarmd.clock import Clock
from alarmd.notifiers.sockets import TimedSocket, TimedTlsSocket
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.notifiers.targets import Target

#: Servers close idle connections after five seconds or more; a request that meets such a close is lost.
_MAX_IDLE_S = 4.0
#: A connection is given up after this long even when busy, so that a change in DNS is followed.
_MAX_AGE_S = 60.0

#: What may share a connection: requests for one host that are allowed to be there by the same policy.
_Key: TypeAlias = tuple[str, str, int, TargetPolicy]


class Connection:
    """A connection to an address of a host, once all of the host's addresses have been allowed."""

    def __init__(
        self, sock: TimedSocket | TimedTlsSocket, target: Target, policy: TargetPolicy, *, opened_s: float
    ) -> None:
        self.sock = sock
        self.key = _key_of(target, policy)
        self.opened_s = opened_s
        self.idle_since_s = opened_s

    def close(self) -> None:
        """Close it; what has been received may still be read."""
        self.sock.close()

    @property
    def is_dropped(self) -> bool:
        """Whether the other side has closed it, or sent what nobody asked for."""
        if isinstance(self.sock, TimedTlsSocket) and self.sock.pending():
            # Read from the network with what came before it, and deciphered: no poll would find it.
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))


class IdleConnections:
    """A bounded store of open connections, the one used last on top. Safe to use from several threads."""

    def __init__(self, clock: Clock, *, limit: int) -> None:
        self._clock = clock
        self._limit = limit
        self._lock = Lock()
        self._idle: list[Connection] = []
        self._closed = False

    def take(self, target: Target, policy: TargetPolicy) -> Connection | None:
        """Return a connection that can be used again, if there is one."""
        key = _key_of(target, policy)
        while (connection := self._pop(key)) is not None:
            now_s = self._clock.monotonic_s()
            fresh = now_s - connection.idle_since_s < _MAX_IDLE_S and now_s - connection.opened_s < _MAX_AGE_S
            if fresh and not connection.is_dropped:
                return connection
            connection.close()
        return None

    def _pop(self, key: _Key) -> Connection | None:
        with self._lock:
            for index in reversed(range(len(self._idle))):
                if self._idle[index].key == key:
                    return self._idle.pop(index)
        return None

    def keep(self, connection: Connection) -> None:
        """Keep a connection for the next one; the one that was idle for longest makes room."""
        connection.idle_since_s = self._clock.monotonic_s()
        with self._lock:
            self._idle.append(connection)
            excess = len(self._idle) if self._closed else max(0, len(self._idle) - self._limit)
            dropped, self._idle = self._idle[:excess], self._idle[excess:]
        for old in dropped:
            old.close()

    def close(self) -> None:
        """Close all; what is still in use is closed when it comes back."""
        with self._lock:
            self._closed = True
            dropped, self._idle = self._idle, []
        for connection in dropped:
            connection.close()


def _key_of(target: Target, policy: TargetPolicy) -> _Key:
    return target.scheme, target.host, target.port, policy
