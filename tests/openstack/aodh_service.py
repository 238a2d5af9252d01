# SPDX-License-Identifier: Apache-2.0
"""The real Aodh API, as released, on PostgreSQL: what alarmd's answers are compared with."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from tests.openstack import programs

#: The methods that a Gnocchi as installed reports.
AGGREGATION_METHODS: Final = [
    f"{rate}{method}"
    for rate in ("", "rate:")
    for method in ("mean", "sum", "last", "max", "min", "std", "median", "first", "count", "nunique", "pct", "95pct")
]

#: The project that `gnocchi_external_project_owner` names.
SERVICE_PROJECT: Final = "service-project"

_CONFIGURATION: Final = """
[DEFAULT]
transport_url = fake://
enable_evaluation_results_metrics = true

[api]
auth_mode = noauth

[database]
connection = {database_url}

[service_credentials]
auth_type = gnocchi-noauth
user_id = aodh
project_id = service
roles = admin
endpoint = {surroundings_url}
"""


class _Surroundings(BaseHTTPRequestHandler):
    """What Aodh asks of Gnocchi and Keystone while it checks a rule. It is Aodh's environment, not what is tested."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].rstrip("/")
        if path.endswith("/capabilities"):
            self._answer({"aggregation_methods": AGGREGATION_METHODS})
        elif path.endswith("/domains"):
            self._answer({"domains": [{"id": "default", "name": "Default"}], "links": {}})
        elif path.endswith("/projects"):
            project = {"id": SERVICE_PROJECT, "name": "service", "domain_id": "default"}
            self._answer({"projects": [project], "links": {}})
        else:
            self._answer({}, status=404)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        # A trial aggregation over metrics that do not exist yet, which Aodh takes as fine.
        self._answer({"code": 404, "title": "Not Found", "description": "Metrics not found"}, status=404)

    def _answer(self, body: Any, *, status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Say nothing."""


@contextmanager
def _surroundings() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Surroundings)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def aodh_api(home: Path, *, database_url: str) -> Iterator[str]:
    """Run the released Aodh API on an empty database and give its URL."""
    with _surroundings() as surroundings_url:
        # Aodh looks for its configuration below the home directory of who runs it.
        configuration = home / ".aodh" / "aodh.conf"
        configuration.parent.mkdir(parents=True)
        # It knows databases by their bare name.
        bare_url = database_url.replace("postgresql+psycopg:", "postgresql:")
        configuration.write_text(_CONFIGURATION.format(database_url=bare_url, surroundings_url=surroundings_url))
        made = programs.run(["aodh-dbsync"], home=home)
        assert made.returncode == 0, f"{made.returncode}: {made.stdout}{made.stderr}"
        with programs.wsgi_server("aodh.wsgi.api:application", home=home) as url:
            yield url
