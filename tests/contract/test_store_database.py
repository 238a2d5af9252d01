# SPDX-License-Identifier: Apache-2.0
"""The contract of the database: what works on both, and what is said when it does not."""

import multiprocessing
import os
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from alarmd.errors import SettingsError, StoreUnavailable
from alarmd.store import schema
from alarmd.store.database import Database, engine_of
from tests.support.alarms import an_alarm


def complaint_of(url: str) -> str:
    database = Database.connect(url)
    with pytest.raises(StoreUnavailable) as raised:
        database.check()
    database.close()
    return raised.value.message


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    """Have nobody write a file, whoever they are."""
    subprocess.run(["chattr", "+i", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", path], check=True)


def test_a_sign_of_life(database: Database) -> None:
    """A database that is there passes the check."""
    database.check()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_without_a_schema(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Using a database that was never upgraded says how to upgrade it."""
    url = f"sqlite:///{tmp_path}/new.db" if engine == "sqlite" else request.getfixturevalue("postgres_url")
    database = Database.connect(url)
    with pytest.raises(StoreUnavailable, match=r"Run `alarmd db upgrade`"), database.read() as unit:
        unit.alarms.get("a")
    database.close()


def test_mistakes_of_our_own_stay_visible(database: Database) -> None:
    """An error in a statement is no outage and is not dressed up as one."""
    with pytest.raises(DBAPIError, match="syntax"), database.read() as unit:
        unit.connection.execute(text("SELEC 1"))


def test_a_fork_is_noticed(database: Database) -> None:
    """A child that uses its parent's connections is told so instead of mixing up the protocol."""

    def use() -> None:
        try:
            database.check()
        except RuntimeError:
            os._exit(7)
        os._exit(0)

    child = multiprocessing.get_context("fork").Process(target=use)
    child.start()
    child.join(30)

    assert 7 == child.exitcode


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("nonsense", "cannot be read"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        ("mysql://h/db", "cannot use a mysql database"),
        ("postgresql://u:secret@h:notaport/db", "cannot be read"),
    ],
)
def test_urls_that_cannot_be(url: str, complaint: str) -> None:
    """A URL that cannot be used is refused with the forms that can, and without repeating its password."""
    with pytest.raises(SettingsError, match=complaint) as raised:
        Database.connect(url)

    assert "sqlite:////path" in raised.value.message
    assert "secret" not in raised.value.message


def test_no_directory(tmp_path: Path) -> None:
    """A missing directory is named with the remedy."""
    complaint = complaint_of(f"sqlite:///{tmp_path}/missing/alarmd.db")

    assert f"{tmp_path}/missing/alarmd.db" in complaint
    assert "The directory must exist and be writable" in complaint


def test_no_database_file(tmp_path: Path) -> None:
    """A file that is something else is left alone and named."""
    (tmp_path / "notes.txt").write_text("buy milk\n" * 100)
    complaint = complaint_of(f"sqlite:///{tmp_path}/notes.txt")

    assert "no intact SQLite database" in complaint
    assert "buy milk" in (tmp_path / "notes.txt").read_text()


def test_a_full_disk(tmp_path: Path) -> None:
    """When nothing more fits the remedy is space, and what was stored before is still there."""
    url = f"sqlite:///{tmp_path}/alarmd.db"
    schema.upgrade(url)
    engine = engine_of(url)
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    database = Database(engine)

    def fill() -> None:
        with database.write() as unit:
            unit.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            unit.alarms.add_all([an_alarm() for _ in range(2000)])

    with pytest.raises(StoreUnavailable, match="Free space on the disk"):
        fill()
    with database.read() as unit:
        assert 0 == unit.connection.execute(text("SELECT count(*) FROM alarms")).scalar_one()
    database.close()


def test_a_locked_file(tmp_path: Path) -> None:
    """A lock that somebody keeps becomes an error after the wait, which says who may hold it."""
    url = f"sqlite:///{tmp_path}/alarmd.db"
    schema.upgrade(url)
    database = Database(engine_of(url, lock_wait_s=0))
    holder = sqlite3.connect(tmp_path / "alarmd.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="Somebody else held it for too long"), database.write():
        pass
    with database.read() as unit:
        assert [] == unit.connection.execute(text("SELECT * FROM alarms")).all()
    holder.close()
    database.close()


def test_a_file_that_cannot_be_written_for_a_while(tmp_path: Path) -> None:
    """The error names who should be able to write it; once it can be written again, whoever tried meanwhile writes."""
    url = f"sqlite:///{tmp_path}/alarmd.db"
    schema.upgrade(url)
    database = Database(engine_of(url))

    def write() -> None:
        with database.write() as unit:
            unit.connection.execute(text("UPDATE shards SET revision = 7"))

    with immutable(tmp_path / "alarmd.db"), pytest.raises(StoreUnavailable, match="that alarmd runs as write to it"):
        write()
    write()
    with database.read() as unit:
        revisions = set(unit.connection.execute(text("SELECT revision FROM shards")).scalars())

    assert {7} == revisions
    database.close()


def test_nobody_listens() -> None:
    """A server that is not there is named without the password, with what to check."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        complaint = complaint_of(f"postgresql://alarmd:s3cr3t@127.0.0.1:{port}/alarms")

    assert f"the PostgreSQL database alarms at 127.0.0.1:{port}" in complaint
    assert "Check that the database runs" in complaint
    assert "s3cr3t" not in complaint


def test_no_such_database(postgres_url: str) -> None:
    """A database that does not exist on the server is named with the remedy."""
    url = make_url(postgres_url).set(database="nowhere").render_as_string(hide_password=False)

    assert "Create the database, or correct its name" in complaint_of(url)


def test_a_connection_that_died_is_replaced(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the server has cut a connection that lay idle the next unit of work simply gets another."""
    monkeypatch.setattr("alarmd.store.database._TRUSTED_S", 0.0)
    database, other = Database.connect(postgres_url), Database.connect(postgres_url)
    database.check()
    with other.write() as unit:
        unit.connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        )
    database.check()
    database.close()
    other.close()


def test_postgresql_keeps_no_plans(postgres_url: str) -> None:
    """Each statement is planned for the tables as they are: one that fills within a second makes any other plan bad."""
    engine = engine_of(postgres_url)
    with engine.connect() as connection:
        told = {
            name: connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("plan_cache_mode", "lock_timeout", "idle_in_transaction_session_timeout")
        }
    engine.dispose()

    expected = {"lock_timeout": "10s", "idle_in_transaction_session_timeout": "1min"}
    assert expected | {"plan_cache_mode": "force_custom_plan"} == told


def test_sqlite_is_set_up_to_lose_nothing(tmp_path: Path) -> None:
    """Each connection writes ahead, waits for the disk, and checks references."""
    engine = engine_of(f"sqlite:///{tmp_path}/alarmd.db")
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()

    assert {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000} == pragmas
