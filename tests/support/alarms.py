# SPDX-License-Identifier: Apache-2.0
"""Builds alarms for tests: complete, and different only in what the test is about."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from alarmd.model.alarm import NOT_EVALUATED_REASON, Alarm, AlarmId, Severity, State
from alarmd.model.shard import shard_of

MORNING = datetime(2026, 1, 1, 8, 30, 0, 123456, tzinfo=UTC)


def an_alarm(**changes: Any) -> Alarm:
    """Return an enabled threshold alarm of project ``p1`` with one action, with a new id; its shard follows suit."""
    values: dict[str, Any] = {
        "alarm_id": AlarmId(str(uuid4())),
        "name": "cpu high",
        "description": "CPU of the group is high",
        "enabled": True,
        "type": "threshold",
        "rule": {
            "meter_name": "cpu_util",
            "query": [{"field": "metadata.group", "op": "eq", "value": "web"}],
            "statistic": "avg",
            "period": 60,
            "evaluation_periods": 1,
            "comparison_operator": "gt",
            "threshold": 80.0,
            "exclude_outliers": False,
        },
        "project_id": "p1",
        "user_id": "u1",
        "severity": Severity.LOW,
        "ok_actions": (),
        "alarm_actions": ("http://127.0.0.1:9/scale-out",),
        "insufficient_data_actions": (),
        "repeat_actions": False,
        "time_constraints": (),
        "timestamp": MORNING,
        "state": State.INSUFFICIENT_DATA,
        "state_reason": NOT_EVALUATED_REASON,
        "state_timestamp": MORNING,
        "evaluate_timestamp": MORNING,
    } | changes
    values.setdefault("shard", shard_of(values["project_id"]))
    return Alarm(**values)
