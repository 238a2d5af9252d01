# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alarmd.cache.window import Window, WindowLimits
from alarmd.clock import ManualClock
from alarmd.evaluators.asking.asker import Asker
from alarmd.evaluators.plan import Plan, PlanOptions
from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.rule import (
    AlarmReference,
    Branch,
    Comparison,
    CompositeRule,
    Judgement,
    Leaf,
    Node,
    Reading,
    Selector,
    Statistic,
    WindowRule,
)
from alarmd.model.transition import Transition
from tests.support.alarms import an_alarm
from tests.support.samples import a_batch

START = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = START - timedelta(days=1)
OK, ALARM, UNKNOWN = State.OK, State.ALARM, State.INSUFFICIENT_DATA


def leaf(metric: str, *, periods: int = 1) -> Leaf:
    """A leaf that is in alarm when a metric of vm-1 is greater than 50."""
    rule = WindowRule(
        reading=Reading(
            selector=Selector(metric=metric, project_id="", resource_id="vm-1"), period_s=10, over_time=Statistic.AVG
        ),
        judgement=Judgement(comparison=Comparison.GT, threshold=50.0, evaluation_periods=periods),
    )
    return Leaf(rule=rule, wire={"type": "threshold", "meter_name": metric})


def other(alarm_id: str) -> Leaf:
    """A leaf that is another alarm."""
    return Leaf(rule=AlarmReference(alarm_id=alarm_id), wire={"alarm_id": alarm_id})


def both(*nodes: Node) -> Branch:
    return Branch(nodes=nodes, at_least=len(nodes))


def either(*nodes: Node) -> Branch:
    return Branch(nodes=nodes, at_least=1)


def opposite(node: Node) -> Branch:
    return Branch(nodes=(node,), at_least=1, is_negated=True)


class Bench:
    """A plan, and what happens to it."""

    def __init__(self, plan: Plan | None = None, window: Window | None = None) -> None:
        self.window = window if window is not None else Window(WindowLimits(length_s=600, lateness_s=4.0))
        self.plan = Plan(self.window, PlanOptions(lateness_s=4.0, repeat_interval_s=60.0)) if plan is None else plan
        self.now = START

    def put(self, alarm_id: str, root: Node, **changes: Any) -> None:
        self.plan.put(self.alarm(alarm_id, **changes), CompositeRule(root=root, form="(a form)"), now=self.now)

    @staticmethod
    def alarm(alarm_id: str, **changes: Any) -> Alarm:
        return replace(an_alarm(alarm_id=AlarmId(alarm_id), state=UNKNOWN, state_timestamp=START), **changes)

    def sample(self, second: float, **values: float) -> None:
        self.now = START + timedelta(seconds=second)
        self.window.append(a_batch({"vm-1": values}, timestamp_s=self.now.timestamp()), now_s=self.now.timestamp())

    def decide(self, *, watching_since: datetime = LONG_AGO) -> dict[str, State]:
        """Return what changes, and enter it."""
        return self._enter(self.plan.decide(now=self.now, watching_since=watching_since))

    def follow(self) -> dict[str, State]:
        """Return what follows from what was entered, and enter it."""
        return self._enter(self.plan.decide_followers(now=self.now))

    def _enter(self, found: list[Transition]) -> dict[str, State]:
        for one in found:
            self.plan.enter(one.alarm_id, state=one.current, state_version=one.state_version + 1, at=self.now)
        return {one.alarm_id: one.current for one in found}


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        (both(leaf("hot"), leaf("hot")), ALARM),
        (both(leaf("hot"), leaf("cold")), OK),
        (both(leaf("hot"), leaf("silent")), None),
        (both(leaf("silent"), leaf("cold")), OK),
        (either(leaf("hot"), leaf("silent")), ALARM),
        (either(leaf("cold"), leaf("silent")), None),
        (either(leaf("cold"), leaf("cold")), OK),
        (opposite(leaf("hot")), OK),
        (opposite(leaf("cold")), ALARM),
        (opposite(leaf("silent")), None),
        (opposite(both(leaf("hot"), leaf("cold"))), ALARM),
        (both(leaf("hot"), opposite(either(leaf("cold"), leaf("cold")))), ALARM),
        (Branch(nodes=(leaf("hot"), leaf("cold"), leaf("hot")), at_least=2), ALARM),
        (Branch(nodes=(leaf("hot"), leaf("cold"), leaf("cold")), at_least=2), OK),
        (Branch(nodes=(leaf("hot"), leaf("cold"), leaf("silent")), at_least=2), None),
        (leaf("hot"), ALARM),
    ],
)
def test_the_truth_of_a_rule_is_that_of_its_leaves(root: Node, expected: State | None) -> None:
    """Nodes are in alarm, ok, or neither; what is not known decides nothing and hides nothing."""
    bench = Bench()
    bench.put("a", root)
    bench.sample(0, hot=90.0, cold=10.0)

    assert ({} if expected is None else {"a": expected}) == bench.decide()


def test_what_is_not_known_is_insufficient_data() -> None:
    """A composite that was in a state leaves it when its leaves say nothing any more."""
    bench = Bench()
    bench.put("a", both(leaf("hot"), leaf("silent")), state=ALARM)
    bench.sample(0, hot=90.0)

    assert {"a": UNKNOWN} == bench.decide()


def test_silence_is_believed_only_after_it_was_watched() -> None:
    """Right after a start a leaf without data says nothing, and the composite stays what it was."""
    bench = Bench()
    bench.put("a", both(leaf("hot"), leaf("silent")), state=ALARM)
    bench.sample(0, hot=90.0)

    assert {} == bench.decide(watching_since=bench.now)


@pytest.mark.parametrize("state", [OK, ALARM])
def test_values_on_both_sides_keep_the_composite_where_it_is(state: State) -> None:
    """A leaf with values on both sides of its threshold changes nothing, whichever of them is the latest."""
    bench = Bench()
    bench.put("a", both(leaf("hot"), leaf("mixed", periods=2)), state=state)
    bench.sample(0, hot=90.0, mixed=90.0)
    bench.sample(10, hot=90.0, mixed=10.0)

    assert {} == bench.decide()


@pytest.mark.parametrize(("latest", "expected"), [(90.0, ALARM), (10.0, OK)])
def test_the_latest_value_decides_when_nothing_was_known(latest: float, expected: State) -> None:
    """From insufficient data a leaf with values on both sides goes by its latest one."""
    bench = Bench()
    bench.put("a", both(leaf("hot"), leaf("mixed", periods=2)))
    bench.sample(0, hot=90.0, mixed=100.0 - latest)
    bench.sample(10, hot=90.0, mixed=latest)

    assert {"a": expected} == bench.decide()


def test_the_reason_names_the_leaves_that_speak_for_the_state() -> None:
    """A leaf under a negation speaks for the state that it is the opposite of."""
    bench = Bench()
    bench.put("a", both(leaf("hot"), opposite(leaf("cold")), either(leaf("cold"), leaf("hot"))))
    bench.sample(0, hot=90.0, cold=10.0)

    [found] = bench.plan.decide(now=bench.now, watching_since=LONG_AGO)
    assert ["rule1", "rule2", "rule4"] == list(found.reason_data["causative_rules"])
    assert {"rule1", "rule2", "rule3", "rule4"} == found.evidence["rules"].keys()
    assert "ok" == found.evidence["rules"]["rule3"]["counts_for"]


def test_a_reference_counts_by_the_state_that_was_told() -> None:
    """Until its state has been told nothing is said; then the composite goes with it."""
    bench = Bench()
    bench.put("a", both(other("b"), leaf("hot")))
    bench.sample(0, hot=90.0)

    assert {} == bench.decide()
    assert ["b"] == bench.plan.unheard_of()
    bench.plan.note(AlarmId("b"), ALARM)
    assert [] == bench.plan.unheard_of()
    assert {"a": ALARM} == bench.follow()
    bench.plan.note(AlarmId("b"), OK)
    assert {"a": OK} == bench.follow()
    bench.plan.note(AlarmId("b"), None)
    assert {"a": UNKNOWN} == bench.follow()


def test_followers_follow_what_has_been_entered() -> None:
    """A chain of references turns link by link, each once the one before it is stored."""
    bench = Bench()
    bench.put("a", leaf("hot"))
    bench.put("b", opposite(other("a")))
    bench.put("c", both(other("b"), other("a")))
    for alarm_id in "ab":
        bench.plan.note(AlarmId(alarm_id), UNKNOWN)
    bench.sample(0, hot=90.0)

    assert {"a": ALARM} == bench.decide()
    assert {"b": OK} == bench.follow()
    assert {"c": OK} == bench.follow()
    assert {} == bench.follow()


def test_composites_come_and_go() -> None:
    """Slots of composites that went are used anew, and the others keep their verdicts."""
    bench = Bench()
    for alarm_id in "abcd":
        bench.put(alarm_id, both(leaf("hot"), opposite(leaf("cold"))))
    bench.plan.remove(AlarmId("a"))
    bench.plan.remove(AlarmId("c"))
    bench.put("e", either(leaf("cold"), leaf("cold"), leaf("cold")))
    bench.put("b", leaf("cold"))
    bench.sample(0, hot=90.0, cold=10.0)

    assert {"b": OK, "d": ALARM, "e": OK} == bench.decide()


def test_an_unknown_composite_is_not_repeated() -> None:
    """As in Aodh, actions are repeated in ok and in alarm, and not while nothing is known."""
    bench = Bench()
    bench.put("a", leaf("hot"), state=ALARM, repeat_actions=True)
    bench.put("b", leaf("silent"), state=UNKNOWN, repeat_actions=True)
    bench.sample(90, hot=90.0)

    assert {"a": ALARM} == bench.decide()


class _Broken:
    """A rule of a kind that cannot be put anywhere."""

    question = property(lambda self: self.missing)


def test_a_composite_that_cannot_be_planted_leaves_nothing_behind() -> None:
    """What was planted of it before it failed goes when it is removed, and the others are evaluated."""
    window = Window(WindowLimits(length_s=600, lateness_s=4.0))
    asker = Asker({}, clock=ManualClock(START))
    bench = Bench(Plan(window, PlanOptions(lateness_s=4.0, repeat_interval_s=60.0), asker), window)
    with pytest.raises(AttributeError):
        bench.put("a", both(leaf("hot"), Leaf(rule=_Broken(), wire={}), leaf("cold")))
    bench.plan.remove(AlarmId("a"))
    bench.put("b", leaf("hot"))
    bench.sample(0, hot=90.0, cold=10.0)

    assert {"b": ALARM} == bench.decide()
