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


class MembersView(_Shape):
    """The series that a rule reads."""

    known: int = Field(description="that have samples in the window")
    remembered: int = Field(description="that were heard of lately, of which shares are taken")
    reporting: int = Field(description="with samples in the newest period that counts")
    missing: int
    missing_named: list[str] = Field(description="ids of the resources of the first of those that are missing")
    newest_sample: str | None


class PeriodView(_Shape):
    """One period of a rule."""

    start: str
    end: str
    value: float | None
    samples: int
    reporting: int
    coverage: float = Field(description="the share of the members that have samples in it")
    counts: bool
    because: str = Field(description="why it does not count; empty when it does")


class ExplainedAlarmView(_Shape):
    """The alarm that a rule of a composite stands for."""

    alarm_id: str
    name: str
    state: State


class WayView(_Shape):
    """One way in which what a rule counts for would change."""

    counts_for: str
    when: str


class ExplainedRuleView(_Shape):
    """One rule of an alarm, and what it says now."""

    name: str
    rule: str = Field(description="in words")
    outcome: str
    counts_for: str = Field(description="alarm, ok, neither, or not known yet")
    is_negated: bool
    threshold: str = Field(description="what values are held against as things are; empty where there are none")
    values: list[float | None] = Field(description="what is held against it, newest first")
    series: MembersView | None = None
    periods: list[PeriodView] = Field(description="newest first")
    lacking: str = Field(description="what it takes and is not there; empty when nothing is missing")
    would_change: list[WayView]
    alarm: ExplainedAlarmView | None = None
    server: str = Field(description="who was asked; empty when nobody was")
    error: str = Field(description="why nothing could be said; empty otherwise")
    evidence: dict[str, Any]


class VerdictView(_Shape):
    """What the rule says now: the state that follows, which may be the one that it is in."""

    state: State
    reason: str
    reason_data: dict[str, Any]


class ChangeView(_Shape):
    """One way in which the state would change."""

    to: State
    when: str


class HoursView(_Shape):
    """Whether time constraints let it be evaluated now."""

    is_open: bool
    changes_at: str | None


class LastTransitionView(_Shape):
    """The newest change of state that is recorded."""

    at: str
    previous: str | None
    current: str
    reason: str
    evidence: dict[str, Any] | None = Field(description="what it was found from; null when it was set by hand")
    silenced_by: str | None = Field(description="the silence that kept its actions back; null when none did")


class QuietView(_Shape):
    """A silence that is in force."""

    silence_id: str
    author: str
    comment: str
    states: list[State] = Field(description="whose actions are not taken")
    ends_at: str
    recurs: bool = Field(description="whether it rests between its turns until it ends")


class DisabledActionView(_Shape):
    """An action that is not taken any more, since its receiver has answered 410, until the alarm is written anew."""

    action: str
    states: list[State] = Field(description="on which it is not taken")
    reason: str
    disabled_at: str


class ExplanationView(_Shape):
    """Why an alarm is in its state."""

    alarm_id: str
    name: str
    type: str
    enabled: bool
    state: State
    state_since: str
    state_reason: str
    at: str = Field(description="when all this was looked at")
    sentence: str
    rule: str = Field(description="in words")
    verdict: VerdictView | None
    form: str = Field(description="how the rules of a composite are combined; empty otherwise")
    rules: list[ExplainedRuleView]
    would_change: list[ChangeView]
    time_constraints: HoursView | None
    last_transition: LastTransitionView | None
    silences: list[QuietView]
    disabled_actions: list[DisabledActionView]
    notes: list[str]
