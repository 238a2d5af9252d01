# SPDX-License-Identifier: Apache-2.0
"""The real Aodh API, as released, on PostgreSQL: what alarmd's answers are compared with."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.openstack import programs
from tests.support.loopback import Handler, serving

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


class _Surroundings(Handler):
    """What Aodh asks of Gnocchi and Keystone while it checks a rule. It is Aodh's environment, not what is tested."""

    def respond(self) -> None:
        self.body()
        path = self.path.partition("?")[0].rstrip("/")
        if self.command == "POST":
            # A trial aggregation over metrics that do not exist yet, which Aodh takes as fine.
            self.say(404, {"code": 404, "title": "Not Found", "description": "Metrics not found"})
        elif path.endswith("/capabilities"):
            self.say(200, {"aggregation_methods": AGGREGATION_METHODS})
        elif path.endswith("/domains"):
            self.say(200, {"domains": [{"id": "default", "name": "Default"}], "links": {}})
        elif path.endswith("/projects"):
            project = {"id": SERVICE_PROJECT, "name": "service", "domain_id": "default"}
            self.say(200, {"projects": [project], "links": {}})
        else:
            self.say(404, {})


@contextmanager
def aodh_api(home: Path, *, database_url: str) -> Iterator[str]:
    """Run the released Aodh API on an empty database and give its URL."""
    with serving(_Surroundings) as surroundings_url:
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
