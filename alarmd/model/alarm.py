# SPDX-License-Identifier: Apache-2.0
"""The alarm: a rule, the state it was last found in, and what to do when that changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from alarmd.model.direction import Direction, leaning_of
from alarmd.model.shard import Shard

AlarmId = NewType("AlarmId", str)

NOT_EVALUATED_REASON = "Not evaluated yet"
SET_BY_API_REASON = "Manually set via API"


class State(StrEnum):
    """What is known of the thing that the alarm watches."""

    OK = "ok"
    ALARM = "alarm"
    INSUFFICIENT_DATA = "insufficient data"


class Severity(StrEnum):
    """How much it matters, to people; alarmd treats all alike."""

    LOW = "low"
    MODERATE = "moderate"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActingAlarm:
    """As much of an alarm as it takes to move its state and to take its actions; a storm reads 10,000 of them."""

    alarm_id: AlarmId
    name: str
    enabled: bool
    #: The rule in its normalised wire form (`RuleType.normalise`).
    rule: Mapping[str, Any]
    project_id: str
    severity: Severity
    ok_actions: tuple[str, ...]
    alarm_actions: tuple[str, ...]
    insufficient_data_actions: tuple[str, ...]
    #: What people sort alarms by, e.g. to silence them.
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Where the actions of a state lead, where that is not what the rule's comparison says.
    directions: Mapping[State, Direction] = field(default_factory=dict)
    #: Name of the signing secret of the alarm's project; empty for the project's default.
    signing_secret: str = ""
    #: The Keystone trust that ``trust+…`` actions are taken with; empty when there is none. Never shown.
    trust_id: str = ""
    state: State
    #: Grows with every change of a definition within the shard; the store sets it. Followed by the evaluators.
    revision: int = 0
    #: Grows with every change of the state; what a transition compares and sets.
    state_version: int = 0
    #: Number of the last notification; never goes back.
    sequence: int = 0

    def direction_of(self, state: State) -> Direction:
        """Return where the actions of a state lead: by the alarm's own word, else by its rule's comparison."""
        said = self.directions.get(state)
        if said is not None:
            return said
        return leaning_of(self.rule) if state is State.ALARM else Direction.NEUTRAL

    def actions_for(self, state: State) -> tuple[str, ...]:
        """Return the actions to take on entering (or repeating) a state."""
        match state:
            case State.OK:
                return self.ok_actions
            case State.ALARM:
                return self.alarm_actions
            case State.INSUFFICIENT_DATA:
                return self.insufficient_data_actions


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm(ActingAlarm):
    """One alarm, its definition (changed by people and engines) and its state (changed by the evaluator)."""

    description: str
    #: Name of the rule type, e.g. ``threshold``.
    type: str
    #: Whether other people's servers (Prometheus, Gnocchi) are asked about the alarm's own project only. Always,
    #: unless an admin made the alarm for itself. Set when the rule is written; never shown.
    confined: bool = True
    user_id: str
    repeat_actions: bool
    time_constraints: tuple[Mapping[str, Any], ...]
    state_reason: str
    #: When the state last changed, whoever changed it.
    state_timestamp: datetime
    #: How often actions are repeated; None: as often as the operator says. Seconds.
    repeat_interval_s: int | None = None
    #: When the definition last changed.
    timestamp: datetime
    #: Aodh's bookkeeping of its own evaluator; kept and returned, of no meaning here.
    evaluate_timestamp: datetime | None
    #: Where the alarm is evaluated: the shard of the project whose series it reads.
    shard: Shard

    @property
    def version(self) -> str:
        """What changes whenever the alarm as clients see it does; repeats and counters do not count."""
        return f"{self.shard:x}.{self.revision:x}.{round(self.state_timestamp.timestamp() * 1e6):x}"
