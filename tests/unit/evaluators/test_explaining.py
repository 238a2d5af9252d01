# SPDX-License-Identifier: Apache-2.0
"""Explanations against the plan: what is said to follow is what a plan would make of it."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alarmd.cache.window import Window
from alarmd.clock import ManualClock
from alarmd.evaluators.answers.explaining import Explanations
from alarmd.evaluators.answers.explanation import Explanation
from alarmd.evaluators.answers.in_words import rule_in_words
from alarmd.evaluators.answers.surroundings import Surroundings
from alarmd.evaluators.plan import Plan
from alarmd.model.alarm import Alarm, State
from alarmd.model.breaker import Trip
from alarmd.model.rule import WindowRule
from tests.support.asking import Oracle
from tests.support.rest import new_database
from tests.support.samples import a_batch, a_resource, new_log
from tests.support.window_rules import FAMILIES, PLAN, RULES, START, WINDOW, an_alarm_of, pushes, threshold


@pytest.fixture
def surroundings(tmp_path: Path) -> Iterator[Surroundings]:
    """An empty database, and an empty log."""
    with ExitStack() as stack:
        database = stack.enter_context(closing(new_database(tmp_path)))
        log = stack.enter_context(closing(new_log(tmp_path)))
        yield Surroundings(
            database=database,
            log=log,
            retention_s=7200,
            families=FAMILIES,
            window=WINDOW,
            plan=PLAN,
            tick_s=1,
            timeout_s=20,
            clock=ManualClock(START),
        )


def planned(alarm: Alarm, window: Window, now: datetime) -> tuple[State, str]:
    """Return the state that a plan finds, and its reason; the reason is empty when it has nothing to say."""
    plan = Plan(window, PLAN)
    rule = FAMILIES[alarm.type].parse(alarm.rule, project_id=alarm.project_id)
    plan.put(alarm, rule, now=now)
    found = plan.decide(now=now, watching_since=now - timedelta(hours=1))
    return (found[0].current, found[0].reason) if found else (alarm.state, "")


def verdict(explanation: Explanation) -> tuple[State, str]:
    assert explanation.verdict is not None
    return explanation.verdict.state, explanation.verdict.reason


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("silence_s", [0.3, 11, 31])
def test_what_is_said_to_follow_is_what_a_plan_finds(surroundings: Surroundings, seed: int, silence_s: float) -> None:
    """Whatever the rule, the state and the samples: the same state, for the same reason."""
    made = pushes(seed, length_s=150)
    now_s = made[-1].at_s + silence_s
    now = datetime.fromtimestamp(now_s, UTC)
    window = Window(WINDOW)
    for push in made:
        surroundings.log.append(push.batches)
        for batch in push.batches:
            window.append(batch, now_s=now_s)
    explanations = Explanations(replace(surroundings, clock=ManualClock(now)), servers={})
    alarms = [an_alarm_of(name, state=state) for name in RULES for state in State]
    expected = {(one.name, one.state): planned(one, window, now) for one in alarms}
    actual = {(one.name, one.state): verdict(explanations.explain(one)) for one in alarms}

    assert {key: state for key, (state, _) in expected.items()} == {key: state for key, (state, _) in actual.items()}
    # Only where a plan has nothing to say there is no reason to compare.
    changed = {key for key, (_, reason) in expected.items() if reason}
    assert {key: expected[key] for key in changed} == {key: actual[key] for key in changed}
    assert len(changed) > len(RULES) / 2


@pytest.mark.parametrize("name", ["single", "gnocchi, one resource"])
@pytest.mark.parametrize("age_s", [0.5, 6.0, 12.0, 14.0])
def test_for_how_long_samples_last_is_told(surroundings: Surroundings, name: str, age_s: float) -> None:
    """Without another one the alarm lacks data then, and not before; until then nothing is called missing."""
    sampled = START + timedelta(seconds=3)
    resource = a_resource("vm-1", project_id="p1")
    batches = [
        a_batch({resource: {"cpu_util": 90.0}}, timestamp_s=(sampled - timedelta(seconds=ago)).timestamp())
        for ago in (10, 0)
    ]
    window = Window(WINDOW)
    surroundings.log.append(batches)
    for batch in batches:
        window.append(batch, now_s=sampled.timestamp())
    now = sampled + timedelta(seconds=age_s)
    alarm = an_alarm_of(name, state=State.ALARM)
    told = Explanations(replace(surroundings, clock=ManualClock(now)), servers={}).explain(alarm)
    [rule] = told.leaves
    [needs] = [way.needs for way in rule.ways if way.needs.startswith("no further sample")]
    then = now + timedelta(seconds=float(needs.removeprefix("no further sample for ").removesuffix(" s")))

    assert rule.close_up is not None
    assert "" == rule.close_up.lacking
    assert State.ALARM not in {change.to for change in told.changes}
    assert [State.ALARM, State.INSUFFICIENT_DATA] == [
        planned(alarm, window, then + timedelta(seconds=after_s))[0] for after_s in (-1, 1)
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "avg of cpu_util of labels.group=web over 10 s > 50"),
        ({"query": []}, "avg of cpu_util over 10 s > 50"),
        (
            {"query": [{"field": "resource_id", "value": "vm-1"}], "evaluation_periods": 3},
            "avg of cpu_util of vm-1 over 10 s > 50, in each of the last 3 periods",
        ),
        (
            {"evaluation_periods": 4, "datapoints_to_alarm": 2, "treat_missing_data": "breaching"},
            (
                "avg of cpu_util of labels.group=web over 10 s > 50, in 2 of the last 4 periods; "
                "periods without data count as outside"
            ),
        ),
        (
            {"statistic": "p99.9", "group_statistic": "max", "comparison_operator": "le", "recovery_threshold": 60.5},
            (
                "max over members of the p99.9 of cpu_util of labels.group=web over 10 s <= 50; "
                "while in alarm the threshold is 60.5"
            ),
        ),
        (
            {"statistic": "delta", "hold_for": 15, "keep_for": 10, "minimum_coverage": 0.5},
            (
                "avg over members of the change of cpu_util of labels.group=web over 10 s > 50; "
                "it must have held for 20 s more; alarm is kept for 10 s; 50% of the members must have reported"
            ),
        ),
    ],
)
def test_rules_are_told_in_words(changes: dict[str, object], words: str) -> None:
    """All that they say, and nothing that they leave out."""
    family = FAMILIES["threshold"]
    rule = family.parse(family.normalise(threshold(**changes), project_id="p1"), project_id="p1")

    assert isinstance(rule, WindowRule)
    assert words == rule_in_words(rule)


def test_whoever_closes_explanations_closes_the_servers_they_ask(surroundings: Surroundings) -> None:
    """Their connections end with the process that answers."""
    oracle = Oracle()
    Explanations(surroundings, servers={"oracle": oracle}).close()

    assert oracle.is_closed


def test_what_is_lacking_for_scaling_in_is_told(surroundings: Surroundings) -> None:
    """The alarm stays as it is, and the sentence says where it would go and what it waits for."""
    group = [a_resource(f"vm-{number}", project_id="p1", labels={"group": "web"}) for number in (1, 2)]
    for second in range(0, 31, 5):
        reporting = group if second < 20 else group[:1]
        load = 90.0 if second < 20 else 1.0
        moment_s = (START + timedelta(seconds=second)).timestamp()
        surroundings.log.append([a_batch({one: {"cpu_util": load} for one in reporting}, timestamp_s=moment_s)])
    now = START + timedelta(seconds=30)
    low = threshold(comparison_operator="lt", threshold=20.0)
    alarm = replace(an_alarm_of("group", state=State.OK), rule=FAMILIES["threshold"].normalise(low, project_id="p1"))
    told = Explanations(replace(surroundings, clock=ManualClock(now)), servers={}).explain(alarm)
    repeated = Explanations(replace(surroundings, clock=ManualClock(now)), servers={}).explain(
        replace(alarm, state=State.ALARM, repeat_actions=True)
    )
    lack = (
        "scale-in waits for fresh evidence: 1 of 2 members reported in every period that is judged, and 90% must "
        "(evaluator.scale_in_coverage)"
    )

    assert (State.OK, "S" + lack[1:]) == verdict(told)
    assert f"as things are now it would go to alarm, but {lack}" in told.sentence
    assert f"it does not repeat its actions: {lack}" in repeated.sentence


def test_an_open_breaker_is_told(surroundings: Surroundings) -> None:
    """Only to those whose actions it holds back."""
    with surroundings.database.write() as unit:
        unit.breaker.hold(Trip(owner="e", reason="too much", since=START, until=START + timedelta(seconds=9)))
    explanations = Explanations(surroundings, servers={})
    low = FAMILIES["threshold"].normalise(threshold(comparison_operator="lt"), project_id="p1")
    outwards = an_alarm_of("group", state=State.OK)
    found = [explanations.explain(one).notes for one in (outwards, replace(outwards, rule=low))]

    assert [0, 1] == [len(notes) for notes in found]
    assert "held back in the whole installation since 2026-01-01 09:00:00 UTC: too much." in found[1][0]
