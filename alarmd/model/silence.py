# SPDX-License-Identifier: Apache-2.0
"""Silences: for a while, the actions of some alarms are not taken. States and history go on as ever."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType, Protocol, TypeAlias

from alarmd.errors import InvalidInput
from alarmd.model.alarm import ActingAlarm, Alarm, AlarmId, State
from alarmd.model.direction import Direction

SilenceId = NewType("SilenceId", str)


class OpenHours(Protocol):
    """When something recurring is on."""

    def is_open(self, at: datetime) -> bool:
        """Return whether it is on at a moment."""


#: Returns what normalised time constraints say.
ReadHours: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], OpenHours]


class SilenceState(StrEnum):
    """Where a silence stands."""

    #: It has not begun.
    SCHEDULED = "scheduled"
    IN_FORCE = "in force"
    #: It recurs, and is between two of its turns.
    RESTING = "resting"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """What is kept quiet, from when to when, and who wants it so.

    What it says of alarms holds together: an alarm has to meet all of it. One that says nothing means all alarms.
    """

    silence_id: SilenceId
    #: None: of all projects.
    project_id: str | None
    #: The user who made it.
    author: str
    comment: str
    #: This alarm only.
    alarm_id: AlarmId | None = None
    #: Alarms that have all these labels, and perhaps others.
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Actions that lead there only.
    direction: Direction | None = None
    starts_at: datetime
    #: It is over from this moment on.
    ends_at: datetime
    #: When within its time it is in force; empty for all of it.
    time_constraints: tuple[Mapping[str, Any], ...] = ()
    created_at: datetime
    #: The user who ended it before its time; empty when nobody did.
    ended_by: str = ""

    @property
    def began_at_once(self) -> bool:
        """Whether it was in force as soon as it was made, whatever other clocks say of that moment."""
        return self.starts_at == self.created_at

    def is_about(self, alarm: ActingAlarm) -> bool:
        """Whether it keeps any action of an alarm quiet."""
        return (
            self.project_id in {None, alarm.project_id}
            and self.alarm_id in {None, alarm.alarm_id}
            and (not self.labels or self.labels.items() <= alarm.labels.items())
        )

    def states_of(self, alarm: Alarm) -> tuple[State, ...]:
        """Return the states of an alarm whose actions it keeps quiet."""
        if not self.is_about(alarm):
            return ()
        return tuple(state for state in State if self.direction in {None, alarm.direction_of(state)})

    def state_at(self, at: datetime, read_hours: ReadHours) -> SilenceState:
        """Return where it stands at a moment; between two of its turns where nobody here can read its hours."""
        if at >= self.ends_at:
            return SilenceState.ENDED
        if at < self.starts_at:
            return SilenceState.SCHEDULED
        if not self.time_constraints:
            return SilenceState.IN_FORCE
        try:
            is_on = read_hours(self.time_constraints).is_open(at)
        except InvalidInput:
            # Rather a webhook too many than none for anybody: those of a tick are judged, and stored, all together.
            is_on = False
        return SilenceState.IN_FORCE if is_on else SilenceState.RESTING

    def trouble(self, at: datetime, read_hours: ReadHours) -> str | None:
        """Return why it is never in force although it is not over, if so: nobody here can read its hours.

        The zone may be one that only the machine knew on which the silence was made, or that was taken out since.
        """
        if not self.time_constraints or at >= self.ends_at:
            return None
        try:
            read_hours(self.time_constraints)
        except InvalidInput as error:
            return f"It keeps nothing back, since its time constraints cannot be read here: {error.message}"
        return None
