# SPDX-License-Identifier: Apache-2.0
"""The `prometheus` type, a row of the contract each (aodh-api 3.4 and 4.3)."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarmd.errors import InvalidInput
from alarmd.evaluators.asking.asking import Answer, Finding
from alarmd.evaluators.families.prometheus.family import PrometheusFamily, PrometheusRule
from alarmd.evaluators.families.prometheus.server import PromQuery, Series, SeriesAnswered
from alarmd.evaluators.family import RuleLimits
from alarmd.evaluators.verdicts.judgement import next_state
from alarmd.model.alarm import State
from alarmd.model.verdict import Outcome
from tests.support.rules import normalised

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_family(**limits: Any) -> PrometheusFamily:
    """Return the family where there is a Prometheus."""
    return PrometheusFamily(
        RuleLimits(window_s=3600, lateness_s=10, servers=frozenset({"prometheus"}), **limits), lambda _: None
    )


def a_rule(**rule: Any) -> PrometheusRule:
    complete = {"query": "up", "threshold": 80, "comparison_operator": "gt", **rule}
    return a_family().parse(complete, project_id="p1")


def an_answer(*series: Sequence[float]) -> Answer:
    answered = SeriesAnswered(series=tuple(Series(labels={}, values=tuple(values)) for values in series))
    return Answer(at=NOW, values=answered)


def judged(rule: PrometheusRule, *series: Sequence[float]) -> Finding:
    return rule.judge(an_answer(*series), state=State.OK)


def test_s3_4_a_rule_is_kept_whole_and_in_order() -> None:
    """The query as it was sent, even an empty one."""
    assert [("query", "up{job='x'} == 0"), ("comparison_operator", "lt"), ("threshold", 2e9)] == list(
        normalised("prometheus", threshold=2_000_000_000, comparison_operator="lt", query="up{job='x'} == 0").items()
    )
    assert normalised("prometheus", query="")["query"] == ""


@pytest.mark.parametrize("key", ["scope_to_project", "period", "type"])
def test_s3_4_there_is_nothing_else(key: str) -> None:
    """What confines a rule to its project is not for clients to say."""
    with pytest.raises(InvalidInput, match=f"^Unknown attribute for argument data.prometheus_rule: {key}$"):
        normalised("prometheus", **{key: "p1"})


@pytest.mark.parametrize("query", [5, ["up"], "x" * 65_537])
def test_s3_4_a_query_is_text(query: object) -> None:
    """Of bounded length."""
    with pytest.raises(InvalidInput, match=r"Invalid input for field/attribute query\. "):
        normalised("prometheus", query=query)


def test_what_aodh_does_not_know_is_shown_only_where_it_was_given() -> None:
    """Clients of Aodh compare rules with what they sent."""
    more = {"evaluation_periods": 3, "granularity": 60, "series": "any"}

    assert {"query", "comparison_operator", "threshold"} == normalised("prometheus").keys()
    assert more == {key: normalised("prometheus", **more)[key] for key in more}
    assert normalised("prometheus") == normalised("prometheus", **dict.fromkeys(more))


@pytest.mark.parametrize("key", ["evaluation_periods", "granularity"])
def test_periods_have_a_number_and_a_length(key: str) -> None:
    """One without the other says nothing."""
    with pytest.raises(InvalidInput, match="go together"):
        normalised("prometheus", **{key: 60})


@pytest.mark.parametrize(
    ("values", "outcome", "outside", "latest"),
    [
        ([90.0], Outcome.ALL_OUTSIDE, 1, 90.0),
        ([80.0], Outcome.NONE_OUTSIDE, 0, 80.0),
        ([0.0], Outcome.NONE_OUTSIDE, 0, 0.0),
        ([90.0, 95.0], Outcome.ALL_OUTSIDE, 2, 95.0),
        ([90.0, 10.0], Outcome.MIXED_LATEST_INSIDE, 1, 10.0),
        ([10.0, 90.0], Outcome.MIXED_LATEST_OUTSIDE, 1, 90.0),
        ([inf], Outcome.ALL_OUTSIDE, 1, "+Inf"),
        ([-inf], Outcome.NONE_OUTSIDE, 0, "-Inf"),
    ],
)
def test_s4_3_all_series_count_as_aodh_counts_them(
    values: list[float], outcome: Outcome, outside: int, latest: object
) -> None:
    """All outside, none, or the trend of the last series."""
    finding = judged(a_rule(), *([value] for value in values))

    assert (outcome, outside, len(values), latest) == (
        finding.outcome,
        finding.outside,
        finding.wanted,
        finding.latest,
    )


@pytest.mark.parametrize("series", [[], [[]], [[], []]])
def test_s4_3_no_series_is_no_data(series: list[list[float]]) -> None:
    """Neither none at all nor such that hold no number; said in Aodh's words."""
    finding = judged(a_rule(), *series)

    assert Outcome.UNKNOWN == finding.outcome
    assert (
        "datapoints are unknown",
        {"type": "threshold", "disposition": "unknown", "count": 0, "most_recent": None},
    ) == finding.words(State.ALARM, State.INSUFFICIENT_DATA)


def test_s4_3_a_transition_is_told_in_aodhs_words() -> None:
    """The count is that of series."""
    finding = judged(a_rule(), [90.0], [95.5])

    assert (
        "Transition to alarm due to 2 samples outside threshold, most recent: 95.5",
        {"type": "threshold", "disposition": "outside", "count": 2, "most_recent": 95.5},
    ) == finding.words(State.OK, State.ALARM)
    assert (
        "Remaining as alarm due to 2 samples outside threshold, most recent: 95.5"
        == (finding.words(State.ALARM, State.ALARM)[0])
    )


PERIODS = {"evaluation_periods": 3, "granularity": 60}


@pytest.mark.parametrize(
    ("series", "outcome", "outside"),
    [
        ([[90, 91, 92]], Outcome.ALL_OUTSIDE, 3),
        ([[10, 11, 12]], Outcome.NONE_OUTSIDE, 0),
        ([[90, 91, 12]], Outcome.MIXED_LATEST_INSIDE, 2),
        ([[10, 91, 92]], Outcome.MIXED_LATEST_OUTSIDE, 2),
        ([[90, 91, 92], [10, 11, 12]], Outcome.MIXED_LATEST_INSIDE, 3),
        # A machine that has just come says nothing yet, and does not hold up what the others say.
        ([[90, 91, 92], [10]], Outcome.ALL_OUTSIDE, 3),
        ([[90, 91]], Outcome.UNKNOWN, 0),
    ],
)
def test_with_periods_every_value_of_every_series_counts(
    series: list[list[float]], outcome: Outcome, outside: int
) -> None:
    """As the values of one series do in all other types."""
    finding = judged(a_rule(**PERIODS), *series)

    assert (outcome, outside) == (finding.outcome, finding.outside)


@pytest.mark.parametrize(
    ("series", "outcome", "outside", "wanted", "latest"),
    [
        ([[90, 91, 92], [10, 11, 12]], Outcome.ALL_OUTSIDE, 1, 2, 92),
        ([[10, 11, 12], [90, 91, 92], [1, 2, 3]], Outcome.ALL_OUTSIDE, 1, 3, 92),
        ([[90, 91, 12], [10, 91, 92]], Outcome.NONE_OUTSIDE, 0, 2, 92),
        ([[10, 11, 12]], Outcome.NONE_OUTSIDE, 0, 1, 12),
        ([[90, 91]], Outcome.UNKNOWN, 0, 0, None),
    ],
)
def test_any_series_that_is_outside_all_the_while_is_enough(
    series: list[list[float]], outcome: Outcome, outside: int, wanted: int, latest: float | None
) -> None:
    """The count is that of such series, and the newest value is that of the last of them."""
    finding = judged(a_rule(series="any", **PERIODS), *series)

    assert (outcome, outside, wanted, latest) == (finding.outcome, finding.outside, finding.wanted, finding.latest)


@pytest.mark.parametrize(
    ("rule", "series", "state", "ways"),
    [
        ({}, [[70]], State.OK, [("alarm", "a value > 80"), ("insufficient data", "no series")]),
        ({"threshold": 0.5}, [[70]], State.OK, [("ok", "a value <= 0.5"), ("insufficient data", "no series")]),
        (
            {},
            [[70], [90]],
            State.ALARM,
            [("ok", "every series <= 80 (now 1 of 2)"), ("insufficient data", "no series")],
        ),
        ({"series": "any"}, [[70], [75]], State.OK, [("alarm", "any series > 80 (now 0 of 2)")]),
        ({"series": "any"}, [[70], [95]], State.OK, [("ok", "every series <= 80 (now 1 of 2)")]),
        (
            PERIODS,
            [[10, 90, 90]],
            State.OK,
            [("alarm", "1 more value > 80"), ("insufficient data", "no series with 3")],
        ),
        (PERIODS, [[10, 90, 90], [10, 10, 10]], State.OK, [("alarm", "3 more values of every series > 80")]),
        (PERIODS | {"series": "any"}, [[10, 90, 90], [1, 1, 1]], State.OK, [("alarm", "1 more value of any series")]),
        (PERIODS, [[90, 90, 90]], State.OK, [("ok", "3 more values <= 80"), ("insufficient data", "no series with 3")]),
        ({}, [], State.OK, [("alarm", "a series > 80"), ("ok", "a series <= 80")]),
        (PERIODS, [[90]], State.OK, [("alarm", "a series with 3 values > 80"), ("ok", "a series with 3 values <= 80")]),
    ],
)
def test_what_would_change_the_state_is_told_from_the_answer(
    rule: dict[str, Any], series: list[list[float]], state: State, ways: list[tuple[str, str]]
) -> None:
    """The state that follows from the answer, that is; the shortest ways out of it."""
    found = a_rule(**rule).ways_out(an_answer(*series), state=state)

    assert [becomes for becomes, _ in ways] == [str(one.becomes) for one in found[: len(ways)]]
    assert all(one.needs.startswith(needs) for one, (_, needs) in zip(found, ways, strict=False))


@given(
    series=st.lists(st.lists(st.sampled_from([70.0, 90.0]), min_size=3, max_size=3), max_size=3),
    which=st.sampled_from(["all", "any"]),
    state=st.sampled_from(State),
)
def test_what_is_told_would_change_the_state_and_less_would_not(
    series: list[list[float]], which: str, state: State
) -> None:
    """Answers are made that say so, and judged."""
    rule = a_rule(**PERIODS, series=which)
    after = next_state(state, judged(rule, *series).outcome)
    for way in rule.ways_out(an_answer(*series), state=state):
        if way.becomes is State.INSUFFICIENT_DATA:
            assert next_state(after, judged(rule).outcome) is way.becomes
            continue
        value = 90.0 if "> 80" in way.needs else 70.0
        told = re.match(r"(\d+) more", way.needs)
        further = int(told[1]) if told else 3
        courses = [
            next_state(after, judged(rule, *([*one[n:], *[value] * n] for one in series or [[]])).outcome)
            for n in range(1, further + 1)
        ]

        assert [after] * (further - 1) + [way.becomes] == courses


def test_the_queries_of_a_project_are_asked_about_it_alone() -> None:
    """Those that an admin makes for itself are asked as they are."""
    family = a_family(prometheus_project_label="tenant")
    rule = family.normalise({"query": "up", "threshold": 1}, project_id="p1")

    assert PromQuery(query='up{tenant="p1"}') == family.parse(rule, project_id="p1").question
    assert PromQuery(query="up") == family.parse(rule, project_id="p1", confined=False).question
    assert PromQuery(query="up", granularity_s=60, points=3) == (
        family.parse(rule | PERIODS, project_id="p1", confined=False).question
    )


def test_a_query_that_cannot_be_kept_to_a_project_is_refused_when_it_is_made() -> None:
    """Nobody waits for an alarm that will never be evaluated; where it need not be kept to one, it may be made."""
    family = a_family()
    rule = {"query": "info(up)", "threshold": 1}
    with pytest.raises(InvalidInput, match="cannot be kept to its project"):
        family.normalise(rule, project_id="p1")

    assert "info(up)" == family.normalise(rule, project_id="p1", confined=False)["query"]


def test_what_is_no_promql_is_refused_by_whoever_can_tell() -> None:
    """In the words of the server."""

    def check(query: str) -> None:
        raise InvalidInput(f"{query}: parse error")

    with pytest.raises(InvalidInput, match="parse error"):
        a_family(check_promql=check).normalise({"query": "up{", "threshold": 1}, project_id="p1")


def test_without_a_server_rules_are_kept_and_say_what_they_wait_for() -> None:
    """Anything may be kept, also what could not be evaluated."""
    family = PrometheusFamily(RuleLimits(window_s=3600, lateness_s=10), lambda _: None)

    assert (False, False, "prometheus.url") == (family.is_evaluated, family.is_ticked, family.needs)
    assert "info(up" == family.normalise({"query": "info(up", "threshold": 1}, project_id="p1")["query"]
    assert (True, True, "") == (a_family().is_evaluated, a_family().is_ticked, a_family().needs)
