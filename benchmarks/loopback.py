# SPDX-License-Identifier: Apache-2.0
"""A small HTTP server on the loopback, a thread a connection, and a client that keeps its connection."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, TypeAlias

#: From the body of a request to the body of the answer.
Answer: TypeAlias = Callable[[bytes], bytes]

_TIMEOUT_S = 60.0


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Serve for as long as the context lasts; give the address, ``HOST:PORT``."""
    server = _Server(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Client:
    """Sends JSON over one connection. Not safe for use by several threads."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, path: str) -> tuple[int, bytes]:
        """Return the status and the body of the answer."""
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def post(self, path: str, body: Any) -> tuple[int, bytes]:
        """Return the status and the body of the answer."""
        sent = json.dumps(body).encode()
        self._connection.request("POST", path, sent, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        return answer.status, answer.read()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer in two packets must not wait for the acknowledgement of the first.
    disable_nagle_algorithm = True
    server: "_Server"

    def do_GET(self) -> None:  # the name is the library's
        self._answer(b"")

    def do_POST(self) -> None:  # the name is the library's
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's signature
        """Say nothing."""

    def _answer(self, body: bytes) -> None:
        said = self.server.answer(body)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        if said:
            self.wfile.write(said)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(("127.0.0.1", 0), _Handler)
