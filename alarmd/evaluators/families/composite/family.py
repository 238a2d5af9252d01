# SPDX-License-Identifier: Apache-2.0
"""The `composite` family: rules of other families, and alarms that there are already, combined into one.

The rule is a bare tree. Aodh's nodes: ``{"and": [node, …]}``, ``{"or": [node, …]}``, and leaves, which are rules of
other families with their ``type`` beside the other attributes. alarmd's own: ``{"not": node}``,
``{"at_least": {"count": k, "of": [node, …]}}``, and the leaf ``{"alarm_id": id}``, which stands for another alarm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Any

from pydantic import RootModel

from alarmd import plugins
from alarmd.complaints import invalid
from alarmd.errors import InvalidInput
from alarmd.evaluators.families.composite.tree import (
    REFERENCE,
    TYPE,
    combination,
    compiled,
    is_leaf,
    leaves,
    read_reference,
)
from alarmd.evaluators.family import FindFamily, RuleFamily, RuleLimits
from alarmd.model.rule import AlarmReference, CompositeRule, DoubtfulRuleType, Leaf, Node


class CompositeRuleBody(RootModel[dict[str, Any]]):
    """A `composite_rule` on the wire.

    {"and": [...]}, {"or": [...]}, {"not": {...}}, {"at_least": {"count": k, "of": [...]}}, {"alarm_id": id}, or a rule
    that names its type.
    """


@dataclass(slots=True, kw_only=True)
class _Reading:
    """Whose tree is read, and what has been seen of it."""

    project_id: str
    confined: bool
    leaves: int = 0
    #: What the leaves read that say so themselves.
    projects: list[str] = field(default_factory=list)


class CompositeFamily:
    """Checks, words and compiles `composite` rules; their leaves are left to the families that they belong to."""

    name = "composite"
    body = CompositeRuleBody
    is_evaluated = True
    is_ticked = True
    fits_composite = False
    needs = ""

    def __init__(self, limits: RuleLimits, find: FindFamily) -> None:
        self._limits = limits
        self._find = find

    def normalise(self, rule: Mapping[str, Any], *, project_id: str, confined: bool = True) -> dict[str, Any]:
        reading = _Reading(project_id=project_id, confined=confined)
        tree = self._read(rule, reading, level=1)
        if len(set(reading.projects)) > 1:
            named = ", ".join(sorted(set(reading.projects)))
            raise InvalidInput(
                f"The rules of a composite alarm must read one project, but these read {named}. Give each of them "
                "the same project_id condition, or make an alarm for each project."
            )
        return tree

    def describe(self, rule: Mapping[str, Any]) -> str:
        del rule
        return f"{self.name} alarm rule"

    def reads_project(self, rule: Mapping[str, Any], *, project_id: str) -> str:
        """Return the project of the first leaf: `normalise` has seen to it that all read the same.

        Whoever stores the alarm sees to it that this is so of the alarms too that the rule refers to.
        """
        first = next((leaf for leaf in leaves(rule) if TYPE in leaf), None)
        if first is None:
            return project_id
        return self._leaf_family(first[TYPE]).reads_project(_without_type(first), project_id=project_id)

    def parse(self, rule: Mapping[str, Any], *, project_id: str, confined: bool = True) -> CompositeRule:
        numbers = count(1)

        def leaf(node: Mapping[str, Any]) -> tuple[Node, str]:
            name = f"rule{next(numbers)}"
            if TYPE not in node:
                return Leaf(rule=AlarmReference(alarm_id=read_reference(node)), wire=node), name
            family = self._leaf_family(node[TYPE])
            parsed = family.parse(_without_type(node), project_id=project_id, confined=confined)
            return Leaf(rule=parsed, wire=node), name

        root, form = compiled(rule, leaf)
        return CompositeRule(root=root, form=form)

    def refers_to(self, rule: Mapping[str, Any]) -> frozenset[str]:
        """Return the ids of the alarms that a normalised rule refers to."""
        return frozenset(leaf[REFERENCE] for leaf in leaves(rule) if TYPE not in leaf)

    def types_within(self, rule: Mapping[str, Any]) -> frozenset[str]:
        """Return the types of the rules that a normalised rule holds."""
        return frozenset(leaf[TYPE] for leaf in leaves(rule) if TYPE in leaf)

    def doubts(self, rule: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what is to be known of the rules that a normalised rule holds."""
        doubts: dict[str, None] = {}
        for leaf in leaves(rule):
            family: object = self._find(leaf[TYPE]) if TYPE in leaf else None
            if isinstance(family, DoubtfulRuleType):
                doubts |= dict.fromkeys(family.doubts(leaf))
        return tuple(doubts)

    def _read(self, node: object, reading: _Reading, *, level: int) -> dict[str, Any]:
        """Return a node complete, and note what has been seen of it."""
        if level > self._limits.composite_depth:
            raise InvalidInput(
                f"The composite rule has more than {self._limits.composite_depth} levels: make it flatter, or ask the "
                "operator to raise api.max_composite_depth."
            )
        if not isinstance(node, Mapping):
            raise invalid("composite_rule", node, "Value should be an object: a rule with its type, or rules combined")
        if is_leaf(node):
            return self._read_leaf(node, reading)
        found = combination(node)
        return found.wire([self._read(one, reading, level=level + 1) for one in found.nodes])

    def _read_leaf(self, leaf: Mapping[str, Any], reading: _Reading) -> dict[str, Any]:
        if reading.leaves == self._limits.composite_leaves:
            raise InvalidInput(
                f"The composite rule holds more than {self._limits.composite_leaves} rules: use fewer, or ask the "
                "operator to raise api.max_composite_leaves."
            )
        reading.leaves += 1
        family = self._leaf_family(leaf[TYPE]) if TYPE in leaf else None
        try:
            if family is None:
                return {REFERENCE: read_reference(leaf)}
            rule = family.normalise(_without_type(leaf), project_id=reading.project_id, confined=reading.confined)
        except InvalidInput as error:
            raise InvalidInput(f"{error.message} (in rule{reading.leaves} of composite_rule)", **error.facts) from error
        reading.projects.append(family.reads_project(rule, project_id=reading.project_id))
        return {TYPE: family.name, **rule}

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


def _without_type(leaf: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in leaf.items() if key != TYPE}


PLUGIN = CompositeFamily
