# SPDX-License-Identifier: Apache-2.0
"""Transitions: what the evaluator asks the store to make true."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from alarmd.model.alarm import AlarmId, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change of state, or the repeat of a state whose actions are due again.

    It takes effect only if the alarm still has the `revision` and `state_version` it was decided on; so an edit made
    meanwhile wins, and of two evaluators that decide the same only one acts.
    """

    alarm_id: AlarmId
    revision: int
    state_version: int
    previous: State
    current: State
    #: In Aodh's words, e.g. ``Transition to alarm due to 1 samples outside threshold, most recent: 97.0``.
    reason: str
    #: Aodh's `reason_data`, sent with the notification.
    reason_data: Mapping[str, Any]
    at: datetime
    #: What it was found from, for people who ask why; JSON. Kept with the history, sent to nobody.
    evidence: Mapping[str, Any] = field(default_factory=dict)
    #: When the newest sample that it was found from was taken, where it was found from samples.
    sampled_at: datetime | None = None
    #: W3C `traceparent` of what brought that sample; empty when there is none.
    traceparent: str = ""
    #: Whether it stands in the history though the state stays: each event that an alarm is hit by is news.
    is_news: bool = False

    @property
    def is_repeat(self) -> bool:
        """Whether the state stays and only its actions are due again."""
        return self.previous is self.current
