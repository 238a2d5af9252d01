# SPDX-License-Identifier: Apache-2.0
"""A receiver that writes down each webhook before it answers, as one that loses nothing would."""

import json
import random
import socketserver
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any

#: For how long at most a webhook is left without an answer, so that its sender may die meanwhile.
LINGER_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One webhook that came in."""

    webhook_id: str
    path: str
    body: dict[str, Any]
    #: On the monotonic clock.
    at_s: float

    @property
    def alarm_id(self) -> str:
        """Which alarm it tells of."""
        return str(self.body["alarm_id"])

    @property
    def change(self) -> tuple[str, str]:
        """The states before and after."""
        return self.body["previous"], self.body["current"]


class Journal:
    """The webhooks so far, in the order of arrival; a repeated one stands there again."""

    def __init__(self, path: Path, *, seed: int) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._random = random.Random(seed)
        self._changed = Condition()
        self._entries: list[Entry] = []
        self._ids: defaultdict[str, set[str]] = defaultdict(set)
        self.end = Event()
        self.url = ""

    @property
    def entries(self) -> list[Entry]:
        """Everything so far."""
        with self._changed:
            return list(self._entries)

    def count(self, path: str) -> int:
        """Return how many different webhooks have come to a path."""
        with self._changed:
            return len(self._ids[path])

    def note(self, entry: Entry) -> float:
        """Write an entry down; return for how long its answer should linger, in seconds."""
        with self._changed:
            self._file.write(f"{json.dumps(asdict(entry))}\n")
            self._file.flush()
            self._entries.append(entry)
            self._ids[entry.path].add(entry.webhook_id)
            self._changed.notify_all()
            return self._random.uniform(0.0, LINGER_S)

    def await_next(self, *, timeout_s: float) -> None:
        """Return as soon as one more webhook has come, which is not answered yet, or after the timeout."""
        with self._changed:
            count = len(self._entries)
            self._changed.wait_for(lambda: len(self._entries) > count, timeout_s)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, journal: Journal) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.journal = journal

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing to say: senders die here, in the midst of what they say."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: socketserver.BaseServer

    def do_POST(self) -> None:
        """Write it down, linger, answer."""
        assert isinstance(self.server, _Server)
        journal = self.server.journal
        raw = self.rfile.read(int(self.headers["content-length"]))
        entry = Entry(
            webhook_id=self.headers["webhook-id"], path=self.path, body=json.loads(raw), at_s=time.monotonic()
        )
        journal.end.wait(journal.note(entry))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's signature
        """The journal says it all."""


@contextmanager
def journal(path: Path, *, seed: int) -> Iterator[Journal]:
    """Receive webhooks for as long as the context lasts and keep them in a file, a JSON object a line."""
    kept = Journal(path, seed=seed)
    with _Server(kept) as server:
        kept.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, name="journal", daemon=True).start()
        try:
            yield kept
        finally:
            kept.end.set()
            server.shutdown()
            kept.close()
