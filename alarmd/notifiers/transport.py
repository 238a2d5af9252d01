# SPDX-License-Identifier: Apache-2.0
"""How a webhook crosses the network: byte for byte, to addresses that were checked, within a deadline.

The stock adapter of `requests` spells paths anew, resolves a name once more than can be checked, and bounds single
waits only. What stands here does none of that.
"""

import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from ipaddress import ip_address

import requests
from requests.structures import CaseInsensitiveDict

from alarmd.clock import Clock
from alarmd.errors import TargetRefused
from alarmd.notifiers.connections import Connection, IdleConnections
from alarmd.notifiers.desk import DESK
from alarmd.notifiers.incoming import answer_on
from alarmd.notifiers.resolver import Resolver
from alarmd.notifiers.sockets import Deadline, TimedSocket, TimedTlsSocket
from alarmd.notifiers.steps import UNWATCHED, Steps
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.notifiers.targets import IPAddress, Target, parse
from alarmd.notifiers.tls import Tls, facts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one attempt."""

    connect_timeout_s: float
    read_timeout_s: float
    #: Of everything together: lookup, connect, TLS, request and answer.
    deadline_s: float
    #: How much of an answer's body is read at most.
    max_answer_bytes: int
    #: How long the body may take once the status is known.
    body_wait_s: float
    #: How many unused connections are kept open.
    max_idle_connections: int


class Transport:
    """Sends prepared requests byte for byte, to addresses that a policy allows, within a deadline.

    Raises what `requests` raises (`Timeout`, `SSLError` for a certificate that does not hold, `ConnectionError`), and
    `TargetRefused`.
    """

    def __init__(self, *, limits: Limits, resolver: Resolver, tls: Tls, clock: Clock) -> None:
        self._limits = limits
        self._resolver = resolver
        self._clock = clock
        self._tls = tls
        self._idle = IdleConnections(clock, limit=limits.max_idle_connections)

    def send(
        self,
        request: requests.PreparedRequest,
        *,
        policy: TargetPolicy,
        project_id: str = "",
        steps: Steps = UNWATCHED,
        within_s: float | None = None,
    ) -> requests.Response:
        """Send a request and return the answer with as much of its body as the limits allow.

        The project is whose it is, so that no project takes more than its share. With `within_s` the attempt may take
        no longer than that either.
        """
        limits = self._limits
        total_s = limits.deadline_s if within_s is None else min(limits.deadline_s, within_s)
        deadline = Deadline(self._clock, total_s=total_s, wait_s=limits.read_timeout_s)
        try:
            return self._exchange(request, _Way(policy=policy, project_id=project_id, deadline=deadline, steps=steps))
        except TimeoutError as error:
            raise requests.Timeout(str(error), request=request) from error
        except ssl.SSLCertVerificationError as error:
            raise requests.exceptions.SSLError(error.verify_message, request=request) from error
        except (OSError, HTTPException) as error:
            raise requests.ConnectionError(_words_of(error), request=request) from error

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._idle.close()

    def _exchange(self, request: requests.PreparedRequest, way: "_Way") -> requests.Response:
        target = parse(request.url or "")
        connection = self._idle.take(target, way.policy)
        if connection is None:
            with DESK.away():
                connection = self._connect(target, way)
        connection.sock.deadline = way.deadline
        keep, step = False, "request"
        line = f"{request.method} {target.path} HTTP/1.1"
        headers = {"Host": target.authority, **request.headers}
        try:
            # Head and body leave in one packet.
            connection.sock.sendall(_head_of(line, headers) + _bytes_of(request.body))
            if way.steps is not UNWATCHED:
                way.steps.note("request", line=line, headers=headers, body=_bytes_of(request.body).decode())
            step = "answer"
            answer, incoming = answer_on(connection.sock, request.method)
            body = self._read(answer, connection, within_s=min(self._limits.body_wait_s, way.deadline.remaining_s))
            # After a refusal the name is looked up anew: the receiver may have moved, and left somebody who says so.
            # What came behind the answer would be taken for the next one.
            keep = answer.status < 300 and not (answer.will_close or incoming.has_more)
        except (OSError, HTTPException) as error:
            way.steps.note(step, error=_words_of(error))
            raise
        finally:
            if keep:
                self._idle.keep(connection)
            else:
                connection.close()
        told = answer.getheaders()
        if way.steps is not UNWATCHED:
            way.steps.note("answer", status=answer.status, headers=dict(told), bytes=len(body))
        return _response_of(request, answer.status, told, body)

    def _connect(self, target: Target, way: "_Way") -> Connection:
        literal = target.address
        name = "" if literal else target.host
        failure: OSError = OSError("no address")
        for address in (literal,) if literal else self._look_up(name, way):
            try:
                return self._open(target, name, address, way)
            except OSError as error:
                failure = error
        raise failure

    def _look_up(self, name: str, way: "_Way") -> Sequence[IPAddress]:
        """Return the addresses of a name, best first, once all of them are allowed."""
        wait_s = way.deadline.left_s(self._limits.connect_timeout_s)
        try:
            found = self._resolver.resolve(name, timeout_s=wait_s, project_id=way.project_id)
        except OSError as error:
            way.steps.note("lookup", error=_words_of(error), host=name)
            raise
        way.steps.note("lookup", host=name, addresses=[str(address) for address in found])
        # All before the first is tried: a name that also points somewhere forbidden is not to be trusted.
        refusals = [refusal for address in found if (refusal := _refusal_of(address, name, way)) is not None]
        if refusals:
            raise refusals[0]
        return found

    def _open(self, target: Target, name: str, address: IPAddress, way: "_Way") -> Connection:
        """Return a connection to an address that was allowed, and that the other end really has."""
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        plain = TimedSocket(family, socket.SOCK_STREAM)
        step, endpoint = "connect", f"{address} port {target.port}"
        try:
            plain.settimeout(way.deadline.left_s(self._limits.connect_timeout_s))
            plain.connect((str(address), target.port))
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # It is polled from here on; TLS gives it a timeout once more.
            plain.setblocking(False)
            # Who is reached counts, not who was asked for: connecting to 0.0.0.0 leads to this machine.
            peer = ip_address(plain.getpeername()[0])
            way.policy.check_address(peer, name=name)
            way.steps.note(step, to=endpoint, peer=str(peer))
            opened_s = self._clock.monotonic_s()
            step = "tls"
            sock = self._secure(plain, target, name, peer, way) if target.scheme == "https" else plain
        except OSError as error:
            plain.close()
            words = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else _words_of(error)
            way.steps.note(step, error=words, to=endpoint)
            raise
        except TargetRefused:
            plain.close()
            raise
        return Connection(sock, target, way.policy, opened_s=opened_s)

    def _secure(self, plain: TimedSocket, target: Target, name: str, peer: IPAddress, way: "_Way") -> TimedTlsSocket:
        # One timeout covers the whole handshake.
        plain.settimeout(way.deadline.left_s())
        is_verified = self._tls.is_verified(name, peer)
        secured = self._tls.secure(plain, host=target.host, is_verified=is_verified)
        way.steps.note("tls", verified=is_verified, **facts_of(secured))
        return secured

    def _read(self, answer: HTTPResponse, connection: Connection, *, within_s: float) -> bytes:
        # The status is known and settles the matter, whatever becomes of the body.
        connection.sock.deadline = Deadline(self._clock, total_s=within_s, wait_s=within_s)
        body, is_whole = b"", False
        with suppress(OSError, HTTPException):
            body = answer.read(self._limits.max_answer_bytes)
            is_whole = answer.isclosed()
        if not is_whole:
            # Nobody can tell where the next answer would begin, so the connection cannot be used again.
            answer.will_close = True
            answer.close()
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """What holds for one request on its way."""

    policy: TargetPolicy
    project_id: str
    deadline: Deadline
    steps: Steps


def _refusal_of(address: IPAddress, name: str, way: _Way) -> TargetRefused | None:
    try:
        way.policy.check_address(address, name=name)
    except TargetRefused as error:
        way.steps.note("address", error=error.message, address=str(address))
        return error
    way.steps.note("address", address=str(address))
    return None


def _head_of(line: str, headers: Mapping[str, str]) -> bytes:
    lines = [line, *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in each or "\n" in each for each in lines):
        raise ValueError("a header of the request has more than one line")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _response_of(
    request: requests.PreparedRequest, status: int, headers: Sequence[tuple[str, str]], body: bytes
) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers = CaseInsensitiveDict(headers)
    response.url = request.url or ""
    response.request = request
    response.raw = BytesIO(body)
    return response


def _bytes_of(body: object) -> bytes:
    if body is None:
        return b""
    if not isinstance(body, bytes):
        raise TypeError("a webhook's body is serialised once, to bytes, because it is signed")
    return body


def _words_of(error: OSError | HTTPException) -> str:
    """Return what went wrong in words that hold nothing of the URL."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__ if isinstance(error, HTTPException) else str(error)
