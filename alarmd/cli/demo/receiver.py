# SPDX-License-Identifier: Apache-2.0
"""The demo's webhook receiver: what an orchestration engine would run, on a free port of this machine's loopback."""

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Self

from alarmd.clock import Clock
from alarmd.model.secret import key_of
from alarmd.notifiers.signing import signature_of

#: How far the time of an attempt may be off, as Standard Webhooks recommends.
_TOLERANCE_S = 300
_LARGEST_BODY = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One webhook that was accepted."""

    event_id: str
    #: Which URL it came to, e.g. ``/scale-out``.
    path: str
    body: dict[str, Any]
    arrived_s: float


class Receiver:
    """Accepts webhooks that are signed with the shared secret, each id once; a context manager."""

    def __init__(self, *, secret: str, clock: Clock) -> None:
        self._key = key_of(secret)
        self._clock = clock
        self._seen: set[str] = set()
        #: Accepted webhooks in the order of their arrival.
        self.accepted: SimpleQueue[Webhook] = SimpleQueue()
        #: How many were turned away since their signature did not hold.
        self.refused = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.take))
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, name="demo-receiver", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str) -> str:
        """Return the URL that alarms should call."""
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def take(self, path: str, headers: dict[str, str], raw: bytes) -> int:
        """Check a webhook and keep it; return the HTTP status to answer with."""
        event_id = headers.get("webhook-id", "")
        timestamp = headers.get("webhook-timestamp", "")
        now_s = self._clock.time_s()
        timely = timestamp.isdecimal() and abs(int(timestamp) - now_s) <= _TOLERANCE_S
        expected = signature_of([self._key], event_id, int(timestamp), raw) if timely else ""
        signatures = headers.get("webhook-signature", "").split(" ")
        if not timely or not any(hmac.compare_digest(expected, signature) for signature in signatures):
            self.refused += 1
            return 401
        if event_id not in self._seen:
            self._seen.add(event_id)
            self.accepted.put(Webhook(event_id=event_id, path=path, body=json.loads(raw), arrived_s=now_s))
        return 204


def _handler(take: Callable[[str, dict[str, str], bytes], int]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(min(int(self.headers.get("content-length", 0)), _LARGEST_BODY))
            self.send_response(take(self.path, {name.lower(): value for name, value in self.headers.items()}, raw))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
            """Keep quiet: the screen belongs to the demo."""

    return Handler
