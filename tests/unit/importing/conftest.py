# SPDX-License-Identifier: Apache-2.0
"""An Aodh's database, alarmd's own, and an import from the one into the other."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from alarmd.clock import ManualClock
from alarmd.evaluators.schedules.schedule import normalise_constraints
from alarmd.importing import Conversion, DatabaseSource, ImportReport, ImportRun
from alarmd.model.alarm import Alarm
from alarmd.model.history import AlarmChange
from alarmd.store.database import Database
from alarmd.store.history import HistoryQuery
from tests.support.aodh_database import AodhDatabase
from tests.support.rest import new_database, rule_families


class Move:
    """A move from an Aodh to alarmd."""

    def __init__(self, aodh: AodhDatabase, database: Database, clock: ManualClock) -> None:
        self.aodh = aodh
        self.database = database
        self.clock = clock

    def run(self, **how: Any) -> ImportReport:
        """Import once more."""
        with closing(DatabaseSource(self.aodh.url)) as source:
            conversion = Conversion(
                rule_types=rule_families(),
                normalise_constraints=normalise_constraints,
                schemes=frozenset({"http", "https"}),
                shows_confinement=source.shows_confinement,
            )
            return ImportRun(
                source=source,
                database=self.database,
                conversion=conversion,
                clock=self.clock,
                history_retention_s=30 * 86400,
                **how,
            ).run()

    def alarm(self, alarm_id: str) -> Alarm:
        """Return an alarm as it is here; fails when it is not."""
        with self.database.read() as unit:
            found = unit.alarms.get(alarm_id)
        assert found is not None
        return found

    def alarm_after_import(self, **columns: Any) -> Alarm:
        """Put an alarm into the Aodh, import, and return it as it is here."""
        alarm_id = self.aodh.alarm(**columns)
        self.run()
        return self.alarm(alarm_id)

    def history(self, alarm_id: str) -> list[AlarmChange]:
        """Return an alarm's history here, oldest first."""
        with self.database.read() as unit:
            return unit.history.find(HistoryQuery(alarm_id=alarm_id, sort=(("timestamp", "asc"),)))

    def quota(self, project_id: str) -> int | None:
        """Return a project's quota here."""
        with self.database.read() as unit:
            return unit.quotas.get(project_id)


@pytest.fixture
def aodh(tmp_path: Path) -> AodhDatabase:
    """An Aodh without alarms."""
    return AodhDatabase(tmp_path / "aodh.sqlite")


@pytest.fixture
def move(tmp_path: Path, aodh: AodhDatabase) -> Iterator[Move]:
    """A move of that Aodh's alarms into an empty alarmd."""
    with closing(new_database(tmp_path)) as database:
        yield Move(aodh, database, ManualClock())
