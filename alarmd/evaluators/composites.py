# SPDX-License-Identifier: Apache-2.0
"""Composite alarms as arrays: the truth of all their leaves at once, level by level up to their roots.

Every node, leaves included, has a slot. A node says "at least so many of those below me", so counting is all there is
to do: how many of the nodes below are in alarm, and how many are ok. A leaf that is neither leaves that open.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alarmd.evaluators.columns import grown
from alarmd.evaluators.fresh_evidence import FreshEvidence, OpenRules
from alarmd.evaluators.leaves import LeafKind, PlacedLeaf, kind_of, leaves_of
from alarmd.evaluators.packing import pack, unpack
from alarmd.evaluators.roster import Found, Roster, Turn
from alarmd.evaluators.verdicts.transition_table import OUTCOMES, STATE_CODES, STATES
from alarmd.evaluators.verdicts.wording import composite_reason
from alarmd.model.alarm import AlarmId, State
from alarmd.model.rule import AlarmReference, Branch, CompositeRule, Node
from alarmd.model.verdict import Outcome

#: Columns of nodes, by slot, and their types.
_NODES: dict[str, type[np.generic]] = {
    #: Slot of the node above; a root is above itself.
    "parent": np.int32,
    #: Slot of the node that comes next, depth first; `_LAST` for the last one.
    "next": np.int32,
    #: What is evaluated for a leaf (`LeafKind`); 0 for a branch.
    "kind": np.int8,
    #: How far below the root, 0 for the root; `_FREE` for slots that nobody uses.
    "level": np.int8,
    #: How many of the nodes below must be in alarm; 0 for a leaf.
    "at_least": np.int32,
    #: How many nodes stand below.
    "below": np.int32,
    "negated": np.bool_,
    #: Whether an odd number of negations stands above it.
    "turned": np.bool_,
    #: What its rule says, of leaves.
    "outcome": np.int8,
    #: Whether nothing is known of what a leaf reads: it could not be evaluated.
    "blind": np.bool_,
    #: Slot of the root.
    "root": np.int32,
    #: Code of the composite's state, of roots.
    "state": np.int8,
}
_FREE = _LAST = -1

#: What the leaves of a composite count for: neither, alarm, ok, or not known yet.
_NEITHER, _ALARM, _OK, _OPEN = range(4)


def _truth_table() -> NDArray[np.int8]:
    """Return what an outcome counts for, by ``state of the leaf * OUTCOMES + outcome``.

    Values on both sides of the threshold keep the composite where it is; when nothing is known of it, the latest value
    decides. The state of a leaf is that of `Composites.leaf_states`.
    """
    table = np.full((len(STATES), OUTCOMES), _NEITHER, np.int8)
    table[:, Outcome.ALL_OUTSIDE] = _ALARM
    table[:, Outcome.NONE_OUTSIDE] = _OK
    table[:, Outcome.UNDECIDED] = _OPEN
    for mixed in (Outcome.MIXED_LATEST_OUTSIDE, Outcome.MIXED_LATEST_INSIDE):
        table[STATE_CODES[State.ALARM], mixed] = _ALARM
        table[STATE_CODES[State.OK], mixed] = _OK
    table[STATE_CODES[State.INSUFFICIENT_DATA], Outcome.MIXED_LATEST_OUTSIDE] = _ALARM
    table[STATE_CODES[State.INSUFFICIENT_DATA], Outcome.MIXED_LATEST_INSIDE] = _OK
    return table.ravel()


_TRUTH = _truth_table()

#: The code of the opposite of a state, by its code.
_TURNED = np.array(
    [STATE_CODES[{State.OK: State.ALARM, State.ALARM: State.OK}.get(one, one)] for one in STATES], np.int8
)

#: What the outcome of a leaf is that stands for another alarm, by the state of that.
_OF_STATE = {
    State.OK: Outcome.NONE_OUTSIDE,
    State.ALARM: Outcome.ALL_OUTSIDE,
    State.INSUFFICIENT_DATA: Outcome.UNKNOWN,
}


#: Returns what the outcomes of leaves were found from, by their slots.
LeafEvidence = Callable[[Sequence[PlacedLeaf]], Mapping[int, Mapping[str, Any]]]
#: Returns for which leaves there is fresh evidence.
LeafFreshness = Callable[[Sequence[PlacedLeaf]], Sequence[bool]]


class Insight(NamedTuple):
    """What is asked about leaves once something is to be said of their composite."""

    evidence: LeafEvidence
    are_fresh: LeafFreshness


class Composites:
    """All composite alarms of a plan. Not safe for use by several threads."""

    def __init__(self, *, counts_results: bool = False) -> None:
        self.roster = Roster({"root": np.int32}, counts_results=counts_results, repeats_unknown=False)
        self._nodes: dict[str, NDArray[Any]] = {name: np.zeros(0, kind) for name, kind in _NODES.items()}
        self._free: list[int] = []
        #: What is said of each composite, packed, by the slot of its root.
        self._said: dict[int, bytes] = {}
        #: The alarms that leaves stand for, by slot.
        self._referred: dict[int, AlarmId] = {}
        #: Slots of the leaves that stand for an alarm, by that alarm.
        self._referring: dict[AlarmId, set[int]] = {}
        #: Those of them of whose state nothing has been told.
        self._unheard: set[AlarmId] = set()
        #: Whether the state of an alarm that others refer to has changed since the last look.
        self.has_news = False

    @property
    def outcomes(self) -> NDArray[np.int8]:
        """Outcomes of leaves, by slot: whoever evaluates a leaf puts them here."""
        return self._nodes["outcome"]

    @property
    def blind(self) -> NDArray[np.bool_]:
        """Which leaves could not be evaluated, by slot: whoever evaluates a leaf says so here."""
        return self._nodes["blind"]

    @property
    def leaf_states(self) -> NDArray[np.int8]:
        """What each leaf would be in if it alone kept its composite where it is, by slot: the opposite if negated."""
        composite = self._nodes["state"][self._nodes["root"]]
        states: NDArray[np.int8] = np.where(self._nodes["turned"], _TURNED[composite], composite)
        return states

    def add(self, alarm_id: AlarmId, rule: CompositeRule, values: Mapping[str, Any]) -> int:
        """Add an alarm; return its row."""
        root = self._plant(rule.root)
        self._nodes["state"][root] = values["state"]
        leaves = list(leaves_of(rule.root))
        self._said[root] = pack(rule.form, [one.wire for one in leaves])
        for slot, leaf in zip(self._leaf_slots(root), leaves, strict=True):
            if isinstance(leaf.rule, AlarmReference):
                referred = self._referred[slot] = AlarmId(leaf.rule.alarm_id)
                self._referring.setdefault(referred, set()).add(slot)
                # Of this leaf nothing has been told, whatever has been told of others.
                self._unheard.add(referred)
        return self.roster.add(alarm_id, {**values, "root": root})

    def leaves(self, row: int) -> tuple[PlacedLeaf, ...]:
        """Return the leaves of the alarm in a row, in the order of their names (rule1, rule2)."""
        root = self._root(row)
        kind, turned = self._nodes["kind"], self._nodes["turned"]
        return tuple(
            PlacedLeaf(
                slot=slot,
                root=root,
                kind=LeafKind(kind[slot]),
                alarm_id=self._referred.get(slot),
                is_negated=bool(turned[slot]),
            )
            for slot in self._leaf_slots(root)
        )

    def drop(self, row: int) -> AlarmId | None:
        """Remove the alarm in a row, its leaves with it; return the alarm that has moved into this row, if one has."""
        root = self._root(row)
        del self._said[root]
        for slot in list(self._slots(root)):
            referred = self._referred.pop(slot, None)
            if referred is not None:
                self._referring[referred].discard(slot)
                if not self._referring[referred]:
                    del self._referring[referred]
                    self._unheard.discard(referred)
            self._nodes["level"][slot] = _FREE
            self._nodes["blind"][slot] = False
            self._free.append(slot)
        return self.roster.drop(row)

    def enter(self, row: int, *, state: int) -> None:
        """Note the state that a composite is in from now on."""
        self._nodes["state"][self._root(row)] = state

    def refers_to(self, alarm_id: AlarmId) -> bool:
        """Whether a leaf stands for an alarm."""
        return alarm_id in self._referring

    def unheard_of(self) -> list[AlarmId]:
        """Return the alarms that leaves stand for and of whose state nothing has been told."""
        return list(self._unheard)

    def note(self, alarm_id: AlarmId, state: State | None) -> None:
        """Note the state of an alarm that leaves may stand for; None: there is no such alarm."""
        self._unheard.discard(alarm_id)
        outcome = Outcome.UNKNOWN if state is None else _OF_STATE[state]
        for slot in self._referring.get(alarm_id, ()):
            self._nodes["blind"][slot] = False
            if self._nodes["outcome"][slot] != outcome:
                self._nodes["outcome"][slot] = outcome
                self.has_news = True

    def find(self, insight: Insight, fresh: FreshEvidence, *, now_ms: float, is_first: bool = True) -> list[Found]:
        """Return the alarms of which something is to be said, from the outcomes of their leaves.

        `is_first` says that it is the first time in this tick: results count once.
        """
        self.has_news = False
        if not len(self.roster):
            return []
        rows = slice(0, len(self.roster))
        truth = self._truth()
        root = truth[self.roster.column("root")[rows]]
        outcome = _OUTCOME_OF[root]

        def admit(careful: NDArray[np.intp]) -> NDArray[np.bool_]:
            return self._admit(careful, truth, insight.are_fresh, fresh)

        turns = self.roster.turns(
            rows,
            outcome,
            self._evaluated(root),
            now_ms=now_ms,
            counts=is_first,
            admit=admit if fresh.share else None,
        )
        seen = insight.evidence([leaf for turn in turns for leaf in self.leaves(turn.row)])
        return [self._found(turn, seen) for turn in turns]

    def _admit(
        self, rows: NDArray[np.intp], truth: NDArray[np.int8], are_fresh: LeafFreshness, fresh: FreshEvidence
    ) -> NDArray[np.bool_]:
        """Return which alarms go ahead: those whose leaves with fresh evidence decide by themselves what all decide."""
        leaves = [leaf for row in rows.tolist() for leaf in self.leaves(row)]
        stale = {leaf.slot for leaf, is_fresh in zip(leaves, are_fresh(leaves), strict=True) if not is_fresh}
        outcomes = self._nodes["outcome"].copy()
        outcomes[list(stale)] = Outcome.UNDECIDED
        roots = self.roster.column("root")[rows]
        decided: NDArray[np.bool_] = self._truth(outcomes)[roots] == truth[roots]
        for row in rows[~decided].tolist():
            names = [f"rule{number}" for number, one in enumerate(self.leaves(row), 1) if one.slot in stale]
            fresh.refuse(self.roster.ids[row], OpenRules(tuple(names)))
        return decided

    def _evaluated(self, truth: NDArray[np.int8]) -> NDArray[np.bool_] | None:
        """Return of which alarms anything can be said, by row; None: of all. `truth` is what their roots count for.

        One that is open since a leaf could not be evaluated repeats nothing: nobody knows that it still is as it was.
        """
        nodes = self._nodes
        if not nodes["blind"].any():
            return None
        is_blind = np.zeros(len(nodes["blind"]), np.bool_)
        is_blind[nodes["root"][nodes["blind"]]] = True
        evaluated: NDArray[np.bool_] = (truth != _OPEN) | ~is_blind[self.roster.column("root")[: len(truth)]]
        return evaluated

    def _found(self, turn: Turn, evidence: Mapping[int, Mapping[str, Any]]) -> Found:
        leaves = self.leaves(turn.row)
        form, wires = unpack(self._said[self._root(turn.row)])
        current = STATES[turn.current]
        wanted = {State.ALARM: _ALARM, State.OK: _OK}.get(current, _NEITHER)
        truth = {one.slot: self._leaf_truth(one) for one in leaves}
        causative = [
            (f"rule{number}", wire)
            for number, (one, wire) in enumerate(zip(leaves, wires, strict=True), 1)
            if truth[one.slot] == (_NEGATION[wanted] if one.is_negated else wanted)
        ]
        words = composite_reason(form, STATES[turn.previous], current, causative)
        seen = {
            f"rule{number}": {"counts_for": _NAMES[truth[one.slot]], **evidence.get(one.slot, {})}
            for number, one in enumerate(leaves, 1)
        }
        return self.roster.found(turn, words, {"rules": seen})

    def _leaf_truth(self, one: PlacedLeaf) -> int:
        nodes = self._nodes
        composite = int(nodes["state"][one.root])
        state = int(_TURNED[composite]) if one.is_negated else composite
        return int(_TRUTH[state * OUTCOMES + int(nodes["outcome"][one.slot])])

    def _truth(self, outcomes: NDArray[np.int8] | None = None) -> NDArray[np.int8]:
        """Return what each node counts for, by slot, as the leaves are or with other outcomes."""
        nodes = self._nodes
        level, parent = nodes["level"], nodes["parent"]
        outcomes = nodes["outcome"] if outcomes is None else outcomes
        truth: NDArray[np.int8] = _TRUTH[self.leaf_states * np.int8(OUTCOMES) + outcomes]
        for depth in range(int(level.max(initial=0)), 0, -1):
            below = np.flatnonzero(level == depth)
            above = np.flatnonzero((level == depth - 1) & (nodes["below"] > 0))
            counts = [
                np.bincount(parent[below[truth[below] == kind]], minlength=len(level))[above]
                for kind in (_ALARM, _OK, _OPEN)
            ]
            at_least = nodes["at_least"][above]
            found = np.where(counts[2] > 0, np.int8(_OPEN), np.int8(_NEITHER))
            found[counts[0] >= at_least] = _ALARM
            found[counts[1] > nodes["below"][above] - at_least] = _OK
            truth[above] = np.where(nodes["negated"][above], _NEGATION[found], found)
        return truth

    def _root(self, row: int) -> int:
        return int(self.roster.column("root")[row])

    def _slots(self, root: int) -> Iterator[int]:
        """Yield the slots of a composite's nodes, depth first."""
        following = self._nodes["next"]
        slot = root
        while slot != _LAST:
            yield slot
            slot = int(following[slot])

    def _leaf_slots(self, root: int) -> list[int]:
        kind = self._nodes["kind"]
        return [slot for slot in self._slots(root) if kind[slot]]

    def _plant(self, top: Node) -> int:
        """Give a slot to a node and to all below it, depth first; return that of the node."""
        root = last = _LAST
        for slot, node, parent, level, is_negated in self._walk(top):
            if root == _LAST:
                root = slot
            else:
                self._nodes["next"][last] = slot
            last = slot
            branch = node if isinstance(node, Branch) else None
            values = {
                "parent": slot if parent is None else parent,
                "next": _LAST,
                "kind": kind_of(node),
                "level": level,
                "at_least": branch.at_least if branch else 0,
                "below": len(branch.nodes) if branch else 0,
                "negated": bool(branch and branch.is_negated),
                "turned": is_negated,
                "outcome": Outcome.UNDECIDED,
                "blind": branch is None,
                "root": root,
            }
            for name, value in values.items():
                self._nodes[name][slot] = value
        return root

    def _walk(self, top: Node) -> Iterator[tuple[int, Node, int | None, int, bool]]:
        """Yield each node with a slot of its own, the slot above, its level, and whether negations above turn it."""
        waiting: list[tuple[Node, int | None, int, bool]] = [(top, None, 0, False)]
        while waiting:
            node, parent, level, is_negated = waiting.pop()
            slot = self._free_slot()
            yield slot, node, parent, level, is_negated
            if isinstance(node, Branch):
                turned = is_negated ^ node.is_negated
                waiting += [(one, slot, level + 1, turned) for one in reversed(node.nodes)]

    def _free_slot(self) -> int:
        if not self._free:
            size = len(self._nodes["level"])
            larger = max(size * 9 // 8, size + 64)
            self._nodes = {name: grown(column, larger) for name, column in self._nodes.items()}
            self._nodes["level"][size:] = _FREE
            self._free = list(range(larger - 1, size - 1, -1))
        return self._free.pop()


#: What the outcome of a composite is, by what its root counts for.
_OUTCOME_OF = np.array([Outcome.UNKNOWN, Outcome.ALL_OUTSIDE, Outcome.NONE_OUTSIDE, Outcome.UNDECIDED], np.int8)
#: What a node counts for that is negated.
_NEGATION = np.array([_NEITHER, _OK, _ALARM, _OPEN], np.int8)
_NAMES = ("neither", "alarm", "ok", "not known yet")
