# SPDX-License-Identifier: Apache-2.0
"""Fixtures: each test that asks for a database runs on SQLite and on PostgreSQL.

The schema is made once a test process; a test gets a copy of the file, or the same database emptied.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from alarmd.store import schema
from alarmd.store.database import Database
from alarmd.store.tables import metadata, shards
from tests.support.servers import PostgresServer


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database with the newest schema; not to be opened."""
    template = tmp_path_factory.mktemp("template") / "alarmd.db"
    schema.upgrade(f"sqlite:///{template}")
    return template


@pytest.fixture(scope="session")
def postgres_kept(postgres_server: PostgresServer) -> Iterator[str]:
    """A PostgreSQL database with the newest schema, for one test after the other."""
    with postgres_server.database() as url:
        schema.upgrade(url)
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database with the newest schema."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "alarmd.db")
        return f"sqlite:///{tmp_path}/alarmd.db"
    url: str = request.getfixturevalue("postgres_kept")
    _empty(url)
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty database with the newest schema."""
    opened = Database.connect(database_url)
    yield opened
    opened.close()


def _empty(url: str) -> None:
    filled = ", ".join(table.name for table in metadata.sorted_tables if table is not shards)
    used = Database.connect(url)
    with used.write() as unit:
        unit.connection.execute(text(f"TRUNCATE {filled}"))
        unit.connection.execute(shards.update().values(revision=0))
    used.close()
