# SPDX-License-Identifier: Apache-2.0
"""The three `gnocchi_*` families: values as Gnocchi aggregates them, held against a threshold."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from alarmd.complaints import in_words
from alarmd.evaluators.rule_body import KeptFamily, LongText, Name, Number, RuleBody, Whole
from alarmd.model.rule import Comparison

#: What Gnocchi 4 lists as its `aggregation_methods`, each also of the differences between points (``rate:``).
_PLAIN_METHODS = ("count", "first", "last", "max", "mean", "median", "min", "std", "sum")
_METHODS = frozenset(
    prefix + method
    for prefix in ("", "rate:")
    for method in (*_PLAIN_METHODS, *(f"{percent}pct" for percent in range(1, 100)))
)


def _known_method(value: str) -> str:
    if value not in _METHODS:
        raise in_words(
            f"aggregation_method should be in [{', '.join(_PLAIN_METHODS)}, 1pct … 99pct, rate:count … rate:99pct] "
            f"not {value}"
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


class _Judgement(RuleBody):
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
class GnocchiResourcesRuleBody(_Judgement, _OneResource):
    """A `gnocchi_resources_threshold_rule`: one metric of one resource."""


class GnocchiMetricsRuleBody(_Judgement, _NamedMetrics):
    """A `gnocchi_aggregation_by_metrics_threshold_rule`: metrics named by their ids, as one."""


class GnocchiAggregationRuleBody(_Judgement, _FoundResources):
    """A `gnocchi_aggregation_by_resources_threshold_rule`: one metric of all resources that a query finds, as one."""


class GnocchiResources(KeptFamily):
    """Checks `gnocchi_resources_threshold` rules."""

    name = "gnocchi_resources_threshold"
    body = GnocchiResourcesRuleBody
    fits_composite = True


class GnocchiMetrics(KeptFamily):
    """Checks `gnocchi_aggregation_by_metrics_threshold` rules."""

    name = "gnocchi_aggregation_by_metrics_threshold"
    body = GnocchiMetricsRuleBody
    fits_composite = True


class GnocchiAggregation(KeptFamily):
    """Checks `gnocchi_aggregation_by_resources_threshold` rules."""

    name = "gnocchi_aggregation_by_resources_threshold"
    body = GnocchiAggregationRuleBody
    fits_composite = True
