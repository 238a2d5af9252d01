# SPDX-License-Identifier: Apache-2.0
"""The servers that any test may ask for. Each test process (xdist worker) has its own."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

from tests.support import prometheus, servers

# A machine that is busy with something else is no fault of what is tested.
settings.register_profile("alarmd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("alarmd")

_Server = TypeVar("_Server")


def _run(run: Callable[[], AbstractContextManager[_Server]]) -> Iterator[_Server]:
    with ExitStack() as stack:
        try:
            server = stack.enter_context(run())
        except servers.ServerMissing as missing:
            # On a contributor's machine the rest of the tests is still worth running; in CI nothing may be left out.
            if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
                pytest.fail(str(missing), pytrace=False)
            pytest.skip(str(missing))
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.PostgresServer]:
    """A real PostgreSQL; a test that stops it must start it again."""
    yield from _run(servers.postgres)


@pytest.fixture
def postgres_url(postgres_server: servers.PostgresServer) -> Iterator[str]:
    """The URL, for SQLAlchemy, of a fresh and empty database; dropped after the test."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[servers.RedisServer]:
    """A real Redis; a test that stops it must start it again."""
    yield from _run(servers.redis_server)


@pytest.fixture
def redis_url(redis_server: servers.RedisServer) -> str:
    """The URL of an empty Redis."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture(scope="session")
def observatory() -> Iterator[prometheus.Observatory]:
    """A real Prometheus that looks at what it is shown; a test that stops it must start it again."""
    yield from _run(prometheus.observatory)


@pytest.fixture(scope="session")
def prometheus_pair() -> Iterator[tuple[prometheus.PrometheusServer, prometheus.PrometheusServer]]:
    """Two of them with the same past of one project; the second knows those of others too."""
    yield from _run(prometheus.pair)
