# SPDX-License-Identifier: Apache-2.0
"""How a receiver of the campaign answers: well, badly, late or never."""

import os
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from threading import Event
from typing import TypeAlias

#: Answers a request; is told of the end of the campaign, so that it can hang until then.
Answer: TypeAlias = Callable[[BaseHTTPRequestHandler, Event], None]

#: For how long at most one hangs or drips.
_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What becomes of a request."""

    #: Whether the webhook takes effect; one that does not will have to come again.
    takes: bool
    answer: Answer


def status(code: int, headers: Mapping[str, str] | None = None, *, after_s: float = 0.0) -> Behaviour:
    """Return one that answers with a status and no body."""

    def answer(handler: BaseHTTPRequestHandler, end: Event) -> None:
        end.wait(after_s)
        handler.send_response(code)
        for name, value in {"content-length": "0", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()

    return Behaviour(takes=200 <= code < 300, answer=answer)


def takes(*, after_s: float = 0.0) -> Behaviour:
    """Return one that takes the webhook, and says so after a while."""
    return status(200, after_s=after_s)


def hangs(*, takes: bool = False, for_s: float = _PATIENCE_S) -> Behaviour:
    """Return one that never says a word, and goes away in the end."""

    def answer(handler: BaseHTTPRequestHandler, end: Event) -> None:
        end.wait(for_s)
        handler.close_connection = True

    return Behaviour(takes=takes, answer=answer)


def drips(*, every_s: float = 0.1) -> Behaviour:
    """Return one whose answer's head comes a byte now and then and never ends."""

    def answer(handler: BaseHTTPRequestHandler, end: Event) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nx-drip: ")
        while not end.wait(every_s):
            handler.wfile.write(b".")
            handler.wfile.flush()

    return Behaviour(takes=False, answer=answer)


def endless_body() -> Behaviour:
    """Return one that takes the webhook and answers with more than anybody can read."""

    def answer(handler: BaseHTTPRequestHandler, end: Event) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
        while not end.is_set():
            handler.wfile.write(b"x" * 65536)

    return Behaviour(takes=True, answer=answer)


def resets() -> Behaviour:
    """Return one that breaks the connection instead of an answer."""

    def answer(handler: BaseHTTPRequestHandler, end: Event) -> None:
        del end
        handler.close_connection = True
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The files made of it would keep it open, and the server would say goodbye first.
        os.close(handler.connection.detach())

    return Behaviour(takes=False, answer=answer)
