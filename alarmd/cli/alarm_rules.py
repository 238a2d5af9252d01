# SPDX-License-Identifier: Apache-2.0
"""The rules of alarms as options spell them: which options a type of alarm has, and what is made of them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from alarmd.cli.notation import conditions_of

#: Options of rules by the names that commands get them under, each with how it is typed.
_FLAGS = {
    "metrics": "--metric",
    "threshold": "--threshold",
    "comparison_operator": "--comparison-operator",
    "statistic": "--statistic",
    "period": "--period",
    "evaluation_periods": "--evaluation-periods",
    "exclude_outliers": "--exclude-outliers",
    "group_statistic": "--group-statistic",
    "datapoints_to_alarm": "--datapoints-to-alarm",
    "treat_missing_data": "--treat-missing-data",
    "recovery_threshold": "--recovery-threshold",
    "hold_for": "--hold-for",
    "keep_for": "--keep-for",
    "minimum_coverage": "--minimum-coverage",
    "queries": "--query",
    "aggregation_method": "--aggregation-method",
    "granularity": "--granularity",
    "resource_id": "--resource-id",
    "resource_type": "--resource-type",
    "series": "--series",
    "event_type": "--event-type",
    "pool_id": "--pool-id",
    "stack_id": "--stack-id",
    "autoscaling_group_id": "--autoscaling-group-id",
    "rule": "--rule",
}

_Reading = Callable[[Sequence[str]], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """How the options of one type become a rule."""

    #: Options that are attributes under their own name.
    plain: tuple[str, ...] = ()
    #: The attribute that `--metric` fills, and what is made of the metrics.
    metric: str = ""
    read_metrics: _Reading | None = None
    #: What is made of `--query`.
    read_queries: _Reading | None = None
    #: Attributes without which there is no such rule.
    mandatory: tuple[str, ...] = ()

    @property
    def options(self) -> frozenset[str]:
        """The options that say something about such a rule."""
        more = {"metrics"} if self.read_metrics else set()
        return frozenset(self.plain) | more | ({"queries"} if self.read_queries else set())


def _one(option: str) -> Callable[[Sequence[str]], str]:
    def read(texts: Sequence[str]) -> str:
        if len(texts) > 1:
            raise click.UsageError(f"{option} was given {len(texts)} times; an alarm of this type has one.")
        return texts[0]

    return read


def _trait_conditions(texts: Sequence[str]) -> list[dict[str, str]]:
    # Aodh wants a type to be named, if only as "".
    return [{"type": ""} | condition for text in texts for condition in conditions_of(text)]


def _json_query(texts: Sequence[str]) -> str:
    query = _one("--query")(texts)
    json_of(query, option="--query")
    return query


#: What rules over periods may say beyond Aodh's attributes.
_BEYOND = (
    "datapoints_to_alarm",
    "treat_missing_data",
    "recovery_threshold",
    "hold_for",
    "keep_for",
    "minimum_coverage",
)
_LEGACY = ("threshold", "comparison_operator", "statistic", "period", "evaluation_periods", "exclude_outliers")
_GNOCCHI = ("threshold", "comparison_operator", "aggregation_method", "granularity", "evaluation_periods", *_BEYOND)
_SHAPES = {
    "threshold": _Shape(
        plain=(*_LEGACY, "group_statistic", *_BEYOND),
        metric="meter_name",
        read_metrics=_one("--metric"),
        read_queries=lambda texts: [condition for text in texts for condition in conditions_of(text)],
        mandatory=("meter_name", "threshold"),
    ),
    "gnocchi_resources_threshold": _Shape(
        plain=(*_GNOCCHI, "resource_id", "resource_type"),
        metric="metric",
        read_metrics=_one("--metric"),
        mandatory=("metric", "threshold", "aggregation_method", "resource_id", "resource_type"),
    ),
    "gnocchi_aggregation_by_metrics_threshold": _Shape(
        plain=(*_GNOCCHI, "group_statistic"),
        metric="metrics",
        read_metrics=list,
        mandatory=("metrics", "threshold", "aggregation_method"),
    ),
    "gnocchi_aggregation_by_resources_threshold": _Shape(
        plain=(*_GNOCCHI, "group_statistic", "resource_type"),
        metric="metric",
        read_metrics=_one("--metric"),
        read_queries=_json_query,
        mandatory=("metric", "threshold", "aggregation_method", "resource_type", "query"),
    ),
    "prometheus": _Shape(
        plain=("threshold", "comparison_operator", "evaluation_periods", "granularity", "series"),
        read_queries=_one("--query"),
        mandatory=("query", "threshold"),
    ),
    "event": _Shape(plain=("event_type",), read_queries=_trait_conditions),
    "composite": _Shape(plain=("rule",)),
    "loadbalancer_member_health": _Shape(
        plain=("pool_id", "stack_id", "autoscaling_group_id"), mandatory=("pool_id", "stack_id", "autoscaling_group_id")
    ),
}

#: The types of alarms that options can spell.
TYPES = tuple(_SHAPES)


def rule_of(type_: str, options: Mapping[str, Any], *, into: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule of a type: what the options say, laid over what is there.

    Raises `click.UsageError` for options that say nothing about this type.
    """
    given = {name: options[name] for name in _FLAGS if options.get(name) is not None and options[name] != ()}
    shape = _SHAPES.get(type_, _Shape())
    for name in given:
        if name not in shape.options:
            raise click.UsageError(_out_of_place(name, type_))
    if "rule" in given:
        return dict(given["rule"])
    rule = dict(into) | {name: given[name] for name in shape.plain if name in given}
    if "metrics" in given and shape.read_metrics:
        rule[shape.metric] = shape.read_metrics(given["metrics"])
    if "queries" in given and shape.read_queries:
        rule["query"] = shape.read_queries(given["queries"])
    return rule


def without(rule: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return a rule without some attributes, which are spelt as in the rule or as options are.

    Raises `click.UsageError` for those that it has not.
    """
    kept = dict(rule)
    for name in names:
        attribute = name.strip("-").replace("-", "_")
        if attribute not in kept:
            raise click.UsageError(f"The rule has no attribute {attribute} to --unset; it has {', '.join(rule)}.")
        del kept[attribute]
    return kept


def missing_of(type_: str, rule: Mapping[str, Any]) -> list[str]:
    """Return the options that a rule cannot do without and that nothing stands in for."""
    shape = _SHAPES.get(type_, _Shape())
    if type_ == "composite" and not rule:
        return [_FLAGS["rule"]]
    flags = {shape.metric: "-m/--metric", "query": "--query"} | _FLAGS
    return [flags[name] for name in shape.mandatory if rule.get(name) is None]


def json_of(text: str, *, option: str) -> Any:
    """Return what an option's JSON stands for; raises `click.UsageError`."""
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise click.UsageError(f"The value of {option} is not valid JSON: {error}.") from error


def _out_of_place(name: str, type_: str) -> str:
    own = [known for known, shape in _SHAPES.items() if name in shape.options]
    return (
        f"{_FLAGS[name]} says nothing about an alarm of the type {type_}; it belongs to {', '.join(own)}. "
        "Give the type with --type."
    )
