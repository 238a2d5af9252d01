# SPDX-License-Identifier: Apache-2.0
"""The rules of the three `gnocchi_*` types on the wire: Aodh's attributes, and after them those that alarmd adds."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from alarmd.complaints import in_words
from alarmd.evaluators.families.gnocchi.reading import PLAIN_METHODS, is_method
from alarmd.evaluators.families.judgement_body import JudgementBody, optional
from alarmd.evaluators.families.measure import OverMembers
from alarmd.evaluators.families.rule_body import LongText, Name, Number, RuleBody, Whole
from alarmd.model.rule import Comparison


def _known_method(value: str) -> str:
    if not is_method(value):
        raise in_words(
            f"aggregation_method should be in [{', '.join(PLAIN_METHODS)}, 1pct … 99pct, rate:count … rate:99pct, "
            f"stddev, p0 … p100, rate, delta] not {value}"
        )
    return value


def _search(value: str) -> str:
    """Demand that a query decodes to an object, and leave the text as it is."""
    try:
        query = json.loads(value, parse_constant=_refuse_constant)
    except ValueError as error:
        raise PydanticCustomError("query", "Value should be JSON as text: {why}", {"why": str(error)}) from error
    except RecursionError as error:
        raise PydanticCustomError("query", "Value should be JSON that is nested less deeply") from error
    if not isinstance(query, dict):
        raise PydanticCustomError("query", "Value should be a JSON object as text")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")


class _Judged(RuleBody):
    """What the three have in common."""

    aggregation_method: Annotated[Name, AfterValidator(_known_method)]
    #: Seconds.
    granularity: Whole = Field(default=60, ge=1, le=31_536_000)
    evaluation_periods: Whole = Field(default=1, ge=1, le=100)
    comparison_operator: Comparison = Comparison.EQ
    threshold: Number


class _OneResource(RuleBody):
    metric: Name
    resource_id: Name
    resource_type: Name


class _NamedMetrics(RuleBody):
    metrics: list[Name] = Field(max_length=1_000)


class _FoundResources(RuleBody):
    metric: Name
    resource_type: Name
    #: JSON as text, kept as it was sent: what confines it to a project stands beside the rule.
    query: Annotated[LongText, AfterValidator(_search)]


# Pydantic takes the fields of the last base first: what is read stands before how it is judged.
class GnocchiBody(JudgementBody, _Judged):
    """What is not about where the values come from."""

    @property
    def over_members(self) -> str | None:
        """What the values of several members become, where that has a name of its own."""
        return None


class _SeveralBody(GnocchiBody):
    group_statistic: OverMembers | None = optional(
        "each member becomes one value by aggregation_method, and those become one by this; without it "
        "aggregation_method says both"
    )

    @property
    def over_members(self) -> str | None:
        """What it says."""
        return self.group_statistic


class GnocchiResourcesRuleBody(GnocchiBody, _OneResource):
    """A `gnocchi_resources_threshold_rule`: one metric of one resource."""


class GnocchiMetricsRuleBody(_SeveralBody, _NamedMetrics):
    """A `gnocchi_aggregation_by_metrics_threshold_rule`: metrics named one by one, as one."""


class GnocchiAggregationRuleBody(_SeveralBody, _FoundResources):
    """A `gnocchi_aggregation_by_resources_threshold_rule`: one metric of all resources that a query finds, as one."""
