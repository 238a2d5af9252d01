# SPDX-License-Identifier: Apache-2.0
"""The three `gnocchi_*` types, a row of the contract each (aodh-api 3.1)."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from alarmd.errors import InvalidInput
from alarmd.evaluators.families.gnocchi.family import GnocchiAggregation, GnocchiMetrics, GnocchiResources
from alarmd.evaluators.families.gnocchi.query import NoResource
from alarmd.evaluators.family import RuleFamily, RuleFamilyFactory, RuleLimits
from alarmd.model.rule import (
    Comparison,
    Differences,
    Judgement,
    Measure,
    MissingData,
    Percentile,
    Reading,
    Selector,
    Statistic,
    WindowRule,
)
from tests.support.rules import FAMILIES, SHORTEST, normalised

ALL = [name for name in SHORTEST if name.startswith("gnocchi_")]
RESOURCES = "gnocchi_resources_threshold"
METRICS = "gnocchi_aggregation_by_metrics_threshold"
AGGREGATION = "gnocchi_aggregation_by_resources_threshold"
FACTORIES: Mapping[str, RuleFamilyFactory] = {
    RESOURCES: GnocchiResources,
    METRICS: GnocchiMetrics,
    AGGREGATION: GnocchiAggregation,
}
JUDGEMENT = ["aggregation_method", "granularity", "evaluation_periods", "comparison_operator", "threshold"]


def family_of(type_: str, **limits: Any) -> RuleFamily:
    """Return a family with limits of its own."""
    return FACTORIES[type_](RuleLimits(**{"window_s": 3600, "lateness_s": 10, **limits}), FAMILIES.get)


def compiled(type_: str, *, project_id: str = "p1", confined: bool = True, **more: Any) -> Any:
    """Return what is evaluated for a rule; the limits begin with `limit_`."""
    limits = {key.removeprefix("limit_"): more.pop(key) for key in list(more) if key.startswith("limit_")}
    family = family_of(type_, **limits)
    rule = family.normalise(SHORTEST[type_] | more, project_id=project_id, confined=confined)
    return family.parse(rule, project_id=project_id, confined=confined)


@pytest.mark.parametrize(
    ("type_", "own"),
    [
        (RESOURCES, ["metric", "resource_id", "resource_type"]),
        (METRICS, ["metrics"]),
        (AGGREGATION, ["metric", "resource_type", "query"]),
    ],
)
def test_s3_1_attributes_stand_in_one_order(type_: str, own: list[str]) -> None:
    """What is read stands before how it is judged, whatever order a client sends."""
    backwards = dict(reversed(list(SHORTEST[type_].items())))

    assert [*own, *JUDGEMENT] == list(normalised(type_, backwards))


@pytest.mark.parametrize("type_", ALL)
@pytest.mark.parametrize(
    "method",
    [
        *("mean", "sum", "last", "max", "min", "std", "median", "first", "count", "1pct", "99pct"),
        *("rate:mean", "rate:5pct"),
        *("stddev", "p0", "p95", "p99.9", "p100", "rate", "delta", "rate:stddev", "rate:p99.9"),
    ],
)
def test_s3_1_methods_are_those_that_gnocchi_reports(type_: str, method: str) -> None:
    """Plain ones, percentiles, and the rates of both; and those that alarmd adds."""
    assert method == normalised(type_, aggregation_method=method)["aggregation_method"]


@pytest.mark.parametrize("type_", ALL)
@pytest.mark.parametrize(
    "method",
    [
        *("avg", "MEAN", "", "0pct", "100pct", "01pct", "rate:", "rate:rate:mean", "nunique", "*"),
        *("p101", "p", "p1.1234567", "95pct\n", "rate:rate", "rate:delta", "pct"),
    ],
)
def test_s3_1_other_methods_are_refused_with_the_list(type_: str, method: str) -> None:
    """In Aodh's words."""
    with pytest.raises(InvalidInput) as refused:
        normalised(type_, aggregation_method=method)

    assert refused.value.message.startswith("aggregation_method should be in [count, first, last, ")
    assert refused.value.message.endswith(f"] not {method}")


@pytest.mark.parametrize("type_", ALL)
@pytest.mark.parametrize(
    ("key", "value", "detail"),
    [
        ("evaluation_periods", 0, "Value should be greater or equal to 1"),
        ("evaluation_periods", 101, "Value should be lower or equal to 100"),
        ("granularity", 0, "Value should be greater or equal to 1"),
        ("granularity", 31_536_001, "Value should be lower or equal to 31536000"),
    ],
)
def test_s3_1_bounds(type_: str, key: str, value: int, detail: str) -> None:
    """One to a hundred periods of a second to a year."""
    with pytest.raises(InvalidInput) as refused:
        normalised(type_, **{key: value})
    at_bound = value + 1 if value == 0 else value - 1
    family = family_of(type_, window_s=1e12)

    assert f"Invalid input for field/attribute {key}. Value: '{value}'. {detail}" == refused.value.message
    assert at_bound == family.normalise(SHORTEST[type_] | {key: at_bound}, project_id="p1")[key]


@pytest.mark.parametrize("type_", ALL)
@pytest.mark.parametrize("key", ["exclude_outliers", "period", "statistic", "meter_name"])
def test_s3_1_attributes_of_the_legacy_type_are_unknown(type_: str, key: str) -> None:
    """Gnocchi's types have their own words for them, or none."""
    with pytest.raises(InvalidInput, match=f"^Unknown attribute for argument data.{type_}_rule: {key}$"):
        normalised(type_, **{key: None})


@pytest.mark.parametrize(
    ("type_", "key"),
    [(RESOURCES, "metric"), (RESOURCES, "resource_id"), (RESOURCES, "resource_type"), (AGGREGATION, "metric")],
)
def test_s3_1_names_may_be_empty_but_must_be_text(type_: str, key: str) -> None:
    """Nothing checks that they exist; their length is bounded."""
    assert normalised(type_, **{key: ""})[key] == ""
    for wrong in (5, True, ["x"], "x" * 256):
        with pytest.raises(InvalidInput, match=f"Invalid input for field/attribute {key}. "):
            normalised(type_, **{key: wrong})


def test_s3_1_metrics_may_be_none() -> None:
    """An empty list is kept, as Aodh keeps it."""
    assert [] == normalised(METRICS, metrics=[])["metrics"]


@pytest.mark.parametrize("metrics", ["m-1", [5], [None], {}, ["m"] * 1_001])
def test_s3_1_metrics_are_a_list_of_text(metrics: object) -> None:
    """Of bounded length."""
    with pytest.raises(InvalidInput, match=r"^Invalid input for field/attribute metrics\. "):
        normalised(METRICS, metrics=metrics)


@pytest.mark.parametrize(
    "query",
    [
        '{"=": {"server_group": "STACK_ID"}}',
        '{"and": [{"=": {"server_group": "g"}}, {"=": {"ended_at": null}}]}',
        ' {"=":{"a":"\\u00fc"} }\n',
        "{}",
    ],
)
def test_s3_1_a_query_is_kept_as_it_was_sent(query: str) -> None:
    """Byte for byte, however often it is sent back: what confines it to a project is not written into it."""
    once = normalised(AGGREGATION, query=query)
    thrice = normalised(AGGREGATION, normalised(AGGREGATION, once))

    assert (query, query) == (once["query"], thrice["query"])


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ({"=": {"server_group": "g"}}, "Value should be a valid string"),
        ("", "Value should be JSON as text: Expecting value: line 1 column 1 (char 0)"),
        ("server_group='g'", "Value should be JSON as text: Expecting value: line 1 column 1 (char 0)"),
        ('{"=": NaN}', "Value should be JSON as text: NaN is no number in JSON"),
        ("[]", "Value should be a JSON object as text"),
        ('"text"', "Value should be a JSON object as text"),
        ("[" * 60_000, "Value should be JSON that is nested less deeply"),
        ('{"=": {"a": "' + "x" * 65_536 + '"}}', "Value should have at most 65536 characters"),
    ],
)
def test_s3_1_a_query_is_an_object_of_json_as_text(query: object, detail: str) -> None:
    """Anything else is a 400, in bounded time and space."""
    with pytest.raises(InvalidInput) as refused:
        normalised(AGGREGATION, query=query)

    assert refused.value.message.startswith("Invalid input for field/attribute query. Value: '")
    assert refused.value.message.endswith(f"'. {detail}")


# --- what is evaluated ---------------------------------------------------------------------------------------------


def test_one_resource_is_read_in_buckets() -> None:
    """The newest buckets of one series, as many as are judged, one that has just begun and one for gaps."""
    rule = compiled(RESOURCES, evaluation_periods=3, comparison_operator="gt", resource_type="of no account")

    assert (
        WindowRule(
            reading=Reading(
                selector=Selector(metric="cpu", project_id="p1", resource_id="vm-1"),
                period_s=60,
                over_time=Statistic.AVG,
                is_aligned=True,
            ),
            judgement=Judgement(comparison=Comparison.GT, threshold=80, evaluation_periods=3),
            look_back_periods=2,
        )
        == rule
    )


@pytest.mark.parametrize(
    ("method", "over_time", "over_members"),
    [
        ("mean", Statistic.AVG, Statistic.AVG),
        ("median", Percentile(50), Percentile(50)),
        ("std", Statistic.SAMPLE_STDDEV, Statistic.STDDEV),
        ("95pct", Percentile(95), Percentile(95)),
        ("last", Statistic.LAST, Statistic.LAST),
        ("first", Statistic.FIRST, Statistic.FIRST),
        ("count", Statistic.COUNT, Statistic.COUNT),
        ("sum", Statistic.SUM, Statistic.SUM),
    ],
)
def test_methods_are_measures(method: str, over_time: Measure, over_members: Measure) -> None:
    """Gnocchi's standard deviation is that of a sample over time, and of the whole over members."""
    one, several = (compiled(type_, aggregation_method=method).reading for type_ in (RESOURCES, AGGREGATION))

    assert (over_time, None) == (one.over_time, one.over_members)
    assert (over_time, over_members) == (several.over_time, several.over_members)
    assert {method in {"sum", "count"}} == {one.complete_only, several.complete_only}


def test_a_rate_of_one_resource_is_of_its_differences() -> None:
    """Safe from counters that start anew; as they are where Gnocchi is to be met."""
    usual = compiled(RESOURCES, aggregation_method="rate:sum").reading
    strict = compiled(RESOURCES, aggregation_method="rate:sum", limit_gnocchi_is_strict=True).reading

    assert (Statistic.SUM, Differences.RESET_SAFE, True) == (usual.over_time, usual.differences, usual.complete_only)
    assert (Statistic.SUM, Differences.PLAIN, False) == (strict.over_time, strict.differences, strict.complete_only)


def test_a_rate_of_several_is_that_of_each_as_one() -> None:
    """What each grew by in a period; where Gnocchi is to be met, what the whole changed by."""
    usual = compiled(AGGREGATION, aggregation_method="rate:mean", granularity=300).reading
    strict = compiled(
        AGGREGATION, aggregation_method="rate:mean", granularity=300, limit_gnocchi_is_strict=True
    ).reading

    assert (Statistic.RATE, Statistic.AVG, Differences.RESET_SAFE, 300.0, False) == (
        usual.over_time,
        usual.over_members,
        usual.differences,
        usual.scale,
        usual.difference_of_results,
    )
    assert (Statistic.AVG, Statistic.AVG, Differences.NONE, 1.0, True) == (
        strict.over_time,
        strict.over_members,
        strict.differences,
        strict.scale,
        strict.difference_of_results,
    )


@pytest.mark.parametrize("type_", [METRICS, AGGREGATION])
@pytest.mark.parametrize(
    ("method", "over_members", "expected"),
    [
        ("max", "avg", (Statistic.MAX, Statistic.AVG, Differences.NONE, 1.0, False)),
        ("95pct", "p99.9", (Percentile(95), Percentile(99.9), Differences.NONE, 1.0, False)),
        ("p95", "last", (Percentile(95), Statistic.LAST, Differences.NONE, 1.0, False)),
        ("std", "stddev", (Statistic.SAMPLE_STDDEV, Statistic.STDDEV, Differences.NONE, 1.0, False)),
        ("stddev", "min", (Statistic.STDDEV, Statistic.MIN, Differences.NONE, 1.0, False)),
        # What grows while a period lasts is looked at when it is over, whether it grows by samples or by members.
        ("sum", "max", (Statistic.SUM, Statistic.MAX, Differences.NONE, 1.0, True)),
        ("mean", "count", (Statistic.AVG, Statistic.COUNT, Differences.NONE, 1.0, True)),
        ("rate:max", "sum", (Statistic.MAX, Statistic.SUM, Differences.RESET_SAFE, 1.0, True)),
        ("rate:mean", "p50", (Statistic.AVG, Percentile(50), Differences.RESET_SAFE, 1.0, False)),
        ("rate", None, (Statistic.RATE, Statistic.AVG, Differences.RESET_SAFE, 1.0, False)),
        ("rate", "max", (Statistic.RATE, Statistic.MAX, Differences.RESET_SAFE, 1.0, False)),
        ("delta", None, (Statistic.RATE, Statistic.AVG, Differences.RESET_SAFE, 60.0, False)),
        ("delta", "sum", (Statistic.RATE, Statistic.SUM, Differences.RESET_SAFE, 60.0, True)),
        ("p99.9", None, (Percentile(99.9), Percentile(99.9), Differences.NONE, 1.0, False)),
        ("stddev", None, (Statistic.STDDEV, Statistic.STDDEV, Differences.NONE, 1.0, False)),
        ("rate:p5", None, (Statistic.RATE, Percentile(5), Differences.RESET_SAFE, 60.0, False)),
    ],
)
def test_members_and_time_are_independent(
    type_: str, method: str, over_members: str | None, expected: tuple[object, ...]
) -> None:
    """Each member becomes a value by the one, and these become one by the other."""
    metrics: dict[str, Any] = {"metrics": ["vm-1/cpu", "vm-2/cpu"]} if type_ == METRICS else {}
    rule = compiled(type_, aggregation_method=method, group_statistic=over_members, **metrics).reading

    assert expected == (rule.over_time, rule.over_members, rule.differences, rule.scale, rule.complete_only)
    assert (60, True, False) == (rule.period_s, rule.is_aligned, rule.difference_of_results)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("rate", (Statistic.RATE, None, Differences.RESET_SAFE, 1.0)),
        ("delta", (Statistic.RATE, None, Differences.RESET_SAFE, 60.0)),
        ("stddev", (Statistic.STDDEV, None, Differences.NONE, 1.0)),
        ("rate:p99.9", (Percentile(99.9), None, Differences.RESET_SAFE, 1.0)),
    ],
)
def test_methods_that_alarmd_adds_are_of_one_resource_too(method: str, expected: tuple[object, ...]) -> None:
    """As a rule of the type threshold has them, in Gnocchi's buckets."""
    rule = compiled(RESOURCES, aggregation_method=method).reading

    assert expected == (rule.over_time, rule.over_members, rule.differences, rule.scale)


@pytest.mark.parametrize("type_", [METRICS, AGGREGATION])
def test_what_is_made_of_members_is_shown_where_it_was_said(type_: str) -> None:
    """Clients that do not know it see Aodh's rule."""
    assert "p95" == normalised(type_, group_statistic="p95")["group_statistic"]
    assert "group_statistic" not in normalised(type_, group_statistic=None)
    assert "group_statistic" not in normalised(type_)


@pytest.mark.parametrize("type_", [METRICS, AGGREGATION])
@pytest.mark.parametrize("wrong", ["mean", "std", "95pct", "rate", "p101", "", 5])
def test_what_is_made_of_members_has_the_names_of_threshold(type_: str, wrong: object) -> None:
    """Others are refused with the list."""
    with pytest.raises(InvalidInput, match=r"^Invalid input for field/attribute group_statistic\. "):
        normalised(type_, group_statistic=wrong)


def test_one_resource_has_no_members() -> None:
    """What would be made of them is an attribute of other types."""
    with pytest.raises(InvalidInput, match=f"^Unknown attribute for argument data.{RESOURCES}_rule: group_statistic$"):
        normalised(RESOURCES, group_statistic="max")


@pytest.mark.parametrize("type_", ALL)
@pytest.mark.parametrize("limits", [{"gnocchi_is_strict": True}, {"servers": frozenset({"gnocchi"})}])
@pytest.mark.parametrize("method", ["p95", "stddev", "rate", "delta", "rate:p5"])
def test_methods_that_gnocchi_has_not_are_refused_where_it_counts(
    type_: str, method: str, limits: dict[str, Any]
) -> None:
    """When they are written, and when the operator names a Gnocchi later."""
    family, rule = family_of(type_, **limits), SHORTEST[type_] | {"aggregation_method": method}
    for read in (family.normalise, family.parse):
        with pytest.raises(InvalidInput, match=r"^Invalid input for field/attribute aggregation_method\. .* no such"):
            read(rule, project_id="p1")


@pytest.mark.parametrize("type_", [METRICS, AGGREGATION])
@pytest.mark.parametrize(
    ("limits", "over_members", "why"),
    [
        ({"gnocchi_is_strict": True}, "max", "this site says what Aodh would"),
        ({"gnocchi_is_strict": True, "servers": frozenset({"gnocchi"})}, "max", "this site says what Aodh would"),
        ({"servers": frozenset({"gnocchi"})}, "last", "does not make this of several; use one of avg, min, max, sum, "),
        ({"servers": frozenset({"gnocchi"})}, "p95", "does not make this of several; use one of avg, min, max, sum, "),
    ],
)
def test_what_gnocchi_does_not_make_of_members_is_refused_where_it_counts(
    type_: str, limits: dict[str, Any], over_members: str, why: str
) -> None:
    """Never is something else taken for it."""
    with pytest.raises(InvalidInput, match=rf"^Invalid input for field/attribute group_statistic\. .*{why}"):
        family_of(type_, **limits).normalise(SHORTEST[type_] | {"group_statistic": over_members}, project_id="p1")


@pytest.mark.parametrize(
    ("method", "over_members", "operations"),
    [
        ("max", "avg", ["aggregate", "mean", ["metric", "cpu", "max"]]),
        ("95pct", "p50", ["aggregate", "median", ["metric", "cpu", "95pct"]]),
        ("rate:last", "stddev", ["aggregate", "std", ["metric", "cpu", "rate:last"]]),
        (
            "mean",
            "count",
            ["aggregate", "sum", ["*", 1.0, ["=", ["metric", "cpu", "mean"], ["metric", "cpu", "mean"]]]],
        ),
    ],
)
def test_a_gnocchi_makes_one_of_what_it_keeps_of_each(method: str, over_members: str, operations: Any) -> None:
    """In one question, whatever is kept of a member."""
    asked: dict[str, Any] = {
        "limit_servers": frozenset({"gnocchi"}),
        "aggregation_method": method,
        "group_statistic": over_members,
    }
    rule = compiled(AGGREGATION, **asked)
    named = compiled(METRICS, **asked)

    assert operations == json.loads(rule.question.wanted.operations)
    assert (over_members == "count") is rule.complete_only
    if over_members != "count":
        nodes = [["m-1", method], ["m-2", method]]
        assert [*operations[:2], ["metric", *nodes]] == json.loads(named.question.wanted.operations)


def test_metrics_are_named_by_resource_and_name() -> None:
    """Ids of resources may hold slashes, names of metrics do not."""
    rule = compiled(METRICS, metrics=["vm-2/cpu", "rack/1/power", "vm-2/cpu"])

    assert Selector(metric="", project_id="p1", any_of=(("rack/1", "power"), ("vm-2", "cpu"))) == rule.reading.selector


@pytest.mark.parametrize("metrics", [[], ["6f0f6c2b-2f0a-4c5e-9c0e-0f4f3c1f7a55"], ["vm-2/cpu", "cpu"]])
def test_metrics_that_are_not_named_so_are_not_known(metrics: list[str]) -> None:
    """A metric's id in Gnocchi says nothing here; then the others would not be what was meant."""
    assert compiled(METRICS, metrics=metrics).reading.selector.condition == NoResource()


@pytest.mark.parametrize(
    ("type_", "changes"),
    [
        (METRICS, {"metrics": ["vm-1/cpu", "vm-2/cpu"]}),
        (METRICS, {"metrics": ["vm-1/cpu"], "aggregation_method": "95pct"}),
        (METRICS, {"metrics": ["vm-1/cpu"], "aggregation_method": "rate:last"}),
        (AGGREGATION, {"aggregation_method": "count"}),
    ],
)
def test_what_gnocchi_fails_at_is_not_known_in_strict_mode(type_: str, changes: dict[str, Any]) -> None:
    """Nothing is read for it; usually it is done as meant."""
    strict = compiled(type_, limit_gnocchi_is_strict=True, **changes).reading

    assert strict.selector.condition == NoResource()
    assert compiled(type_, **changes).reading.selector.condition != NoResource()


@pytest.mark.parametrize("limits", [{"gnocchi_is_strict": True}, {"servers": frozenset({"gnocchi"})}])
@pytest.mark.parametrize("method", ["last", "95pct", "rate:first"])
def test_what_gnocchi_refuses_for_several_is_refused_where_it_counts(method: str, limits: dict[str, Any]) -> None:
    """Aodh tries each rule when it is written, and so tells at once."""
    with pytest.raises(InvalidInput, match=r"^Invalid input for field/attribute aggregation_method\. "):
        family_of(AGGREGATION, **limits).normalise(
            SHORTEST[AGGREGATION] | {"aggregation_method": method}, project_id="p1"
        )


@pytest.mark.parametrize(("metric", "is_pattern"), [("cpu", False), ("disk.*", True), ("cp?", True), ("[cd]pu", True)])
def test_the_metric_of_several_may_be_a_pattern(metric: str, *, is_pattern: bool) -> None:
    """As a shell has them, as in Gnocchi."""
    selector = compiled(AGGREGATION, metric=metric).reading.selector

    assert (metric, is_pattern) == (selector.metric, selector.is_pattern)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ('{"=": {"project_id": "p2"}}', "p2"),
        ('{"and": [{"=": {"a": 1}}, {"eq": {"project_id": "p2"}}]}', "p2"),
        ('{"or": [{"=": {"project_id": "p2"}}, {"=": {"a": 1}}]}', "p1"),
        ('{"!=": {"project_id": "p2"}}', "p1"),
        ("{}", "p1"),
    ],
)
def test_an_admins_query_may_name_another_project(query: str, named: str) -> None:
    """Only at its top; whoever is confined reads its own project whatever the query says."""
    family = family_of(AGGREGATION)
    rule = family.normalise(SHORTEST[AGGREGATION] | {"query": query}, project_id="p1", confined=False)

    assert named == family.reads_project(rule, project_id="p1")
    assert named == compiled(AGGREGATION, query=query, confined=False).reading.selector.project_id
    assert compiled(AGGREGATION, query=query).reading.selector.project_id == "p1"


def test_what_is_judged_beyond_aodh_goes_with_these_types_too() -> None:
    """It is kept as it was sent, and counted in periods."""
    more: dict[str, Any] = {
        "datapoints_to_alarm": 2,
        "treat_missing_data": "breaching",
        "hold_for": 90,
        "recovery_threshold": 70,
    }
    kept = normalised(RESOURCES, evaluation_periods=3, comparison_operator="gt", **more)
    judgement = compiled(RESOURCES, evaluation_periods=3, comparison_operator="gt", **more).judgement

    assert more == {key: kept[key] for key in more}
    assert (2, MissingData.BREACHING, 2, 70) == (
        judgement.datapoints_to_alarm,
        judgement.missing,
        judgement.hold_periods,
        judgement.recovery_threshold,
    )


@pytest.mark.parametrize("type_", ALL)
@pytest.mark.parametrize(("granularity", "periods"), [(300, 10), (600, 4), (60, 58), (1200, 1)])
def test_the_window_bounds_how_far_a_rule_looks_back(type_: str, granularity: int, periods: int) -> None:
    """An hour, unless the operator has said otherwise, is enough for what is common."""
    assert periods == normalised(type_, granularity=granularity, evaluation_periods=periods)["evaluation_periods"]
    with pytest.raises(
        InvalidInput, match=r"^The rule looks back \d+ s .* or ask the operator to raise window.length_s"
    ):
        normalised(type_, granularity=granularity, evaluation_periods=periods + 1)


@pytest.mark.parametrize("type_", ALL)
def test_the_operator_bounds_how_many_periods_a_rule_reads(type_: str) -> None:
    """Those that `hold_for` adds, and those that bridge gaps."""
    most = normalised(type_, granularity=1, evaluation_periods=100, hold_for=249)

    assert 249 == most["hold_for"]
    with pytest.raises(InvalidInput, match=r"^The rule reads 361 periods .* to raise api.max_rule_periods"):
        normalised(type_, granularity=1, evaluation_periods=100, hold_for=250)


def test_where_a_gnocchi_is_asked_the_window_bounds_nothing() -> None:
    """It keeps its own history."""
    rule = compiled(RESOURCES, limit_servers=frozenset({"gnocchi"}), granularity=86_400, evaluation_periods=100)

    assert (86_400, 100) == (rule.question.granularity_s, rule.question.periods)


def test_where_a_gnocchi_is_asked_nobody_knows_the_coverage() -> None:
    """It does not say who has reported."""
    with pytest.raises(InvalidInput, match="Gnocchi does not say how many members have reported"):
        compiled(AGGREGATION, limit_servers=frozenset({"gnocchi"}), minimum_coverage=0.5)


@pytest.mark.parametrize(("servers", "expected"), [((), 1), (("prometheus",), 1), (("gnocchi",), 0)])
def test_ids_of_gnocchi_are_doubtful_where_none_is_asked(servers: tuple[str, ...], expected: int) -> None:
    """Who brings such a rule from elsewhere is told; a Gnocchi knows its own ids."""
    rule = {**SHORTEST[METRICS], "metrics": ["6f0f6c2b", "vm-1/cpu"]}
    family = GnocchiMetrics(RuleLimits(window_s=3600, lateness_s=10, servers=frozenset(servers)), FAMILIES.get)

    assert expected == len(family.doubts(rule))
    assert () == family.doubts({**rule, "metrics": ["vm-1/cpu"]})
