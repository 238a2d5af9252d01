# SPDX-License-Identifier: Apache-2.0
"""The `prometheus` family: what a PromQL query answers, held against a threshold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from alarmd.complaints import in_words
from alarmd.evaluators.asking.asking import Answer, Finding, WayOut
from alarmd.evaluators.families.prometheus.promql import scoped
from alarmd.evaluators.families.prometheus.server import SERVER, PromQuery, Series, SeriesAnswered, shown
from alarmd.evaluators.families.rule_body import KeptFamily, LongText, Number, RuleBody, read_rule, whole_number
from alarmd.evaluators.family import FindFamily, RuleLimits
from alarmd.evaluators.verdicts.comparing import COMPARE, OPPOSITE, condition_in_words
from alarmd.evaluators.verdicts.judgement import next_state
from alarmd.model.alarm import State
from alarmd.model.rule import Comparison
from alarmd.model.verdict import Outcome


class WhichSeries(StrEnum):
    """How many series of an answer have to be outside."""

    ALL = "all"
    ANY = "any"


class PrometheusRuleBody(RuleBody):
    """A `prometheus_rule` on the wire. What Aodh does not know is kept and shown only where a client gave it."""

    query: LongText
    comparison_operator: Comparison = Comparison.EQ
    threshold: Number
    # What is checked stands before how it is read, so that those who describe the API see it.
    evaluation_periods: Annotated[int, Field(ge=1, le=100), BeforeValidator(whole_number)] | None = Field(
        default=None, description="how many of the last values of each series count; without it, the one there is now"
    )
    granularity: Annotated[int, Field(ge=1, le=31_536_000), BeforeValidator(whole_number)] | None = Field(
        default=None, description="seconds between these values"
    )
    series: WhichSeries | None = Field(
        default=None,
        description="all (the default): every value must be outside; any: all of one series are enough",
    )

    @model_validator(mode="after")
    def _periods_have_a_length(self) -> Self:
        if (self.evaluation_periods is None) is not (self.granularity is None):
            raise in_words("evaluation_periods and granularity of a prometheus rule go together: give both, or neither")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusFinding(Finding):
    """A finding, in Aodh's words for this type: they differ where nothing was found."""

    def words(self, previous: State, current: State) -> tuple[str, dict[str, Any]]:
        # Not `super()`: a class with slots is made twice, and it would name the first.
        reason, data = Finding.words(self, previous, current)
        if data["disposition"] == "unknown":
            return "datapoints are unknown", data
        return reason, data


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusRule:
    """What is evaluated: the series of an answer, each of them at one or more moments."""

    question: PromQuery
    comparison: Comparison
    threshold: float
    which: WhichSeries

    def judge(self, answer: Answer, *, state: State) -> Finding:
        """Return what the series mean. Those that are too short yet do not count, as if they were not there."""
        del state  # the same values mean the same in every state
        answered: SeriesAnswered = answer.values
        series = self._long_enough(answered)
        outcome = self._outcome(self._sides(series))
        if not series:
            return PrometheusFinding(outcome=outcome, wanted=0, evidence=answered.evidence)
        values = self._outside_of_each(series) if self.which is WhichSeries.ANY else self._outside_of_all(series)
        latest, _ = values[-1]
        if self.which is WhichSeries.ANY and outcome is Outcome.ALL_OUTSIDE:
            # The newest of those that are the reason, not of those that happen to stand last.
            latest = [value for value, is_outside in values if is_outside][-1]
        return PrometheusFinding(
            outcome=outcome,
            outside=sum(is_outside for _, is_outside in values),
            wanted=len(values),
            latest=shown(latest),
            evidence=answered.evidence,
            gap=answered.gap,
            reported=len(series),
            # Those of this answer that are too short are not all there is: others may be gone.
            members=max(answered.members, len(series)),
        )

    def ways_out(self, answer: Answer, *, state: State) -> Sequence[WayOut]:
        """Return how many further values of which series would change the state, and that none would."""
        points = self.question.points
        sides = self._sides(self._long_enough(answer.values))
        after = next_state(state, self._outcome(sides))
        ways = []
        for side in (True, False):
            for further in range(1, points + 1):
                # Where there is no series, one would have to come.
                courses = [[*one[further:], *[side] * further] for one in sides] or [[side] * points]
                becomes = next_state(after, self._outcome(courses))
                if becomes is not after:
                    ways.append(WayOut(becomes=becomes, needs=self._needs(sides, side=side, further=further)))
                    break
        if sides:
            needs = "no series" if points == 1 else f"no series with {points} values"
            ways.append(WayOut(becomes=State.INSUFFICIENT_DATA, needs=needs))
        return ways

    def _needs(self, sides: Sequence[Sequence[bool]], *, side: bool, further: int) -> str:
        """Return in words what it takes that so many further values are on a side."""
        bound = condition_in_words(self.comparison if side else OPPOSITE[self.comparison], self.threshold)
        points, count = self.question.points, len(sides)
        if not sides:
            return f"a series {bound}" if points == 1 else f"a series with {points} values {bound}"
        which = "any series" if side and self.which is WhichSeries.ANY else "every series"
        if points > 1:
            more = "1 more value" if further == 1 else f"{further} more values"
            return f"{more} {bound}" if count == 1 else f"{more} of {which} {bound}"
        now = sum(one[-1] is side for one in sides)
        return f"a value {bound}" if count == 1 else f"{which} {bound} (now {now} of {count})"

    def _long_enough(self, answered: SeriesAnswered) -> list[Series]:
        return [one for one in answered.series if len(one.values) >= self.question.points]

    def _sides(self, series: Sequence[Series]) -> list[list[bool]]:
        """Return of each series which of its values are outside, oldest first."""
        return [[self._is_outside(value) for value in one.values] for one in series]

    def _outcome(self, sides: Sequence[Sequence[bool]]) -> Outcome:
        if not sides:
            return Outcome.UNKNOWN
        if self.which is WhichSeries.ANY:
            return Outcome.ALL_OUTSIDE if any(map(all, sides)) else Outcome.NONE_OUTSIDE
        every = [side for one in sides for side in one]
        return _outcome_of(sum(every), len(every), is_latest_outside=every[-1])

    def _outside_of_all(self, series: list[Series]) -> list[tuple[float, bool]]:
        """Return each value there is, and whether it is outside."""
        return [(value, self._is_outside(value)) for one in series for value in one.values]

    def _outside_of_each(self, series: list[Series]) -> list[tuple[float, bool]]:
        """Return the newest value of each series, and whether all of its values are outside."""
        return [(one.values[-1], all(map(self._is_outside, one.values))) for one in series]

    def _is_outside(self, value: float) -> bool:
        return bool(COMPARE[self.comparison](value, self.threshold))


class PrometheusFamily(KeptFamily):
    """Checks and compiles `prometheus` rules."""

    name = "prometheus"
    body = PrometheusRuleBody
    fits_composite = True

    def __init__(self, limits: RuleLimits, find: FindFamily) -> None:
        super().__init__(limits, find)
        self._check = limits.check_promql
        self._label = limits.prometheus_project_label
        self.is_evaluated = self.is_ticked = SERVER in limits.servers
        self.needs = "" if self.is_evaluated else f"{SERVER}.url"

    def normalise(self, rule: Mapping[str, Any], *, project_id: str, confined: bool = True) -> dict[str, Any]:
        body = read_rule(PrometheusRuleBody, rule, type_=self.name)
        if self._check is not None:
            self._check(body.query)
        if self.is_evaluated:
            self._compile(body, project_id, confined=confined)
        return body.model_dump(mode="json", exclude_none=True)

    def parse(self, rule: Mapping[str, Any], *, project_id: str, confined: bool = True) -> PrometheusRule:
        return self._compile(read_rule(PrometheusRuleBody, rule, type_=self.name), project_id, confined=confined)

    def _compile(self, body: PrometheusRuleBody, project_id: str, *, confined: bool) -> PrometheusRule:
        query = scoped(body.query, label=self._label, value=project_id) if confined else body.query
        return PrometheusRule(
            question=PromQuery(query=query, granularity_s=body.granularity, points=body.evaluation_periods or 1),
            comparison=body.comparison_operator,
            threshold=body.threshold,
            which=body.series or WhichSeries.ALL,
        )


def _outcome_of(outside: int, wanted: int, *, is_latest_outside: bool) -> Outcome:
    if outside == wanted:
        return Outcome.ALL_OUTSIDE
    if not outside:
        return Outcome.NONE_OUTSIDE
    return Outcome.MIXED_LATEST_OUTSIDE if is_latest_outside else Outcome.MIXED_LATEST_INSIDE


PLUGIN = PrometheusFamily
