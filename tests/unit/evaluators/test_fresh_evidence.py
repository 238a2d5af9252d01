# SPDX-License-Identifier: Apache-2.0
"""Scaling in: on fresh evidence of enough of the group for the whole window, and never on silence."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from alarmd.cache.window import Window, WindowLimits
from alarmd.clock import ManualClock
from alarmd.evaluators.asking.asker import Asker
from alarmd.evaluators.asking.asking import NoAnswer
from alarmd.evaluators.fresh_evidence import Waiting
from alarmd.evaluators.plan import Plan, PlanOptions
from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.direction import Direction
from alarmd.model.rule import (
    AlarmReference,
    Branch,
    Comparison,
    CompositeRule,
    Judgement,
    Leaf,
    MissingData,
    Reading,
    Selector,
    Statistic,
    WindowRule,
)
from alarmd.model.samples import Resource, roll_call
from tests.support.alarms import an_alarm
from tests.support.asking import Oracle, longer_than, settle
from tests.support.samples import a_batch

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
SCALES_IN = {State.ALARM: Direction.IN, State.OK: Direction.NEUTRAL}
#: Ten machines on two hosts.
HOSTS = {"h1": [f"vm-{number}" for number in range(6)], "h2": [f"vm-{number}" for number in range(6, 10)]}


def low(over_time: Statistic = Statistic.AVG, threshold: float = 20.0, **judgement: Any) -> WindowRule:
    """A rule on all machines that is outside below a threshold for two minutes."""
    return WindowRule(
        reading=Reading(selector=Selector(metric="cpu_util", project_id=""), period_s=60, over_time=over_time),
        judgement=Judgement(
            **{"comparison": Comparison.LT, "threshold": threshold, "evaluation_periods": 2, **judgement}
        ),
    )


@dataclass
class Site:
    """Hosts that are polled each ten seconds, and a plan with one alarm that makes its group smaller."""

    rule: Any
    share: float = 0.9
    state: State = State.OK
    alarm: Mapping[str, Any] = field(default_factory=dict)
    hosts: dict[str, list[str]] = field(default_factory=lambda: {host: list(ids) for host, ids in HOSTS.items()})
    #: Resource -> what it reports; 10 where nothing is said.
    load: dict[str, float] = field(default_factory=dict)
    window: Window = field(default_factory=lambda: Window(WindowLimits(length_s=3600, lateness_s=10)))

    def __post_init__(self) -> None:
        self.clock = ManualClock(START)
        options = PlanOptions(lateness_s=10, repeat_interval_s=60, scale_in_coverage=self.share)
        self.oracle = Oracle(say=lambda text: text)
        self.asker = Asker({"oracle": self.oracle}, clock=self.clock, spread=lambda: 0.0)
        self.plan = Plan(self.window, options, self.asker)
        self.put("a", self.rule)

    def put(self, alarm_id: str, rule: Any, **changes: Any) -> Alarm:
        values = {"directions": SCALES_IN, "state": self.state, "state_timestamp": START, **self.alarm, **changes}
        alarm = an_alarm(alarm_id=AlarmId(alarm_id), **values)
        self.plan.put(alarm, rule, now=self.clock.now())
        return alarm

    def poll(self, hosts: Iterable[str] | None = None, *, missing: int = 0) -> None:
        now_s = self.clock.time_s()
        for host in self.hosts if hosts is None else hosts:
            batches = []
            if self.hosts[host]:
                values: dict[Resource | str, dict[str, float]] = {
                    one: {"cpu_util": self.load.get(one, 10.0)} for one in self.hosts[host]
                }
                batch = a_batch(values, timestamp_s=now_s, source=host)
                batches = [replace(batch, expected=len(values) + missing)]
                self.window.append(batches[0], now_s=now_s)
            self.window.append(roll_call(host, batches, started_s=now_s), now_s=now_s)

    def run(self, seconds: int, hosts: Iterable[str] | None = None, **more: Any) -> list[tuple[float, State]]:
        """Poll some hosts, or all, for so long; return when the alarm changed, and to what."""
        known = None if hosts is None else list(hosts)
        found = []
        for _ in range(seconds // 10):
            self.clock.advance(10)
            self.poll(known, **more)
            found += self.tick()
        return found

    def tick(self) -> list[tuple[float, State]]:
        self.asker._ask_due()
        for desk in self.asker._desks.values():
            desk.see_to_hands()
        settle(self.asker)
        found = self.plan.decide(now=self.clock.now(), watching_since=START)
        for one in found:
            self.plan.enter(one.alarm_id, state=one.current, state_version=1, at=one.at)
        return [(self.clock.time_s() - START.timestamp(), one.current) for one in found if one.alarm_id == "a"]

    @property
    def lack(self) -> str:
        return str(self.plan.waiting.get(AlarmId("a"), ""))


def states(found: Sequence[tuple[float, State]]) -> list[State]:
    return [state for _, state in found]


def test_a_group_of_which_all_report_scales_in() -> None:
    """Nothing is in the way where everybody reports."""
    site = Site(low())

    assert [State.ALARM] == states(site.run(300))
    assert not site.plan.waiting


def test_a_dead_host_holds_scale_in_up_and_no_scale_out() -> None:
    """Four of ten machines are silent: those that are left may make the group larger, but not smaller."""
    busy = replace(low(), judgement=replace(low().judgement, comparison=Comparison.GT, threshold=50.0))
    site = Site(low(), load={f"vm-{number}": 90.0 for number in range(10)})
    site.put("out", busy, directions={State.ALARM: Direction.OUT})
    site.run(300)
    site.load = {}
    first = site.run(300, ["h1"])
    lack = site.lack
    site.load = {f"vm-{number}": 95.0 for number in range(10)}
    site.run(300, ["h1"])
    column = site.plan._places[AlarmId("out")][0].roster.column("state")[0]

    assert first == []
    assert lack == (
        "scale-in waits for fresh evidence: 6 of 10 members reported in every period that is judged, and 90% must "
        "(evaluator.scale_in_coverage)"
    )
    assert column == 1


def test_scale_in_goes_on_when_the_host_is_back() -> None:
    """Once it has reported for the whole window."""
    site = Site(low(), load=dict.fromkeys(HOSTS["h1"] + HOSTS["h2"], 90.0))
    site.run(300)
    site.load = {}
    silent = site.run(300, ["h1"])
    [(at_s, state)] = site.run(300)

    assert ([], State.ALARM) == (silent, state)
    assert 660 <= at_s <= 720


def test_a_share_of_nothing_switches_it_off() -> None:
    """The operator may have alarms scale in on whatever there is."""
    site = Site(low(), share=0.0, load=dict.fromkeys(HOSTS["h1"] + HOSTS["h2"], 90.0))
    site.run(300)
    site.load = {}

    assert [State.ALARM] == states(site.run(300, ["h1"]))


def test_a_machine_that_was_taken_away_does_not_count() -> None:
    """Its host still reports completely, so the next scale-in need not wait until it is forgotten."""
    site = Site(low(), share=1.0, load=dict.fromkeys(HOSTS["h1"] + HOSTS["h2"], 90.0))
    site.run(300)
    site.hosts["h2"].clear()
    site.load = {}
    [(at_s, state)] = site.run(300)

    assert State.ALARM is state
    # Two periods without load, and two polls that tell who has left.
    assert at_s <= 300 + 120 + 20


def test_a_machine_whose_host_was_read_in_part_counts() -> None:
    """Nobody knows whether it is gone."""
    site = Site(low(), share=1.0, load=dict.fromkeys(HOSTS["h1"] + HOSTS["h2"], 90.0))
    site.run(300)
    site.hosts["h2"].pop()
    site.load = {}

    assert site.run(300, missing=1) == []
    assert "9 of 10 members" in site.lack


def test_a_newcomer_has_to_be_there_for_the_whole_window() -> None:
    """A machine that has just been started says nothing of the minutes before."""
    site = Site(low(), share=1.0, state=State.OK, load=dict.fromkeys(HOSTS["h1"] + HOSTS["h2"], 90.0))
    site.run(300)
    site.load = {}
    site.run(60)
    site.hosts["h1"].append("vm-new")
    [(at_s, _)] = site.run(300)

    assert at_s > 360 + 60


@pytest.mark.parametrize("missing", [MissingData.BREACHING, MissingData.IGNORE, MissingData.NOT_BREACHING])
def test_silence_never_scales_in(missing: MissingData) -> None:
    """Whatever a rule makes of missing data: a group of which nothing is heard stays as large as it is."""
    site = Site(low(missing=missing), load=dict.fromkeys(HOSTS["h1"] + HOSTS["h2"], 90.0))
    site.run(300)

    assert site.run(900, []) == []


@pytest.mark.parametrize("over_time", [Statistic.SUM, Statistic.COUNT])
def test_what_falls_for_want_of_samples_is_no_evidence(over_time: Statistic) -> None:
    """The first period after a start, and one in which the host died, are seen in part only."""
    # 10 machines, 6 samples a period.
    threshold = 10 * 6 * (10.0 if over_time is Statistic.SUM else 1.0) * 0.95
    rule = low(over_time, threshold, evaluation_periods=1)
    site = Site(rule)
    started = site.run(300)
    dying = [*site.run(50, []), *site.run(30, ["h1"])]

    assert (started, dying) == ([], [])


def test_a_sum_that_has_really_fallen_is_evidence() -> None:
    """Once the periods are seen as a whole."""
    site = Site(low(Statistic.SUM, 300.0, evaluation_periods=1), load=dict.fromkeys(HOSTS["h1"] + HOSTS["h2"], 90.0))
    first = site.run(300)
    site.load = dict.fromkeys(HOSTS["h1"] + HOSTS["h2"], 1.0)

    assert ([], [State.ALARM]) == (first, states(site.run(300)))


def test_repeats_wait_too() -> None:
    """An alarm that has scaled in goes on doing so only while there is evidence; its state stays."""
    site = Site(low(), state=State.ALARM, alarm={"repeat_actions": True})
    whole = site.run(300)
    partial = site.run(300, ["h1"])

    # In a rhythm from when the state was entered, but for the first, which waits for the window.
    assert [70, 120, 180, 240, 300] == [at_s for at_s, _ in whole]
    # The last samples of the host that died are in the newest periods for a while.
    assert {State.ALARM} >= set(states(partial))
    assert all(at_s <= 360 for at_s, _ in partial)


def leaf(rule: Any) -> Leaf:
    return Leaf(rule=rule, wire={})


def of_group(ids: Sequence[str]) -> WindowRule:
    """The same for some machines only."""
    rule = low()
    selector = Selector(metric="", project_id="", any_of=tuple((one, "cpu_util") for one in ids))
    return replace(rule, reading=replace(rule.reading, selector=selector))


def composite(*rules: Any, at_least: int) -> CompositeRule:
    return CompositeRule(root=Branch(nodes=tuple(map(leaf, rules)), at_least=at_least), form="f")


@pytest.mark.parametrize(("at_least", "changes"), [(1, [State.ALARM]), (2, [])])
def test_a_composite_goes_by_the_leaves_that_there_is_evidence_for(at_least: int, changes: list[State]) -> None:
    """One that takes any of its leaves is decided by the half that reports, one that takes all is not."""
    rule = composite(of_group(HOSTS["h1"]), of_group([*HOSTS["h2"][:2], "vm-0"]), at_least=at_least)
    site = Site(rule, load=dict.fromkeys(HOSTS["h1"] + HOSTS["h2"], 90.0))
    site.run(300)
    site.load = {}

    assert changes == states(site.run(300, ["h1"]))
    assert ("rule2" in site.lack) is (not changes)


def test_a_composite_sees_through_the_alarms_that_it_refers_to() -> None:
    """The state of another alarm is as good as what that alarm goes by."""
    site = Site(composite(AlarmReference(alarm_id="other"), at_least=1), load=dict.fromkeys(HOSTS["h1"], 90.0))
    site.put("other", low(), directions={State.ALARM: Direction.NEUTRAL})
    site.plan.note(AlarmId("other"), State.OK)
    site.run(300)
    site.load = {}
    site.run(300, ["h1"])

    assert "rule1" in site.lack


def test_an_answer_that_is_stale_scales_nothing_in() -> None:
    """An error leaves the last answer standing, but nothing scales in on it."""
    rule = longer_than(2, "long")
    site = Site(longer_than(9, "other"))
    # Somebody else who wants to know, so that the answer is not forgotten.
    site.put("b", rule, directions={})
    first = site.tick()
    site.oracle.say = _fail
    site.clock.advance(10)
    site.tick()
    site.put("a", rule)
    stale = site.tick()
    lack = site.lack
    site.oracle.say = str
    site.clock.advance(10)
    fresh = site.tick()

    assert (first, stale, [State.ALARM]) == ([], [], states(fresh))
    assert "has not answered" in lack


def _fail(_text: str) -> str:
    raise NoAnswer("not now")


def test_operators_are_told_once_an_episode() -> None:
    """One line when an alarm begins to wait, one when it no longer does."""
    waiting = Waiting()
    with capture_logs() as logs:
        for lacks in ({"a": "x"}, {"a": "x", "b": "y"}, {"b": "y"}, {}, {"a": "z"}):
            waiting.tell({AlarmId(alarm_id): lack for alarm_id, lack in lacks.items()})

    assert [
        ("scale_in_waits", "a"),
        ("scale_in_waits", "b"),
        ("scale_in_waits_no_more", "a"),
        ("scale_in_waits_no_more", "b"),
        ("scale_in_waits", "a"),
    ] == [(line["event"], line["alarm_id"]) for line in logs]
