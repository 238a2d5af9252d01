# SPDX-License-Identifier: Apache-2.0
"""Explanations as they are told: what they hold, and the one sentence that says it all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alarmd.evaluators.answers.explained import ExplainedLeaf
from alarmd.model.alarm import Alarm, State
from alarmd.model.silence import Silence
from alarmd.store.disabled import DisabledAction


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One way in which the state would change."""

    to: State
    when: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the rule says just now."""

    state: State
    reason: str
    reason_data: Mapping[str, Any]
    #: Where it would go if it did not wait for something, and what for; or that it stays, and repeats nothing.
    wants: State | None = None
    waits_for: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Whether time constraints let an alarm be evaluated, and when that changes."""

    is_open: bool
    #: None when that is more than a year away.
    changes_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastTransition:
    """The newest change of state that is recorded."""

    at: datetime
    #: None when nothing older is recorded.
    previous: str | None
    current: str
    reason: str
    #: What it was found from; None when nobody evaluated it, as when it was set by hand.
    evidence: Mapping[str, Any] | None
    #: The silence that kept its actions back; empty when none did.
    silenced_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """A silence that is in force for an alarm."""

    silence: Silence
    #: The states whose actions it keeps back.
    states: tuple[State, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disabled:
    """An action that is not taken any more, since its receiver is gone."""

    action: DisabledAction
    #: The states that it is for.
    states: tuple[State, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why an alarm is in its state."""

    at: datetime
    #: The rule in words.
    rule: str
    #: The whole in one sentence.
    sentence: str
    #: None for alarms that are not evaluated from samples or answers.
    verdict: Verdict | None
    #: How the rules of a composite are combined, empty otherwise.
    form: str
    leaves: tuple[ExplainedLeaf, ...]
    changes: tuple[Change, ...]
    #: None without time constraints.
    hours: Hours | None
    last: LastTransition | None
    #: Why its actions are not taken just now.
    silences: tuple[Quiet, ...]
    disabled: tuple[Disabled, ...]
    notes: tuple[str, ...]


def sentence_of(alarm: Alarm, verdict: Verdict | None, changes: Sequence[Change], hours: Hours | None) -> str:
    """Return in one sentence why an alarm is in its state and what would change that."""
    parts = [f"It is in {alarm.state} since {_words(alarm.state_timestamp)} because {_because(alarm.state_reason)}"]
    if not alarm.enabled:
        parts.append("it is disabled, so nothing changes")
    elif hours is not None and not hours.is_open:
        until = f" before {_words(hours.changes_at)}" if hours.changes_at else ""
        parts.append(f"its time constraints are closed, so nothing changes{until}")
    else:
        parts += _outlook(alarm, verdict)
        ways: dict[State, list[str]] = {}
        for change in changes:
            ways.setdefault(change.to, []).append(change.when)
        parts += [f"it would go to {to} with {_either(whens)}" for to, whens in ways.items()]
    return "; ".join(parts) + "."


def _outlook(alarm: Alarm, verdict: Verdict | None) -> list[str]:
    if verdict is None:
        return []
    if verdict.wants is alarm.state:
        return [f"it does not repeat its actions: {verdict.waits_for}"]
    if verdict.wants is not None:
        return [f"as things are now it would go to {verdict.wants}, but {verdict.waits_for}"]
    return [] if verdict.state is alarm.state else [f"as things are now it goes to {verdict.state}"]


def _either(whens: Sequence[str]) -> str:
    more = f", or {len(whens) - 2} more ways" if len(whens) > 2 else ""
    return " or ".join(whens[:2]) + more


def _because(reason: str) -> str:
    """Return a stored reason as the end of a sentence: without what the sentence has said."""
    _, is_split, rest = reason.partition(" due to ")
    if is_split and reason.startswith(("Transition to ", "Remaining as ")):
        return rest.rstrip(".")
    return (reason[:1].lower() + reason[1:]).rstrip(".") or "nothing was said"


def _words(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
