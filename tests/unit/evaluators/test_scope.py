# SPDX-License-Identifier: Apache-2.0
"""What a rule depends on."""

import numpy as np

from alarmd.evaluators.answers.scope import Scope
from alarmd.model.rule import (
    AlarmReference,
    Branch,
    Comparison,
    CompositeRule,
    Judgement,
    Leaf,
    Reading,
    Selector,
    Statistic,
    WindowRule,
)
from tests.support.samples import a_batch, a_resource

OURS, THEIRS = a_resource("vm-1", project_id="p1"), a_resource("vm-1", project_id="p2")


def a_rule(selector: Selector) -> WindowRule:
    """A rule over what a selector means."""
    return WindowRule(
        reading=Reading(selector=selector, period_s=10, over_time=Statistic.AVG),
        judgement=Judgement(comparison=Comparison.GT, threshold=1.0),
    )


def a_composite(*rules: object) -> CompositeRule:
    """All of these."""
    leaves = tuple(Leaf(rule=rule, wire={}) for rule in rules)
    return CompositeRule(root=Branch(nodes=leaves, at_least=len(leaves)), form="")


def test_only_the_project_and_the_metrics_of_a_rule_are_read() -> None:
    """Rows and columns of others are left out, and batches that hold nothing else are not there."""
    rule = a_composite(
        a_rule(Selector(metric="cpu", project_id="p1")),
        a_rule(Selector(metric="", project_id="p1", any_of=(("vm-1", "memory"),))),
    )
    mixed = a_batch({THEIRS: {"cpu": 1.0}, OURS: {"cpu": 2.0, "disk": 3.0, "memory": 4.0}}, timestamp_s=5)
    others = [a_batch({THEIRS: {"cpu": 1.0}}, timestamp_s=6), a_batch({OURS: {"disk": 1.0}}, timestamp_s=7)]
    [found] = Scope.of(rule).only([mixed, *others])

    assert (5, (OURS,), ["cpu", "memory"]) == (found.timestamp_s, found.resources, [one.name for one in found.metrics])
    assert np.array_equal([[2.0, 4.0]], found.values)


def test_a_pattern_leaves_the_metric_open() -> None:
    """All metrics of the project are read."""
    scope = Scope.of(a_rule(Selector(metric="disk.*", is_pattern=True, project_id="p1")))
    [found] = scope.only([a_batch({OURS: {"cpu": 1.0, "disk.read": 2.0}}, timestamp_s=5)])

    assert 2 == len(found.metrics)


def test_what_comes_again_is_picked_once() -> None:
    """The window is quick with objects that it has seen."""
    batch = a_batch({OURS: {"cpu": 1.0}, THEIRS: {"cpu": 1.0}}, timestamp_s=5)
    one, two = Scope.of(a_rule(Selector(metric="cpu", project_id="p1"))).only([batch, batch])

    assert one.resources is two.resources
    assert one.metrics is two.metrics


def test_references_are_told_once_each() -> None:
    """In the order in which they are first met."""
    scope = Scope.of(a_composite(*(AlarmReference(alarm_id=one) for one in ("b", "a", "b"))))

    assert (("b", "a"), (), ()) == (scope.alarm_ids, scope.selectors, scope.servers)
