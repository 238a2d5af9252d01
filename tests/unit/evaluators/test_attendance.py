# SPDX-License-Identifier: Apache-2.0
"""Which series the answers of a Prometheus had lately, and what that means for scaling in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pytest

from alarmd.cache.window import Window, WindowLimits
from alarmd.clock import ManualClock
from alarmd.evaluators.asking.asker import Asker
from alarmd.evaluators.asking.asking import Answer, Finding, NoAnswer
from alarmd.evaluators.families.prometheus.attendance import Attendance, Count, Sighting
from alarmd.evaluators.families.prometheus.family import PrometheusRule, WhichSeries
from alarmd.evaluators.families.prometheus.server import PromQuery, Series, SeriesAnswered
from alarmd.evaluators.fresh_evidence import lack_in
from alarmd.evaluators.plan import Plan, PlanOptions
from alarmd.model.alarm import AlarmId, State
from alarmd.model.direction import Direction
from alarmd.model.rule import Comparison, CompositeRule, Leaf
from alarmd.model.verdict import Outcome
from tests.support.alarms import an_alarm
from tests.support.asking import settle
from tests.unit.evaluators.test_prometheus import NOW


class Register:
    """Attendance over ten minutes of one query, asked every 15 s or so."""

    def __init__(self, memory_s: float = 600) -> None:
        self.attendance = Attendance(memory_s=memory_s, patience_s=55)
        #: What the server says there was; None: it does not say.
        self.past: Sequence[Sighting] | None = ()
        self.past_asked = 0

    def count(self, names: str, now_s: float, *, question: str = "q") -> Count:
        seen = [Sighting(labels={"vm": name}, at_s=now_s) for name in names]
        return self.attendance.count(question, seen, now_s=now_s, past=self._past)

    def _past(self) -> Sequence[Sighting]:
        self.past_asked += 1
        if self.past is None:
            raise NoAnswer("It is too busy.")
        return self.past


def test_series_count_until_they_are_forgotten() -> None:
    """Those that are gone for as long as members are remembered; the others are counted once."""
    register = Register()
    counted = [register.count("abcd", 0)]
    counted += [register.count("ab", now_s) for now_s in (15, 30)]
    for now_s in range(45, 616, 15):
        last = register.count("ab", now_s)

    assert [4, 4, 4] == [one.members for one in counted]
    assert Count(members=2) == last
    assert 1 == register.past_asked


def test_the_server_is_asked_what_there_was_before() -> None:
    """Of a query that is new, or that was not asked for a while; what is older than the memory does not count."""
    register = Register()
    register.past = [Sighting(labels={"vm": name}, at_s=at_s) for name, at_s in (("a", 990), ("b", 500), ("c", 399))]

    assert Count(members=3) == register.count("xa", 1000)
    register.past = [Sighting(labels={"vm": name}, at_s=1040) for name in "yz"]
    assert Count(members=3) == register.count("xa", 1050)
    assert Count(members=4) == register.count("xa", 1106)
    assert 2 == register.past_asked


def test_where_the_server_does_not_say_it_is_known_once_it_was_watched() -> None:
    """Until then it is said why not; scaling in is late by as much, and never put off for good."""
    register = Register()
    register.past = None
    gaps = [(now_s, register.count("ab", now_s).gap) for now_s in range(0, 661, 15)]

    assert [""] * 5 == [gap for now_s, gap in gaps if now_s >= 600]
    assert {"which series there were within the last 600 s is not known yet (It is too busy)"} == {
        gap for now_s, gap in gaps if now_s < 600
    }


def test_an_empty_answer_asks_for_no_past() -> None:
    """Nothing is scaled in on it. What there was is asked with the first that is not empty."""
    register = Register()
    register.count("", 0)
    before = register.past_asked
    register.count("a", 15)

    assert (0, 1) == (before, register.past_asked)


def test_without_a_memory_an_answer_is_all_there_is() -> None:
    """As for series of alarmd's own."""
    register = Register(memory_s=0)
    register.count("abcd", 0)

    assert Count(members=2) == register.count("ab", 15)
    assert 0 == register.past_asked


def test_what_is_remembered_is_bounded() -> None:
    """In series, so that no answer is most of those that may have been; and in questions, by those that are asked."""
    register = Register()
    for now_s in range(5):
        seen = [Sighting(labels={"vm": f"{now_s}-{number}"}, at_s=now_s) for number in range(10_000)]
        counted = register.attendance.count("q", seen, now_s=now_s, past=tuple)
    for number in range(100):
        register.count("a", 1000 + number, question=str(number))
    register.count("a", 2000, question="last")

    assert 20_000 == counted.members
    assert ["last"] == list(register.attendance._heard)


def idle() -> PrometheusRule:
    """Return a rule that is outside where all series are below 80."""
    return PrometheusRule(
        question=PromQuery(query="load"), comparison=Comparison.LT, threshold=80, which=WhichSeries.ALL
    )


def found(*series: Sequence[float], members: int = 0, gap: str = "", points: int = 1) -> Finding:
    """Return what a rule that wants to scale in below 80 finds in some series."""
    question = PromQuery(query="load", granularity_s=60 if points > 1 else None, points=points)
    rule = PrometheusRule(question=question, comparison=Comparison.LT, threshold=80, which=WhichSeries.ALL)
    answered = SeriesAnswered(
        series=tuple(Series(labels={}, values=tuple(one)) for one in series), members=members, gap=gap
    )
    return rule.judge(Answer(at=NOW, values=answered), state=State.OK)


@pytest.mark.parametrize(("there", "is_enough"), [(10, True), (9, True), (8, False), (1, False)])
def test_most_of_the_members_must_be_in_the_answer(there: int, is_enough: bool) -> None:
    """To scale in. To scale out, and to anything else, the others are enough."""
    finding = found(*[[5.0]] * there, members=10)
    lack = lack_in(finding, share=0.9)

    assert Outcome.ALL_OUTSIDE is finding.outcome
    assert is_enough is (lack is None)
    if there == 8:
        assert str(lack).startswith("scale-in waits for fresh evidence: 8 of 10 members reported in every period")


def test_a_series_must_have_all_values_that_are_judged() -> None:
    """One that has just come counts as one that has not reported before."""
    lack = lack_in(found([5.0, 5.0, 5.0], [5.0, 5.0], members=2, points=3), share=0.9)

    assert str(lack).startswith("scale-in waits for fresh evidence: 1 of 2 members reported")


def test_members_that_are_not_known_yet_are_waited_for() -> None:
    """In the words of who knows why."""
    assert "scale-in waits for fresh evidence: it is early" == lack_in(
        found([5.0], members=1, gap="it is early"), share=0.9
    )


@dataclass
class Group:
    """Whoever is asked for a group of ten, of which so many are there."""

    there: int
    interval_s: float = 10.0
    timeout_s: float = 5.0
    concurrency: int = 1

    def ask(self, question: PromQuery, *, now: datetime) -> Answer:
        del question
        series = tuple(Series(labels={"vm": str(number)}, values=(5.0,)) for number in range(self.there))
        return Answer(at=now, values=SeriesAnswered(series=series, members=10))

    def close(self) -> None:
        pass


def test_alarms_and_composites_wait_until_most_have_reported() -> None:
    """Those that scale in; whoever scales out on the same answer goes ahead."""
    clock, group = ManualClock(NOW), Group(there=8)
    asker = Asker({"prometheus": group}, clock=clock, spread=lambda: 0.0)
    options = PlanOptions(lateness_s=10, repeat_interval_s=60, scale_in_coverage=0.9)
    plan = Plan(Window(WindowLimits(length_s=3600, lateness_s=10)), options, asker)
    leaf = Leaf(wire={"type": "prometheus"}, rule=idle())
    shrinks = {State.ALARM: Direction.IN}
    for name, rule, directions in (
        ("in", idle(), shrinks),
        ("composite", CompositeRule(root=leaf, form="rule1"), shrinks),
        ("out", idle(), {State.ALARM: Direction.OUT}),
    ):
        alarm = an_alarm(alarm_id=AlarmId(name), directions=directions, state=State.OK, state_timestamp=NOW)
        plan.put(alarm, rule, now=NOW)

    def changed() -> set[str]:
        plan.decide(now=clock.now(), watching_since=NOW)
        settle(asker)
        return {one.alarm_id for one in plan.decide(now=clock.now(), watching_since=NOW)}

    early, waiting = changed(), dict(plan.waiting)
    group.there = 9
    clock.advance(10)
    late = changed()
    plan.close()
    asker.close()

    assert ({"out"}, {"in", "composite"}) == (early, set(waiting))
    assert str(waiting[AlarmId("in")]).startswith("scale-in waits for fresh evidence: 8 of 10 members reported")
    assert {"in", "composite"} <= late
