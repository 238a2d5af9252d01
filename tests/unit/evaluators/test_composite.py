# SPDX-License-Identifier: Apache-2.0
"""The `composite` type, a row of the contract each (aodh-api 3.3)."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

from alarmd.errors import InvalidInput
from alarmd.evaluators.families.composite.family import CompositeFamily
from alarmd.evaluators.families.rule_body import KeptFamily, RuleBody
from alarmd.evaluators.family import RuleLimits
from alarmd.model.rule import AlarmReference, Branch, CompositeRule, Leaf
from tests.support.rules import FAMILIES, SHORTEST, TREES, depth_of, normalised

FAMILY = CompositeFamily(RuleLimits(window_s=3600, lateness_s=10), FAMILIES.get)
#: A leaf that is evaluated without anybody's server.
CPU = {"type": "threshold", **SHORTEST["threshold"]}
NOTHING: Any = (None, None)
LEAVES = sorted(name for name, family in FAMILIES.items() if family.fits_composite)


class KeptLeaf(KeptFamily):
    """A family whose rules are kept, also within composites."""

    name = "kept"
    body = RuleBody
    fits_composite = True


def leaf(type_: str = "prometheus", **changes: Any) -> dict[str, Any]:
    """Return a leaf with its mandatory members only."""
    return {**SHORTEST[type_], "type": type_, **changes}


def refusal(rule: Any) -> str:
    """Return why a rule is refused."""
    with pytest.raises(InvalidInput) as refused:
        normalised("composite", rule)
    return refused.value.message


def test_s3_3_leaves_are_the_rules_that_hold_a_value_against_a_threshold() -> None:
    """Those of today's Aodh, and of the one before."""
    assert [
        "gnocchi_aggregation_by_metrics_threshold",
        "gnocchi_aggregation_by_resources_threshold",
        "gnocchi_resources_threshold",
        "prometheus",
        "threshold",
    ] == LEAVES


@pytest.mark.parametrize("type_", LEAVES)
def test_s3_3_a_leaf_is_completed_by_its_own_family(type_: str) -> None:
    """Its type stays inside and stands first."""
    assert [("type", type_), *normalised(type_).items()] == list(
        normalised("composite", {"and": [leaf(type_)]})["and"][0].items()
    )


@pytest.mark.parametrize("type_", LEAVES)
def test_s3_3_a_bare_leaf_is_a_whole_rule(type_: str) -> None:
    """It needs no operator."""
    assert {"type": type_} | normalised(type_) == normalised("composite", leaf(type_))


def test_s3_3_a_leaf_takes_the_nulls_of_a_template() -> None:
    """As it would outside."""
    assert normalised("composite", leaf(comparison_operator=None))["comparison_operator"] == "eq"


def test_s3_3_rules_nest() -> None:
    """One rule or many behind an operator, in their order."""
    rule = {"or": [leaf(query="a"), {"and": [leaf(query="b"), {"or": [leaf(query="c")]}]}]}
    kept = normalised("composite", rule)

    assert ["a", "b", "c"] == [
        kept["or"][0]["query"],
        kept["or"][1]["and"][0]["query"],
        kept["or"][1]["and"][1]["or"][0]["query"],
    ]


def test_alarmds_own_nodes_are_kept_as_they_are() -> None:
    """Negation, so many of them, and other alarms stand beside Aodh's nodes, and survive being sent back."""
    rule = {
        "and": [
            {"not": {"or": [leaf(), {"alarm_id": "a"}]}},
            {"at_least": {"count": "2", "of": [leaf(), {"alarm_id": "b"}, {"not": {"alarm_id": "a"}}]}},
        ]
    }
    kept = normalised("composite", rule)
    whole = {"type": "prometheus"} | normalised("prometheus")

    assert {
        "and": [
            {"not": {"or": [whole, {"alarm_id": "a"}]}},
            {"at_least": {"count": 2, "of": [whole, {"alarm_id": "b"}, {"not": {"alarm_id": "a"}}]}},
        ]
    } == kept
    assert kept == normalised("composite", kept)
    assert frozenset({"a", "b"}) == FAMILY.refers_to(kept)
    assert frozenset({"prometheus"}) == FAMILY.types_within(kept)


@given(TREES)
def test_s3_3_a_tree_keeps_its_shape(tree: dict[str, Any]) -> None:
    """Normalising changes leaves only."""

    def shape(node: Any) -> Any:
        if "type" in node or "alarm_id" in node:
            return node.get("type")
        [(operator, operand)] = node.items()
        if operator == "not":
            return {operator: shape(operand)}
        if operator == "at_least":
            return {operator: operand["count"], "of": [shape(each) for each in operand["of"]]}
        return {operator: [shape(each) for each in operand]}

    assert shape(tree) == shape(normalised("composite", tree))


COMBINED = 'Threshold rules should be combined with "and" or "or"'
UNTYPED = "type must be set in every rule"


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"and": [leaf()], "not": leaf()}, COMBINED),
        ({"not": leaf(), "at_least": {"count": 1, "of": [leaf()]}}, COMBINED),
        ({"AND": [leaf()]}, COMBINED),
        ({"and": [leaf()], "or": [leaf()]}, COMBINED),
        ({"and": [leaf()], "colour": "red"}, COMBINED),
        ({"and": [{"xor": [leaf()]}]}, COMBINED),
        ({}, UNTYPED),
        ({"and": [{}]}, UNTYPED),
        ({"and": [{"query": "up", "threshold": 1}]}, UNTYPED),
        ({"and": [leaf() | {"type": None}]}, UNTYPED),
        ({"and": [leaf() | {"type": ""}]}, UNTYPED),
        (
            {"and": []},
            "Invalid input for field/attribute and. Value: '[]'. Value should be a list of at least one rule",
        ),
        ({"or": leaf()}, "Value should be a list of at least one rule"),
        ({"or": None}, "Value should be a list of at least one rule"),
        ({"or": "x"}, "Value should be a list of at least one rule"),
        (
            {"or": [5]},
            "Invalid input for field/attribute composite_rule. Value: '5'. Value should be an object: a rule",
        ),
        ({"or": [None]}, "Value should be an object: a rule with its type, or rules combined"),
        ({"or": [[leaf()]]}, "Value should be an object: a rule with its type, or rules combined"),
        ({"not": [leaf()]}, "field/attribute not. Value: '["),
        ({"not": None}, "Value should be an object: the one rule that is negated"),
        ({"at_least": [leaf()]}, 'Value should be an object: how many ("count") of which rules ("of")'),
        ({"at_least": 2}, 'Value should be an object: how many ("count") of which rules ("of")'),
        ({"at_least": {"of": [leaf()]}}, "field/attribute count. Value: 'None'. Mandatory field missing."),
        ({"at_least": {"count": 1}}, "field/attribute of. Value: 'None'. Mandatory field missing."),
        ({"at_least": {"count": 0, "of": [leaf()]}}, "count. Value: '0'. Value should be greater or equal to 1"),
        ({"at_least": {"count": 3, "of": [leaf()] * 2}}, "count. Value: '3'. Value should be lower or equal to 2"),
        ({"at_least": {"count": "most", "of": [leaf()]}}, "field/attribute count. Value: 'most'. "),
        ({"at_least": {"count": 1, "of": []}}, "field/attribute of. Value: '[]'. "),
        ({"at_least": {"count": 1, "of": leaf()}}, "field/attribute of. "),
        (
            {"at_least": {"count": 1, "of": [leaf()], "colour": "red"}},
            "Unknown attribute for argument data.composite_rule: colour",
        ),
        ({"alarm_id": None}, "alarm_id. Value: 'None'. Mandatory field missing. (in rule1 of composite_rule)"),
        ({"alarm_id": ""}, "field/attribute alarm_id. Value: ''. "),
        ({"alarm_id": 7}, "field/attribute alarm_id. Value: '7'. "),
        ({"alarm_id": "x" * 256}, "field/attribute alarm_id. "),
        (
            {"or": [leaf(), {"alarm_id": "a", "threshold": 1}]},
            "Unknown attribute for argument data.composite_rule: threshold (in rule2 of composite_rule)",
        ),
        ({"alarm_id": "a", "and": [leaf()]}, "Unknown attribute for argument data.composite_rule: and"),
    ],
)
def test_s3_3_other_shapes_are_refused(rule: Any, text: str) -> None:
    """In Aodh's words where it has any; an empty list, which it keeps, could never be evaluated."""
    assert text in refusal(rule)


@pytest.mark.parametrize("type_", ["event", "composite", "loadbalancer_member_health", "combination", ["x"], 5])
def test_s3_3_other_types_of_leaf_are_refused_with_the_list(type_: Any) -> None:
    """Only what holds a value against a threshold can be combined."""
    assert (
        f"Invalid input for field/attribute type. Value: '{type_}'. Value should be one of: {', '.join(LEAVES)}"
    ) == refusal({"and": [{"type": type_}]})


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (
            leaf(colour="red"),
            "Unknown attribute for argument data.prometheus_rule: colour (in rule2 of composite_rule)",
        ),
        (leaf(threshold=None), "Mandatory field missing. (in rule2 of composite_rule)"),
        (leaf(threshold="high"), "Invalid input for field/attribute threshold. Value: 'high'. "),
        (leaf("gnocchi_resources_threshold", aggregation_method="avg"), "aggregation_method should be in "),
        (leaf("gnocchi_aggregation_by_resources_threshold", query="{"), "Value should be JSON as text"),
        (leaf("threshold", period=86_400), "but the window holds"),
        (leaf() | {"and": [leaf()]}, "Unknown attribute for argument data.prometheus_rule: and"),
    ],
)
def test_s3_3_a_wrong_leaf_is_named_by_its_number(wrong: dict[str, Any], text: str) -> None:
    """Leaves are checked as their own family checks them, and numbered as in the reasons of their alarm."""
    message = refusal({"or": [leaf(), {"and": [wrong, leaf()]}]})

    assert text in message
    assert "rule2 of composite_rule" in message


def test_s3_3_levels_are_bounded() -> None:
    """The refusal names the limit and its setting; nobody's recursion limit is met."""
    deepest: dict[str, Any] = leaf()
    for _ in range(7):
        deepest = {"and": [deepest]}
    bottomless = deepest
    for _ in range(900):
        bottomless = {"and": [bottomless]}

    assert 8 == depth_of(normalised("composite", deepest))
    for tree in ({"or": [deepest]}, bottomless):
        assert "has more than 8 levels" in refusal(tree)
        assert "api.max_composite_depth" in refusal(tree)


def test_s3_3_leaves_are_bounded() -> None:
    """Over all levels together."""
    assert 100 == len(normalised("composite", {"or": [leaf()] * 100})["or"])
    for tree in ({"or": [leaf()] * 101}, {"or": [{"and": [leaf()] * 60}, {"and": [leaf()] * 60}]}):
        assert "holds more than 100 rules" in refusal(tree)
        assert "api.max_composite_leaves" in refusal(tree)


def test_s3_3_limits_are_the_operators() -> None:
    """As the settings say."""
    limits = RuleLimits(window_s=3600, lateness_s=10, composite_depth=2, composite_leaves=1)
    family = CompositeFamily(limits, FAMILIES.get)
    family.normalise({"or": [leaf()]}, project_id="p1")
    for rule in ({"or": [leaf(), leaf()]}, {"or": [{"or": [leaf()]}]}):
        with pytest.raises(InvalidInput, match="more than"):
            family.normalise(rule, project_id="p1")


@pytest.mark.parametrize("wrap", [lambda node: {"not": node}, lambda node: {"at_least": {"count": 1, "of": [node]}}])
def test_every_node_is_a_level(wrap: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Those too that stand over one node only."""
    tree = leaf("threshold")
    for _ in range(7):
        tree = wrap(tree)
    normalised("composite", tree)

    assert "has more than 8 levels" in refusal(wrap(tree))


def test_references_count_as_leaves() -> None:
    """So that the number of alarms that one refers to is bounded too."""
    assert "holds more than 100 rules" in refusal({"or": [{"alarm_id": "a"}] * 101})


def test_a_rule_of_references_only_reads_its_own_project() -> None:
    """What the alarms read that it refers to is known where they are stored."""
    assert "p1" == FAMILY.reads_project({"or": [{"alarm_id": "a"}]}, project_id="p1")
    assert "p2" == FAMILY.reads_project(
        normalised("composite", {"not": {"and": [{"alarm_id": "a"}, elsewhere("p2")]}}), project_id="p1"
    )


def parsed(rule: Any) -> CompositeRule:
    """Return what is evaluated for a rule as a client may send it."""
    return FAMILY.parse(normalised("composite", rule), project_id="p1")


@pytest.mark.parametrize(
    ("rule", "form"),
    [
        (CPU, "rule1"),
        ({"and": [CPU]}, "(rule1)"),
        ({"and": [CPU, {"or": [CPU, CPU]}]}, "(rule1 and (rule2 or rule3))"),
        ({"or": [{"and": [CPU, CPU]}, CPU]}, "((rule1 and rule2) or rule3)"),
        ({"not": CPU}, "not rule1"),
        ({"not": {"not": {"and": [CPU, CPU]}}}, "not not (rule1 and rule2)"),
        ({"at_least": {"count": 2, "of": [CPU, {"alarm_id": "a"}, CPU]}}, "at least 2 of (rule1, rule2, rule3)"),
        (
            {"and": [{"not": CPU}, {"at_least": {"count": 1, "of": [CPU, {"not": CPU}]}}]},
            "(not rule1 and at least 1 of (rule2, not rule3))",
        ),
    ],
)
def test_s4_4_a_rule_is_put_into_words(rule: dict[str, Any], form: str) -> None:
    """Aodh's, where it has any; leaves are numbered depth first."""
    assert form == parsed(rule).form


def test_a_rule_is_compiled_for_the_tick() -> None:
    """Every node asks for at least so many of those below it; leaves are compiled by their own families."""
    other = {"alarm_id": "a"}
    rule = {"and": [{"or": [CPU, other]}, {"not": CPU}, {"at_least": {"count": 2, "of": [other, CPU, other]}}]}
    whole = {"type": "threshold"} | normalised("threshold")
    cpu = Leaf(rule=FAMILIES["threshold"].parse(normalised("threshold"), project_id="p1"), wire=whole)
    reference = Leaf(rule=AlarmReference(alarm_id="a"), wire=other)

    assert (
        Branch(
            nodes=(
                Branch(nodes=(cpu, reference), at_least=1),
                Branch(nodes=(cpu,), at_least=1, is_negated=True),
                Branch(nodes=(reference, cpu, reference), at_least=2),
            ),
            at_least=3,
        )
        == parsed(rule).root
    )


def test_a_rule_whose_leaf_is_not_evaluated_is_not_evaluated() -> None:
    """It is kept; the complaint names the type of the leaf."""
    kept = {"or": [{"type": "kept"}]}
    family = CompositeFamily(RuleLimits(window_s=3600, lateness_s=10), {"kept": KeptLeaf(*NOTHING)}.get)

    with pytest.raises(InvalidInput, match=r"^Alarms of type kept are kept, but this version does not evaluate them"):
        family.parse(family.normalise(kept, project_id="p1"), project_id="p1")


def elsewhere(project_id: str) -> dict[str, Any]:
    """Return a threshold leaf that reads another project."""
    return leaf("threshold", query=[{"field": "project_id", "value": project_id}])


def test_s3_3_the_project_that_all_leaves_read_is_told() -> None:
    """So that callers who may not read it are refused, and the alarm lies in the right shard."""
    kept = normalised("composite", {"or": [{"and": [elsewhere("p2")]}, elsewhere("p2")]})

    assert "p2" == FAMILIES["composite"].reads_project(kept, project_id="p1")


@pytest.mark.parametrize("others", [[elsewhere("p3")], [leaf()], [leaf("threshold")]])
def test_s3_3_leaves_must_read_one_project(others: list[dict[str, Any]]) -> None:
    """An alarm is evaluated where the samples of one project are."""
    assert "must read one project, but these read p1, p2. " in refusal({"or": [elsewhere("p2"), *others]}).replace(
        "p2, p3", "p1, p2"
    )


def test_s3_3_what_is_kept_shares_nothing_with_what_was_sent() -> None:
    """The client's tree is not changed."""
    rule = {"or": [leaf(), {"and": [leaf("threshold")]}]}
    before = json.dumps(rule)
    normalised("composite", rule)

    assert before == json.dumps(rule)
