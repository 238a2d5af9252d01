# SPDX-License-Identifier: Apache-2.0
"""A real Keystone on SQLite, with what tests need in it: alarmd's own user, projects, people with roles."""

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes
from typing import Any, Final
from uuid import uuid4

import requests

from tests.openstack import programs

ADMIN_PASSWORD: Final = "admin's"
PASSWORD: Final = "s3cret-of-everybody"
REGION: Final = "RegionOne"

_CONFIGURATION: Final = """
[DEFAULT]
log_file = {home}/keystone.log
[database]
connection = sqlite:///{home}/keystone.db
[fernet_tokens]
key_repository = {home}/fernet
[fernet_receipts]
key_repository = {home}/fernet
[credential]
key_repository = {home}/credential
[cache]
enabled = false
[identity]
password_hash_rounds = 4
"""

#: gunicorn's options are none of Keystone's, which reads the command line when it is imported.
_APPLICATION: Final = """
import sys
sys.argv = ["keystone"]
from keystone.server.wsgi import initialize_public_application
application = initialize_public_application()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user with roles in a project."""

    name: str
    user_id: str
    project_name: str
    project_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keystone:
    """A running Keystone and its administrator."""

    #: With the version: `…/v3`.
    url: str
    #: Where its database and its keys are.
    home: Path
    _session: requests.Session = field(default_factory=requests.Session)

    def log_in(self) -> None:
        """Ask everything that follows as the administrator."""
        self._session.headers["X-Auth-Token"] = self.token("admin", password=ADMIN_PASSWORD, project="admin")

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        """Return the answer to a question; fails unless Keystone agrees."""
        headers = {"X-Auth-Token": token} if token else {}
        answer = self._session.request(method, f"{self.url}{path}", json=body, headers=headers, timeout=30)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def project(self, name: str) -> str:
        """Return the id of a new project."""
        found: str = self.ask("POST", "/projects", {"project": {"name": name, "domain_id": "default"}})["project"]["id"]
        return found

    def person(self, name: str, *roles: str, project: str | None = None) -> Person:
        """Return a new user with roles in a project, a new one unless its name is given."""
        name = f"{name}-{uuid4().hex[:8]}"
        if project is None:
            project = f"project-of-{name}"
            project_id = self.project(project)
        else:
            project_id = self.ask("GET", f"/projects?name={project}")["projects"][0]["id"]
        wanted = {"name": name, "domain_id": "default", "password": PASSWORD}
        user_id = self.ask("POST", "/users", {"user": wanted})["user"]["id"]
        for role in roles:
            self.ask("PUT", f"/projects/{project_id}/users/{user_id}/roles/{self.role(role)}")
        return Person(name=name, user_id=user_id, project_name=project, project_id=project_id)

    def role(self, name: str) -> str:
        """Return the id of a role."""
        found: str = self.ask("GET", f"/roles?name={name}")["roles"][0]["id"]
        return found

    def take_role(self, person: Person, role: str) -> None:
        """Take a role away from somebody."""
        self.ask("DELETE", f"/projects/{person.project_id}/users/{person.user_id}/roles/{self.role(role)}")

    def endpoint(self, kind: str, name: str, url: str) -> None:
        """Register a service in the catalogue."""
        service = self.ask("POST", "/services", {"service": {"type": kind, "name": name}})["service"]["id"]
        for interface in ("public", "internal"):
            endpoint = {"service_id": service, "interface": interface, "url": url, "region_id": REGION}
            self.ask("POST", "/endpoints", {"endpoint": endpoint})

    def token(self, user: str | Person, *, password: str = PASSWORD, project: str | None = None) -> str:
        """Return a token of somebody's, for their project; `project=""` asks for none."""
        name = user.name if isinstance(user, Person) else user
        if project is None and isinstance(user, Person):
            project = user.project_name
        domain = {"name": "Default"}
        who = {"name": name, "domain": domain, "password": password}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": who}}}
        if project:
            auth["scope"] = {"project": {"name": project, "domain": domain}}
        return self._token_for(auth)

    def credential_token(self, credential_id: str, *, secret: str) -> str:
        """Return a token for an application credential."""
        credential = {"id": credential_id, "secret": secret}
        return self._token_for(
            {"identity": {"methods": ["application_credential"], "application_credential": credential}}
        )

    def _token_for(self, auth: dict[str, Any]) -> str:
        answer = requests.post(f"{self.url}/auth/tokens", json={"auth": auth}, timeout=30)
        assert answer.ok, answer.text
        return answer.headers["X-Subject-Token"]

    def revoke(self, token: str) -> None:
        """End a token before its time."""
        answer = self._session.delete(f"{self.url}/auth/tokens", headers={"X-Subject-Token": token}, timeout=30)
        assert answer.ok, answer.text

    def whose(self, token: str) -> dict[str, Any] | None:
        """Return what Keystone says about a token; None when it does not count."""
        answer = self._session.get(f"{self.url}/auth/tokens", headers={"X-Subject-Token": token}, timeout=30)
        if not answer.ok:
            return None
        said: dict[str, Any] = answer.json()["token"]
        return said

    def trusts_of(self, person: Person) -> list[str]:
        """Return the ids of the trusts that somebody has made and not ended."""
        found = self.ask("GET", f"/OS-TRUST/trusts?trustor_user_id={person.user_id}")
        return [trust["id"] for trust in found["trusts"]]


@contextmanager
def keystone(home: Path) -> Iterator[Keystone]:
    """Run Keystone in an empty directory, with alarmd's own user `alarmd` in the project `service`."""
    configuration = home / "keystone.conf"
    configuration.write_text(_CONFIGURATION.format(home=home))
    for directory in ("fernet", "credential"):
        (home / directory).mkdir(mode=0o700)
        # What `keystone-manage fernet_setup` does, which takes seconds to start: a staged and a primary key.
        for number in "01":
            (home / directory / number).write_bytes(urlsafe_b64encode(token_bytes(32)))
    for command in (
        ["db_sync"],
        ["bootstrap", "--bootstrap-password", ADMIN_PASSWORD, "--bootstrap-region-id", REGION],
    ):
        made = programs.run(["keystone-manage", "--config-file", str(configuration), *command], home=home)
        assert made.returncode == 0, f"{command}: {made.stdout}{made.stderr}"
    with _serving(configuration, home) as url:
        running = Keystone(url=f"{url}/v3", home=home)
        running.log_in()
        # Only now is it known where it listens.
        running.endpoint("identity", "keystone", running.url)
        running.project("service")
        wanted = {"name": "alarmd", "domain_id": "default", "password": PASSWORD}
        user_id = running.ask("POST", "/users", {"user": wanted})["user"]["id"]
        service_id = running.ask("GET", "/projects?name=service")["projects"][0]["id"]
        running.ask("PUT", f"/projects/{service_id}/users/{user_id}/roles/{running.role('service')}")
        yield running


@contextmanager
def impatient(cloud: Keystone, *, expiration_s: int) -> Iterator[Keystone]:
    """Run a second server of the same cloud; tokens that are asked for there end after some seconds."""
    home = cloud.home / "impatient"
    home.mkdir()
    configuration = home / "keystone.conf"
    configuration.write_text(f"{_CONFIGURATION.format(home=cloud.home)}[token]\nexpiration = {expiration_s}\n")
    with _serving(configuration, home) as url:
        yield Keystone(url=f"{url}/v3", home=home)


@contextmanager
def _serving(configuration: Path, home: Path) -> Iterator[str]:
    (home / "keystone_application.py").write_text(_APPLICATION)
    variables = {"OS_KEYSTONE_CONFIG_FILES": str(configuration), "PYTHONPATH": str(home)}
    with programs.wsgi_server("keystone_application:application", home=home, variables=variables) as url:
        yield url
