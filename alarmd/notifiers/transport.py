# SPDX-License-Identifier: Apache-2.0
"""How a webhook crosses the network: `requests` on top, sockets with a deadline and checked addresses below.

The stock adapter of `requests` spells paths anew, resolves a name once more than can be checked, and bounds single
waits only, so that a receiver which drips a byte now and then holds its thread for ever. This one does none of that.
"""

import select
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from io import BytesIO
from threading import Lock
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from alarmd.clock import Clock
from alarmd.notifiers.resolver import Resolver
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.notifiers.targets import Target, parse

#: Servers close idle connections after five seconds or more; a request that meets such a close is lost.
_MAX_IDLE_S = 4.0
#: A connection is given up after this long even when busy, so that a change in DNS is followed.
_MAX_AGE_S = 60.0
#: The answer's body is only read so that the connection can be used again: not worth waiting for.
_BODY_WAIT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one attempt."""

    connect_timeout_s: float
    read_timeout_s: float
    #: Of everything together: lookup, connect, TLS, request and answer.
    deadline_s: float
    #: How much of an answer's body is read at most.
    max_answer_bytes: int
    #: How many unused connections are kept open.
    max_idle_connections: int


class _Deadline:
    """Cuts every wait of an attempt to what is left of its time."""

    def __init__(self, clock: Clock, *, total_s: float, wait_s: float) -> None:
        self._clock = clock
        self._end_s = clock.monotonic_s() + total_s
        self._wait_s = wait_s

    def left_s(self, wait_s: float | None = None) -> float:
        """Return how long the next wait may take; raises TimeoutError when the time is up."""
        left_s = self._end_s - self._clock.monotonic_s()
        if left_s <= 0:
            raise TimeoutError("the deadline of the attempt has passed")
        return min(left_s, self._wait_s if wait_s is None else wait_s)


class _TimedSocket(socket.socket):
    """A socket whose every wait obeys a deadline."""

    deadline: _Deadline

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.deadline.left_s())
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(self.deadline.left_s())
        super().sendall(*args, **kwargs)


class _TimedTlsSocket(ssl.SSLSocket):
    """The same over TLS; `sendall` is made of `send` there."""

    deadline: _Deadline

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.deadline.left_s())
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.deadline.left_s())
        return super().send(*args, **kwargs)


class _Connection(HTTPConnection):
    """A connection to the first address of a host that answers, once all of them have been allowed."""

    sock: _TimedSocket | _TimedTlsSocket

    def __init__(self, target: Target, *, opened_s: float) -> None:
        super().__init__(target.host, target.port)
        self.key = (target.scheme, target.host, target.port)
        self.opened_s = opened_s
        self.idle_since_s = opened_s
        self._outgoing: list[bytes] = []

    def send(self, data: Any) -> None:
        """Gather what is to be sent, so that head and body leave in one packet."""
        self._outgoing.append(data)

    def flush(self) -> None:
        """Send what was gathered."""
        gathered, self._outgoing = b"".join(self._outgoing), []
        self.sock.sendall(gathered)

    @property
    def is_dropped(self) -> bool:
        """Whether the other side has closed it, or sent what nobody asked for."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))


class _IdleConnections:
    """A bounded store of open connections, the one used last on top. Safe to use from several threads."""

    def __init__(self, clock: Clock, *, limit: int) -> None:
        self._clock = clock
        self._limit = limit
        self._lock = Lock()
        self._idle: list[_Connection] = []
        self._closed = False

    def take(self, target: Target) -> _Connection | None:
        """Return a connection that can be used again, if there is one."""
        key = (target.scheme, target.host, target.port)
        while (connection := self._pop(key)) is not None:
            now_s = self._clock.monotonic_s()
            fresh = now_s - connection.idle_since_s < _MAX_IDLE_S and now_s - connection.opened_s < _MAX_AGE_S
            if fresh and not connection.is_dropped:
                return connection
            connection.close()
        return None

    def _pop(self, key: tuple[str, str, int]) -> _Connection | None:
        with self._lock:
            for index in reversed(range(len(self._idle))):
                if self._idle[index].key == key:
                    return self._idle.pop(index)
        return None

    def keep(self, connection: _Connection) -> None:
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


class CheckedAdapter(BaseAdapter):
    """Sends prepared requests byte for byte, to addresses that the policy allows, within a deadline.

    Raises what `requests` raises (`Timeout`, `SSLError` for a certificate that does not hold, `ConnectionError`), and
    `TargetRefused`.
    """

    def __init__(
        self, *, limits: Limits, policy: TargetPolicy, resolver: Resolver, tls: ssl.SSLContext, clock: Clock
    ) -> None:
        super().__init__()
        self._limits = limits
        self._policy = policy
        self._resolver = resolver
        self._clock = clock
        self._tls = tls
        self._tls.sslsocket_class = _TimedTlsSocket
        self._idle = _IdleConnections(clock, limit=limits.max_idle_connections)

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Send the request and return the answer with as much of its body as the limits allow.

        Takes timeouts, TLS and the like from the limits, never from the call.
        """
        limits = self._limits
        deadline = _Deadline(self._clock, total_s=limits.deadline_s, wait_s=limits.read_timeout_s)
        try:
            return self._exchange(request, deadline)
        except TimeoutError as error:
            raise requests.Timeout(str(error), request=request) from error
        except ssl.SSLCertVerificationError as error:
            raise requests.exceptions.SSLError(error.verify_message, request=request) from error
        except (OSError, HTTPException) as error:
            raise requests.ConnectionError(_words_of(error), request=request) from error

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._idle.close()

    def _exchange(self, request: requests.PreparedRequest, deadline: _Deadline) -> requests.Response:
        target = parse(request.url or "")
        connection = self._idle.take(target) or self._connect(target, deadline)
        sock = connection.sock  # the connection forgets it when the answer says that it is the last one
        sock.deadline = deadline
        keep = False
        try:
            connection.putrequest("POST", target.path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", target.authority)
            for name, value in request.headers.items():
                connection.putheader(name, value)
            connection.endheaders(_bytes_of(request.body))
            connection.flush()
            answer = connection.getresponse()
            body = self._read(answer, sock, within_s=min(_BODY_WAIT_S, deadline.left_s()))
            keep = not answer.will_close
        finally:
            if keep:
                self._idle.keep(connection)
            else:
                connection.close()
        return _response_of(request, answer, body)

    def _connect(self, target: Target, deadline: _Deadline) -> _Connection:
        wait_s = self._limits.connect_timeout_s
        literal = target.address
        addresses = (literal,) if literal else self._resolver.resolve(target.host, timeout_s=deadline.left_s(wait_s))
        for address in addresses:
            # All before the first is tried: a name that also points somewhere forbidden is not to be trusted.
            self._policy.check_address(address)
        failure: OSError = OSError("no address")
        for address in addresses:
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6
            plain = _TimedSocket(family, socket.SOCK_STREAM)
            try:
                plain.settimeout(deadline.left_s(wait_s))
                plain.connect((str(address), target.port))
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = _Connection(target, opened_s=self._clock.monotonic_s())
                connection.sock = self._secure(plain, target, deadline) if target.scheme == "https" else plain
            except OSError as error:
                plain.close()
                failure = error
            else:
                return connection
        raise failure

    def _secure(self, plain: _TimedSocket, target: Target, deadline: _Deadline) -> _TimedTlsSocket:
        # One timeout covers the whole handshake. The certificate is held against the URL's host, not the address.
        plain.settimeout(deadline.left_s())
        secured = self._tls.wrap_socket(plain, server_hostname=target.host)
        if not isinstance(secured, _TimedTlsSocket):
            raise TypeError("the TLS context makes sockets of its own kind")
        return secured

    def _read(self, answer: HTTPResponse, sock: _TimedSocket | _TimedTlsSocket, *, within_s: float) -> bytes:
        # The status is known and settles the matter, whatever becomes of the body.
        sock.deadline = _Deadline(self._clock, total_s=within_s, wait_s=within_s)
        body, is_whole = b"", False
        with suppress(OSError, HTTPException):
            body = answer.read(self._limits.max_answer_bytes)
            is_whole = answer.isclosed()
        if not is_whole:
            # Nobody can tell where the next answer would begin, so the connection cannot be used again.
            answer.will_close = True
            answer.close()
        return body


def _response_of(request: requests.PreparedRequest, answer: HTTPResponse, body: bytes) -> requests.Response:
    response = requests.Response()
    response.status_code = answer.status
    response.headers = CaseInsensitiveDict(answer.getheaders())
    response.url = request.url or ""
    response.request = request
    response.raw = BytesIO(body)
    return response


def _bytes_of(body: object) -> bytes:
    if not isinstance(body, bytes):
        raise TypeError("a webhook's body is serialised once, to bytes, because it is signed")
    return body


def _words_of(error: OSError | HTTPException) -> str:
    """Return what went wrong in words that hold nothing of the URL."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__ if isinstance(error, HTTPException) else str(error)
