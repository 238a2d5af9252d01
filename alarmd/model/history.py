# SPDX-License-Identifier: Apache-2.0
"""History: who changed what about an alarm, and when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from alarmd.model.alarm import AlarmId, Severity


class ChangeType(StrEnum):
    """What happened to the alarm."""

    CREATION = "creation"
    RULE_CHANGE = "rule change"
    STATE_TRANSITION = "state transition"
    DELETION = "deletion"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmChange:
    """One row of an alarm's history (Aodh's `AlarmChange`)."""

    event_id: str
    alarm_id: AlarmId
    type: ChangeType
    #: What changed, in Aodh's keys; shown on the wire as a string that holds JSON.
    detail: Mapping[str, Any]
    #: Who did it; empty for the evaluator.
    user_id: str
    project_id: str
    #: The project that owns the alarm.
    on_behalf_of: str
    timestamp: datetime
    severity: Severity | None
