# SPDX-License-Identifier: Apache-2.0
"""The `threshold` type as clients write it (aodh-api 3.6)."""

from typing import Any

import pytest

from alarmd.errors import InvalidInput
from alarmd.evaluators.families.threshold import ThresholdFamily
from alarmd.evaluators.family import RuleLimits
from alarmd.model.rule import (
    Comparison,
    Differences,
    Judgement,
    Measure,
    MissingData,
    Percentile,
    Statistic,
    WindowRule,
)
from tests.support.rules import FAMILIES, SHORTEST, normalised

FAMILY = FAMILIES["threshold"]


def a_query(*terms: tuple[str, Any]) -> list[dict[str, Any]]:
    """Return conditions of a rule."""
    return [{"field": field, "value": value} for field, value in terms]


def test_s3_6_a_rule_is_kept_whole_and_in_order() -> None:
    """Every attribute is there, whatever was left out."""
    assert [
        ("meter_name", "cpu_util"),
        ("query", [{"field": "labels.group", "op": "eq", "value": "5"}]),
        ("statistic", "avg"),
        ("period", 60),
        ("evaluation_periods", 1),
        ("comparison_operator", "eq"),
        ("threshold", 80.0),
        ("exclude_outliers", False),
    ] == list(normalised("threshold", query=a_query(("labels.group", 5))).items())


def test_s3_6_the_description_is_a_sentence() -> None:
    """It names meter, operator, statistic, threshold and period."""
    kept = normalised("threshold", comparison_operator="gt", statistic="max", threshold=80.5)

    assert "Alarm when cpu_util is gt a max of 80.5 over 60 seconds" == FAMILY.describe(kept)
    assert "Alarm when cpu_util is gt a p95 over members of the max of 80.5 over 60 seconds" == FAMILY.describe(
        kept | {"group_statistic": "p95"}
    )


@pytest.mark.parametrize(
    ("terms", "project_id"),
    [((), "p1"), ((("resource_id", "vm"),), "p1"), ((("project_id", "p2"),), "p2"), ((("project", "p2"),), "p2")],
)
def test_s3_6_a_rule_may_name_the_project_that_it_reads(terms: tuple[tuple[str, str], ...], project_id: str) -> None:
    """What is told beforehand is what will be evaluated."""
    kept = normalised("threshold", query=a_query(*terms))

    assert project_id == FAMILY.reads_project(kept, project_id="p1")
    assert project_id == FAMILY.parse(kept, project_id="p1").reading.selector.project_id  # type: ignore[union-attr]  # a window rule


BEYOND: dict[str, Any] = {
    "group_statistic": "p99.9",
    "datapoints_to_alarm": 2,
    "treat_missing_data": "not_breaching",
    "recovery_threshold": 70.0,
    "hold_for": 61,
    "keep_for": 180,
    "minimum_coverage": 0.5,
}


def test_what_goes_beyond_aodh_is_shown_only_where_it_was_said() -> None:
    """Attributes of alarmd's own stand behind Aodh's, and null or nothing leaves them out."""
    sent = {"comparison_operator": "gt", "evaluation_periods": 3}
    legacy = list(normalised("threshold", **sent))
    kept = normalised("threshold", **BEYOND, **sent)

    assert [*legacy, *BEYOND] == list(kept)
    assert BEYOND == {key: kept[key] for key in BEYOND}
    assert legacy == list(normalised("threshold", **dict.fromkeys(BEYOND), **sent))
    assert kept == FAMILY.normalise(kept, project_id="p1")


def test_what_goes_beyond_aodh_is_judged() -> None:
    """Seconds become whole periods, begun ones counting; the rest is taken as it is."""
    rule = FAMILY.parse(
        normalised("threshold", **BEYOND, comparison_operator="gt", evaluation_periods=3), project_id="p1"
    )

    assert isinstance(rule, WindowRule)
    assert Percentile(99.9) == rule.reading.over_members
    assert 0.5 == rule.reading.minimum_coverage
    assert (
        Judgement(
            comparison=Comparison.GT,
            threshold=80.0,
            evaluation_periods=3,
            datapoints_to_alarm=2,
            missing=MissingData.NOT_BREACHING,
            recovery_threshold=70.0,
            hold_periods=2,
            keep_periods=3,
        )
        == rule.judgement
    )


def test_a_delta_is_what_a_whole_period_grows_by() -> None:
    """It goes by how fast the counter grew while it was seen, so a period seen in part is not low."""
    delta = FAMILY.parse(normalised("threshold", statistic="delta", period=30), project_id="p1")
    rate = FAMILY.parse(normalised("threshold", statistic="rate", period=30), project_id="p1")

    assert isinstance(delta, WindowRule)
    assert isinstance(rate, WindowRule)
    assert (30.0, 1.0) == (delta.reading.scale, rate.reading.scale)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"statistic": "avg"}, (Statistic.AVG, None, Differences.NONE)),
        ({"statistic": "p95", "group_statistic": "max"}, (Percentile(95.0), Statistic.MAX, Differences.NONE)),
        ({"statistic": "rate"}, (Statistic.RATE, Statistic.AVG, Differences.RESET_SAFE)),
        ({"statistic": "delta", "group_statistic": "sum"}, (Statistic.RATE, Statistic.SUM, Differences.RESET_SAFE)),
        ({"statistic": "last", "group_statistic": "p0"}, (Statistic.LAST, Percentile(0.0), Differences.NONE)),
    ],
)
def test_statistics_are_over_time_and_over_members(
    changes: dict[str, Any], expected: tuple[Measure, Measure | None, Differences]
) -> None:
    """What changed is that of one member, so members' changes are averaged where nothing else is said."""
    rule = FAMILY.parse(normalised("threshold", **changes), project_id="p1")

    assert isinstance(rule, WindowRule)
    assert expected == (rule.reading.over_time, rule.reading.over_members, rule.reading.differences)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"query": a_query(("colour", "red"))},
            "Invalid input for field/attribute query. Value: 'colour'. Value should",
        ),
        ({"query": a_query(("user_id", "a"), ("user", "b"))}, "Two conditions of the query ask user to be different"),
        ({"query": a_query(("project_id", "a"), ("project", "b"))}, "Two conditions of the query ask project to be"),
        ({"query": [{"field": "user_id", "value": "a", "op": "ne"}]}, "Value should be one of: 'eq'"),
        ({"query": a_query(("user_id", ["a"]))}, "Invalid input for field/attribute value. "),
        ({"query": a_query(("user_id", "a")) * 33}, "Invalid input for field/attribute query. "),
        ({"query": [{"field": "user_id", "value": "a", "colour": 1}]}, "argument data.threshold_rule.query: colour"),
        ({"meter_name": ""}, "Invalid input for field/attribute meter_name. Value: ''. Value should have at least 1"),
        ({"statistic": "median"}, "'rate', 'delta', or a percentile from 'p0' to 'p100', e.g. 'p99.9'"),
        ({"statistic": "p100.5"}, "Value should be one of: 'avg', 'min'"),
        ({"statistic": "sample_stddev"}, "Value should be one of: 'avg', 'min'"),
        ({"group_statistic": "rate"}, "Value: 'rate'. Value should be one of: 'avg', 'min', 'max', 'sum', 'count', "),
        ({"exclude_outliers": "perhaps"}, "Invalid input for field/attribute exclude_outliers. Value: 'perhaps'. "),
        ({"datapoints_to_alarm": 0}, "Value should be greater or equal to 1"),
        (
            {"datapoints_to_alarm": 3, "evaluation_periods": 2},
            "datapoints_to_alarm. Value: '3'. Value should be lower or equal to evaluation_periods, which is 2",
        ),
        ({"treat_missing_data": "zero"}, "Value should be one of: 'missing', 'ignore', 'breaching' or 'not_breaching'"),
        ({"recovery_threshold": 70}, "It goes with the comparison_operator lt, le, gt or ge only; leave it out"),
        ({"recovery_threshold": 80.5, "comparison_operator": "gt"}, "lower or equal to threshold, which is 80"),
        ({"recovery_threshold": 79.5, "comparison_operator": "le"}, "greater or equal to threshold, which is 80"),
        (
            {"recovery_threshold": "inf", "comparison_operator": "gt"},
            "field/attribute recovery_threshold. Value: 'inf'",
        ),
        ({"hold_for": 10**400}, "Value should be lower or equal to 31536000"),
        ({"keep_for": 10**400}, "Value should be lower or equal to 31536000"),
        ({"hold_for": -1}, "Invalid input for field/attribute hold_for. Value: '-1'. Value should be greater or equal"),
        ({"minimum_coverage": 0}, "field/attribute minimum_coverage. Value: '0'. Value should be greater than 0"),
        ({"minimum_coverage": 1.1}, "Value should be lower or equal to 1"),
        (
            {"period": 1, "hold_for": 600, "keep_for": 401},
            "looks at 1002 periods of 1 s, 600 of them for hold_for and 401 for keep_for, but 1000 is the most",
        ),
        ({"period": 600, "hold_for": 3600}, "Use shorter or fewer periods, or a shorter hold_for, or ask the operator"),
        (
            {"period": 1, "evaluation_periods": 351},
            "reads 361 periods (351 periods of 1 s and 10 to bridge gaps), but 360 is the most that one rule may.",
        ),
        ({"period": 10, "hold_for": 3590}, "reads 361 periods (360 periods of 10 s and 1 to bridge gaps)"),
        ({"period": 1, "evaluation_periods": 181, "exclude_outliers": True}, "(181 periods of 1 s and 181 to bridge"),
        ({"period": 3600}, "but the window holds 3600 s. Use shorter or fewer periods, or ask the operator to raise"),
    ],
)
def test_s3_6_what_is_refused(changes: dict[str, Any], text: str) -> None:
    """Each complaint names the attribute and what would do."""
    with pytest.raises(InvalidInput) as refused:
        normalised("threshold", **changes)

    assert text in refused.value.message


def test_an_operator_says_how_many_periods_a_rule_may_read() -> None:
    """Those that bridge gaps are among them; what is there already is evaluated as it stands."""
    narrow = ThresholdFamily(RuleLimits(window_s=3600, lateness_s=10, periods=12), FAMILIES.get)
    most = {**SHORTEST["threshold"], "period": 10, "evaluation_periods": 11}
    more = {**most, "evaluation_periods": 12}

    assert 11 == narrow.normalise(most, project_id="p1")["evaluation_periods"]
    with pytest.raises(
        InvalidInput, match=r"^The rule reads 13 periods .* Use fewer .* raise api\.max_rule_periods\.$"
    ):
        narrow.normalise(more, project_id="p1")
    assert 12 == narrow.parse(more, project_id="p1").judgement.evaluation_periods
