# SPDX-License-Identifier: Apache-2.0
"""The three `gnocchi_*` families: values as Gnocchi aggregates them, held against a threshold.

They are read from alarmd's own cache, no Gnocchi needed; where one is configured, it is asked.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar

from alarmd.complaints import invalid
from alarmd.evaluators.families.gnocchi.body import (
    GnocchiAggregationRuleBody,
    GnocchiBody,
    GnocchiMetricsRuleBody,
    GnocchiResourcesRuleBody,
)
from alarmd.evaluators.families.gnocchi.query import NoResource, condition_of, named_project
from alarmd.evaluators.families.gnocchi.question import SERVER, OneMetric, Wanted, found_metrics, named_metrics, rule_of
from alarmd.evaluators.families.gnocchi.reading import (
    across_name,
    base_of,
    goes_across,
    is_gnocchis,
    lent_of,
    look_back_of,
    of_one,
    of_several,
)
from alarmd.evaluators.families.judgement_body import check_reach
from alarmd.evaluators.families.rule_body import PlainFamily, read_rule
from alarmd.evaluators.family import FindFamily, RuleLimits, TickedRule
from alarmd.model.rule import Condition, Reading, Selector, WindowRule

_Body = TypeVar("_Body", bound=GnocchiBody)

#: How many ids of metrics are told where they mean nothing.
_SHOWN_IDS = 3


class _GnocchiFamily(PlainFamily, ABC, Generic[_Body]):
    """Checks, words and compiles the rules of one of the types."""

    body: type[_Body]
    is_evaluated = True
    is_ticked = True
    needs = ""
    fits_composite = True

    def __init__(self, limits: RuleLimits, find: FindFamily) -> None:
        del find  # these rules hold no others
        self._limits = limits
        self._strict = limits.gnocchi_is_strict
        self._is_asked = SERVER in limits.servers

    def normalise(self, rule: Mapping[str, Any], *, project_id: str, confined: bool = True) -> dict[str, Any]:
        """Check a rule and return it complete."""
        body = read_rule(self.body, rule, type_=self.name)
        self._check(body)
        compiled = self._compile(body, project_id=project_id, confined=confined)
        if isinstance(compiled, WindowRule):
            check_reach(
                compiled.judgement,
                self._limits,
                look_back=(compiled.look_back_periods or 0) - compiled.reading.lent_periods,
                period_s=body.granularity,
                remedy="Use a smaller granularity or fewer periods",
            )
        return body.model_dump(mode="json")

    def parse(self, rule: Mapping[str, Any], *, project_id: str, confined: bool = True) -> TickedRule:
        """Return what is to be evaluated."""
        body = read_rule(self.body, rule, type_=self.name)
        return self._compile(body, project_id=project_id, confined=confined)

    def _compile(self, body: _Body, *, project_id: str, confined: bool) -> TickedRule:
        judgement = body.judgement(
            comparison=body.comparison_operator,
            threshold=body.threshold,
            evaluation_periods=body.evaluation_periods,
            period_s=body.granularity,
        )
        lateness_s = self._limits.lateness_s
        if self._strict or self._is_asked:
            self._refuse_unknown(body)
        if self._is_asked:
            if body.minimum_coverage is not None:
                raise invalid(
                    "minimum_coverage",
                    body.minimum_coverage,
                    "Gnocchi does not say how many members have reported; leave it out",
                )
            return rule_of(
                self._wanted(body),
                judgement,
                over_members=body.over_members,
                granularity_s=body.granularity,
                lateness_s=lateness_s,
                strict=self._strict,
                project_id=project_id if confined else None,
            )
        reading = self._reading(body, self._selector(body, project_id=project_id, confined=confined))
        look_back = look_back_of(granularity_s=body.granularity, lateness_s=lateness_s, strict=self._strict)
        lent = lent_of(reading, periods=judgement.reach_periods + look_back, window_s=self._limits.window_s)
        return WindowRule(
            reading=replace(reading, lent_periods=lent), judgement=judgement, look_back_periods=look_back + lent
        )

    def _refuse_unknown(self, body: _Body) -> None:
        """Refuse what a Gnocchi that is to be met, or asked, does not know."""
        if not is_gnocchis(body.aggregation_method):
            raise invalid(
                "aggregation_method",
                body.aggregation_method,
                "Gnocchi has no such method, and this site goes by Gnocchi (gnocchi.url or gnocchi.strict); use one of "
                "its own, for a percentile from 1pct to 99pct",
            )
        if body.over_members is None:
            return
        if self._strict:
            raise invalid(
                "group_statistic",
                body.over_members,
                "Aodh has no such attribute, and this site says what Aodh would (gnocchi.strict); leave it out",
            )
        if across_name(body.over_members) is None:
            raise invalid(
                "group_statistic",
                body.over_members,
                "Gnocchi, which is asked here (gnocchi.url), does not make this of several; use one of avg, min, max, "
                "sum, count, stddev and p50",
            )

    def _reading(self, body: _Body, selector: Selector) -> Reading:
        """Return how the values of the series become those of the rule."""
        return of_several(
            selector,
            body.aggregation_method,
            body.over_members,
            granularity_s=body.granularity,
            strict=self._strict,
            coverage=body.coverage,
        )

    def _check(self, body: _Body) -> None:
        """Raise `InvalidInput` for what nobody could evaluate."""

    @abstractmethod
    def _selector(self, body: _Body, *, project_id: str, confined: bool) -> Selector:
        """Return which series of alarmd's own cache are read."""

    @abstractmethod
    def _wanted(self, body: _Body) -> Wanted:
        """Return what is asked of a Gnocchi."""


class GnocchiResources(_GnocchiFamily[GnocchiResourcesRuleBody]):
    """Rules of the type `gnocchi_resources_threshold`."""

    name = "gnocchi_resources_threshold"
    body = GnocchiResourcesRuleBody

    def _reading(self, body: GnocchiResourcesRuleBody, selector: Selector) -> Reading:
        return of_one(
            selector,
            body.aggregation_method,
            granularity_s=body.granularity,
            strict=self._strict,
            coverage=body.coverage,
        )

    def _selector(self, body: GnocchiResourcesRuleBody, *, project_id: str, confined: bool) -> Selector:
        del confined  # one resource belongs to one project
        # As to Gnocchi, the type makes no difference to which resource is meant.
        return Selector(metric=body.metric, project_id=project_id, resource_id=body.resource_id)

    def _wanted(self, body: GnocchiResourcesRuleBody) -> Wanted:
        return OneMetric(resource_id=body.resource_id, metric=body.metric, method=body.aggregation_method)


class GnocchiMetrics(_GnocchiFamily[GnocchiMetricsRuleBody]):
    """Rules of the type `gnocchi_aggregation_by_metrics_threshold`."""

    name = "gnocchi_aggregation_by_metrics_threshold"
    body = GnocchiMetricsRuleBody

    def doubts(self, rule: Mapping[str, Any]) -> tuple[str, ...]:
        """Return that ids which Gnocchi has given mean nothing in alarmd's own cache."""
        ids = [metric for metric in rule["metrics"] if "/" not in metric]
        if self._is_asked or not ids:
            return ()
        more = f" and {len(ids) - _SHOWN_IDS} more" if len(ids) > _SHOWN_IDS else ""
        doubt = (
            f"it names metrics by their ids in Gnocchi ({', '.join(ids[:_SHOWN_IDS])}{more}), which alarmd's own "
            "samples do not have, so nothing is known of it: set gnocchi.url, or name each metric as RESOURCE_ID/METRIC"
        )
        return (doubt,)

    def _selector(self, body: GnocchiMetricsRuleBody, *, project_id: str, confined: bool) -> Selector:
        del confined  # what is named is looked for in the alarm's own project
        named = {(resource_id, metric) for resource_id, slash, metric in map(_rpartition, body.metrics) if slash}
        is_whole = len(named) == len(set(body.metrics))
        # What Gnocchi refuses, Aodh knows nothing of.
        fails = self._strict and (len(body.metrics) != 1 or not _answers(body.aggregation_method))
        if not named or not is_whole or fails:
            return Selector(metric="", project_id=project_id, condition=NoResource())
        return Selector(metric="", project_id=project_id, any_of=tuple(sorted(named)))

    def _wanted(self, body: GnocchiMetricsRuleBody) -> Wanted:
        return named_metrics(body.metrics, body.aggregation_method, across_name(body.over_members), strict=self._strict)


class GnocchiAggregation(_GnocchiFamily[GnocchiAggregationRuleBody]):
    """Rules of the type `gnocchi_aggregation_by_resources_threshold`."""

    name = "gnocchi_aggregation_by_resources_threshold"
    body = GnocchiAggregationRuleBody

    def reads_project(self, rule: Mapping[str, Any], *, project_id: str) -> str:
        """Return the project that the query names, else the alarm's own."""
        return named_project(json.loads(rule["query"])) or project_id

    def _check(self, body: GnocchiAggregationRuleBody) -> None:
        if body.over_members is not None or not is_gnocchis(body.aggregation_method):
            return  # only what is kept of each counts, or it is refused with all that Gnocchi has not
        if (self._strict or self._is_asked) and not goes_across(body.aggregation_method):
            raise invalid(
                "aggregation_method",
                body.aggregation_method,
                "Gnocchi keeps this of one metric, but does not make it of several; use one of mean, median, std, min, "
                "max and sum, or rate: and one of these",
            )

    def _selector(self, body: GnocchiAggregationRuleBody, *, project_id: str, confined: bool) -> Selector:
        query = json.loads(body.query)
        condition: Condition = condition_of(query, resource_type=body.resource_type)
        if self._strict and not _answers(body.aggregation_method):
            condition = NoResource()
        named = None if confined else named_project(query)
        return Selector(
            metric=body.metric,
            is_pattern=any(wildcard in body.metric for wildcard in "*?["),
            project_id=named or project_id,
            condition=condition,
        )

    def _wanted(self, body: GnocchiAggregationRuleBody) -> Wanted:
        query = json.loads(body.query)
        condition_of(query, resource_type=body.resource_type)  # refuses what cannot be read
        return found_metrics(
            body.metric,
            body.aggregation_method,
            across_name(body.over_members),
            resource_type=body.resource_type,
            query=query,
            strict=self._strict,
        )


def _rpartition(text: str) -> tuple[str, str, str]:
    return text.rpartition("/")


def _answers(method: str) -> bool:
    """Whether Gnocchi 4.7 makes a method of several series; it says that it does `count`, and fails."""
    return goes_across(method) and base_of(method) != "count"
