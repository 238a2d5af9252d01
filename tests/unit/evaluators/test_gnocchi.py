# SPDX-License-Identifier: Apache-2.0
"""The three `gnocchi_*` types, a row of the contract each (aodh-api 3.1)."""

import pytest

from alarmd.errors import InvalidInput
from tests.support.rules import SHORTEST, normalised

ALL = [name for name in SHORTEST if name.startswith("gnocchi_")]
RESOURCES = "gnocchi_resources_threshold"
METRICS = "gnocchi_aggregation_by_metrics_threshold"
AGGREGATION = "gnocchi_aggregation_by_resources_threshold"
JUDGEMENT = ["aggregation_method", "granularity", "evaluation_periods", "comparison_operator", "threshold"]


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
    ],
)
def test_s3_1_methods_are_those_that_gnocchi_reports(type_: str, method: str) -> None:
    """Plain ones, percentiles, and the rates of both."""
    assert method == normalised(type_, aggregation_method=method)["aggregation_method"]


@pytest.mark.parametrize("type_", ALL)
@pytest.mark.parametrize(
    "method", ["avg", "MEAN", "", "0pct", "100pct", "01pct", "rate:", "rate:rate:mean", "nunique", "*"]
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

    assert f"Invalid input for field/attribute {key}. Value: '{value}'. {detail}" == refused.value.message
    assert at_bound == normalised(type_, **{key: at_bound})[key]


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
