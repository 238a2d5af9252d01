# SPDX-License-Identifier: Apache-2.0
"""Aodh's contract §3, attributes of rules: each test's id names section, type and attribute. Over HTTP, as stored.

What holds for a family as a whole stands in tests/unit/evaluators.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pytest

from tests.support.rest import ANN, Door, error_of, open_door
from tests.support.rules import SHORTEST


class Mandatory:
    """Says that an attribute has no default."""


MANDATORY: Final = Mandatory()


class Row(NamedTuple):
    """An attribute: its default, what is taken for it and how that is kept, and what is refused."""

    default: Any
    taken: list[tuple[Any, Any]]
    refused: list[Any]


def same(*values: Any) -> list[tuple[Any, Any]]:
    """Return values that are kept as they are sent."""
    return [(value, value) for value in values]


OPERATORS = same("lt", "le", "eq", "ne", "ge", "gt")
FLOATS: list[tuple[Any, Any]] = [(5, 5.0), ("5", 5.0), (True, 1.0), (240000000000.0, 240000000000.0), (-0.5, -0.5)]
TEXT = Row(MANDATORY, same("x", "", "ü"), [5, ["x"], {}])
COMPARED = Row("eq", [*OPERATORS, (None, "eq")], ["==", "", 5])
JUDGED: dict[str, Row] = {
    "threshold": Row(MANDATORY, FLOATS, ["high", [], "nan", None]),
    "aggregation_method": Row(MANDATORY, same("mean", "rate:mean", "last", "95pct"), ["avg", "", 5, None]),
    "comparison_operator": COMPARED,
    # As far as an hour's window goes; the bounds of what Aodh takes are tested with the families.
    "evaluation_periods": Row(1, [(1, 1), (58, 58), ("50", 50), (50.5, 50), (None, 1)], [0, 59, 101, -1, "x", []]),
    "granularity": Row(60, [(1, 1), (1_200, 1_200), ("300", 300), (None, 60)], [0, 1_201, 31_536_001, "x"]),
}
#: Attributes that other types have, and these not.
UNKNOWN = ["exclude_outliers", "period", "statistic", "colour"]
QUERY = '{"=": {"server_group": "g"}}'
CONDITION = {"field": "traits.a", "op": "ge", "value": "5", "type": "integer"}
LEAF: dict[str, Any] = {"type": "prometheus", "query": "up", "comparison_operator": "eq", "threshold": 80.0}


def condition(**changes: Any) -> list[dict[str, Any]]:
    """Return the query of an event rule with one condition; None leaves a member of it out."""
    return [{key: value for key, value in (CONDITION | changes).items() if value is not None}]


#: By section and type; the rows of each stand in the order of the contract.
TABLES: dict[tuple[str, str], dict[str, Row]] = {
    ("3.1", "gnocchi_resources_threshold"): JUDGED | {"metric": TEXT, "resource_id": TEXT, "resource_type": TEXT},
    ("3.1", "gnocchi_aggregation_by_metrics_threshold"): JUDGED
    | {"metrics": Row(MANDATORY, same(["a", "b"], []), ["a", [5], {}])},
    ("3.1", "gnocchi_aggregation_by_resources_threshold"): JUDGED
    | {
        "metric": TEXT,
        "resource_type": TEXT,
        "query": Row(MANDATORY, same(QUERY, "{}"), [{"=": {"a": "b"}}, "{", "a=b"]),
    },
    ("3.2", "event"): {
        "event_type": Row("*", [("compute.*", "compute.*"), ("", "*"), (None, "*")], [5, ["*"]]),
        "query": Row(
            [],
            [
                (condition(), condition()),
                (condition(op=None), condition(op="eq")),
                (condition(type="", value="x"), condition(type="", value="x")),
                (None, []),
            ],
            [
                *(condition(**{key: None}) for key in ("field", "value", "type")),
                condition(value=5),
                condition(value="five"),
                condition(field="a;b"),
                condition(op="like"),
                condition(type="datetime"),
                "traits.a=5",
            ],
        ),
    },
    ("3.4", "prometheus"): {
        "query": Row(MANDATORY, same("up == 0", ""), [5, ["up"], None]),
        "threshold": JUDGED["threshold"],
        "comparison_operator": COMPARED,
    },
    ("3.5", "loadbalancer_member_health"): {"pool_id": TEXT, "stack_id": TEXT, "autoscaling_group_id": TEXT},
    ("3.6", "threshold"): {
        "meter_name": Row(MANDATORY, same("cpu_util"), [5, None]),
        "threshold": JUDGED["threshold"],
        "comparison_operator": COMPARED,
        "statistic": Row("avg", [*same("max", "min", "avg", "sum", "count"), (None, "avg")], ["median", 5]),
        "period": Row(60, [(1, 1), ("60", 60), (None, 60)], [0, "x"]),
        "evaluation_periods": Row(1, [("2", 2), (None, 1)], [0, "x"]),
        "query": Row(
            [],
            [
                ([{"field": "resource_id", "value": "r"}], [{"field": "resource_id", "op": "eq", "value": "r"}]),
                (None, []),
            ],
            [[{"field": "timestamp", "op": "gt", "value": "2026-01-01"}], [{"value": "x"}], {}],
        ),
        "exclude_outliers": Row(False, [(True, True), ("true", True), (None, False)], ["perhaps"]),
    },
}
ROWS = [
    pytest.param(type_, key, row, id=f"{section}-{type_}-{key}")
    for (section, type_), table in TABLES.items()
    for key, row in table.items()
]
#: What a composite rule may be (§3.3), with how it is kept.
TREES: dict[str, tuple[Any, Any]] = {
    "and": ({"and": [LEAF, LEAF]}, {"and": [LEAF, LEAF]}),
    "or_nested": ({"or": [LEAF, {"and": [LEAF, LEAF]}]}, {"or": [LEAF, {"and": [LEAF, LEAF]}]}),
    "one_operand": ({"or": [LEAF]}, {"or": [LEAF]}),
    "bare_leaf": (LEAF, LEAF),
    "leaf_takes_defaults": ({"or": [{"type": "prometheus", "query": "up", "threshold": "80"}]}, {"or": [LEAF]}),
}
NO_TREES: dict[str, Any] = {
    "another_operator": {"not": [LEAF]},
    "two_operators": {"and": [LEAF], "or": [LEAF]},
    "operand_is_no_list": {"and": LEAF},
    "empty_list": {"and": []},
    "leaf_without_type": {"and": [{"query": "up", "threshold": 1}]},
    "leaf_of_type_event": {"and": [{"type": "event"}]},
    "leaf_of_type_composite": {"and": [{"type": "composite", "or": [LEAF]}]},
    "leaf_of_type_loadbalancer_member_health": {
        "and": [{"type": "loadbalancer_member_health", **SHORTEST["loadbalancer_member_health"]}]
    },
    "leaf_with_unknown_attribute": {"and": [LEAF | {"colour": "red"}]},
    "leaf_without_mandatory_attribute": {"and": [{"type": "prometheus", "query": "up"}]},
    "leaf_with_unknown_method": {
        "and": [
            {"type": "gnocchi_resources_threshold"}
            | SHORTEST["gnocchi_resources_threshold"]
            | {"aggregation_method": "avg"}
        ]
    },
}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A door, one for all rows: each makes the alarms that it is about."""
    opened = open_door(tmp_path_factory.mktemp("rules"))
    yield opened
    opened.close()


def rule_of(door: Door, type_: str, rule: Any) -> Any:
    """Return how a rule is stored, or why it is refused."""
    answer = door.post("/v2/alarms", {"name": "x", "type": type_, f"{type_}_rule": rule}, headers=ANN)
    if answer.status_code != 201:
        assert 400 == answer.status_code, answer.text
        return error_of(answer)
    return door.get(answer.headers["Location"], headers=ANN).get_json()[f"{type_}_rule"]


@pytest.mark.parametrize(("type_", "key", "row"), ROWS)
def test_s3_attribute(door: Door, type_: str, key: str, row: Row) -> None:
    """What is left out is the default or refused, what is sent is kept as the row says, anything else is a 400."""
    rest = {other: value for other, value in SHORTEST[type_].items() if other != key}
    left_out = rule_of(door, type_, rest)

    if row.default is MANDATORY:
        assert f"Invalid input for field/attribute {key}. Value: 'None'. Mandatory field missing." == left_out
    else:
        assert (row.default, type(row.default)) == (left_out[key], type(left_out[key]))
    for sent, kept in row.taken:
        stored = rule_of(door, type_, rest | {key: sent})
        assert (sent, kept, type(kept)) == (sent, stored[key], type(stored[key]))
    for wrong in row.refused:
        refusal = rule_of(door, type_, rest | {key: wrong})
        assert (wrong, str) == (wrong, type(refusal))


@pytest.mark.parametrize(("section", "type_"), TABLES, ids=[f"{section}-{type_}" for section, type_ in TABLES])
def test_s3_nothing_else_is_known(door: Door, section: str, type_: str) -> None:
    """Attributes beside those of the table are refused by name, also the one that Aodh hides; the table is whole."""
    table = TABLES[section, type_]
    for other in (*UNKNOWN, "scope_to_project", "type"):
        if other not in table:
            unknown = rule_of(door, type_, SHORTEST[type_] | {other: 1})
            assert f"Unknown attribute for argument data.{type_}_rule: {other}" == unknown
    assert set(table) == set(rule_of(door, type_, SHORTEST[type_]))


@pytest.mark.parametrize("name", TREES, ids=[f"3.3-{name}" for name in TREES])
def test_s3_3_composite_is_kept(door: Door, name: str) -> None:
    """The tree as it was sent, its leaves completed and with their type."""
    sent, kept = TREES[name]

    assert kept == rule_of(door, "composite", sent)


@pytest.mark.parametrize("name", NO_TREES, ids=[f"3.3-{name}" for name in NO_TREES])
def test_s3_3_composite_is_refused(door: Door, name: str) -> None:
    """400, with a reason."""
    assert isinstance(rule_of(door, "composite", NO_TREES[name]), str)


def test_s3_1_a_query_does_not_grow(door: Door) -> None:
    """However often an alarm is sent back; Aodh wraps the query once more each time."""
    type_ = "gnocchi_aggregation_by_resources_threshold"
    alarm = door.post("/v2/alarms", {"name": "x", "type": type_, f"{type_}_rule": SHORTEST[type_]}, headers=ANN)
    path = alarm.headers["Location"]
    for enabled in (False, True, False):
        door.put(path, door.get(path, headers=ANN).get_json() | {"enabled": enabled}, headers=ANN)

    assert SHORTEST[type_]["query"] == door.get(path, headers=ANN).get_json()[f"{type_}_rule"]["query"]


def test_s3_1_nobody_is_asked_whether_a_metric_exists(door: Door) -> None:
    """Alarms can be written before there is anything to measure, and while no Gnocchi answers."""
    type_ = "gnocchi_resources_threshold"

    assert "nobody" == rule_of(door, type_, SHORTEST[type_] | {"resource_id": "nobody"})["resource_id"]
