# SPDX-License-Identifier: Apache-2.0
"""Counters at rest: how often the evaluation of each alarm led to which state."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, select, text

from alarmd.model.alarm import AlarmId
from alarmd.model.results import AlarmResults, ResultCounts
from alarmd.store.columns import is_storable
from alarmd.store.json import to_json
from alarmd.store.tables import alarm_counters, alarms

#: The highest value of a counter; the next one is 1, as in Aodh.
HIGHEST = 2_000_000_000

_STATES = ("ok", "alarm", "insufficient_data")
_COLUMNS = ", ".join(("alarm_id", *_STATES))
_GROW = "ON CONFLICT (alarm_id) DO UPDATE SET " + ", ".join(
    f"{state} = (alarm_counters.{state} + excluded.{state} - 1) % {HIGHEST} + 1" for state in _STATES
)
# An alarm that was deleted meanwhile is passed over; one that is just being counted cannot be deleted. The rows of
# alarms are locked in the order of their ids, as everybody does who locks several.
_ADD_POSTGRESQL = text(
    f"INSERT INTO alarm_counters ({_COLUMNS}) "  # noqa: S608  # names from the code
    f"SELECT {', '.join(f'counted.{name}' for name in ('alarm_id', *_STATES))} "
    "FROM json_populate_recordset(CAST(NULL AS alarm_counters), CAST(:rows AS json)) AS counted "
    "JOIN alarms ON alarms.alarm_id = counted.alarm_id ORDER BY alarms.alarm_id FOR KEY SHARE OF alarms "
    f"{_GROW}"
)
_ADD_SQLITE = (
    f"INSERT INTO alarm_counters ({_COLUMNS}) "  # noqa: S608  # names from the code
    f"SELECT alarm_id, ?, ?, ? FROM alarms WHERE alarm_id = ? {_GROW}"
)


class CounterRepository:
    """Reads and adds to counters within one unit of work. Counters vanish with their alarm."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, counts: Sequence[ResultCounts]) -> None:
        """Add to the counters of alarms, each named once; those that are gone are passed over."""
        if not counts:
            return
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(_ADD_POSTGRESQL, {"rows": to_json([asdict(one) for one in counts])})
            return
        rows = [(one.ok, one.alarm, one.insufficient_data, one.alarm_id) for one in counts]
        self._connection.exec_driver_sql(_ADD_SQLITE, rows)

    def find(self, *, project_id: str | None, marker: str | None = None, limit: int) -> list[AlarmResults]:
        """Return the counters of a project's alarms, or of all (None), in the order of their ids from the marker on."""
        if not is_storable((project_id, marker)):
            return []
        statement = (
            select(alarm_counters, alarms.c.project_id)
            .join(alarms, alarms.c.alarm_id == alarm_counters.c.alarm_id)
            .order_by(alarm_counters.c.alarm_id)
            .limit(limit)
        )
        if project_id is not None:
            statement = statement.where(alarms.c.project_id == project_id)
        if marker is not None:
            statement = statement.where(alarm_counters.c.alarm_id > marker)
        return [
            AlarmResults(
                project_id=row.project_id,
                counts=ResultCounts(
                    alarm_id=AlarmId(row.alarm_id),
                    ok=row.ok,
                    alarm=row.alarm,
                    insufficient_data=row.insufficient_data,
                ),
            )
            for row in self._connection.execute(statement)
        ]
