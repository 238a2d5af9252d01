# SPDX-License-Identifier: Apache-2.0
"""What Gnocchi's answers mean for rules that ask it; tests/openstack asks a real one."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from math import inf
from typing import Any

import pytest

from alarmd.evaluators.asking.asking import Answer
from alarmd.evaluators.families.gnocchi.question import (
    GnocchiRule,
    Measures,
    OneMetric,
    found_metrics,
    named_metrics,
    rule_of,
)
from alarmd.model.alarm import State
from alarmd.model.rule import Comparison, Judgement, MissingData
from alarmd.model.verdict import Outcome

#: A round minute, and some seconds.
NOON_S = 1_800_000_000
NOW = datetime.fromtimestamp(NOON_S + 30, UTC)


def a_rule(method: str = "mean", *, strict: bool = False, **judged: Any) -> GnocchiRule:
    """Return a rule over two minutes that wants more than 80."""
    values: dict[str, Any] = {"comparison": Comparison.GT, "threshold": 80, "evaluation_periods": 2} | judged
    return rule_of(
        OneMetric(resource_id="vm-1", metric="cpu", method=method),
        Judgement(**values),
        granularity_s=60,
        lateness_s=10,
        strict=strict,
        project_id="p1",
    )


def told(values: Mapping[int, float | None]) -> Answer:
    """Return the values of buckets that began so many minutes ago."""
    buckets = tuple((float(NOON_S - 60 * ago), value) for ago, value in sorted(values.items(), reverse=True))
    return Answer(at=NOW, values=Measures(buckets=buckets))


@pytest.mark.parametrize(
    ("values", "state", "outcome", "reason"),
    [
        ({0: 90.0, 1: 85.0, 2: 0.0}, State.OK, Outcome.ALL_OUTSIDE, "Transition to alarm due to 2 samples outside"),
        ({1: 90.0, 3: 85.0}, State.OK, Outcome.ALL_OUTSIDE, "Transition to alarm due to 2 samples outside"),
        ({0: 0.0, 1: 10.0}, State.ALARM, Outcome.NONE_OUTSIDE, "Transition to ok due to 2 samples inside"),
        ({0: 90.0}, State.OK, Outcome.UNKNOWN, "2 datapoints are unknown"),
        ({}, State.OK, Outcome.UNKNOWN, "No datapoint for granularity 60"),
        ({0: None, 1: 90.0}, State.OK, Outcome.UNKNOWN, "2 datapoints are unknown"),
    ],
)
def test_the_newest_values_are_judged(
    values: dict[int, float | None], state: State, outcome: Outcome, reason: str
) -> None:
    """In Aodh's words; zero is a value, and what is not there is not."""
    finding = a_rule().judge(told(values), state=state)
    current = {Outcome.ALL_OUTSIDE: State.ALARM, Outcome.NONE_OUTSIDE: State.OK}.get(
        finding.outcome, State.INSUFFICIENT_DATA
    )

    assert outcome is finding.outcome
    assert finding.words(state, current)[0].startswith(reason)


@pytest.mark.parametrize(
    ("values", "missing", "outcome"),
    [
        ({0: 90.0, 2: 90.0}, MissingData.BREACHING, Outcome.ALL_OUTSIDE),
        ({0: 90.0, 2: 90.0}, MissingData.NOT_BREACHING, Outcome.MIXED_LATEST_OUTSIDE),
        ({0: 90.0, 2: 90.0}, MissingData.IGNORE, Outcome.UNDECIDED),
        # The minute that has just begun has not been late yet, nor has the one before it been over for long.
        ({2: 90.0, 3: 90.0}, MissingData.NOT_BREACHING, Outcome.MIXED_LATEST_INSIDE),
        ({1: 90.0, 2: 90.0}, MissingData.NOT_BREACHING, Outcome.ALL_OUTSIDE),
        ({}, MissingData.NOT_BREACHING, Outcome.NONE_OUTSIDE),
    ],
)
def test_missing_periods_stand_at_their_place_in_time(
    values: dict[int, float | None], missing: MissingData, outcome: Outcome
) -> None:
    """Unless they are passed over; the newest is one that has a value, or has been over for the lateness budget."""
    assert outcome is a_rule(missing=missing).judge(told(values), state=State.OK).outcome


def test_what_grows_is_judged_when_its_period_is_over() -> None:
    """A sum of half a minute is none yet; to Aodh it is."""
    answer = told({0: 1.0, 1: 90.0, 2: 95.0})

    assert a_rule("sum").judge(answer, state=State.OK).evidence == {"values": [90.0, 95.0]}
    assert a_rule("sum", strict=True).judge(answer, state=State.OK).evidence == {"values": [1.0, 90.0]}


@pytest.mark.parametrize("missing", MissingData)
def test_a_failure_that_is_an_answer_says_nothing_of_the_values(missing: MissingData) -> None:
    """It is insufficient data, whatever missing data is taken for."""
    answer = Answer(at=NOW, values=Measures(failure="alarm statistics retrieval failed: gone"))
    finding = a_rule(strict=True, missing=missing).judge(answer, state=State.ALARM)

    assert finding.outcome is Outcome.UNKNOWN
    assert ("alarm statistics retrieval failed: gone", 2) == (
        finding.words(State.ALARM, State.INSUFFICIENT_DATA)[0],
        finding.words(State.ALARM, State.INSUFFICIENT_DATA)[1]["count"],
    )


@pytest.mark.parametrize(
    ("values", "judged", "state", "ways"),
    [
        (
            {0: 70.0, 1: 90.0},
            {},
            State.OK,
            [("alarm", "the newest value > 80"), ("insufficient data", "fewer than 2")],
        ),
        ({0: 90.0, 1: 90.0}, {}, State.OK, [("ok", "2 more periods <= 80"), ("insufficient data", "fewer than 2")]),
        (
            {0: 70.0},
            {"evaluation_periods": 1},
            State.OK,
            [("alarm", "the newest value > 80"), ("insufficient data", "no value")],
        ),
        (
            {0: 70.0},
            {"evaluation_periods": 1, "missing": MissingData.BREACHING},
            State.OK,
            [("alarm", "the newest value > 80"), ("alarm", "1 more period without data")],
        ),
        ({}, {}, State.OK, [("alarm", "2 more periods > 80"), ("ok", "2 more periods <= 80")]),
    ],
)
def test_what_would_change_the_state_is_told_from_the_values(
    values: dict[int, float | None], judged: dict[str, Any], state: State, ways: list[tuple[str, str]]
) -> None:
    """As for rules over alarmd's own samples, and what silence would do."""
    found = a_rule(**judged).ways_out(told(values), state=state)

    assert [becomes for becomes, _ in ways] == [str(one.becomes) for one in found]
    assert all(one.needs.startswith(needs) for one, (_, needs) in zip(found, ways, strict=True))


def test_after_a_failure_values_would_have_to_come() -> None:
    """Where a failure counts as an answer, nothing is known of them."""
    answer = Answer(at=NOW, values=Measures(failure="alarm statistics retrieval failed: gone"))
    found = a_rule(strict=True).ways_out(answer, state=State.ALARM)

    assert [State.ALARM, State.OK] == [one.becomes for one in found]


def test_equal_rules_ask_one_question() -> None:
    """Whatever they hold the answer against."""
    questions = {a_rule(threshold=threshold).question for threshold in range(10)}

    assert 1 == len(questions)
    assert hash(a_rule()) == hash(a_rule())


@pytest.mark.parametrize(
    ("method", "strict", "periods"),
    [("mean", True, 2), ("mean", False, 2), ("rate:mean", True, 2), ("rate:mean", False, 3), ("rate:sum", False, 4)],
)
def test_as_many_periods_as_are_needed_are_asked_for(method: str, periods: int, *, strict: bool) -> None:
    """Strictly as many as Aodh asks for; else one more for those that do not count, and for the first change."""
    assert periods == a_rule(method, strict=strict).question.periods


def test_operations_are_aodhs_or_what_was_meant() -> None:
    """A node a metric is what Gnocchi refuses; a rate is taken of each member before they are put together."""
    ids = ["a", "b"]
    found: dict[str, Any] = {"resource_type": "instance", "query": {}}

    assert json.loads(named_metrics(ids, "rate:mean", strict=True).operations) == [
        "aggregate",
        "rate:mean",
        ["metric", "a", "mean"],
        ["metric", "b", "mean"],
    ]
    assert json.loads(named_metrics(ids, "max", strict=False).operations) == [
        "aggregate",
        "max",
        ["metric", ["a", "max"], ["b", "max"]],
    ]
    assert json.loads(named_metrics(["a"], "max", strict=False).operations) == [
        "aggregate",
        "max",
        ["metric", "a", "max"],
    ]
    assert json.loads(found_metrics("cpu", "rate:mean", strict=False, **found).operations) == [
        "aggregate",
        "mean",
        ["rateofchange", ["metric", "cpu", "mean"]],
    ]


def an_archive(*, granularity_s: int = 300, periods: int = 2, **judged: Any) -> GnocchiRule:
    """Return a rule as it is under the default archive policy: wants to scale in below 20."""
    values: dict[str, Any] = {"comparison": Comparison.LT, "threshold": 20, "evaluation_periods": periods} | judged
    return rule_of(
        OneMetric(resource_id="vm-1", metric="cpu", method="mean"),
        Judgement(**values),
        granularity_s=granularity_s,
        lateness_s=10,
        strict=False,
        project_id="p1",
    )


def archived(at_s: float, *, every_s: int, offset_s: float, delay_s: float, until_s: float = inf) -> Answer:
    """Return what a Gnocchi answers that has one measure a period, each some time after it was taken."""
    first = int(NOON_S / every_s) - 8
    starts = [float(number * every_s) for number in range(first, int(at_s / every_s) + 1)]
    buckets = tuple(
        (start_s, 5.0) for start_s in starts if start_s + offset_s + delay_s <= at_s and start_s + offset_s <= until_s
    )
    return Answer(at=datetime.fromtimestamp(at_s, UTC), values=Measures(buckets=buckets))


@pytest.mark.parametrize("missing", MissingData)
@pytest.mark.parametrize("offset_s", [0, 20, 150, 290])
@pytest.mark.parametrize("delay_s", [5, 30, 65])
def test_a_gnocchi_with_a_measure_each_five_minutes_scales_in(
    offset_s: float, delay_s: float, missing: MissingData
) -> None:
    """Wherever in the period measures are taken, and while Gnocchi takes its minute to show them."""
    rule = an_archive(missing=missing)
    gaps = [
        rule.judge(archived(NOON_S + at_s, every_s=300, offset_s=offset_s, delay_s=delay_s), state=State.OK).gap
        for at_s in range(0, 900, 10)
    ]

    # What has a place in time is awaited from when it is due; what is passed over stands as it is.
    awaited_s = 0 if missing is MissingData.MISSING else max(0, offset_s + delay_s - 310)
    assert 3 * (300 - awaited_s - 10) / 10 <= gaps.count("")


@pytest.mark.parametrize("granularity_s", [60, 300, 3600])
def test_no_granularity_makes_scaling_in_impossible(granularity_s: int) -> None:
    """Gnocchi takes its minute for short periods, too."""
    rule = an_archive(granularity_s=granularity_s)
    answer = archived(NOON_S, every_s=granularity_s, offset_s=granularity_s * 0.9, delay_s=60)

    assert "" == rule.judge(answer, state=State.OK).gap


@pytest.mark.parametrize(("silent_s", "is_evidence"), [(300, True), (600, True), (700, False), (900, False)])
def test_values_that_were_all_there_is_for_long_scale_nothing_in(silent_s: int, is_evidence: bool) -> None:
    """A Gnocchi that gets no more measures still has the old ones; the outcome stays, for who scales out on it."""
    answer = archived(NOON_S + silent_s, every_s=300, offset_s=0, delay_s=30, until_s=NOON_S)
    finding = an_archive().judge(answer, state=State.OK)

    assert Outcome.ALL_OUTSIDE is finding.outcome
    assert is_evidence is (not finding.gap)
    if silent_s == 900:
        assert finding.gap.startswith(
            "the newest period that Gnocchi has values of ended 600 s ago, and 370 s is the most (the granularity, "
        )


@pytest.mark.parametrize("missing", MissingData)
def test_a_period_that_is_not_there_scales_nothing_in(missing: MissingData) -> None:
    """Whatever it is taken for, and whatever older one stands in for it."""
    rule = a_rule(comparison=Comparison.LT, missing=missing)

    assert "" == rule.judge(told({1: 5.0, 2: 5.0}), state=State.OK).gap
    gap = "Gnocchi has values of 1 of the 2 periods that are judged"
    assert gap == rule.judge(told({1: 5.0, 3: 5.0}), state=State.OK).gap


def test_periods_of_keep_for_have_to_be_there_too() -> None:
    """They are judged as well."""
    rule = a_rule(comparison=Comparison.LT, keep_periods=2)

    assert "Gnocchi has values of 3 of the 4 periods that are judged" == (
        rule.judge(told({0: 5.0, 1: 5.0, 2: 5.0}), state=State.ALARM).gap
    )
