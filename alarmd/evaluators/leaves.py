# SPDX-License-Identifier: Apache-2.0
"""The leaves of composite alarms: what kinds there are, and where their outcomes go."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from alarmd.model.alarm import AlarmId
from alarmd.model.rule import AlarmReference, Branch, Leaf, Node, WindowRule


class LeafKind(IntEnum):
    """What is evaluated for a leaf."""

    WINDOW = 1
    #: A rule whose values another server knows.
    ASKED = 2
    #: Another alarm.
    ALARM = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedLeaf:
    """A leaf and where its outcome goes. Made when asked for: there are very many leaves."""

    slot: int
    #: Slot of the root of its composite.
    root: int
    kind: LeafKind
    #: The alarm that it stands for.
    alarm_id: AlarmId | None
    #: Whether an odd number of negations stands above it: then its alarm is a reason for ok.
    is_negated: bool


def leaves_of(top: Node) -> Iterator[Leaf]:
    """Yield the leaves of a node, depth first."""
    if isinstance(top, Leaf):
        yield top
        return
    for one in top.nodes:
        yield from leaves_of(one)


def kind_of(node: Node) -> int:
    """Return the `LeafKind` of a leaf; 0 for a branch."""
    if isinstance(node, Branch):
        return 0
    if isinstance(node.rule, WindowRule):
        return LeafKind.WINDOW
    return LeafKind.ALARM if isinstance(node.rule, AlarmReference) else LeafKind.ASKED
