# SPDX-License-Identifier: Apache-2.0
"""Servers that rules ask, in the test's own process: each says what it was told to, and remembers what it has said."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from alarmd.evaluators.asking.asking import Answer, NoAnswer
from alarmd.evaluators.families.gnocchi.question import GnocchiQuestion, Measures, NamedMetrics
from alarmd.evaluators.families.loadbalancer.octavia import Pool, PoolQuestion
from alarmd.evaluators.families.prometheus.server import PromQuery, Series, SeriesAnswered
from tests.support.reference_asked import ReferenceAnswer


@dataclass(kw_only=True)
class ToldServer:
    """A `Server`."""

    #: What a question is about.
    topic_of: Callable[[Any], str]
    #: What is answered when this was told, for the product and for the reference.
    answers: Callable[[Any, Any, datetime], tuple[Any, Any]]
    #: By topic, None for an error; of what is not there nothing was told.
    say: dict[str, Any] = field(default_factory=dict)
    said: dict[Any, ReferenceAnswer] = field(default_factory=dict)
    interval_s: float = 3.0
    timeout_s: float = 1.0
    concurrency: int = 2

    def ask(self, question: Any, *, now: datetime) -> Answer:
        """Say it, or fail."""
        told = self.say.get(self.topic_of(question), ())
        if told is None:
            if question in self.said:
                self.said[question] = replace(self.said[question], is_latest=False)
            raise NoAnswer("The server is not there.")
        values, said = self.answers(question, told, now)
        # It may fail to answer twice in between.
        until_s = now.timestamp() + 3 * self.interval_s + self.timeout_s
        self.said[question] = ReferenceAnswer(asked_at_s=now.timestamp(), counts_until_s=until_s, said=said)
        return Answer(at=now, values=values)

    def close(self) -> None:
        """Do nothing."""


def told_servers() -> Mapping[str, ToldServer]:
    """Return one of each kind, told nothing yet."""
    return {
        "prometheus": ToldServer(topic_of=_query, answers=_series),
        "gnocchi": ToldServer(topic_of=_metric, answers=_buckets),
        "octavia": ToldServer(topic_of=_pool, answers=_members),
    }


def _query(question: PromQuery) -> str:
    return question.query[0]


def _series(_question: PromQuery, told: Any, _now: datetime) -> tuple[Any, Any]:
    """Answer the values of series."""
    values = tuple(tuple(one) for one in told)
    return SeriesAnswered(series=tuple(Series(labels={}, values=one) for one in values)), values


def _metric(question: GnocchiQuestion) -> str:
    wanted = question.wanted
    return wanted.metrics[0] if isinstance(wanted, NamedMetrics) else wanted.metric


def _buckets(question: GnocchiQuestion, told: Any, now: datetime) -> tuple[Any, Any]:
    """Answer values of buckets, of which the newest was told first; None is one that is told to have none."""
    newest_s = now.timestamp() // question.granularity_s * question.granularity_s
    buckets = {newest_s - ago * question.granularity_s: value for ago, value in enumerate(told) if value != "nothing"}
    return Measures(buckets=tuple(sorted(buckets.items()))), buckets


def _pool(question: PoolQuestion) -> str:
    return question.pool_id


def _members(_question: PoolQuestion, told: Any, _now: datetime) -> tuple[Any, Any]:
    """Answer whose a pool is, and its members; nothing told: there is no such pool."""
    if not told:
        return None, None
    project_id, members = told
    listed = [
        {"id": str(number), "admin_state_up": is_up, "operating_status": status}
        for number, (is_up, status) in enumerate(members)
    ]
    return Pool(project_id=project_id, members=tuple(listed)), (project_id, listed)
