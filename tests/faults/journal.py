# SPDX-License-Identifier: Apache-2.0
"""A receiver that writes down each webhook before it answers, as one that loses nothing would."""

import json
import random
import socketserver
import ssl
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any

from tests.faults import behaviours
from tests.faults.behaviours import Behaviour

#: For how long at most a webhook is left without an answer, so that its sender may die meanwhile.
LINGER_S = 0.2
#: How often a receiver looks whether it is to end.
_LOOKS_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One webhook that came in."""

    webhook_id: str
    path: str
    body: dict[str, Any]
    #: On the monotonic clock.
    at_s: float
    #: Whether it took effect.
    taken: bool = True

    @property
    def alarm_id(self) -> str:
        """Which alarm it tells of."""
        return str(self.body["alarm_id"])

    @property
    def change(self) -> tuple[str, str]:
        """The states before and after."""
        return self.body["previous"], self.body["current"]

    @property
    def is_repeat(self) -> bool:
        """Whether it tells of a state that stays."""
        before, after = self.change
        return before == after


class Journal:
    """The webhooks so far, in the order of arrival; a repeated one stands there again."""

    def __init__(self, path: Path, *, seed: int) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._random = random.Random(seed)
        self._changed = Condition()
        self._entries: list[Entry] = []
        self._refused: list[Entry] = []
        self._ids: defaultdict[str, set[str]] = defaultdict(set)
        #: Chooses what becomes of a webhook; asked before it is written down.
        self.choose: Callable[[Entry], Behaviour] = self.linger
        self.end = Event()
        self.url = ""

    @property
    def entries(self) -> list[Entry]:
        """Everything so far that took effect."""
        with self._changed:
            return list(self._entries)

    @property
    def refused(self) -> list[Entry]:
        """Everything so far that did not."""
        with self._changed:
            return list(self._refused)

    def count(self, path: str) -> int:
        """Return how many different webhooks have taken effect at a path, without those that only repeat a state."""
        with self._changed:
            return len(self._ids[path])

    def linger(self, entry: Entry) -> Behaviour:
        """Take a webhook after a short while, which is drawn."""
        del entry
        with self._changed:
            return behaviours.takes(after_s=self._random.uniform(0.0, LINGER_S))

    def note(self, entry: Entry) -> None:
        """Write an entry down."""
        with self._changed:
            self._file.write(f"{json.dumps(asdict(entry))}\n")
            self._file.flush()
            if entry.taken:
                self._entries.append(entry)
                if not entry.is_repeat:
                    self._ids[entry.path].add(entry.webhook_id)
            else:
                self._refused.append(entry)
            self._changed.notify_all()

    def await_next(self, *, timeout_s: float) -> None:
        """Return as soon as one more webhook has come, which is not answered yet, or after the timeout."""
        with self._changed:
            count = len(self._entries)
            self._changed.wait_for(lambda: len(self._entries) > count, timeout_s)

    def close(self) -> None:
        """Close the file."""
        with self._changed:
            self._file.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, journal: Journal, tls: ssl.SSLContext | None, address: str, port: int) -> None:
        super().__init__((address, port), _Handler)
        self.journal = journal
        self.tls = tls

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, where one that is slow keeps nobody else waiting."""
        if self.tls is not None:
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing to say: senders die here, in the midst of what they say."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: socketserver.BaseServer

    def do_POST(self) -> None:
        """Write it down, then answer."""
        assert isinstance(self.server, _Server)
        journal = self.server.journal
        raw = self.rfile.read(int(self.headers["content-length"]))
        entry = Entry(
            webhook_id=self.headers["webhook-id"], path=self.path, body=json.loads(raw), at_s=time.monotonic()
        )
        behaviour = journal.choose(entry)
        if journal.end.is_set():
            return
        journal.note(entry if behaviour.takes else _refused(entry))
        with suppress(OSError):  # the sender may have died or lost its patience
            behaviour.answer(self, journal.end)
            return
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's signature
        """The journal says it all."""


def _refused(entry: Entry) -> Entry:
    return Entry(webhook_id=entry.webhook_id, path=entry.path, body=entry.body, at_s=entry.at_s, taken=False)


@contextmanager
def journal(
    path: Path, *, seed: int, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1", port: int = 0
) -> Iterator[Journal]:
    """Receive webhooks for as long as the context lasts and keep them in a file, a JSON object a line."""
    kept = Journal(path, seed=seed)
    with _Server(kept, tls, address, port) as server:
        kept.url = f"{'https' if tls else 'http'}://{address}:{server.server_port}"
        # Its end waits for the next look.
        Thread(target=server.serve_forever, args=(_LOOKS_S,), name="journal", daemon=True).start()
        try:
            yield kept
        finally:
            kept.end.set()
            server.shutdown()
            kept.close()
