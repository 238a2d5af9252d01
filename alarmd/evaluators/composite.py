# SPDX-License-Identifier: Apache-2.0
"""The `composite` family: rules of other families, combined with "and" and "or".

The rule is a bare tree: ``{"and": [node, …]}``, ``{"or": [node, …]}``, or a leaf, which is the rule of another family
with its ``type`` beside the other attributes.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pydantic import RootModel

from alarmd import plugins
from alarmd.complaints import invalid
from alarmd.errors import InvalidInput
from alarmd.evaluators.family import FindFamily, RuleFamily, RuleLimits, TickedRule
from alarmd.evaluators.rule_body import not_evaluated

_OPERATORS = ("and", "or")


class CompositeRuleBody(RootModel[dict[str, Any]]):
    """A `composite_rule` on the wire: {"and": [...]}, {"or": [...]}, or a rule that names its type."""


class CompositeFamily:
    """Checks `composite` rules; their leaves are checked by the families that they belong to."""

    name = "composite"
    body = CompositeRuleBody
    is_evaluated = False
    is_ticked = False
    needs = ""
    fits_composite = False

    def __init__(self, limits: RuleLimits, find: FindFamily) -> None:
        self._limits = limits
        self._find = find

    def normalise(self, rule: Mapping[str, Any], *, project_id: str, confined: bool = True) -> dict[str, Any]:
        projects: list[str] = []
        tree = self._read(rule, project_id=project_id, confined=confined, level=1, projects=projects)
        if len(set(projects)) > 1:
            named = ", ".join(sorted(set(projects)))
            raise InvalidInput(
                f"The rules of a composite alarm must read one project, but these read {named}. Give each of them "
                "the same project_id condition, or make an alarm for each project."
            )
        return tree

    def describe(self, rule: Mapping[str, Any]) -> str:
        del rule
        return f"{self.name} alarm rule"

    def reads_project(self, rule: Mapping[str, Any], *, project_id: str) -> str:
        """Return the project of the first leaf: `normalise` has seen to it that all read the same."""
        node = rule
        while "type" not in node:
            node = node["and" if "and" in node else "or"][0]
        family = self._leaf_family(node["type"])
        return family.reads_project(_without_type(node), project_id=project_id)

    def parse(self, rule: Mapping[str, Any], *, project_id: str, confined: bool = True) -> TickedRule:
        del rule, project_id, confined
        raise not_evaluated(self.name)

    def _read(
        self, node: object, *, project_id: str, confined: bool, level: int, projects: list[str]
    ) -> dict[str, Any]:
        """Return a node complete, and note the project that each of its leaves reads."""
        if level > self._limits.composite_depth:
            raise InvalidInput(
                f"The composite rule has more than {self._limits.composite_depth} levels: make it flatter, or ask the "
                "operator to raise api.max_composite_depth."
            )
        if not isinstance(node, Mapping):
            raise invalid("composite_rule", node, "Value should be an object: a rule with its type, or rules combined")
        if "type" in node:
            return self._read_leaf(node, project_id=project_id, confined=confined, projects=projects)
        operator = _operator_of(node)
        nodes = node[operator]
        if not isinstance(nodes, list) or not nodes:
            raise invalid(operator, nodes, "Value should be a list of at least one rule")
        return {
            operator: [
                self._read(one, project_id=project_id, confined=confined, level=level + 1, projects=projects)
                for one in nodes
            ]
        }

    def _read_leaf(
        self, leaf: Mapping[str, Any], *, project_id: str, confined: bool, projects: list[str]
    ) -> dict[str, Any]:
        if len(projects) == self._limits.composite_leaves:
            raise InvalidInput(
                f"The composite rule holds more than {self._limits.composite_leaves} rules: use fewer, or ask the "
                "operator to raise api.max_composite_leaves."
            )
        family = self._leaf_family(leaf["type"])
        number = len(projects) + 1
        try:
            rule = family.normalise(_without_type(leaf), project_id=project_id, confined=confined)
        except InvalidInput as error:
            raise InvalidInput(f"{error.message} (in rule{number} of composite_rule)", **error.facts) from error
        projects.append(family.reads_project(rule, project_id=project_id))
        return {"type": family.name, **rule}

    def _leaf_family(self, type_: object) -> RuleFamily:
        if not type_:
            raise InvalidInput("type must be set in every rule")
        family = self._find(type_) if isinstance(type_, str) else None
        if family is None or not family.fits_composite:
            raise invalid("type", type_, f"Value should be one of: {', '.join(self._leaf_types)}")
        return family

    @cached_property
    def _leaf_types(self) -> list[str]:
        found = ((name, self._find(name)) for name in plugins.names("alarmd.evaluators"))
        return [name for name, family in found if family is not None and family.fits_composite]


def _operator_of(node: Mapping[str, Any]) -> str:
    """Return how a node combines others; raises `InvalidInput` in Aodh's words."""
    if len(node) == 1 or any(operator in node for operator in _OPERATORS):
        [*keys] = node
        if len(keys) == 1 and keys[0] in _OPERATORS:
            return str(keys[0])
        raise InvalidInput('Threshold rules should be combined with "and" or "or"')
    raise InvalidInput("type must be set in every rule")


def _without_type(leaf: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in leaf.items() if key != "type"}


PLUGIN = CompositeFamily
