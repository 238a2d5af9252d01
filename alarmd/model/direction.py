# SPDX-License-Identifier: Apache-2.0
"""Directions: whether an action makes a group larger or smaller, which is what safety depends on."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any


class Direction(StrEnum):
    """Where an action leads."""

    #: More capacity: worth an error, since what is too much costs only money.
    OUT = "out"
    #: Less capacity: never done on doubtful evidence, and not when it is too late.
    IN = "in"
    #: Neither, or nobody knows.
    NEUTRAL = "neutral"


_OPPOSITE = {Direction.OUT: Direction.IN, Direction.IN: Direction.OUT, Direction.NEUTRAL: Direction.NEUTRAL}
_BY_COMPARISON = {
    "gt": Direction.OUT,
    "ge": Direction.OUT,
    "lt": Direction.IN,
    "le": Direction.IN,
}


def leaning_of(rule: Mapping[str, Any]) -> Direction:
    """Return the direction of the alarm actions of a normalised rule, where nothing else is said.

    What fires above a threshold scales out, what fires below one scales in. A composite leans as all of its leaves do,
    those under a negation the other way round; leaves that lean nowhere do not count.
    """
    if "comparison_operator" in rule:
        return _BY_COMPARISON.get(str(rule["comparison_operator"]), Direction.NEUTRAL)
    leanings = set(_leanings(rule)) - {Direction.NEUTRAL}
    return leanings.pop() if len(leanings) == 1 else Direction.NEUTRAL


def _leanings(node: Mapping[str, Any]) -> Iterator[Direction]:
    if "not" in node:
        yield from (_OPPOSITE[one] for one in _leanings(node["not"]))
        return
    nested = node.get("and") or node.get("or") or (node.get("at_least") or {}).get("of")
    if nested is None:
        yield _BY_COMPARISON.get(str(node.get("comparison_operator")), Direction.NEUTRAL)
        return
    for one in nested:
        yield from _leanings(one)
