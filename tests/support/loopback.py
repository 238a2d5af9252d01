# SPDX-License-Identifier: Apache-2.0
"""HTTP servers of a test's own: on a free port of the loopback, in a thread, for as long as a context lasts."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from threading import Thread
from typing import Any

_LOOK_EVERY_S = 0.02


class Handler(BaseHTTPRequestHandler):
    """Hands requests to `respond`, keeps connections open, and says nothing on the terminal."""

    protocol_version = "HTTP/1.1"

    def respond(self) -> None:
        """Answer the request, whatever its method; a test's handler says how."""
        raise NotImplementedError

    do_GET = do_POST = do_PATCH = lambda self: self.respond()  # noqa: N815  # the library's names

    def body(self) -> bytes:
        """Return what the request brought along."""
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def say(self, status: int, content: Any, headers: Mapping[str, str] | None = None) -> None:
        """Answer with bytes as they are, with everything else as JSON; whoever asked may have left meanwhile."""
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        with suppress(ConnectionError):
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's signature
        """Say nothing."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve with a handler, a thread a connection, and give the URL."""
    with running(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as url:
        yield url


@contextmanager
def running(server: HTTPServer) -> Iterator[str]:
    """Run a server that is bound already, give its URL, and close it at the end."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": _LOOK_EVERY_S}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
