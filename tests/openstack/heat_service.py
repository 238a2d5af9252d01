# SPDX-License-Identifier: Apache-2.0
"""A real Heat: its REST API and its engine, with stacks in PostgreSQL; its callers are all of one project."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.openstack.script import script
from tests.support.cloud import PROJECT
from tests.support.daemon import wait_until
from tests.support.servers import PostgresServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """A running Heat."""

    #: With the project in it, as in Keystone's catalogue.
    url: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer to a question; fails unless Heat agrees."""
        headers = {"X-Auth-Token": "token"}
        answer = requests.request(method, f"{self.url}{path}", json=body, headers=headers, timeout=60)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def await_stack(self, stack_id: str, status: str) -> dict[str, Any]:
        """Return a stack as soon as it has a status; fails when it fails."""

        def look() -> dict[str, Any] | None:
            stack: dict[str, Any] = self.ask("GET", f"/stacks/{stack_id}")["stack"]
            assert not stack["stack_status"].endswith("FAILED"), stack["stack_status_reason"]
            return stack if stack["stack_status"] == status else None

        return wait_until(look, what=f"the stack to be {status}", every_s=0.2)

    def resources(self, stack: str) -> list[dict[str, Any]]:
        """Return the resources of a stack and of those within it."""
        found: list[dict[str, Any]] = self.ask("GET", f"/stacks/{stack}/resources?nested_depth=3")["resources"]
        return found


@contextmanager
def heat(home: Path, *, postgres: PostgresServer) -> Iterator[Heat]:
    """Start a Heat; it ends with the block."""
    with postgres.database() as database_url:
        bare_url = database_url.replace("postgresql+psycopg:", "postgresql:")
        with script("heat_service", PROJECT, bare_url, home=home) as process:
            yield Heat(url=f"http://127.0.0.1:{process.line()}/{PROJECT}")
