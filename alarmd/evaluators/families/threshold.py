# SPDX-License-Identifier: Apache-2.0
"""The `threshold` family: a statistic over the last periods of the cache's samples, held against a threshold.

Attributes are those of Aodh's legacy `threshold_rule`, and after them those that alarmd adds.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from alarmd.complaints import invalid
from alarmd.errors import InvalidInput
from alarmd.evaluators.families.judgement_body import MAX_PERIODS, JudgementBody, check_reach, optional
from alarmd.evaluators.families.measure import CHANGES, OverMembers, OverTime, measure_of
from alarmd.evaluators.families.rule_body import MAX_CONDITIONS, Number, RuleBody, Whole, read_rule
from alarmd.evaluators.family import FindFamily, RuleLimits
from alarmd.evaluators.kernel.look_back import look_back_periods
from alarmd.model.rule import Comparison, Differences, Measure, Reading, Selector, Statistic, WindowRule
from alarmd.model.samples import labels_of

#: Query fields and the resource attributes they mean; ``labels.<name>`` and ``metadata.…<name>`` mean labels.
_FIELDS = {
    "resource_id": "resource_id",
    "resource": "resource_id",
    "project_id": "project_id",
    "project": "project_id",
    "user_id": "user_id",
    "user": "user_id",
}
#: Tried in this order; the longer spellings are those of Ceilometer's metadata.
_LABEL_PREFIXES = ("metadata.user_metadata.", "metadata.metering.", "metadata.", "labels.")


class QueryTerm(RuleBody):
    """One condition on the resources whose samples count; all must hold."""

    field: str
    op: Literal["eq"] = "eq"
    value: Annotated[str, BeforeValidator(lambda value: value if isinstance(value, bool | list | dict) else str(value))]
    type: Literal["string", "integer", "float", "boolean", ""] | None = Field(default=None, exclude=True)


class _LegacyRuleBody(RuleBody):
    """Aodh's attributes, all of which are always shown."""

    meter_name: str = Field(min_length=1, max_length=255)
    query: list[QueryTerm] = Field(default=[], max_length=MAX_CONDITIONS)
    statistic: OverTime = "avg"
    period: Whole = Field(default=60, ge=1, description="seconds")
    evaluation_periods: Whole = Field(default=1, ge=1, le=MAX_PERIODS)
    comparison_operator: Comparison = Comparison.EQ
    threshold: Number
    exclude_outliers: bool = False


class _GroupBody(RuleBody):
    group_statistic: OverMembers | None = optional(
        "what the values of the members become; without it the samples of all members are taken together"
    )


# Pydantic takes the fields of the last base first.
class ThresholdRuleBody(JudgementBody, _GroupBody, _LegacyRuleBody):
    """A `threshold_rule` on the wire."""


class ThresholdFamily:
    """Checks, words and compiles `threshold` rules."""

    name = "threshold"
    body = ThresholdRuleBody
    is_evaluated = True
    is_ticked = True
    needs = ""
    fits_composite = True

    def __init__(self, limits: RuleLimits, find: FindFamily) -> None:
        del find  # these rules hold no others
        self._limits = limits

    def normalise(self, rule: Mapping[str, Any], *, project_id: str, confined: bool = True) -> dict[str, Any]:
        del confined  # the selector names the project anyway
        body = read_rule(ThresholdRuleBody, rule, type_=self.name)
        parsed = _compile(body, project_id)
        look_back = look_back_periods(parsed, lateness_s=self._limits.lateness_s)
        check_reach(parsed.judgement, self._limits, look_back=look_back, period_s=body.period, remedy=_remedy(body))
        return body.model_dump(mode="json")

    def describe(self, rule: Mapping[str, Any]) -> str:
        return (
            f"Alarm when {rule['meter_name']} is {rule['comparison_operator']} a {_statistic_in_words(rule)} of "
            f"{rule['threshold']:g} over {rule['period']} seconds"
        )

    def reads_project(self, rule: Mapping[str, Any], *, project_id: str) -> str:
        named = [term["value"] for term in rule["query"] if _FIELDS.get(term["field"]) == "project_id"]
        return named[-1] if named else project_id

    def parse(self, rule: Mapping[str, Any], *, project_id: str, confined: bool = True) -> WindowRule:
        del confined  # the selector names the project anyway
        return _compile(read_rule(ThresholdRuleBody, rule, type_=self.name), project_id)


def _compile(body: ThresholdRuleBody, project_id: str) -> WindowRule:
    attributes: dict[str, Any] = {}
    labels: dict[str, str] = {}
    for term in body.query:
        label = next((term.field.removeprefix(p) for p in _LABEL_PREFIXES if term.field.startswith(p)), None)
        into, key = (labels, label) if label else (attributes, _FIELDS.get(term.field, ""))
        if not key:
            known = ", ".join(sorted(_FIELDS))
            raise invalid("query", term.field, f"Value should be one of: {known}, labels.<name>, metadata.<name>")
        if into.get(key, term.value) != term.value:
            raise InvalidInput(f"Two conditions of the query ask {term.field} to be different things; none can match.")
        into[key] = term.value
    attributes.setdefault("project_id", project_id)
    selector = Selector(metric=body.meter_name, labels=labels_of(labels.items()), **attributes)
    return WindowRule(
        reading=_reading(body, selector),
        judgement=body.judgement(
            comparison=body.comparison_operator,
            threshold=body.threshold,
            evaluation_periods=body.evaluation_periods,
            period_s=body.period,
        ),
    )


def _reading(body: ThresholdRuleBody, selector: Selector) -> Reading:
    over_members = None if body.group_statistic is None else measure_of(body.group_statistic)
    over_time: Measure
    differences, scale = Differences.NONE, 1.0
    if body.statistic in CHANGES:
        # A change belongs to one member: those of several are never taken together by themselves.
        over_time = Statistic.RATE
        # What a period grew by, from how fast it grew while it was seen: a period that has only begun to fill, or one
        # after a gap, is not taken for little or for much.
        scale = body.period if body.statistic == "delta" else 1.0
        over_members = over_members or Statistic.AVG
        differences = Differences.RESET_SAFE
    else:
        over_time = measure_of(body.statistic)
    return Reading(
        selector=selector,
        period_s=body.period,
        over_time=over_time,
        over_members=over_members,
        differences=differences,
        scale=scale,
        exclude_outliers=body.exclude_outliers,
        minimum_coverage=body.coverage,
    )


def _remedy(body: ThresholdRuleBody) -> str:
    """Return what somebody can change who has a rule that looks back too far."""
    longer = {"hold_for": body.hold_for, "keep_for": body.keep_for}
    named = " or ".join(name for name, seconds in longer.items() if seconds)
    return f"Use shorter or fewer periods, or a shorter {named}" if named else "Use shorter or fewer periods"


def _statistic_in_words(rule: Mapping[str, Any]) -> str:
    over_members = rule.get("group_statistic")
    return f"{over_members} over members of the {rule['statistic']}" if over_members else str(rule["statistic"])


PLUGIN = ThresholdFamily
