# SPDX-License-Identifier: Apache-2.0
"""How often the evaluation of an alarm led to which state."""

from dataclasses import dataclass

from alarmd.model.alarm import AlarmId


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultCounts:
    """Evaluations of one alarm by the state that they led to; those that led to none are not counted."""

    alarm_id: AlarmId
    ok: int
    alarm: int
    insufficient_data: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmResults:
    """The counters of an alarm, and whose it is."""

    project_id: str
    counts: ResultCounts
