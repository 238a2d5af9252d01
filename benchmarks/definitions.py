# SPDX-License-Identifier: Apache-2.0
"""Alarms as the API would have stored them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from alarmd.model.alarm import NOT_EVALUATED_REASON, Alarm, AlarmId, Severity, State
from alarmd.model.shard import shard_of


def definition(
    number: int,
    *,
    project_id: str,
    at: datetime,
    type_: str = "threshold",
    rule: Mapping[str, Any] | None = None,
    state: State = State.INSUFFICIENT_DATA,
) -> Alarm:
    """Return an alarm that was created at a moment, and is in a state since then; it tells nobody."""
    return Alarm(
        alarm_id=alarm_id(number),
        name=f"alarm-{number}",
        description="CPU of the group is high",
        enabled=True,
        type=type_,
        rule=rule or {},
        project_id=project_id,
        user_id="engine",
        severity=Severity.LOW,
        ok_actions=(),
        alarm_actions=(),
        insufficient_data_actions=(),
        repeat_actions=False,
        time_constraints=(),
        timestamp=at,
        state=state,
        state_reason=NOT_EVALUATED_REASON,
        state_timestamp=at,
        evaluate_timestamp=at,
        shard=shard_of(project_id),
    )


def alarm_id(number: int) -> AlarmId:
    """Return the id of an alarm."""
    return AlarmId(str(UUID(int=number)))
