# SPDX-License-Identifier: Apache-2.0
"""A real Gnocchi: its API and the daemon that aggregates, its index in PostgreSQL, its measures in Redis."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests

from tests.openstack import programs
from tests.support.daemon import wait_until
from tests.support.servers import PostgresServer, RedisServer

#: Who asks: in the mode `basic` a user has no password, and this name may do everything.
USER: Final = "admin"

_CONFIGURATION: Final = """
[DEFAULT]
coordination_url = {redis_url}
parallel_operations = 1
verbose = false
[indexer]
url = {database_url}
[storage]
driver = redis
redis_url = {redis_url}
[incoming]
driver = redis
redis_url = {redis_url}
[api]
auth_mode = basic
[metricd]
workers = 1
metric_processing_delay = 1
"""

#: The application as Gnocchi makes it, but without taking the arguments of the server for its own.
_DOOR: Final = """
from gnocchi import opts, service
from gnocchi.rest import app

opts.set_defaults()
application = app.load_app(service.prepare_service([]))
"""

#: Sacks into which metrics are sorted; one would do.
_SACKS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Gnocchi:
    """A running Gnocchi."""

    url: str

    def answer(self, method: str, path: str, body: Any = None, *, user: str = USER, **params: Any) -> requests.Response:
        """Return whatever Gnocchi answers."""
        return requests.request(
            method,
            f"{self.url}/v1{path}",
            params=params,
            data=None if body is None else json.dumps(body),
            headers={} if body is None else {"Content-Type": "application/json"},
            auth=(user, ""),
            timeout=60,
        )

    def ask(self, method: str, path: str, body: Any = None, *, user: str = USER, **params: Any) -> Any:
        """Return the answer to a question; fails unless Gnocchi agrees."""
        answer = self.answer(method, path, body, user=user, **params)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def archive_policy(self, name: str, *, granularities: Mapping[int, int], methods: Sequence[str]) -> None:
        """Make an archive policy that keeps so many points of each granularity (in seconds)."""
        definition = [{"granularity": granularity, "points": points} for granularity, points in granularities.items()]
        body = {"name": name, "definition": definition, "aggregation_methods": list(methods), "back_window": 0}
        self.ask("POST", "/archive_policy", body)

    def resource(
        self, resource_id: str, metrics: Mapping[str, str], *, type_: str = "generic", **attributes: Any
    ) -> dict[str, str]:
        """Make a resource with metrics, each by its archive policy; return the ids of the metrics by their names."""
        wanted = {name: {"archive_policy_name": policy} for name, policy in metrics.items()}
        made = self.ask("POST", f"/resource/{type_}", {"id": resource_id, "metrics": wanted, **attributes})
        return dict(made["metrics"])

    def write(self, series: Mapping[str, Iterable[tuple[float, float]]]) -> None:
        """Write the points of metrics, each a moment in seconds and a value, and wait until they are aggregated."""
        body = {
            metric: [{"timestamp": time_s, "value": value} for time_s, value in points]
            for metric, points in series.items()
        }
        self.ask("POST", "/batch/metrics/measures", {metric: points for metric, points in body.items() if points})
        self.settle()

    def settle(self) -> None:
        """Wait until nothing is left to be aggregated."""

        def is_done() -> bool:
            # It counts keys of Redis that its other half takes away meanwhile, and then fails (500).
            answer = self.answer("GET", "/status")
            return answer.ok and answer.json()["storage"]["summary"]["measures"] == 0

        wait_until(is_done, deadline_s=60, what="Gnocchi to aggregate")


@contextmanager
def gnocchi(home: Path, *, postgres: PostgresServer, redis: RedisServer) -> Iterator[Gnocchi]:
    """Run Gnocchi on an empty database; Redis is its own."""
    with postgres.database() as database_url:
        # Gnocchi looks for its configuration below the home directory of who runs it, and knows databases by their
        # bare name.
        configuration = home / ".gnocchi" / "gnocchi.conf"
        configuration.parent.mkdir(parents=True)
        bare_url = database_url.replace("postgresql+psycopg:", "postgresql:")
        configuration.write_text(_CONFIGURATION.format(database_url=bare_url, redis_url=redis.url))
        (home / "gnocchi_door.py").write_text(_DOOR)
        made = programs.run(["gnocchi-upgrade", "--sacks-number", str(_SACKS)], home=home)
        assert made.returncode == 0, f"{made.returncode}: {made.stdout}{made.stderr}"
        with _metricd(home), programs.wsgi_server("gnocchi_door:application", home=home) as url:
            yield Gnocchi(url=url)


@contextmanager
def _metricd(home: Path) -> Iterator[None]:
    """Run the daemon that aggregates what was written."""
    leash = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    with (home / "metricd.log").open("ab") as output:
        process = subprocess.Popen(
            [*leash, programs.program("gnocchi-metricd")],
            env=programs.environment(home),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        # Its data goes with it, so nothing is gained by waiting until all of its workers have said goodbye.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
