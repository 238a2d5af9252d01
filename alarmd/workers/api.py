# SPDX-License-Identifier: Apache-2.0
"""The API's process: a WSGI server with a bounded number of threads, on the socket that the parent has bound."""

import sys
from collections.abc import Callable, Sequence
from pkgutil import resolve_name
from socket import socket
from typing import Any

import structlog
from cheroot import wsgi
from cheroot.server import HeaderReader, HTTPConnection, HTTPRequest

from alarmd.workers.pace import Pace
from alarmd.workers.service import RoleService
from alarmd.workers.trim import trim_job

logger = structlog.get_logger()

#: Builds the WSGI application. By name, because the doors stand above the workers and may not be imported from here.
_DOOR = "alarmd.api.door:open_door"
#: How many connections may wait to be accepted, and how many requests for a thread; more are answered with 503.
_BACKLOG = 512
#: How many connections are kept open for further requests.
_KEPT_OPEN = 256
_MAX_HEADER_BYTES = 64 * 1024
#: Who is calling: what a proxy sets, and tokens.
_IDENTITY = frozenset(
    {b"X-User-Id", b"X-Project-Id", b"X-Tenant-Id", b"X-Roles", b"X-Role", b"X-Auth-Token", b"Authorization"}
)
#: For how long a connection may be silent.
_SILENCE_S = 30
#: For how long a thread may keep the interpreter from others. Most requests take a millisecond and wait for something
#: anyway; taking it from them half way, as the default of 5 ms often does, costs a tenth of all requests.
_TURN_S = 0.02
#: How long requests under way may take once the process drains.
_FINISH_S = 5


class ApiService(RoleService):
    """Answers requests."""

    role = "api"
    name = "api"

    def accept_or_close(self, listening: socket | None) -> socket | None:
        return listening

    def open(self) -> Sequence[Pace]:
        if self.listening is None:
            raise RuntimeError("the API was started without a socket")
        sys.setswitchinterval(_TURN_S)
        runtime = self.runtime
        database = runtime.database()
        self.closing.callback(database.close)
        database.check()
        log = runtime.log()
        self.closing.callback(log.close)
        doorbell = runtime.doorbell()
        self.closing.callback(doorbell.close)
        explanations = runtime.explanations(database=database, log=log)
        self.closing.callback(explanations.close)
        open_door: Callable[..., Any] = resolve_name(_DOOR)
        app = open_door(
            runtime,
            database=database,
            log=log,
            doorbell=doorbell,
            explanations=explanations,
            exposition=self._exposition,
        )
        self._server = _Server(self.listening, app, threads=runtime.settings.api.threads)
        self._server.prepare()
        return [trim_job(runtime, log)]

    def serve(self) -> None:
        self._server.serve()

    def drain(self, timeout_s: float) -> None:
        self._server.shutdown_timeout = min(timeout_s, _FINISH_S)
        self._server.stop()


class _Once(dict[bytes, bytes]):
    """Headers that tell who is calling, each there once: of two, one is the proxy's, and nobody knows which."""

    def __setitem__(self, name: bytes, value: bytes) -> None:
        if name in _IDENTITY and name in self:
            raise ValueError("A header that tells who is calling is there twice.")
        super().__setitem__(name, value)


class _Headers(HeaderReader):
    """Drops names with an underscore: WSGI would take a client's `X_Roles` for the `X-Roles` that a proxy has set.

    For the same reason a blank before the colon is refused, as HTTP demands, and what tells who is calling twice.
    """

    def __call__(self, rfile: Any, hdict: dict[bytes, bytes] | None = None) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {} if hdict is None else hdict
        found |= super().__call__(rfile, _Once())
        return found

    def _transform_key(self, key_name: bytes) -> bytes:
        if key_name != key_name.strip():
            raise ValueError("A header's name ends in a blank.")
        return key_name.title()

    def _allow_header(self, key_name: bytes) -> bool:
        # The library has a reader for this too, which fails on the bytes that it is given.
        return b"_" not in key_name


class _Request(HTTPRequest):
    header_reader = _Headers()


class _Connection(HTTPConnection):
    RequestHandlerClass = _Request


class _Server(wsgi.Server):
    """Serves on a socket that is bound already: the port stays ours, and requests wait, while this process restarts."""

    def __init__(self, listening: socket, app: Any, *, threads: int) -> None:
        super().__init__(
            listening.getsockname()[:2],
            app,
            numthreads=threads,
            request_queue_size=_BACKLOG,
            accepted_queue_size=_BACKLOG,
            accepted_queue_timeout=1,
            timeout=_SILENCE_S,
            server_name="alarmd",
        )
        self._listening = listening
        self.ConnectionClass = _Connection
        self.keep_alive_conn_limit = _KEPT_OPEN
        self.max_request_header_size = _MAX_HEADER_BYTES

    def prepare(self) -> None:
        super().prepare()
        if self.socket is not None:
            # A connection wakes every process that serves here; those that come too late must not wait for the next.
            self.socket.settimeout(0.0)

    def bind(self, family: int, type: int, proto: int = 0) -> socket:  # noqa: A002, ARG002  # the library's signature
        self.socket: socket | None = self._listening.dup()
        self.bind_addr = self._listening.getsockname()[:2]
        return self._listening

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:  # noqa: FBT001, FBT002
        logger.log(level, "http_server_complained", message=str(msg), exc_info=traceback)
