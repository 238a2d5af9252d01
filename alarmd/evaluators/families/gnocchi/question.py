# SPDX-License-Identifier: Apache-2.0
"""Rules of the gnocchi types where a Gnocchi answers them: what they ask, and what its answer means."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Any, Final, TypeAlias

from alarmd.evaluators.asking.asking import Answer, Finding, WayOut
from alarmd.evaluators.families.gnocchi.reading import base_of, grows, is_rate
from alarmd.evaluators.verdicts.judgement import judge, next_state, what_would_flip
from alarmd.model.alarm import State
from alarmd.model.rule import Judgement, MissingData
from alarmd.model.verdict import Outcome

SERVER: Final = "gnocchi"

#: How long Gnocchi may have measures before they show, seconds: as gnocchi-metricd ships, it looks so often.
_PROCESSING_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OneMetric:
    """Asks for what is kept of one metric."""

    resource_id: str
    metric: str
    method: str

    def absences(self) -> "Absences":
        """Return what Aodh says when it is not there."""
        return Absences(
            metric=f"metric {self.metric} for resource {self.resource_id} does not exists",
            resource=f"resource {self.resource_id} does not exists",
            method=f"aggregation {self.method} does not exist for metric {self.metric} of resource {self.resource_id}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedMetrics:
    """Asks for what is made of metrics named by their ids."""

    metrics: tuple[str, ...]
    method: str
    #: JSON.
    operations: str

    def absences(self) -> "Absences":
        """Return what Aodh says when one of them is not there."""
        named = list(self.metrics)
        return Absences(
            metric=f"At least of metrics in {named} does not exist",
            resource="",
            method=f"aggregation {self.method} does not exist for at least one metrics in {named}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMetrics:
    """Asks for what is made of the metrics of the resources that a query finds."""

    metric: str
    method: str
    resource_type: str
    #: JSON, both.
    operations: str
    search: str

    def absences(self) -> "Absences":
        """Return what Aodh says when there are none."""
        return Absences(
            metric=f"metric {self.metric} does not exists",
            resource="",
            method=f"aggregation {self.method} does not exist for at least one metric of the query",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Absences:
    """Aodh's words for what Gnocchi does not have."""

    metric: str
    resource: str
    method: str


Wanted: TypeAlias = OneMetric | NamedMetrics | FoundMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class GnocchiQuestion:
    """Values of the last periods, as Aodh asks for them."""

    wanted: Wanted
    granularity_s: int
    #: The newest value may be of the period that has just begun, so one more than these is asked for.
    periods: int
    #: The project to which the answer is confined; None: what is read is not restricted.
    project_id: str | None

    @property
    def server(self) -> str:
        """Who can answer."""
        return SERVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What Gnocchi answered."""

    #: Starts of buckets, seconds since the epoch, and their values; in order.
    buckets: tuple[tuple[float, float | None], ...] = ()
    #: Why there are none, in Aodh's words, where Gnocchi said why.
    absence: str = ""
    #: What went wrong, where that is taken for an answer (strict).
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GnocchiFinding(Finding):
    """What a rule says of Gnocchi's answer."""

    #: Why nothing is known, where that has its own words.
    because: str = ""

    def words(self, previous: State, current: State) -> tuple[str, dict[str, Any]]:
        """Return Aodh's reason text and reason data."""
        # Not `super()`: a dataclass with slots is another class than the one whose body this stands in.
        reason, data = Finding.words(self, previous, current)
        if self.because and self.outcome is Outcome.UNKNOWN and previous is not current:
            return self.because, data
        return reason, data


@dataclass(frozen=True, slots=True, kw_only=True)
class GnocchiRule:
    """An `AskedRule`: values that Gnocchi tells, and how they are judged."""

    question: GnocchiQuestion
    judgement: Judgement
    #: Whether a period counts only once it is over.
    complete_only: bool
    #: How long a period's values may take to arrive before the period is empty.
    lateness_s: float

    def judge(self, answer: Answer, *, state: State) -> Finding:
        """Return what Gnocchi's answer means for an alarm in a state."""
        measures: Measures = answer.values
        wanted = self.judgement.evaluation_periods
        if measures.failure:
            return GnocchiFinding(
                outcome=Outcome.UNKNOWN, wanted=wanted, because=measures.failure, evidence={"error": measures.failure}
            )
        now_s = answer.at.timestamp()
        starts, values = self._judged(measures, now_s=now_s)
        judged = judge(values, self.judgement, state=state)
        is_empty = all(value is None for value in values)
        none = measures.absence or f"No datapoint for granularity {self.question.granularity_s}"
        return GnocchiFinding(
            outcome=judged.outcome,
            outside=judged.outside,
            wanted=wanted,
            latest=judged.latest,
            evidence={"values": list(values)},
            gap=self._gap(starts, values, now_s=now_s),
            because=none if is_empty else "",
        )

    def ways_out(self, answer: Answer, *, state: State) -> Sequence[WayOut]:
        """Return which further values would change the state, and that too few would."""
        measures: Measures = answer.values
        judgement = self.judgement
        values = () if measures.failure else self._judged(measures, now_s=answer.at.timestamp())[1]
        ways = [
            WayOut(becomes=flip.becomes, needs=flip.needs) for flip in what_would_flip(values, judgement, state=state)
        ]
        after = next_state(state, judge(values, judgement, state=state).outcome)
        if judgement.missing is MissingData.MISSING and after is not State.INSUFFICIENT_DATA:
            wanted = judgement.evaluation_periods
            needs = "no value any more" if wanted == 1 else f"fewer than {wanted} values"
            ways.append(WayOut(becomes=State.INSUFFICIENT_DATA, needs=needs))
        return ways

    def _gap(self, starts: Sequence[float], values: Sequence[float | None], *, now_s: float) -> str:
        """Return in words why these periods are no evidence for scaling in; empty where they are.

        With a measure a period, the newest bucket that is known may have ended a period ago, and until the next measure
        has been processed. Whatever is older has been waited for in vain.
        """
        granularity_s, reach = self.question.granularity_s, self.judgement.reach_periods
        known = [start_s for start_s, value in zip(starts, values, strict=True) if value is not None]
        # Where periods without data are passed over, older ones stand in for them.
        there = sum(start_s > starts[0] - reach * granularity_s for start_s in known)
        if there < reach:
            some = "period" if reach == 1 else "periods"
            return f"Gnocchi has values of {there} of the {reach} {some} that are judged"
        age_s = now_s - starts[0] - granularity_s
        most_s = granularity_s + self.lateness_s + _PROCESSING_S
        if age_s <= most_s:
            return ""
        return (
            f"the newest period that Gnocchi has values of ended {age_s:.0f} s ago, and {most_s:g} s is the most (the "
            f"granularity, window.lateness_s, and {_PROCESSING_S:g} s for Gnocchi to process what it was sent)"
        )

    def _judged(self, measures: Measures, *, now_s: float) -> tuple[Sequence[float], Sequence[float | None]]:
        """Return the starts and the values of the periods that are judged, newest first."""
        granularity_s, reach = self.question.granularity_s, self.judgement.reach_periods
        known = {
            start_s: value
            for start_s, value in measures.buckets
            if value is not None and (not self.complete_only or start_s + granularity_s <= now_s)
        }
        newest_first = sorted(known, reverse=True)
        if self.judgement.missing is MissingData.MISSING:
            return newest_first[:reach], [known[start_s] for start_s in newest_first[:reach]]
        # Periods stand at their place in time. The newest is one that has values, or one that should have had them.
        due_s = (floor((now_s - self.lateness_s) / granularity_s) - 1) * granularity_s
        newest_s = max(newest_first[0], due_s) if newest_first else due_s
        starts = [newest_s - ago * granularity_s for ago in range(reach)]
        return starts, [known.get(start_s) for start_s in starts]


def rule_of(
    wanted: Wanted,
    judgement: Judgement,
    *,
    over_members: str | None = None,
    granularity_s: int,
    lateness_s: float,
    strict: bool,
    project_id: str | None,
) -> GnocchiRule:
    """Return the rule that asks for values and judges them so."""
    complete_only = not strict and grows(wanted.method, over_members)
    # A period that does not count yet, and one for the change to the first that does.
    spare = 0 if strict else complete_only + is_rate(wanted.method)
    question = GnocchiQuestion(
        wanted=wanted, granularity_s=granularity_s, periods=judgement.reach_periods + spare, project_id=project_id
    )
    return GnocchiRule(question=question, judgement=judgement, complete_only=complete_only, lateness_s=lateness_s)


def named_metrics(
    metrics: Sequence[str], method: str, over_members: str | None = None, *, strict: bool
) -> NamedMetrics:
    """Return the question for metrics named by their ids; what their values become may have a name of its own."""
    nodes: list[Any] = [[metric, _of_each(method, over_members)] for metric in metrics]
    if strict:
        # A node for each, as Aodh asks; Gnocchi refuses more than one.
        operations = ["aggregate", method, *(["metric", *node] for node in nodes)]
    else:
        operations = _across(over_members or method, ["metric", *(nodes[0] if len(nodes) == 1 else nodes)])
    return NamedMetrics(metrics=tuple(metrics), method=method, operations=json.dumps(operations))


def found_metrics(
    metric: str,
    method: str,
    over_members: str | None = None,
    *,
    resource_type: str,
    query: Mapping[str, Any],
    strict: bool,
) -> FoundMetrics:
    """Return the question for a metric of all resources that a query finds; see `named_metrics`."""
    node = ["metric", metric, _of_each(method, over_members)]
    return FoundMetrics(
        metric=metric,
        method=method,
        resource_type=resource_type,
        operations=json.dumps(["aggregate", method, node] if strict else _across(over_members or method, node)),
        search=json.dumps(query, sort_keys=True),
    )


def _of_each(method: str, over_members: str | None) -> str:
    """Return what is asked for of each metric: what Gnocchi keeps of it, also of its differences."""
    return base_of(method) if over_members is None else method


def _across(method: str, node: Any) -> Any:
    """Return the operation that makes one value of several members' as the method's name says."""
    if is_rate(method):
        # Of each member; so whoever joins or leaves changes nothing.
        node = ["rateofchange", node]
    if base_of(method) == "count":
        # Gnocchi 4.7 fails at its own `count`, which gives whole numbers.
        return ["aggregate", "sum", ["*", 1.0, ["=", node, node]]]
    return ["aggregate", base_of(method), node]
