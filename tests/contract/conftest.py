# SPDX-License-Identifier: Apache-2.0
"""Databases for the contract of the store: each test that asks for one runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from alarmd.store import schema
from alarmd.store.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database with the newest schema."""
    url = f"sqlite:///{tmp_path}/alarmd.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    schema.upgrade(url)
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty database with the newest schema."""
    opened = Database.connect(database_url)
    yield opened
    opened.close()
