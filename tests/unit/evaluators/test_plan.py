# SPDX-License-Identifier: Apache-2.0
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alarmd.cache.window import Window, WindowLimits
from alarmd.errors import InvalidInput
from alarmd.evaluators.kernel.look_back import look_back_periods
from alarmd.evaluators.plan import Plan, PlanOptions
from alarmd.evaluators.roster import COUNTS
from alarmd.model.alarm import Alarm, AlarmId, Severity, State
from alarmd.model.rule import Comparison, Judgement, MissingData, Reading, Selector, Statistic, WindowRule
from alarmd.model.samples import Metric, Resource
from tests.support.reference import Moment, evaluate
from tests.support.reference_reading import ReferenceSeries
from tests.support.samples import a_batch, a_resource

START = datetime(2026, 1, 1, tzinfo=UTC)
START_S = START.timestamp()
LATENESS_S = 4.0
LONG_AGO = START - timedelta(days=1)


#: What the statistics of the legacy rule are.
LEGACY = [Statistic.AVG, Statistic.MIN, Statistic.MAX, Statistic.SUM, Statistic.COUNT]


def a_rule(
    *,
    selector: Selector = Selector(metric="cpu_util", project_id="", resource_id="vm-1"),  # noqa: B008  # frozen
    statistic: Statistic = Statistic.AVG,
    period_s: int = 10,
    evaluation_periods: int = 1,
    comparison: Comparison = Comparison.GT,
    threshold: float = 50.0,
    exclude_outliers: bool = False,
) -> WindowRule:
    return WindowRule(
        reading=Reading(selector=selector, period_s=period_s, over_time=statistic, exclude_outliers=exclude_outliers),
        judgement=Judgement(comparison=comparison, threshold=threshold, evaluation_periods=evaluation_periods),
    )


def watched(
    alarm_id: str = "a",
    *,
    state: State = State.INSUFFICIENT_DATA,
    repeat: bool = False,
    constraints: tuple[Mapping[str, Any], ...] = (),
) -> Alarm:
    return Alarm(
        alarm_id=AlarmId(alarm_id),
        name="",
        description="",
        enabled=True,
        type="threshold",
        rule={},
        project_id="",
        user_id="",
        severity=Severity.LOW,
        ok_actions=(),
        alarm_actions=(),
        insufficient_data_actions=(),
        repeat_actions=repeat,
        time_constraints=constraints,
        timestamp=START,
        state=state,
        state_reason="",
        state_timestamp=START,
        evaluate_timestamp=None,
        shard=0,  # type: ignore[arg-type]  # any will do
    )


def a_window(start: str, duration_s: int, timezone: str = "") -> tuple[Mapping[str, Any], ...]:
    """Return the constraint of one window."""
    return ({"name": "n", "description": "", "start": start, "duration": duration_s, "timezone": timezone},)


@dataclass
class Bench:
    """A window and a plan over it."""

    window: Window
    plan: Plan

    def put(self, alarm: Alarm, rule: WindowRule) -> None:
        self.plan.put(alarm, rule, now=START)

    def sample(self, at_s: float, value: float, resource: Resource | str = "vm-1", metric: str = "cpu_util") -> None:
        batch = a_batch({resource: {metric: value}}, timestamp_s=START_S + at_s)
        self.window.append(batch, now_s=START_S + at_s)

    def decide(self, at_s: float = 0.0, *, watching_since: datetime = LONG_AGO) -> dict[str, tuple[State, str]]:
        """Return the new state and the reason of every alarm of which something is to be said."""
        now = START + timedelta(seconds=at_s)
        found = self.plan.decide(now=now, watching_since=watching_since)
        return {transition.alarm_id: (transition.current, transition.reason) for transition in found}

    def counts(self) -> dict[str, dict[str, int]]:
        """Return what was counted of each alarm since this was last asked."""
        counted = self.plan.take_counts()
        rows = zip(counted.alarm_ids, counted.counts.tolist(), strict=True)
        return {alarm_id: dict(zip(COUNTS, row, strict=True)) for alarm_id, row in rows}


def a_bench(*, lateness_s: float = LATENESS_S, repeat_interval_s: float = 60.0) -> Bench:
    window = Window(WindowLimits(length_s=600, lateness_s=lateness_s))
    options = PlanOptions(lateness_s=lateness_s, repeat_interval_s=repeat_interval_s, count_results=True)
    return Bench(window, Plan(window, options))


def test_a_busy_series_raises_the_alarm_in_aodhs_words() -> None:
    """A value over the threshold is a transition to alarm with Aodh's reason text and data."""
    bench = a_bench()
    bench.put(watched(), a_rule())
    bench.sample(0, 97.5)

    [transition] = bench.plan.decide(now=START, watching_since=LONG_AGO)

    assert transition.current is State.ALARM
    assert transition.reason == "Transition to alarm due to 1 samples outside threshold, most recent: 97.5"
    assert dict(transition.reason_data) == {
        "type": "threshold",
        "disposition": "outside",
        "count": 1,
        "most_recent": 97.5,
    }


def test_deciding_changes_nothing_until_entered() -> None:
    """A transition that was not stored is found again; one that was is not."""
    bench = a_bench()
    bench.put(watched(), a_rule())
    bench.sample(0, 97.5)
    first = bench.decide()
    again = bench.decide()
    bench.plan.enter(AlarmId("a"), state=State.ALARM, state_version=1, at=START)

    assert first == again != {}
    assert bench.decide() == {}


def test_all_members_of_a_group_are_pooled() -> None:
    """A period's statistic is over all samples of all members, however many each has."""
    bench = a_bench()
    selector = Selector(metric="cpu_util", project_id="", labels=(("group", "web"),))
    bench.put(watched(), a_rule(selector=selector, period_s=60, threshold=40.0))
    one, two = a_resource("vm-1", labels={"group": "web"}), a_resource("vm-2", labels={"group": "web", "x": "y"})
    for at_s, value in ((0, 10.0), (10, 20.0), (20, 30.0)):
        bench.sample(at_s, value, one)
    bench.sample(20, 104.0, two)
    bench.sample(20, 1000.0, a_resource("vm-3", labels={"group": "db"}))

    assert bench.decide(20) == {
        "a": (State.ALARM, "Transition to alarm due to 1 samples outside threshold, most recent: 41.0")
    }


def test_members_join_and_leave_a_group_as_their_labels_say() -> None:
    """A resource that gets the label counts from then on, and one that loses it no longer does."""
    bench = a_bench()
    bench.put(watched(), a_rule(selector=Selector(metric="cpu_util", project_id="", labels=(("group", "web"),))))
    bench.sample(0, 90.0, a_resource("vm-1"))
    before = bench.decide()
    bench.sample(1, 90.0, a_resource("vm-1", labels={"group": "web"}))
    joined = bench.decide(1)
    bench.sample(2, 90.0, a_resource("vm-1"))

    assert before == {}
    assert joined["a"][0] is State.ALARM
    assert bench.decide(2) == {}


@pytest.mark.parametrize(
    ("silent_s", "expected"),
    [(10 + LATENESS_S, None), (10 + LATENESS_S + 0.001, State.INSUFFICIENT_DATA)],
    ids=["within the budget", "beyond it"],
)
def test_silence_is_missing_data_after_a_period_and_the_lateness_budget(
    silent_s: float, expected: State | None
) -> None:
    """An alarm keeps its state until its newest sample is older than a period and the lateness budget."""
    bench = a_bench()
    bench.put(watched(state=State.OK), a_rule())
    bench.sample(0, 1.0)

    assert bench.decide(silent_s).get("a", (None, ""))[0] is expected


def test_what_nobody_watched_blinds_no_alarm() -> None:
    """After a long outage of the evaluator an alarm keeps its state until its periods have passed under watch."""
    bench = a_bench()
    bench.put(watched(state=State.ALARM), a_rule(evaluation_periods=3))
    for at_s in range(0, 40, 5):
        bench.sample(at_s, 97.0)
    restarted_s = 300
    since = START + timedelta(seconds=restarted_s)
    bench.sample(restarted_s, 97.0)

    assert bench.decide(restarted_s, watching_since=since) == {}
    assert bench.decide(restarted_s + 3 * 10 + LATENESS_S, watching_since=since) == {}
    assert bench.decide(restarted_s + 3 * 10 + LATENESS_S + 1, watching_since=since)["a"][0] is State.INSUFFICIENT_DATA


def test_actions_repeat_at_their_interval_while_the_state_lasts() -> None:
    """With repeat_actions the state is told again each interval, in Aodh's words for staying."""
    bench = a_bench(repeat_interval_s=30)
    bench.put(watched(repeat=True, state=State.ALARM), a_rule())
    for at_s in range(0, 70, 5):
        bench.sample(at_s, 97.0)
    remaining = (State.ALARM, "Remaining as alarm due to 1 samples outside threshold, most recent: 97.0")

    assert bench.decide(29) == {}
    assert bench.decide(30) == {"a": remaining}
    bench.plan.enter(AlarmId("a"), state=State.ALARM, state_version=1, at=START + timedelta(seconds=30))
    assert bench.decide(31) == {}
    assert bench.decide(60) == {"a": remaining}


def test_a_repeat_that_is_late_delays_none_behind_it() -> None:
    """The beat is that of when the state was entered; a plan that takes over keeps it."""
    bench = a_bench(repeat_interval_s=30)
    bench.put(watched(repeat=True, state=State.ALARM), a_rule())
    for at_s in range(0, 200, 5):
        bench.sample(at_s, 97.0)
    first = bench.decide(37)
    bench.plan.enter(AlarmId("a"), state=State.ALARM, state_version=1, at=START + timedelta(seconds=37))
    seen = [bool(bench.decide(at_s)) for at_s in (59, 60)]
    bench.plan.put(watched(repeat=True, state=State.ALARM), a_rule(), now=START + timedelta(seconds=65))
    taken_over = [bool(bench.decide(at_s)) for at_s in (66, 89, 90)]

    assert first
    assert [False, True] == seen
    assert [False, False, True] == taken_over


def test_an_alarm_may_have_a_rhythm_of_its_own() -> None:
    """Others keep that of the operator."""
    bench = a_bench(repeat_interval_s=30)
    bench.put(replace(watched("own", repeat=True, state=State.ALARM), repeat_interval_s=10), a_rule())
    bench.put(watched("others", repeat=True, state=State.ALARM), a_rule())
    seen: dict[str, list[int]] = {"own": [], "others": []}
    for at_s in range(0, 66, 5):
        bench.sample(at_s, 97.0)
        for alarm_id in bench.decide(at_s):
            seen[alarm_id].append(at_s)
            at = START + timedelta(seconds=at_s)
            bench.plan.enter(AlarmId(alarm_id), state=State.ALARM, state_version=1, at=at)

    assert {"own": [10, 20, 30, 40, 50, 60], "others": [30, 60]} == seen


def test_outside_its_window_an_alarm_is_not_evaluated() -> None:
    """Closed, it keeps its state and says nothing, whatever its samples; the first pass of its window finds it."""
    bench = a_bench()
    bench.put(watched("night", constraints=a_window("10 0 * * *", 30)), a_rule())
    bench.put(watched("always"), a_rule())
    for at_s in range(0, 610, 10):
        bench.sample(at_s, 97.0)
    opens_s = 540.001
    before = [set(bench.decide(at_s)) for at_s in (0, 300, 540)]
    opened = set(bench.decide(opens_s))
    bench.plan.enter(AlarmId("night"), state=State.ALARM, state_version=1, at=START + timedelta(seconds=opens_s))
    bench.sample(629, 10.0)

    assert [{"always"}] * 3 == before
    assert {"always", "night"} == opened
    assert State.OK is bench.decide(630)["night"][0]
    assert "night" not in bench.decide(630.001)


def test_an_alarm_that_is_closed_when_it_is_loaded_stays_so_until_it_opens() -> None:
    """A closed alarm that is edited, or moves into another's place, is still closed; one whose window goes is not."""
    bench = a_bench()
    for alarm_id in "abc":
        bench.put(watched(alarm_id, constraints=a_window("10 0 * * *", 30)), a_rule())
    bench.put(watched("d"), a_rule())
    bench.sample(0, 97.0)
    bench.plan.remove(AlarmId("a"))
    bench.put(watched("b"), a_rule())
    first = set(bench.decide(1))
    bench.put(watched("d", constraints=a_window("10 0 * * *", 30)), a_rule())
    second = set(bench.decide(2))
    bench.plan.remove(AlarmId("b"))
    bench.sample(600, 97.0)

    assert {"b", "d"} == first
    assert {"b"} == second
    assert {"c", "d"} == set(bench.decide(600))


def test_repeats_that_fell_due_outside_the_window_are_left_out() -> None:
    """After a closed time the first repeat comes at the next beat of the rhythm, and none of the missed ones."""
    bench = a_bench(repeat_interval_s=50)
    constraints = a_window("10 0 * * * 20", 30)
    bench.put(watched(repeat=True, state=State.ALARM, constraints=constraints), a_rule())
    for at_s in range(0, 700, 5):
        bench.sample(at_s, 97.0)
    opens_s, beat_s = 560.001, 600
    told = [at_s for at_s in (50, 100, 559, opens_s, beat_s - 1, beat_s) if bench.decide(at_s)]

    assert [beat_s] == told


def test_an_alarm_whose_constraints_cannot_be_read_is_left_as_it_was() -> None:
    """A zone that this machine does not know is refused before anything has changed."""
    bench = a_bench()
    bench.put(watched(), a_rule())
    with pytest.raises(InvalidInput, match=r"^Timezone Europe/Atlantis is not valid$"):
        bench.put(watched(constraints=a_window("* * * * *", 1, "Europe/Atlantis")), a_rule())

    assert AlarmId("a") in bench.plan


def test_schedules_that_nobody_has_any_more_are_forgotten() -> None:
    """Alarms that come and go with ever other windows leave nothing behind for longer than until the next look."""
    bench = a_bench()
    for minute in range(20, 30):
        bench.put(watched(constraints=a_window(f"{minute} 0 * * *", 30)), a_rule())
    bench.plan.remove(AlarmId("a"))
    bench.decide(3600)

    assert ({}, {}, []) == (
        bench.plan._timetable._groups,
        bench.plan._timetable._by_alarm,
        bench.plan._timetable._looks,
    )


def test_evaluations_are_counted_by_the_state_they_led_to() -> None:
    """Each pass counts once for each alarm that found a state; mixed values, closed alarms and blind passes do not."""
    bench = a_bench()
    bench.put(watched("busy"), a_rule())
    bench.put(watched("idle"), a_rule(threshold=99.0))
    bench.put(watched("mixed"), a_rule(period_s=5, evaluation_periods=2))
    bench.put(watched("closed", constraints=a_window("10 5 * * *", 30)), a_rule())
    bench.put(watched("blind"), a_rule(selector=Selector(metric="other", project_id="")))
    bench.sample(0, 10.0)
    bench.sample(5, 97.0)
    rules = {"busy": a_rule(statistic=Statistic.MAX), "idle": a_rule(threshold=99.0)}
    for alarm_id, rule in rules.items():
        bench.put(watched(alarm_id), rule)
    bench.decide(6)
    bench.decide(6, watching_since=START)
    bench.put(watched("busy"), a_rule(statistic=Statistic.MAX))
    bench.plan.remove(AlarmId("idle"))
    none = dict.fromkeys(COUNTS, 0)

    assert {
        "busy": none | {"alarm": 2},
        "idle": none | {"ok": 2},
        "blind": none | {"insufficient_data": 1},
    } == bench.counts()
    assert {} == bench.counts()


def test_nothing_is_counted_unless_it_is_asked_for() -> None:
    """Without the setting, nothing is told."""
    window = Window(WindowLimits(length_s=600, lateness_s=LATENESS_S))
    bench = Bench(window, Plan(window, PlanOptions(lateness_s=LATENESS_S, repeat_interval_s=60)))
    bench.put(watched(), a_rule())
    bench.sample(0, 97.0)
    bench.decide()

    assert [] == bench.plan.take_counts().alarm_ids


def test_a_removed_alarm_is_forgotten_and_the_others_are_not() -> None:
    """Removing alarms leaves the verdicts of the others alone, in whichever order they go."""
    bench = a_bench()
    for alarm_id in "abcde":
        bench.put(watched(alarm_id), a_rule(threshold=float(ord(alarm_id))))
    bench.sample(0, 99.5)
    bench.plan.remove(AlarmId("a"))
    bench.plan.remove(AlarmId("d"))
    bench.plan.remove(AlarmId("unknown"))

    assert {"b": State.ALARM, "c": State.ALARM, "e": State.OK} == {key: new for key, (new, _) in bench.decide().items()}
    assert len(bench.plan) == 3


def test_an_alarm_whose_place_was_taken_is_found_again() -> None:
    """When an alarm goes and another moves into its place, what is entered or removed later is still the right one."""
    bench = a_bench()
    for alarm_id in "abc":
        bench.put(watched(alarm_id), a_rule())
    bench.sample(0, 99.0)
    bench.plan.remove(AlarmId("a"))
    bench.plan.enter(AlarmId("c"), state=State.ALARM, state_version=1, at=START)
    entered = set(bench.decide())
    bench.plan.remove(AlarmId("c"))

    assert {"b"} == entered
    assert {"b"} == set(bench.decide())


def test_a_dense_series_is_read_to_its_end_beside_a_sparse_one() -> None:
    """How far back one series is read does not depend on how few samples the others have."""
    bench = a_bench()
    bench.put(watched("dense"), a_rule(period_s=20, statistic=Statistic.COUNT, threshold=11.0))
    sparse = Selector(metric="cpu_util", project_id="", resource_id="vm-2")
    bench.put(watched("sparse"), a_rule(period_s=20, statistic=Statistic.COUNT, threshold=1.0, selector=sparse))
    for at_s in range(12):
        bench.sample(at_s, 1.0)
    bench.sample(0, 1.0, "vm-2")
    bench.sample(11, 1.0, "vm-2")

    assert {"dense": State.ALARM, "sparse": State.ALARM} == {key: new for key, (new, _) in bench.decide(12).items()}


def test_what_nobody_reads_any_more_is_forgotten() -> None:
    """Alarms that come and go with ever other periods leave nothing behind that each pass would look at."""
    bench = a_bench()
    for period_s in (1, 2, 5):
        bench.put(watched("a"), a_rule(period_s=period_s))
    bench.plan.remove(AlarmId("a"))

    rules = bench.plan._window_rules
    assert ({}, {}, {}) == (rules._cells, rules._units._layers, rules._units._by_selector)


def test_a_period_with_an_unusual_number_of_samples_is_passed_over() -> None:
    """With `exclude_outliers` the rule looks back over twice its periods and leaves out those that stand out."""
    bench = a_bench()
    bench.put(watched(), a_rule(period_s=10, evaluation_periods=3, exclude_outliers=True, threshold=50.0))
    for period in range(5):
        for sample in (1, 2, 3):
            bench.sample(period * 10 + sample, 10.0)
    for sample in range(13):
        bench.sample(51 + sample / 2, 99.0)

    reason = "Transition to ok due to 3 samples inside threshold, most recent: 10.0"
    assert bench.decide(57) == {"a": (State.OK, reason)}


@pytest.mark.parametrize(
    ("period_s", "exclude_outliers", "expected"), [(60, False, 1), (60, True, 5), (1, False, 10), (1, True, 10)]
)
def test_rules_look_back_as_far_as_gaps_and_outliers_demand(
    period_s: int, exclude_outliers: bool, expected: int
) -> None:
    """Long periods reach one further back, short ones over the lateness budget, outliers once more over all."""
    rule = a_rule(period_s=period_s, evaluation_periods=5, exclude_outliers=exclude_outliers)

    assert expected == look_back_periods(rule, lateness_s=10.0)


RESOURCES = st.builds(
    a_resource,
    st.sampled_from(["vm-1", "vm-2", "vm-3"]),
    user_id=st.just("u"),
    project_id=st.sampled_from(["", "p"]),
)
SELECTORS = st.builds(
    Selector,
    metric=st.just("cpu_util"),
    project_id=st.sampled_from(["", "p"]),
    resource_id=st.sampled_from([None, "vm-1", "vm-2"]),
    user_id=st.sampled_from([None, "u"]),
)
RULES = st.builds(
    a_rule,
    selector=SELECTORS,
    statistic=st.sampled_from(LEGACY),
    period_s=st.sampled_from([1, 2, 5, 13]),
    evaluation_periods=st.integers(1, 4),
    comparison=st.sampled_from(Comparison),
    # Eighths add up exactly, in whichever order.
    threshold=st.integers(-16, 64).map(lambda eighths: eighths / 8),
    exclude_outliers=st.booleans(),
)
WINDOWS = st.sampled_from(
    [
        (),
        (),
        a_window("*/3 * * * *", 20),
        a_window("1/2 * * * *", 0),
        a_window("0/4 * * * * 30", 65, "Asia/Kathmandu"),
        a_window("0 12 * * *", 600),
    ]
)
#: Steps in time and a sample, which may be older than the one before.
ARRIVALS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 100, 700, 999, 1000, 2500, 9000]),
        st.sampled_from([0, 0, 0, 300, 2000, 6000]),
        RESOURCES,
        st.integers(-16, 64).map(lambda eighths: eighths / 8),
    ),
    max_size=60,
)


@contextmanager
def _naming(what: object) -> Iterator[None]:
    try:
        yield
    except AssertionError as error:
        error.add_note(repr(what))
        raise


@settings(max_examples=300, deadline=None)
@given(
    rules=st.lists(RULES, min_size=1, max_size=8),
    arrivals=ARRIVALS,
    every=st.integers(1, 7),
    pause_ms=st.sampled_from([0, 3000, 20_000]),
    watching_s=st.sampled_from([-86_400.0, 0.0, 20.0]),
    churn=st.lists(st.integers(0, 7), max_size=4),
    windows=st.lists(WINDOWS, min_size=8, max_size=8),
)
def test_the_plan_agrees_with_the_reference(
    *,
    rules: list[WindowRule],
    arrivals: list[tuple[int, int, Resource, float]],
    every: int,
    pause_ms: int,
    watching_s: float,
    churn: list[int],
    windows: list[tuple[Mapping[str, Any], ...]],
) -> None:
    """Whatever arrives, and whichever alarms go and come back, every state, word and count is that of the reference."""
    bench = a_bench()
    states = {}
    for number, rule in enumerate(rules):
        bench.put(watched(str(number), constraints=windows[number]), rule)
        states[str(number)] = State.INSUFFICIENT_DATA
    series: dict[tuple[str, str], ReferenceSeries] = {}
    counts: dict[str, Counter[str]] = {}
    clock_ms = 0
    base_ms = round(START_S * 1000)
    for step, (pass_ms, back_ms, resource, value) in enumerate(arrivals):
        clock_ms += pass_ms
        bench.sample((clock_ms - back_ms) / 1000, value, resource)
        key = (resource.project_id, resource.id)
        series.setdefault(key, ReferenceSeries(resource, Metric(name="cpu_util"))).take(
            base_ms + clock_ms - back_ms, value, lateness_s=LATENESS_S
        )
        if step % every:
            continue
        for number in churn[step % 5 : step % 5 + 2]:
            gone = str(number % len(rules))
            bench.plan.remove(AlarmId(gone))
            bench.put(watched(gone, state=states[gone], constraints=windows[int(gone)]), rules[int(gone)])
        now = START + timedelta(milliseconds=clock_ms + pause_ms)
        since = START + timedelta(seconds=watching_s)
        decided = {t.alarm_id: t for t in bench.plan.decide(now=now, watching_since=since)}
        for alarm_id, rule in ((str(number), rule) for number, rule in enumerate(rules)):
            expected = evaluate(
                rule,
                states[alarm_id],
                list(series.values()),
                Moment(now_s=now.timestamp(), watching_since_s=since.timestamp(), lateness_s=LATENESS_S),
                constraints=windows[int(alarm_id)],
            )
            if expected.counted:
                counts.setdefault(alarm_id, Counter())[expected.counted.replace(" ", "_")] += 1
            found = decided.get(AlarmId(alarm_id))
            with _naming(rule):
                assert expected.state == (found.current if found else states[alarm_id])
                assert expected.reason == (found.reason if found else None)
                assert expected.reason_data == (dict(found.reason_data) if found else None)
            if found:
                bench.plan.enter(AlarmId(alarm_id), state=found.current, state_version=step, at=now)
            states[alarm_id] = expected.state

    assert counts == {alarm_id: Counter(found) for alarm_id, found in bench.counts().items()}


def test_nothing_is_repeated_without_a_single_value() -> None:
    """An alarm that ignores missing data keeps its state in silence, and takes no action again."""
    bench = a_bench()
    rule = a_rule(evaluation_periods=2)
    rule = replace(rule, judgement=replace(rule.judgement, missing=MissingData.IGNORE))
    bench.put(watched(repeat=True, state=State.OK), rule)
    bench.sample(0, 10.0)
    bench.sample(10, 10.0)

    assert {} == bench.decide(400.0)
    bench.sample(400, 10.0)
    assert {"a"} == bench.decide(400.0).keys()
