# SPDX-License-Identifier: Apache-2.0
"""What the tests of this folder stand on: alarmd, and today's services and clients from .venv-openstack."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from tests.openstack import programs
from tests.openstack.aodh_service import aodh_api
from tests.openstack.clients import Caller, Clients, PythonClient, Shell
from tests.openstack.clients import clients as run_clients
from tests.openstack.gnocchi_service import Gnocchi, gnocchi
from tests.support.daemon import Daemon, daemon
from tests.support.servers import PostgresServer, redis_server

#: Callers are known as Aodh knows them under `auth_mode = noauth`, and evaluations are counted as in that Aodh.
_SETTINGS: Final = {"ALARMD_API__AUTH": "trusted-headers", "ALARMD_EVALUATOR__COUNT_RESULTS": "true"}


@pytest.fixture(scope="session", autouse=True)
def neighbours() -> Path:
    """The environment of the clients and services."""
    programs.program("python")
    return programs.VENV


@pytest.fixture(scope="session")
def aodh_url(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the real Aodh, on PostgreSQL."""
    home = tmp_path_factory.mktemp("aodh")
    with postgres_server.database() as database_url, aodh_api(home, database_url=database_url) as url:
        yield url


@pytest.fixture(scope="session")
def gnocchi_server(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gnocchi]:
    """The real Gnocchi; its Redis is its own, others empty theirs."""
    home = tmp_path_factory.mktemp("gnocchi")
    with redis_server() as redis, gnocchi(home, postgres=postgres_server, redis=redis) as running:
        yield running


@pytest.fixture(scope="session")
def alarmd_on_postgres(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The same as `alarmd`, on the database that Aodh has too."""
    folder = tmp_path_factory.mktemp("alarmd-on-postgres")
    with postgres_server.database() as url:
        environ = {**_SETTINGS, "ALARMD_STORE__URL": url}
        with daemon(folder / "state", options=["--roles", "api", "--migrate"], environ=environ) as running:
            yield running


@pytest.fixture(scope="session")
def alarmd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """An `alarmd run` without an evaluator: a state changes only when a client says so."""
    folder = tmp_path_factory.mktemp("alarmd")
    with daemon(folder / "state", options=["--roles", "api"], environ=_SETTINGS) as running:
        yield running


@pytest.fixture(scope="session")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    """Today's clients."""
    with run_clients(tmp_path_factory.mktemp("clients")) as running:
        yield running


@pytest.fixture
def caller(alarmd: Daemon) -> Caller:
    """A member of a project that no other test knows."""
    return Caller(url=alarmd.url, user=f"user-{uuid4().hex[:12]}", project=f"project-{uuid4().hex[:12]}")


@pytest.fixture(params=["aodh", "openstack"])
def shell(request: pytest.FixtureRequest, clients: Clients, caller: Caller) -> Shell:
    """Each command line in the hands of that member."""
    return clients.shell(request.param, caller)


@pytest.fixture
def python_client(clients: Clients, caller: Caller) -> PythonClient:
    """The Python client in the hands of that member."""
    return clients.python(caller)
