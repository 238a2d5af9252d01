# SPDX-License-Identifier: Apache-2.0
"""The plan's bookkeeping: whatever has come and gone, it says what a plan says that has been built just now."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from alarmd.cache.window import Window
from alarmd.clock import ManualClock
from alarmd.evaluators.asking.asker import Asker
from alarmd.evaluators.family import TickedRule
from alarmd.evaluators.plan import Plan, PlanOptions
from alarmd.evaluators.roster import COUNTS
from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.rule import AlarmReference, Branch, CompositeRule, Leaf, WindowRule
from alarmd.model.samples import Batch, Resource, labels_of
from alarmd.model.transition import Transition
from tests.support.alarms import an_alarm
from tests.support.asking import Oracle, longer_than, settle
from tests.support.samples import a_batch
from tests.support.window_rules import FAMILIES, LATENESS_S, RULES, START, WINDOW

REPEAT_S = 20.0
OPTIONS = PlanOptions(lateness_s=LATENESS_S, repeat_interval_s=REPEAT_S, count_results=True)
#: Open every other five minutes.
SHIFTS = ({"name": "n", "description": "", "start": "*/10 * * * *", "duration": 300, "timezone": ""},)

IDS = [AlarmId(str(number)) for number in range(8)]
QUESTIONS = ["a", "b"]


def _parsed(name: str) -> TickedRule:
    type_, body = RULES[name]
    family = FAMILIES[type_]
    return family.parse(family.normalise(body, project_id="p1"), project_id="p1")


_WINDOW_RULES = {name: _parsed(name) for name in RULES}
_ASKED = {f"asks {text} {length}": longer_than(length, text) for text in QUESTIONS for length in (2, 4)}


@st.composite
def _trees(draw: st.DrawFn) -> CompositeRule:
    """Draw a composite over leaves of all kinds, many of them those of others too."""
    plain = st.sampled_from([one for one in _WINDOW_RULES.values() if isinstance(one, WindowRule)])
    leaves = st.one_of(
        plain,
        st.sampled_from(list(_ASKED.values())),
        st.sampled_from(IDS).map(lambda one: AlarmReference(alarm_id=one)),
    )
    nodes = st.recursive(
        leaves.map(lambda one: Leaf(rule=one, wire={})),
        lambda below: st.lists(below, min_size=1, max_size=3).flatmap(
            lambda nodes: st.builds(
                Branch, nodes=st.just(tuple(nodes)), at_least=st.integers(1, len(nodes)), is_negated=st.booleans()
            )
        ),
        max_leaves=4,
    )
    return CompositeRule(root=draw(nodes), form="f")


ANY_RULE = st.one_of(st.sampled_from([*_WINDOW_RULES.values(), *_ASKED.values()]), _trees())


@dataclass
class Site:
    """A window and a plan over it, with whom it asks."""

    clock: ManualClock
    say: Mapping[str, str]
    window: Window = field(default_factory=lambda: Window(WINDOW))

    def __post_init__(self) -> None:
        # All questions are asked on one beat.
        self.asker = Asker({"oracle": Oracle(say=self.say.__getitem__)}, clock=self.clock, spread=lambda: 0.0)
        self.plan = Plan(self.window, OPTIONS, self.asker)

    def decide(self) -> dict[AlarmId, Transition]:
        """Return what is to be said, once all has been answered that was asked."""
        settle(self.asker)
        now = self.clock.now()
        return {one.alarm_id: one for one in self.plan.decide(now=now, watching_since=START - timedelta(days=1))}

    def counted(self) -> dict[AlarmId, Counter[str]]:
        counted = self.plan.take_counts()
        rows = zip(counted.alarm_ids, counted.counts.tolist(), strict=True)
        return {alarm_id: Counter(dict(zip(COUNTS, row, strict=True))) for alarm_id, row in rows}

    def close(self) -> None:
        self.plan.close()
        self.asker.close()


@dataclass
class Stored:
    """An alarm as the database has it."""

    alarm: Alarm
    rule: TickedRule


class PlanMachine(RuleBasedStateMachine):
    """Changes everything that can change, and holds the plan against one that is new."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(START)
        self.said = dict.fromkeys(QUESTIONS, "abc")
        self.stored: dict[AlarmId, Stored] = {}
        #: What the window was told, in order: batches and when they came.
        self.log: list[tuple[Batch, float]] = []
        #: When actions are due again, of the alarms whose actions are repeated.
        self.due: dict[AlarmId, float] = {}
        self.counts: dict[AlarmId, Counter[str]] = {}
        self.site = Site(self.clock, self.said)

    def teardown(self) -> None:
        self.site.close()

    # What happens to alarms

    @rule(
        alarm_id=st.sampled_from(IDS),
        what=ANY_RULE,
        state=st.sampled_from(State),
        repeat=st.booleans(),
        shifts=st.sampled_from([(), (), SHIFTS]),
        enabled=st.sampled_from([True, True, True, False]),
    )
    def store(
        self, *, alarm_id: AlarmId, what: TickedRule, state: State, repeat: bool, shifts: Any, enabled: bool
    ) -> None:
        """Create an alarm or change it, state and all."""
        known = self.stored.get(alarm_id)
        alarm = an_alarm(
            alarm_id=alarm_id,
            state=state,
            repeat_actions=repeat,
            time_constraints=shifts,
            enabled=enabled,
            revision=known.alarm.revision + 1 if known else 1,
            state_timestamp=self.clock.now(),
        )
        self.stored[alarm_id] = Stored(alarm, what)
        self._load(self.site, alarm_id)
        self.due.pop(alarm_id, None)
        if repeat and enabled:
            self.due[alarm_id] = self._now_s() + REPEAT_S

    @rule(alarm_id=st.sampled_from(IDS))
    def delete(self, alarm_id: AlarmId) -> None:
        """Delete an alarm, or one that is not there."""
        self.stored.pop(alarm_id, None)
        self.due.pop(alarm_id, None)
        self.site.plan.remove(alarm_id)
        self.site.plan.note(alarm_id, None)

    # What happens to the world

    @rule(
        machines=st.dictionaries(
            st.integers(1, 3), st.tuples(*[st.sampled_from([0.0, 40.0, 95.0, 600.0])] * 3), min_size=1
        ),
        late_s=st.sampled_from([0, 0, 2, 20]),
        group=st.sampled_from(["web", "web", "db"]),
    )
    def sample(self, machines: dict[int, tuple[float, ...]], late_s: int, group: str) -> None:
        """Take samples of some machines, which may have joined another group meanwhile."""
        labels = labels_of([("group", group), ("server_group", group)])
        names = ("cpu_util", "cpu", "memory.usage")
        values: dict[Resource | str, Mapping[str, float]] = {
            Resource(id=f"vm-{number}", project_id="p1", labels=labels): dict(zip(names, row, strict=True))
            for number, row in machines.items()
        }
        batch = a_batch(values, timestamp_s=self._now_s() - late_s)
        self.log.append((batch, self._now_s()))
        self.site.window.append(batch, now_s=self._now_s())

    @rule(seconds=st.sampled_from([1, 3, 10, 10, 45, 300]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    @rule(text=st.sampled_from(QUESTIONS), answer=st.sampled_from(["", "abc", "abcdef"]))
    def change_the_answer(self, text: str, answer: str) -> None:
        """Let a server say something else from its next turn on."""
        self.said[text] = answer
        self.clock.advance(10)

    # What evaluators do

    @rule(entered=st.sets(st.sampled_from(IDS)), forgotten=st.booleans())
    def tick(self, entered: set[AlarmId], forgotten: bool) -> None:
        """Evaluate, compare, and store what was found, or only some of it."""
        for alarm_id in self.site.plan.unheard_of():
            self.site.plan.note(alarm_id, self._state_of(alarm_id))
        new = self._new_site()
        self._set_due(new)
        try:
            expected = new.decide()
            counted = new.counted()
        finally:
            new.close()
        found = self.site.decide()
        for alarm_id, counts in counted.items():
            self.counts[alarm_id] = self.counts.get(alarm_id, Counter()) + counts
        with _noting(self):
            assert expected == found
        for alarm_id, one in found.items():
            if not forgotten or alarm_id in entered:
                self._enter(one)
        if not forgotten:
            self._follow()

    @rule()
    def take_over(self) -> None:
        """Start anew from what is stored, as another evaluator does."""
        self._check_counts()
        self.site.close()
        self.site = self._new_site()
        for alarm_id in self.due:
            entered_s = self.stored[alarm_id].alarm.state_timestamp.timestamp()
            self.due[alarm_id] = entered_s + ((self._now_s() - entered_s) // REPEAT_S + 1) * REPEAT_S

    @precondition(lambda self: self.counts)
    @rule()
    def take_counts(self) -> None:
        """Let go of what was counted."""
        self._check_counts()

    @invariant()
    def the_plan_holds_what_is_stored(self) -> None:
        """Count the alarms that are evaluated, and find what they refer to."""
        held = {alarm_id: one for alarm_id, one in self.stored.items() if one.alarm.enabled}
        referred = {name for one in held.values() for name in _references(one.rule)}

        assert len(held) == len(self.site.plan)
        assert referred == {alarm_id for alarm_id in IDS if self.site.plan.refers_to(alarm_id)}

    # How

    def _now_s(self) -> float:
        return self.clock.now().timestamp()

    def _state_of(self, alarm_id: AlarmId) -> State | None:
        return self.stored[alarm_id].alarm.state if alarm_id in self.stored else None

    def _load(self, site: Site, alarm_id: AlarmId) -> None:
        """Do what a tick does that hears of an alarm."""
        stored = self.stored[alarm_id]
        site.plan.note(alarm_id, stored.alarm.state)
        if stored.alarm.enabled:
            site.plan.put(stored.alarm, stored.rule, now=self.clock.now())
        else:
            site.plan.remove(alarm_id)

    def _new_site(self) -> Site:
        site = Site(self.clock, self.said)
        for batch, came_s in self.log:
            site.window.append(batch, now_s=came_s)
        for alarm_id in sorted(self.stored):
            self._load(site, alarm_id)
        for alarm_id in site.plan.unheard_of():
            site.plan.note(alarm_id, self._state_of(alarm_id))
        return site

    def _set_due(self, site: Site) -> None:
        """Give a new plan the rhythm of repeats that the old one is in: it goes by when they were stored."""
        for alarm_id, due_s in self.due.items():
            if self.stored[alarm_id].alarm.time_constraints and _is_open(self.clock.now()):
                self.due[alarm_id] = _next_in_rhythm(due_s, self.clock.now())
            holder, row = site.plan._places[alarm_id]
            holder.roster.column("repeat_ms")[row] = self.due[alarm_id] * 1000

    def _enter(self, one: Transition) -> None:
        stored = self.stored[one.alarm_id]
        alarm = replace(stored.alarm, state=one.current, state_version=stored.alarm.state_version + 1)
        if not one.is_repeat:
            alarm = replace(alarm, state_timestamp=one.at)
        stored.alarm = alarm
        self.site.plan.enter(one.alarm_id, state=alarm.state, state_version=alarm.state_version, at=one.at)
        if one.alarm_id in self.due:
            entered_s = alarm.state_timestamp.timestamp()
            self.due[one.alarm_id] = entered_s + ((self._now_s() - entered_s) // REPEAT_S + 1) * REPEAT_S

    def _follow(self) -> None:
        """Let those follow that refer to others, a while; no other is heard of."""
        for _ in range(3):
            for one in self.site.plan.decide_followers(now=self.clock.now()):
                rule = self.stored[one.alarm_id].rule

                assert _references(rule) or one.is_repeat
                self._enter(one)

    def _check_counts(self) -> None:
        expected, self.counts = self.counts, {}

        assert expected == self.site.counted()


def _references(rule: TickedRule) -> list[str]:
    if not isinstance(rule, CompositeRule):
        return []
    waiting, found = [rule.root], []
    while waiting:
        node = waiting.pop()
        if isinstance(node, Branch):
            waiting += node.nodes
        elif isinstance(node.rule, AlarmReference):
            found.append(node.rule.alarm_id)
    return found


def _is_open(now: datetime) -> bool:
    return now.minute % 10 < 5


def _next_in_rhythm(due_s: float, now: datetime) -> float:
    """Return when an alarm with shifts repeats: not what fell due before its shift began."""
    began_s = now.replace(minute=now.minute // 10 * 10, second=0, microsecond=0).timestamp()
    while due_s < began_s:
        due_s += REPEAT_S
    return due_s


@contextmanager
def _noting(machine: PlanMachine) -> Iterator[None]:
    try:
        yield
    except AssertionError as error:
        error.add_note(repr(machine.stored))
        raise


def test_the_plan_says_what_a_new_one_says() -> None:
    """Whatever is put, removed, replaced, closed and taken over, nothing of it shows."""
    run_state_machine_as_test(PlanMachine, settings=settings(max_examples=30, stateful_step_count=40, deadline=None))
