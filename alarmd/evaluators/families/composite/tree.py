# SPDX-License-Identifier: Apache-2.0
"""The tree of a composite rule: how nodes are combined, on the wire, in words and as what is evaluated."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field

from alarmd.complaints import invalid
from alarmd.errors import InvalidInput
from alarmd.evaluators.families.rule_body import Name, RuleBody, Whole, read_rule
from alarmd.model.rule import Branch, Node

_AND, _OR, _NOT, _AT_LEAST = "and", "or", "not", "at_least"
_OPERATORS: Final = (_AND, _OR, _NOT, _AT_LEAST)
#: What marks a leaf.
TYPE, REFERENCE = "type", "alarm_id"
#: What complaints call the rule.
_NAME: Final = "composite"


class _ReferenceBody(RuleBody):
    """A leaf that stands for another alarm."""

    alarm_id: Annotated[Name, Field(min_length=1)]


class _AtLeastBody(RuleBody):
    """What `at_least` holds."""

    count: Annotated[Whole, Field(ge=1)]
    of: Annotated[list[Any], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """A node that combines others, as it stands in a rule; they have not been looked at yet."""

    operator: str
    nodes: list[Any]
    #: How many of them must be true. What is negated is one node.
    at_least: int

    def wire(self, nodes: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the node over these nodes, in wire form."""
        match self.operator:
            case "not":
                return {_NOT: nodes[0]}
            case "at_least":
                return {_AT_LEAST: {"count": self.at_least, "of": nodes}}
            case operator:
                return {operator: nodes}

    def form(self, nodes: list[str]) -> str:
        """Return the node in words, as Aodh has them for "and" and "or"."""
        match self.operator:
            case "not":
                return f"not {nodes[0]}"
            case "at_least":
                return f"at least {self.at_least} of ({', '.join(nodes)})"
            case operator:
                return f"({f' {operator} '.join(nodes)})"


def read_reference(leaf: Mapping[str, Any]) -> str:
    """Return the id of the alarm that a leaf stands for; raises `InvalidInput`."""
    return read_rule(_ReferenceBody, leaf, type_=_NAME).alarm_id


def is_leaf(node: Mapping[str, Any]) -> bool:
    """Return whether a node combines no others."""
    return TYPE in node or REFERENCE in node


def leaves(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the leaves of a normalised rule, depth first."""
    if is_leaf(node):
        yield node
        return
    for one in combination(node).nodes:
        yield from leaves(one)


def compiled(node: Mapping[str, Any], leaf: Callable[[Mapping[str, Any]], tuple[Node, str]]) -> tuple[Node, str]:
    """Return a node of a normalised rule, ready to be evaluated, and what it looks like in words."""
    if is_leaf(node):
        return leaf(node)
    found = combination(node)
    nodes, forms = zip(*(compiled(one, leaf) for one in found.nodes), strict=True)
    branch = Branch(nodes=nodes, at_least=found.at_least, is_negated=found.operator == _NOT)
    return branch, found.form(list(forms))


def combination(node: Mapping[str, Any]) -> Combination:
    """Return how a node combines others; raises `InvalidInput`, in Aodh's words where it has any."""
    operator = _operator_of(node)
    operand = node[operator]
    if operator == _NOT:
        if not isinstance(operand, Mapping):
            raise invalid(operator, operand, "Value should be an object: the one rule that is negated")
        return Combination(operator=operator, nodes=[operand], at_least=1)
    if operator == _AT_LEAST:
        return _at_least(operand)
    if not isinstance(operand, list) or not operand:
        raise invalid(operator, operand, "Value should be a list of at least one rule")
    return Combination(operator=operator, nodes=operand, at_least=1 if operator == _OR else len(operand))


def _at_least(operand: object) -> Combination:
    if not isinstance(operand, Mapping):
        raise invalid(_AT_LEAST, operand, 'Value should be an object: how many ("count") of which rules ("of")')
    body = read_rule(_AtLeastBody, operand, type_=_NAME)
    if body.count > len(body.of):
        raise invalid("count", body.count, f"Value should be lower or equal to {len(body.of)}")
    return Combination(operator=_AT_LEAST, nodes=body.of, at_least=body.count)


def _operator_of(node: Mapping[str, Any]) -> str:
    """Return how a node combines others; raises `InvalidInput` in Aodh's words."""
    if len(node) == 1 or any(operator in node for operator in _OPERATORS):
        [*keys] = node
        if len(keys) == 1 and keys[0] in _OPERATORS:
            return str(keys[0])
        raise InvalidInput('Threshold rules should be combined with "and" or "or"')
    raise InvalidInput("type must be set in every rule")
