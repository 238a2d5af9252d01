# SPDX-License-Identifier: Apache-2.0
"""Requests over kept connections, as many as the server takes, and how long each of them took."""

import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Self

import click
import numpy as np

from alarmd.clock import Clock

_TIMEOUT_S = 60.0
_AT_ONCE = 65536


class Connection:
    """One kept connection that spends as little time of its own on a request as it can. For one thread."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send a whole request; return status and body of the answer."""
        self._socket.sendall(request)
        answer = self._receive(b"")
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer = self._receive(answer)
        head, body = answer[:end].lower(), answer[end + 4 :]
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body = self._receive(body)
        return int(head[9:12]), body

    def _receive(self, so_far: bytes) -> bytes:
        more = self._socket.recv(_AT_ONCE)
        if not more:
            raise click.ClickException("alarmd closed a connection in the middle of an answer; its log tells why.")
        return so_far + more


def request(method: str, path: str, *, headers: Sequence[tuple[str, str]] = (), body: bytes = b"") -> bytes:
    """Return a request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What became of the requests of a run."""

    per_s: float
    p50_ms: float
    p99_ms: float


def measure(
    address: str,
    make: Callable[[int], bytes],
    *,
    expected: int,
    connections: int,
    duration_s: float,
    clock: Clock,
) -> Measured:
    """Send the requests that `make` numbers, over some connections at a time, each after the answer to its last.

    Raises `ClickException` when one is answered with another status than the expected.
    """

    def run(first: int) -> list[float]:
        laps_ms: list[float] = []
        with Connection(address) as connection:
            number = first
            now_s = clock.monotonic_s()
            while now_s < until_s:
                status, body = connection.exchange(make(number))
                if status != expected:
                    told = body.decode(errors="replace")[:500]
                    raise click.ClickException(f"a request was answered {status} and not {expected}: {told}")
                before_s, now_s = now_s, clock.monotonic_s()
                laps_ms.append((now_s - before_s) * 1000)
                number += connections
        return laps_ms

    started_s = clock.monotonic_s()
    until_s = started_s + duration_s
    with ThreadPoolExecutor(connections) as pool:
        laps_ms = np.array(list(chain.from_iterable(pool.map(run, range(connections)))))
    took_s = clock.monotonic_s() - started_s
    p50_ms, p99_ms = np.percentile(laps_ms, [50, 99])
    return Measured(per_s=len(laps_ms) / took_s, p50_ms=float(p50_ms), p99_ms=float(p99_ms))
