# SPDX-License-Identifier: Apache-2.0
"""The seam to other people's servers: rules whose values are known elsewhere (Prometheus, Gnocchi, Octavia).

A rule holds a question. Equal questions are asked once, however many alarms hold them; all are asked side by side on
an interval of their own, away from the tick. What came back last is judged by the tick like any other values. An error
is no answer: it is told to people, and says nothing of the alarm.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from alarmd.errors import AlarmdError
from alarmd.evaluators.verdicts.wording import reason_of
from alarmd.model.alarm import State
from alarmd.model.verdict import Outcome


class NoAnswer(AlarmdError):
    """A server did not answer, or not with anything that could be used."""


class Refused(NoAnswer):
    """A server answered that it will not answer this question. Others it may answer well."""


class Question(Hashable, Protocol):
    """What is asked. Equal questions are one."""

    @property
    def server(self) -> str:
        """The name of the server that can answer, e.g. ``prometheus``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said; what its values are is between its server and the rules that ask it."""

    #: When it was asked.
    at: datetime
    values: Any


class Server(Protocol):
    """Somebody who answers questions. Safe to use from several threads."""

    #: How often the same question is asked, seconds.
    interval_s: float
    #: How many questions may be under way together.
    concurrency: int
    #: How long an answer may take, seconds.
    timeout_s: float

    def ask(self, question: Any, *, now: datetime) -> Answer:
        """Ask and wait, for a bounded time. Raises `NoAnswer` with the reason."""

    def close(self) -> None:
        """Let go of connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule says of an answer."""

    outcome: Outcome
    #: How many of how many values are outside, and the newest one.
    outside: int = 0
    wanted: int = 1
    latest: Any = None
    #: What it was found from, for people who ask why; JSON.
    evidence: Mapping[str, Any] = field(default_factory=dict)
    #: Why nothing may scale in on it, in words: what of the judged was not answered, or is too old. Empty: nothing.
    gap: str = ""
    #: How many of how many members, those heard of lately, have reported in all that was judged; 0: none known.
    reported: int = 0
    members: int = 0

    def words(self, previous: State, current: State) -> tuple[str, dict[str, Any]]:
        """Return the reason text and the reason data of a transition, or of a repeat when the state stays."""
        return reason_of(
            previous=previous,
            current=current,
            outcome=self.outcome,
            outside=self.outside,
            wanted=self.wanted,
            latest=self.latest,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WayOut:
    """One way in which a further answer would mean another state."""

    becomes: State
    #: What it would have to say, in words.
    needs: str


class AskedRule(Protocol):
    """A rule whose values another server knows. Hashable."""

    @property
    def question(self) -> Question:
        """What it asks."""

    def judge(self, answer: Answer, *, state: State) -> Finding:
        """Return what an answer means for an alarm in a state. A pure function."""

    def ways_out(self, answer: Answer, *, state: State) -> Sequence[WayOut]:
        """Return what would lead out of the state that follows from an answer. A pure function."""
