# SPDX-License-Identifier: Apache-2.0
"""Silences whose hours cannot be read here are told of before somebody counts on them in vain."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from alarmd.clock import ManualClock
from alarmd.evaluators.schedules.unreadable import Unreadable
from alarmd.model.silence import SilenceId
from alarmd.store.database import Database
from alarmd.store.schema import upgrade
from tests.support.alarms import MORNING
from tests.support.silences import a_silence, a_window


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database."""
    url = f"sqlite:///{tmp_path / 'alarmd.db'}"
    upgrade(url)
    opened = Database.connect(url)
    yield opened
    opened.close()


def test_each_is_told_of_once(database: Database) -> None:
    """Those that can be read, or never recur, or are over, are not told of; a new one is, beside one that is known."""

    def begin(name: str, zone: str, *, hours: int = 24) -> None:
        window = a_window("* * * * *", duration=60, timezone=zone)
        made = a_silence(
            silence_id=SilenceId(name), ends_at=MORNING + timedelta(hours=hours), time_constraints=(window,)
        )
        with database.write() as unit:
            unit.silences.add(made)

    clock = ManualClock(MORNING + timedelta(hours=2))
    unreadable = Unreadable(database=database, clock=clock)
    begin("sound", "Europe/Berlin")
    begin("over", "Europe/Atlantis", hours=1)
    begin("lost", "Europe/Atlantis")
    with database.write() as unit:
        unit.silences.add(a_silence())
    with capture_logs() as logs:
        unreadable.look()
        unreadable.look()
        begin("later", "Mars")
        unreadable.look()

    assert [("lost", "warning"), ("later", "warning")] == [(line["silence_id"], line["log_level"]) for line in logs]
    assert "Timezone Europe/Atlantis is not valid" in logs[0]["error"]
    assert "tzdata" in logs[0]["remedy"]
