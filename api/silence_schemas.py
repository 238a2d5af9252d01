# SPDX-License-Identifier: Apache-2.0
"""The shapes of silences on the wire."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from alarmd.api.alarm_body import Labels
from alarmd.api.wire import LONGEST_S, MomentField
from alarmd.model.direction import Direction
from alarmd.model.silence import SilenceState


class SilenceBody(BaseModel):
    """What is to be silent, and for how long. Null means that something is not given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    comment: str = Field(min_length=1, max_length=1000, description="why, for those who wonder")
    alarm_id: str | None = Field(default=None, max_length=255, description="this alarm only")
    labels: Labels | None = Field(default=None, description="alarms that have all of them")
    direction: Direction | None = Field(default=None, description="actions that lead there only")
    everything: bool | None = Field(default=None, description="all alarms (administrators)")
    project_id: str | None = Field(
        default=None, max_length=255, description="whose alarms; the caller's own by default (others: administrators)"
    )
    all_projects: bool | None = Field(default=None, description="the alarms of all projects (administrators)")
    starts_at: MomentField = Field(default=None, description="now by default, and when it is past")
    ends_at: MomentField = Field(default=None, description="when it is over; this or duration")
    duration: int | None = Field(default=None, ge=1, le=LONGEST_S, description="seconds; this or ends_at")
    time_constraints: list[dict[str, Any]] | None = Field(
        default=None, max_length=10, description="when within its time it is in force; by default all the time"
    )


class SilenceView(BaseModel):
    """A silence. Alarms have to meet all that it says."""

    model_config = ConfigDict(extra="forbid", use_enum_values=True)

    silence_id: str
    project_id: str | None = Field(description="null: of all projects")
    author: str
    comment: str
    alarm_id: str | None
    labels: dict[str, str]
    direction: Direction | None
    starts_at: str
    ends_at: str
    time_constraints: list[dict[str, Any]]
    created_at: str
    ended_by: str | None = Field(description="who ended it before its time; null when nobody did")
    state: SilenceState
    warning: str | None = Field(description="why it keeps nothing back although it should; null when all is well")


class SilenceListView(BaseModel):
    """Silences, newest first."""

    model_config = ConfigDict(extra="forbid")

    silences: list[SilenceView]
