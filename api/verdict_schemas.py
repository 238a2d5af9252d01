# SPDX-License-Identifier: Apache-2.0
"""The shapes of what is said of verdicts: those that would have been found, and those that have been."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from alarmd.api.schemas import SampleBody
from alarmd.model.alarm import State


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", use_enum_values=True, serialize_by_alias=True)


class PreviewOptions(_Shape):
    """What a preview takes beside an alarm."""

    since: str | float | None = Field(
        default=None,
        description="when it begins: a moment in ISO 8601, or how long before the end (`90s`, `15m`, `1h`, or seconds)",
    )
    samples: list[SampleBody] | None = Field(default=None, description="these and no others, instead of the log's")


class TransitionView(_Shape):
    """A change of state."""

    at: str
    previous: State
    current: State
    reason: str
    reason_data: dict[str, Any]


class StretchView(_Shape):
    """A time for which the state stayed."""

    state: State
    start: str = Field(alias="from")
    end: str = Field(alias="to")


class ActionsView(_Shape):
    """How often the actions of each state would have been taken, repeats included."""

    ok_actions: int
    alarm_actions: int
    insufficient_data_actions: int


class PreviewView(_Shape):
    """What an alarm would have done over a span."""

    start: str
    end: str
    transitions: list[TransitionView] = Field(description="changes of state, oldest first")
    truncated: bool = Field(description="whether there are more changes than are listed, and later stretches")
    states: list[StretchView] = Field(description="the whole span without gaps, oldest first")
    changes: int
    flaps: int = Field(description="how often it went back into the state that it had just left")
    changes_per_hour: float
    shares: dict[str, float] = Field(description="the share of the span in each state")
    would_notify: ActionsView
    assumptions: list[str]
    samples_read: int
