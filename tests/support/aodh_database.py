# SPDX-License-Identifier: Apache-2.0
"""An Aodh's SQLite file as its documentation describes the schema, with what a test puts into it."""

import json
import sqlite3
from pathlib import Path
from typing import Any
from uuid import uuid4

_SCHEMA = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
CREATE TABLE alarm (
    alarm_id VARCHAR(128) PRIMARY KEY, enabled BOOLEAN, name TEXT, type VARCHAR(50), severity VARCHAR(50),
    description TEXT, timestamp DATETIME, user_id VARCHAR(128), project_id VARCHAR(128), state VARCHAR(255),
    state_reason TEXT, state_timestamp DATETIME, ok_actions TEXT, alarm_actions TEXT, insufficient_data_actions TEXT,
    repeat_actions BOOLEAN, rule TEXT, time_constraints TEXT, evaluate_timestamp DATETIME
);
CREATE TABLE alarm_history (
    event_id VARCHAR(128) PRIMARY KEY, alarm_id VARCHAR(128), on_behalf_of VARCHAR(128), project_id VARCHAR(128),
    user_id VARCHAR(128), type VARCHAR(20), detail TEXT, timestamp DATETIME, severity VARCHAR(50)
);
CREATE TABLE quota (
    id VARCHAR(36) PRIMARY KEY, resource VARCHAR(50), project_id VARCHAR(128), "limit" INTEGER,
    UNIQUE (project_id, resource)
);
"""

#: Moments as Aodh keeps them: UTC, without saying so.
THEN = "2026-01-01 07:00:00.123456"


class AodhDatabase:
    """A database of schema 010, and hands to write into it."""

    def __init__(self, path: Path, *, revision: str = "010") -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        with sqlite3.connect(path) as connection:
            connection.executescript(_SCHEMA)
            connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))

    def run(self, statement: str, *values: Any) -> None:
        """Run any statement."""
        with sqlite3.connect(self.path) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA journal_mode = MEMORY")
            connection.execute(statement, values)

    def add(self, table: str, **values: Any) -> None:
        """Insert a row; what is a list or an object becomes JSON."""
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" * len(values))
        spelt = [json.dumps(value) if isinstance(value, list | dict) else value for value in values.values()]
        self.run(f"INSERT INTO {table} ({names}) VALUES ({marks})", *spelt)

    def alarm(self, **changes: Any) -> str:
        """Insert an alarm, different only in what the test is about, and return its id."""
        values: dict[str, Any] = {
            "alarm_id": str(uuid4()),
            "enabled": True,
            "name": "cpu high",
            "type": "gnocchi_resources_threshold",
            "severity": "moderate",
            "description": "mine",
            "timestamp": THEN,
            "user_id": "u1",
            "project_id": "p1",
            "state": "ok",
            "state_reason": "Transition to ok",
            "state_timestamp": THEN,
            "ok_actions": [],
            "alarm_actions": ["http://receiver/out"],
            "insufficient_data_actions": [],
            "repeat_actions": False,
            "rule": {
                "metric": "cpu",
                "resource_id": "vm-1",
                "resource_type": "instance",
                "threshold": 80.0,
                "aggregation_method": "mean",
                "comparison_operator": "gt",
                "evaluation_periods": 2,
                "granularity": 60,
            },
            "time_constraints": [],
            "evaluate_timestamp": THEN,
        } | changes
        self.add("alarm", **values)
        return str(values["alarm_id"])

    def change(self, alarm_id: str, **changes: Any) -> str:
        """Insert a change of an alarm and return its id."""
        values: dict[str, Any] = {
            "event_id": str(uuid4()),
            "alarm_id": alarm_id,
            "on_behalf_of": "p1",
            "project_id": "p1",
            "user_id": "u1",
            "type": "rule change",
            "detail": {"severity": "moderate"},
            "timestamp": THEN,
            "severity": "moderate",
        } | changes
        self.add("alarm_history", **values)
        return str(values["event_id"])

    def quota(self, project_id: str, limit: int, *, resource: str = "alarms") -> None:
        """Insert a quota."""
        self.add("quota", id=str(uuid4()), project_id=project_id, resource=resource, limit=limit)
