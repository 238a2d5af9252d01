# SPDX-License-Identifier: Apache-2.0
"""The `threshold` type as clients write it (aodh-api 3.6)."""

from typing import Any

import pytest

from alarmd.errors import InvalidInput
from tests.support.rules import FAMILIES, normalised

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


@pytest.mark.parametrize(
    ("terms", "project_id"),
    [((), "p1"), ((("resource_id", "vm"),), "p1"), ((("project_id", "p2"),), "p2"), ((("project", "p2"),), "p2")],
)
def test_s3_6_a_rule_may_name_the_project_that_it_reads(terms: tuple[tuple[str, str], ...], project_id: str) -> None:
    """What is told beforehand is what will be evaluated."""
    kept = normalised("threshold", query=a_query(*terms))

    assert project_id == FAMILY.reads_project(kept, project_id="p1")
    assert project_id == FAMILY.parse(kept, project_id="p1").reading.selector.project_id


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
        ({"statistic": "median"}, "Value should be one of: 'avg', 'min', 'max', 'sum' or 'count'"),
        ({"exclude_outliers": "perhaps"}, "Invalid input for field/attribute exclude_outliers. Value: 'perhaps'. "),
        ({"period": 3600}, "but the window holds 3600 s. Use shorter or fewer periods, or ask the operator to raise"),
    ],
)
def test_s3_6_what_is_refused(changes: dict[str, Any], text: str) -> None:
    """Each complaint names the attribute and what would do."""
    with pytest.raises(InvalidInput) as refused:
        normalised("threshold", **changes)

    assert text in refused.value.message
