# SPDX-License-Identifier: Apache-2.0
"""The truth of one composite against that of the plan's columns."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alarmd.cache.window import Window, WindowLimits
from alarmd.evaluators.answers.scope import leaves_of
from alarmd.evaluators.answers.tree_truth import (
    Truth,
    leaf_states,
    negations,
    state_after,
    truth_of,
    truth_of_state,
    truth_of_tree,
)
from alarmd.evaluators.plan import Plan, PlanOptions
from alarmd.model.alarm import AlarmId, State
from alarmd.model.rule import AlarmReference, Branch, CompositeRule, Leaf, Node
from alarmd.model.verdict import Outcome
from tests.support.alarms import an_alarm

NOW = datetime(2026, 1, 1, 9, tzinfo=UTC)
STATES = st.sampled_from(list(State))


def _branch(nodes: list[Node], at_least: int, *, is_negated: bool) -> Branch:
    return Branch(nodes=tuple(nodes), at_least=min(at_least, len(nodes)), is_negated=is_negated)


#: Trees whose leaves are told apart by numbers later.
TREES = st.recursive(
    st.builds(lambda: Leaf(rule=None, wire={})),
    lambda nodes: st.builds(
        _branch, st.lists(nodes, min_size=1, max_size=4), st.integers(1, 4), is_negated=st.booleans()
    ),
    max_leaves=12,
)


def numbered(node: Node, numbers: Any) -> Node:
    """Return a tree whose leaves stand for alarms of their own."""
    if isinstance(node, Leaf):
        alarm_id = f"alarm-{next(numbers)}"
        return Leaf(rule=AlarmReference(alarm_id=alarm_id), wire={"alarm_id": alarm_id})
    return Branch(
        nodes=tuple(numbered(one, numbers) for one in node.nodes),
        at_least=node.at_least,
        is_negated=node.is_negated,
    )


@given(tree=TREES, state=STATES, data=st.data())
def test_the_truth_of_a_tree_is_what_a_plan_finds(tree: Node, state: State, data: st.DataObject) -> None:
    """Whatever the tree and whatever its leaves: the same state follows."""
    rule = CompositeRule(root=numbered(tree, iter(range(100))), form="")
    leaves = leaves_of(rule)
    states = [data.draw(STATES) for _ in leaves]
    plan = Plan(Window(WindowLimits(length_s=600, lateness_s=5)), PlanOptions(lateness_s=5, repeat_interval_s=60))
    alarm = an_alarm(type="composite", state=state)
    plan.put(alarm, rule, now=NOW)
    for leaf, one in zip(leaves, states, strict=True):
        plan.note(AlarmId(leaf.rule.alarm_id), one)
    found = plan.decide(now=NOW, watching_since=NOW - timedelta(hours=1))
    expected = found[0].current if found else state

    truth = truth_of_tree(rule.root, [truth_of_state(one) for one in states])
    assert expected is state_after(truth, state=state)


def test_what_cannot_be_said_leaves_the_tree_open_unless_the_others_decide() -> None:
    """Three of four: one open leaf matters only where the rest does not decide."""
    root = Branch(nodes=tuple(Leaf(rule=None, wire={}) for _ in range(4)), at_least=3)
    alarm, ok, unsure, neither = Truth.ALARM, Truth.OK, Truth.OPEN, Truth.NEITHER

    assert alarm is truth_of_tree(root, [alarm, alarm, alarm, unsure])
    assert ok is truth_of_tree(root, [ok, ok, unsure, alarm])
    assert unsure is truth_of_tree(root, [alarm, alarm, unsure, ok])
    assert neither is truth_of_tree(root, [alarm, alarm, neither, ok])
    assert State.OK is state_after(unsure, state=State.OK)


def test_mixed_values_keep_a_leaf_where_it_is() -> None:
    """Negated ones too, which are in the opposite state; when nothing is known, the latest value decides."""
    root = Branch(
        nodes=(Leaf(rule=None, wire={}), Branch(nodes=(Leaf(rule=None, wire={}),), at_least=1, is_negated=True)),
        at_least=2,
    )
    mixed = Outcome.MIXED_LATEST_INSIDE

    assert [False, True] == negations(root)
    assert [State.ALARM, State.OK] == leaf_states(root, state=State.ALARM)
    assert [Truth.ALARM, Truth.OK] == [truth_of(mixed, state=one) for one in leaf_states(root, state=State.ALARM)]
    assert Truth.OK is truth_of(mixed, state=State.INSUFFICIENT_DATA)
    assert Truth.ALARM is truth_of(Outcome.MIXED_LATEST_OUTSIDE, state=State.INSUFFICIENT_DATA)
