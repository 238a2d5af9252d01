# SPDX-License-Identifier: Apache-2.0
"""A receiver of alarmd's webhooks: prints each, drops repeats, and checks signatures when it is given a secret.

Run it with ``python3 examples/receiver.py [--port 9000] [--secret-file FILE]``; it needs nothing but Python.
"""

import argparse
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

#: How old a signed message may be, as Standard Webhooks recommends: what was recorded cannot be replayed later.
TOLERANCE_S = 300
#: Larger bodies are refused unread.
LARGEST_BODY_BYTES = 1 << 20


def is_genuine(secret: str, headers: Message, body: bytes) -> bool:
    """Return whether the body was signed with the secret (``whsec_`` and base64), and lately."""
    event_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    wanted = f"v1,{base64.b64encode(digest).decode()}"
    # While a secret is being replaced there is one signature for the old and one for the new.
    return any(hmac.compare_digest(wanted, signature) for signature in headers.get("webhook-signature", "").split())


def make_server(port: int, secret: str | None) -> ThreadingHTTPServer:
    """Return a server on loopback that prints what it receives."""
    seen: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            if length > LARGEST_BODY_BYTES:
                self._answer(413)
                return
            body = self.rfile.read(length)
            if secret is not None and not is_genuine(secret, self.headers, body):
                self._answer(401)
                return
            event_id = self.headers.get("webhook-id", "")
            if event_id not in seen:
                seen.add(event_id)
                show(event_id, json.loads(body))
            self._answer(204)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Stay silent; what was received is printed."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def show(event_id: str, notification: Mapping[str, Any]) -> None:
    """Print one notification."""
    print(
        f"{notification['alarm_name']}: {notification['previous']} -> {notification['current']}",
        f"    {notification['reason']}",
        f"    {event_id}",
        sep="\n",
        flush=True,
    )


def main() -> None:
    """Receive until interrupted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--secret-file", type=Path, help="refuse what is not signed with the secret in this file")
    arguments = parser.parse_args()
    secret = arguments.secret_file.read_text().strip() if arguments.secret_file else None
    with make_server(arguments.port, secret) as server:
        print(f"Waiting for webhooks at http://127.0.0.1:{server.server_port}/", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
