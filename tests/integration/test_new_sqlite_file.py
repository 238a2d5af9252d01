# SPDX-License-Identifier: Apache-2.0
import sqlite3
from pathlib import Path
from threading import Timer

from sqlalchemy import text

from alarmd.store.database import engine_of


def test_a_new_file_that_another_process_is_preparing_is_waited_for(tmp_path: Path) -> None:
    """Where SQLite refuses at once to switch a file that somebody is writing, the switch is tried until it is free."""
    path = tmp_path / "alarmd.db"
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("CREATE TABLE taken (x)")
    writer.execute("BEGIN IMMEDIATE")
    release = Timer(0.2, writer.close)
    release.start()
    engine = engine_of(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            mode = connection.execute(text("PRAGMA journal_mode")).scalar_one()
    finally:
        engine.dispose()
        release.join()

    assert mode == "wal"
