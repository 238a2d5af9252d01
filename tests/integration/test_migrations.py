# SPDX-License-Identifier: Apache-2.0
"""The migrations, on real databases."""

from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from alarmd.errors import StoreUnavailable
from alarmd.model.shard import SHARD_COUNT
from alarmd.store import schema
from alarmd.store.database import engine_of
from alarmd.store.tables import metadata
from tests.support.threads import run_together


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without a schema; a percent sign in its path must not confuse anybody."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    folder = tmp_path / "100% sure"
    folder.mkdir()
    return f"sqlite:///{folder}/alarmd.db"


def test_they_lead_to_the_tables(empty_url: str) -> None:
    """The migrated schema is the one that the code thinks of: tables, columns, types, indexes."""
    schema.upgrade(empty_url)
    engine = engine_of(empty_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
    engine.dispose()

    assert [] == differences


def test_upgrade_and_check(empty_url: str) -> None:
    """A fresh database fails the check with the remedy, and passes it once upgraded; upgrading again is harmless."""
    before = schema.current(empty_url)
    with pytest.raises(StoreUnavailable, match=r"at nothing, .* Run `alarmd db upgrade`"):
        schema.check(empty_url)
    schema.upgrade(empty_url)
    schema.upgrade(empty_url)
    schema.check(empty_url)

    assert (None, "0004") == (before, schema.current(empty_url))


def test_a_schema_from_the_future(empty_url: str) -> None:
    """A database of a newer alarmd is neither used nor touched."""
    schema.upgrade(empty_url)
    engine = engine_of(empty_url).execution_options(alarmd_writes=True)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StoreUnavailable, match="made by a newer one"):
        schema.check(empty_url)
    with pytest.raises(StoreUnavailable, match="made by a newer one"):
        schema.upgrade(empty_url)

    assert "9999" == schema.current(empty_url)


def test_two_processes_upgrade_at_once(empty_url: str) -> None:
    """Of several that upgrade side by side one does it and all succeed."""
    run_together(*(partial(schema.upgrade, empty_url) for _ in range(3)))
    schema.check(empty_url)
    engine = engine_of(empty_url)
    with engine.connect() as connection:
        shards = connection.execute(text("SELECT count(*) FROM shards")).scalar_one()
    engine.dispose()

    assert SHARD_COUNT == shards


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    """Where no database can be, upgrading says so."""
    with pytest.raises(StoreUnavailable, match="The directory must exist"):
        schema.upgrade(f"sqlite:///{tmp_path}/missing/alarmd.db")
