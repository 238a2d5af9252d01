# SPDX-License-Identifier: Apache-2.0
"""The truth of one composite, node by node, for people who ask why: the same as `composites` says of columns."""

from collections.abc import Iterator, Sequence
from enum import StrEnum

from alarmd.evaluators.verdicts.judgement import next_state
from alarmd.model.alarm import State
from alarmd.model.rule import Leaf, Node
from alarmd.model.verdict import Outcome


class Truth(StrEnum):
    """What a node counts for."""

    ALARM = "alarm"
    OK = "ok"
    #: Nothing is known of it.
    NEITHER = "neither"
    #: Nothing can be said yet, so all stays as it is unless the other nodes decide.
    OPEN = "not known yet"


_OF_STATE = {State.ALARM: Truth.ALARM, State.OK: Truth.OK, State.INSUFFICIENT_DATA: Truth.NEITHER}
_NEGATION = {Truth.ALARM: Truth.OK, Truth.OK: Truth.ALARM}
_OPPOSITE = {State.ALARM: State.OK, State.OK: State.ALARM}


def truth_of_state(state: State) -> Truth:
    """Return what a leaf counts for that stands for an alarm in a state."""
    return _OF_STATE[state]


def truth_of(outcome: Outcome, *, state: State) -> Truth:
    """Return what a leaf counts for that is in a state (see `leaf_states`).

    Values on both sides of the threshold keep it there; when nothing is known of it, the latest value decides.
    """
    match outcome:
        case Outcome.UNKNOWN:
            return Truth.NEITHER
        case Outcome.UNDECIDED:
            return Truth.OPEN
        case _:
            return truth_of_state(next_state(state, outcome))


def truth_of_tree(root: Node, leaves: Sequence[Truth]) -> Truth:
    """Return what a tree counts for, given what its leaves do, in their order."""
    return _truth(root, iter(leaves))


def state_after(truth: Truth, *, state: State) -> State:
    """Return the state of a composite whose root counts for something."""
    if truth is Truth.OPEN:
        return state
    return next(one for one, counted in _OF_STATE.items() if counted is truth)


def negations(root: Node) -> list[bool]:
    """Return of each leaf whether an odd number of negations stands above it."""
    return list(_negations(root, is_negated=False))


def leaf_states(root: Node, *, state: State) -> list[State]:
    """Return what each leaf would be in if it alone kept a composite in a state: the opposite if it is negated."""
    return [_OPPOSITE.get(state, state) if is_negated else state for is_negated in negations(root)]


def _truth(node: Node, leaves: Iterator[Truth]) -> Truth:
    if isinstance(node, Leaf):
        return next(leaves)
    below = [_truth(one, leaves) for one in node.nodes]
    if below.count(Truth.OK) > len(below) - node.at_least:
        found = Truth.OK
    elif below.count(Truth.ALARM) >= node.at_least:
        found = Truth.ALARM
    else:
        found = Truth.OPEN if Truth.OPEN in below else Truth.NEITHER
    return _NEGATION.get(found, found) if node.is_negated else found


def _negations(node: Node, *, is_negated: bool) -> Iterator[bool]:
    if isinstance(node, Leaf):
        yield is_negated
        return
    for one in node.nodes:
        yield from _negations(one, is_negated=is_negated ^ node.is_negated)
