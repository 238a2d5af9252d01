# SPDX-License-Identifier: Apache-2.0
"""Where alarms can be read from, and what is said when they cannot."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from alarmd.errors import SettingsError
from alarmd.importing import DatabaseSource, Tally
from tests.support.aodh_database import AodhDatabase
from tests.unit.importing.conftest import Move


def complaint(url: str) -> str:
    """Return what is said about a database that cannot be read."""
    with pytest.raises(SettingsError) as caught, closing(DatabaseSource(url)) as source:
        source.count()
    return caught.value.message


@pytest.mark.usefixtures("move")
def test_a_database_that_is_no_aodhs_is_refused(tmp_path: Path) -> None:
    """Also alarmd's own, and one of an Aodh that is newer than today's."""
    (tmp_path / "text").write_text("nothing that SQLite could read, and long enough to be a header of something else")
    empty, newer = tmp_path / "empty.sqlite", AodhDatabase(tmp_path / "newer.sqlite", revision="011")
    sqlite3.connect(empty).close()

    assert "There is no SQLite file" in complaint(f"sqlite:///{tmp_path}/missing.sqlite")
    assert "holds no Aodh" in complaint(f"sqlite:///{empty}")
    assert "holds no Aodh" in complaint(f"sqlite:///{tmp_path}/text")
    assert "is at the schema '011'" in complaint(newer.url)
    assert "is at the schema '0004'" in complaint(f"sqlite:///{tmp_path}/alarmd.db")
    assert "keeps no alarms in a oracle database" in complaint("oracle://x")
    assert "cannot be read" in complaint("nonsense")


def test_a_missing_driver_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The libraries for foreign databases are extras."""
    monkeypatch.setitem(sys.modules, "pymysql", None)

    assert "pip install 'alarmd[mysql]'" in complaint("mysql://aodh:hunter2@controller/aodh")
    assert "hunter2" not in complaint("mysql://aodh:hunter2@controller/aodh")


def test_the_file_is_opened_for_reading_only(aodh: AodhDatabase) -> None:
    """It works on a file that nobody may write to, and leaves nothing beside it."""
    aodh.path.chmod(0o400)
    with closing(DatabaseSource(aodh.url)) as source:
        assert 0 == source.count()
    assert [aodh.path.name] == [path.name for path in aodh.path.parent.iterdir()]


def test_an_older_schema_is_read_as_far_as_it_goes(move: Move) -> None:
    """Columns and tables that came later are taken for empty."""
    alarm_id = move.aodh.alarm()
    move.aodh.change(alarm_id)
    for statement in (
        "ALTER TABLE alarm DROP COLUMN state_reason",
        "ALTER TABLE alarm DROP COLUMN evaluate_timestamp",
        "ALTER TABLE alarm_history DROP COLUMN severity",
        "DROP TABLE quota",
        "UPDATE alembic_version SET version_num = '12fe8fac9fe4'",
    ):
        move.aodh.run(statement)
    report = move.run()

    assert (Tally(brought=1), Tally(brought=1), Tally()) == (report.alarms, report.changes, report.quotas)
    assert "Not evaluated yet" == move.alarm(alarm_id).state_reason
