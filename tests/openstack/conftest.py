# SPDX-License-Identifier: Apache-2.0
"""What the tests of this folder stand on: alarmd, and today's services and clients from .venv-openstack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.openstack import programs
from tests.openstack.aodh_service import aodh_api
from tests.support.daemon import Daemon, daemon
from tests.support.servers import PostgresServer


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
def alarmd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """An `alarmd run` that knows callers by their headers, as Aodh does under `auth_mode = noauth`.

    No evaluator runs in it: a state changes only when a client says so.
    """
    folder = tmp_path_factory.mktemp("alarmd")
    environ = {"ALARMD_API__AUTH": "trusted-headers"}
    with daemon(folder / "state", options=["--roles", "api"], environ=environ) as running:
        yield running
