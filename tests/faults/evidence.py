# SPDX-License-Identifier: Apache-2.0
"""What is known of a case when it is over, and what it has shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.journal import Entry
from tests.faults.records import Fault, Sample
from tests.faults.watches import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Hush:
    """A silence that somebody has asked for, on the monotonic clock."""

    #: Whose actions.
    alarm_ids: frozenset[str]
    #: Of which direction; of any if it is empty.
    direction: str = ""
    #: When it was asked for, and when that was answered.
    asked_s: float
    start_s: float
    #: When its end was asked for, and when that was answered.
    stop_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that is known of a case when it is over."""

    #: Those to be judged; others may be known.
    watches: Sequence[Watch]
    #: By the resource.
    samples: Mapping[str, Sequence[Sample]]
    faults: Sequence[Fault]
    #: Webhooks that took effect, and those that did not, in the order of arrival.
    entries: Sequence[Entry]
    refused: Sequence[Entry]
    #: The states that each alarm's history tells of, by its id.
    histories: Mapping[str, Sequence[str]]
    #: When each alarm entered these states, on the monotonic clock; empty where somebody sets the wall's.
    entered_s: Mapping[str, Sequence[float]] = field(default_factory=dict)
    #: The state that each alarm says it is in.
    states: Mapping[str, str]
    #: What `/v3/deliveries` says, without the pending.
    deliveries: Sequence[Mapping[str, Any]]
    #: How deliveries may end, beside being delivered, and with which error (a regular expression).
    ends: Mapping[str, str] = field(default_factory=dict)
    #: What somebody has wanted to be kept back.
    hushes: Sequence[Hush] = ()
    #: What the wall's clock said at zero of the monotonic one; None where somebody sets it.
    epoch_s: float | None = None
    #: Alarms that there are, too, and that nothing is said about.
    others: frozenset[str] = frozenset()
    #: Alarms on what alarmd polls by itself: what they should have gone through is not known here.
    polled: frozenset[str] = frozenset()
    lateness_s: float = 10.0
    #: Whether every change of a load was kept until it was told of.
    exact: bool = True
    end_s: float


@dataclass(slots=True, kw_only=True)
class Findings:
    """What a case has shown."""

    transitions: int = 0
    #: Transitions that there are not, and webhooks of others that never came.
    lost: int = 0
    #: Effects beyond those owed at a receiver that drops repeated ids.
    doubled: int = 0
    worst_lateness_s: float = 0.0
    #: What is wrong, a sentence each.
    complaints: list[str] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        """Take in what something else has shown."""
        self.transitions += other.transitions
        self.lost += other.lost
        self.doubled += other.doubled
        self.worst_lateness_s = max(self.worst_lateness_s, other.worst_lateness_s)
        self.complaints += other.complaints
