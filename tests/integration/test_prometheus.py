# SPDX-License-Identifier: Apache-2.0
"""Asking a real Prometheus, and what only looks like one."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any
from urllib.error import HTTPError

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from alarmd.clock import ManualClock, SystemClock
from alarmd.errors import InvalidInput
from alarmd.evaluators import servers
from alarmd.evaluators.asking.asked import AskedRows
from alarmd.evaluators.asking.asker import Asker
from alarmd.evaluators.asking.asking import Finding, NoAnswer, Refused
from alarmd.evaluators.asking.json_client import JsonClient
from alarmd.evaluators.families.prometheus.family import PrometheusFamily, PrometheusRule
from alarmd.evaluators.families.prometheus.promql import scoped
from alarmd.evaluators.families.prometheus.server import PrometheusServer, PromqlChecker, PromQuery
from alarmd.evaluators.family import RuleLimits
from alarmd.evaluators.fresh_evidence import lack_in
from alarmd.evaluators.verdicts.transition_table import STATE_CODES
from alarmd.model.alarm import State
from alarmd.model.verdict import Outcome
from alarmd.settings import Settings
from tests.support import prometheus
from tests.support.asking import DEADLINE_S, settle
from tests.support.prometheus import PAST_ENDS_S, Observatory
from tests.support.promql import QUERIES, Query
from tests.support.receivers import Script, answers, receiver

FAMILY = PrometheusFamily(RuleLimits(window_s=3600, lateness_s=10, servers=frozenset({"prometheus"})), lambda _: None)
TIMEOUT_S = 2.0
#: Everything a test shows carries a name of its own: what other tests showed is remembered for a while.
_NUMBERS = count()

Pair = tuple[prometheus.PrometheusServer, prometheus.PrometheusServer]


@pytest.fixture
def metric() -> str:
    """A metric that no other test shows."""
    return f"metric_{next(_NUMBERS)}"


@contextmanager
def asking(url: str, **how: Any) -> Iterator[PrometheusServer]:
    """Be able to ask, for as long as the context lasts."""
    how = {"timeout_s": TIMEOUT_S, "connections": 4, **how}
    server = PrometheusServer(
        JsonClient(url, name="Prometheus", clock=SystemClock(), **how),
        interval_s=10,
        timeout_s=5,
        concurrency=4,
        member_memory_s=600,
    )
    yield server
    server.close()


def a_rule(query: str, *, confined: bool = True, **rule: Any) -> PrometheusRule:
    complete = {"query": query, "threshold": 80, "comparison_operator": "gt", **rule}
    return FAMILY.parse(complete, project_id="p1", confined=confined)


def found(url: str, rule: PrometheusRule, *, now: datetime | None = None) -> Finding:
    """Return what a rule says of what is answered now."""
    with asking(url) as server:
        return rule.judge(server.ask(rule.question, now=now or SystemClock().now()), state=State.OK)


@pytest.mark.parametrize(
    ("values", "outcome", "latest"),
    [
        (["90", "95"], Outcome.ALL_OUTSIDE, 95.0),
        (["0", "80"], Outcome.NONE_OUTSIDE, 80.0),
        (["90", "10"], Outcome.MIXED_LATEST_INSIDE, 10.0),
        (["NaN", "90"], Outcome.ALL_OUTSIDE, 90.0),
        (["+Inf"], Outcome.ALL_OUTSIDE, "+Inf"),
        (["NaN"], Outcome.UNKNOWN, None),
        ([], Outcome.UNKNOWN, None),
    ],
)
def test_s4_3_series_are_held_against_the_threshold(
    observatory: Observatory, metric: str, values: list[str], outcome: Outcome, latest: object
) -> None:
    """Zero is a value, no number is none, and no series is no data."""
    observatory.show(*(f'{metric}{{project="p1",vm="{at}"}} {value}' for at, value in enumerate(values)))
    finding = found(observatory.server.url, a_rule(metric))

    assert (outcome, latest) == (finding.outcome, finding.latest)


def test_a_project_sees_its_own_series_only(observatory: Observatory, metric: str) -> None:
    """An admin's own alarms see all."""
    observatory.show(f'{metric}{{project="p1"}} 10', f'{metric}{{project="p2"}} 90', f"{metric} 90")
    url = observatory.server.url

    assert Outcome.NONE_OUTSIDE == found(url, a_rule(metric)).outcome
    assert (2, 3) == (
        (finding := found(url, a_rule(f"sort_desc({metric})", confined=False))).outside,
        finding.wanted,
    )
    assert Outcome.UNKNOWN == found(url, a_rule(f'{metric}{{project="p2"}}')).outcome


def test_a_number_alone_is_a_series(observatory: Observatory) -> None:
    """Whether a query has labels is its own affair; it is shown what was answered."""
    finding = found(observatory.server.url, a_rule("vector(42) * scalar(vector(2))"))

    assert (84.0, 1) == (finding.latest, finding.wanted)
    assert [{"labels": {}, "values": [84.0]}] == finding.evidence["series"]
    assert 8.0 == found(observatory.server.url, a_rule("2 ^ 3")).latest


@pytest.mark.parametrize("query", ["metric[5m]", '"text"', "metric +", "metric + on(vm) group_left nothing{", ""])
def test_a_query_that_is_refused_is_no_trouble_of_the_server(observatory: Observatory, query: str) -> None:
    """It is said of the query, in Prometheus' own words."""
    with asking(observatory.server.url) as server, pytest.raises(Refused):
        server.ask(PromQuery(query=query), now=SystemClock().now())


@pytest.mark.parametrize(
    ("query", "outcome"),
    [
        ("load > 0", Outcome.ALL_OUTSIDE),
        ("load < 0", Outcome.UNKNOWN),
        ("load - 10000", Outcome.NONE_OUTSIDE),
        ("load{vm='b'}", Outcome.ALL_OUTSIDE),
    ],
)
def test_periods_are_the_last_points_of_a_range(prometheus_pair: Pair, query: str, outcome: Outcome) -> None:
    """As many as are wanted, so far apart as is wanted, the newest now."""
    now = datetime.fromtimestamp(PAST_ENDS_S, UTC)
    rule = a_rule(query, threshold=-1, evaluation_periods=5, granularity=120)
    finding = found(prometheus_pair[1].url, rule, now=now)

    assert outcome == finding.outcome
    assert {5} == {len(series["values"]) for series in finding.evidence["series"]} or outcome is Outcome.UNKNOWN
    values = [
        float(prometheus_pair[1].query('load{vm="a",project="p1"}', at_s=PAST_ENDS_S - back)[0]["value"][1])
        for back in (480, 360, 240, 120, 0)
    ]
    if query == "load > 0":
        assert values == finding.evidence["series"][0]["values"]


def test_points_that_are_missing_are_not_made_up(prometheus_pair: Pair) -> None:
    """Half a series is none yet."""
    now = datetime.fromtimestamp(PAST_ENDS_S - 7200 + 60, UTC)  # the past has just begun
    rule = a_rule("load", evaluation_periods=5, granularity=60)

    assert Outcome.UNKNOWN == found(prometheus_pair[0].url, rule, now=now).outcome


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(QUERIES)
def test_what_others_do_changes_nothing_that_a_project_sees(prometheus_pair: Pair, query: Query) -> None:
    """A query that is kept to a project answers the same whether others have series or not."""
    alone, together = (
        _answer_of(server, scoped(query.plain, label="project", value="p1")) for server in prometheus_pair
    )

    assert alone == together


def test_without_being_kept_to_a_project_they_would_see_more(prometheus_pair: Pair) -> None:
    """What the test above would find."""
    alone, together = (_answer_of(server, "sum(load)") for server in prometheus_pair)

    assert alone != together
    assert _answer_of(prometheus_pair[0], 'load{project="p1"}')[1]


def _answer_of(server: prometheus.PrometheusServer, query: str) -> tuple[int, Any]:
    try:
        result = server.query(query, at_s=PAST_ENDS_S)
    except HTTPError as error:
        return error.code, json.loads(error.read())["error"]
    if result and not isinstance(result[0], dict):
        return 200, result
    return 200, sorted((sorted(one["metric"].items()), str(one.get("value", one.get("values")))) for one in result)


class Hall:
    """Many rules over one Prometheus, asked in turns."""

    def __init__(self, url: str) -> None:
        self.clock = ManualClock(SystemClock().now())
        self._asking = asking(url, timeout_s=1.0)
        self.asker = Asker({"prometheus": self._asking.__enter__()}, clock=self.clock, spread=lambda: 0.0)
        self.rows = AskedRows(self.asker)
        self.states = np.full(1000, STATE_CODES[State.OK], np.int8)

    def turn(self) -> None:
        """Ask what is due and take in what comes of it."""
        self._refresh()
        settle(self.asker)
        self._refresh()

    def _refresh(self) -> None:
        self.rows.refresh(self.states, now_s=self.clock.time_s())


def test_equal_queries_are_asked_once_an_interval(observatory: Observatory, metric: str) -> None:
    """Fifty alarms with two queries make two requests an interval, and each has its own threshold."""
    observatory.show(f'{metric}{{project="p1"}} 25')
    hall = Hall(observatory.server.url)
    queries = (metric, f"{metric} * 2")
    slots = [hall.rows.join(a_rule(queries[number % 2], threshold=number)) for number in range(50)]
    before = observatory.server.requests("/api/v1/query")
    for _ in range(4):
        hall.turn()
        hall.clock.advance(10)
    after = observatory.server.requests("/api/v1/query")
    hall.asker.close()

    assert 2 * 4 == after - before
    expected = [Outcome.ALL_OUTSIDE if 25 * (1 + number % 2) > number else Outcome.NONE_OUTSIDE for number in range(50)]
    assert expected == hall.rows.outcomes[slots].tolist()


def test_a_prometheus_that_hangs_keeps_nobody_and_changes_nothing(observatory: Observatory, metric: str) -> None:
    """An error is neither zero nor no data; when it goes on, so do the answers."""
    observatory.show(f'{metric}{{project="p1"}} 90')
    hall = Hall(observatory.server.url)
    slot = hall.rows.join(a_rule(metric))
    hall.turn()
    observatory.server.signal(signal.SIGSTOP)
    try:
        hall.clock.advance(10)
        hall.turn()
    finally:
        observatory.server.signal(signal.SIGCONT)

    error = hall.rows.last_error(slot)
    assert error is not None
    assert "Prometheus did not answer within 1 s." == error.message
    assert Outcome.ALL_OUTSIDE == hall.rows.outcomes[slot]
    observatory.show(f'{metric}{{project="p1"}} 0')
    hall.clock.advance(10)
    hall.turn()
    assert (Outcome.NONE_OUTSIDE, None) == (hall.rows.outcomes[slot], hall.rows.last_error(slot))
    hall.asker.close()


# --- evidence for scaling in -------------------------------------------------------------------------------------
def a_group(metric: str, size: int) -> list[str]:
    return [f'{metric}{{project="p1",vm="{number}"}} 5' for number in range(size)]


def lack(server: PrometheusServer, rule: PrometheusRule) -> str:
    """Return what lacks for scaling in on what is answered now."""
    finding = rule.judge(server.ask(rule.question, now=SystemClock().now()), state=State.OK)
    assert Outcome.ALL_OUTSIDE is finding.outcome
    return str(lack_in(finding, share=0.9) or "")


def test_a_vector_that_lost_half_of_its_series_scales_nothing_in(observatory: Observatory, metric: str) -> None:
    """Those that were there count; of what Prometheus itself puts together nobody knows what it was made of."""
    rule = a_rule(metric, comparison_operator="lt")
    total = a_rule(f"sum({metric})", comparison_operator="lt")
    with asking(observatory.server.url) as before:
        observatory.show(*a_group(metric, 10))
        assert "" == lack(before, rule)
        observatory.show(*a_group(metric, 9))
        assert "" == lack(before, rule)
        observatory.show(*a_group(metric, 5))
        waits = "scale-in waits for fresh evidence: 5 of 10 members reported in every period that is judged, and 90% "
        assert lack(before, rule).startswith(waits)
        # What Prometheus makes one value of is one member, whatever it is made of.
        assert "" == lack(before, total)


def test_who_has_just_started_knows_which_series_there_were() -> None:
    """From Prometheus, which has the past that alarmd has not seen."""
    now_s = int(SystemClock().now().timestamp())
    lines = ["# TYPE load gauge"]
    for vm in range(10):
        last_s = now_s if vm < 5 else now_s - 400
        # Without a mark that they ended, series last for five minutes.
        lines += [f'load{{project="p1",vm="{vm}"}} 5 {moment}' for moment in range(now_s - 900, last_s + 1, 20)]
    with prometheus.prometheus(past="\n".join([*lines, "# EOF", ""])) as server, asking(server.url) as client:
        waits = lack(client, a_rule("load", comparison_operator="lt"))

    assert waits.startswith("scale-in waits for fresh evidence: 5 of 10 members reported")


# --- what only looks like one ------------------------------------------------------------------------------------
def said(body: Any, status: str = "200 OK") -> Script:
    text = body if isinstance(body, str) else json.dumps(body)
    return answers(f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())


def a_success(result: Any = (), kind: str = "vector", **more: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}, **more}


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        (said({"status": "error", "errorType": "bad_data", "error": "1:3"}, "400 Bad Request"), Refused, "query: 1:3"),
        (said({"status": "error", "error": "many-to-many"}, "422 Unprocessable"), Refused, "many-to-many"),
        (said("", "401 Unauthorized"), NoAnswer, r"Look at the settings in \[prometheus\]"),
        (said({"error": "too busy"}, "503 Service Unavailable"), NoAnswer, "HTTP 503: too busy"),
        (said("no such page", "404 Not Found"), NoAnswer, "HTTP 404"),
        (said("", "302 Found"), NoAnswer, "HTTP 302"),
        (said("<html>"), NoAnswer, "something else than Prometheus"),
        (said([1]), NoAnswer, "something else than Prometheus"),
        (said(a_success(warnings=["store a: timeout"])), NoAnswer, "a part only: store a: timeout"),
        (said(a_success(isPartial=True)), NoAnswer, "a part only"),
        (said(a_success([{"metric": {}, "value": [1]}])), NoAnswer, "not what Prometheus answers"),
        (said(a_success([7])), NoAnswer, "not what Prometheus answers"),
        (said(a_success([{"metric": {}, "histogram": [1, {}]}])), Refused, "histograms"),
        (said(a_success([1, "a"], "string")), Refused, "answers with a string"),
        (said(a_success([{"metric": {}, "value": [1, "1"]}] * 10_001)), Refused, "more than 10000 series"),
    ],
)
def test_anything_but_a_whole_answer_is_none(script: Script, kind: type[NoAnswer], words: str) -> None:
    """The reason says what is wrong, and whether the query is, or the server."""
    with receiver(script) as server, asking(server.url("")) as client:
        with pytest.raises(NoAnswer, match=words) as raised:
            client.ask(PromQuery(query="up"), now=SystemClock().now())

        assert kind is type(raised.value)


def test_remarks_on_a_query_are_no_reason_to_doubt_its_answer() -> None:
    """Prometheus 3 makes them; a gauge under rate() is the user's affair."""
    remark = "PromQL warning: metric might not be a counter"
    body = a_success([{"metric": {"vm": "a"}, "value": [1, "2.5"]}], warnings=[remark])
    with receiver(said(body)) as server, asking(server.url("")) as client:
        [series] = client.ask(PromQuery(query="up"), now=SystemClock().now()).values.series

        assert ({"vm": "a"}, (2.5,)) == (series.labels, series.values)
        assert b"partial_response=false&deny_partial_response=1" in server.received[0].body


# --- what is PromQL ----------------------------------------------------------------------------------------------
def a_checker(url: str, clock: ManualClock | None = None) -> PromqlChecker:
    client = JsonClient(url, name="Prometheus", timeout_s=0.3, connections=1, clock=SystemClock())
    return PromqlChecker(client, clock=clock or ManualClock())


def test_what_is_no_promql_is_refused_in_prometheus_words(observatory: Observatory) -> None:
    """Also what is well-formed and means nothing."""
    checker = a_checker(observatory.server.url)
    for query in ("up", "sum by (vm) (rate(cpu[5m])) > 1", "nothing_of_the_kind"):
        checker.check(query)
    for query, words in (("up{", "unexpected end of input"), ("rate(up)", "expected type range vector"), ("", "no ex")):
        with pytest.raises(InvalidInput, match=f"The query is no PromQL: .*{words}"):
            checker.check(query)


def test_a_server_that_cannot_tell_is_asked_the_query_itself() -> None:
    """So do some that only look like Prometheus."""

    def script(connection: Any, end: Any) -> None:
        asked = server.received[-1].line
        is_query = b"/api/v1/query" in asked
        body = {"status": "error", "errorType": "bad_data", "error": "it is bad"}
        (said(body, "400 Bad Request") if is_query else said("no such path", "404 Not Found"))(connection, end)

    with receiver() as server:
        server.script = script
        with pytest.raises(InvalidInput, match="it is bad"):
            a_checker(server.url("")).check("up{")


def test_a_server_that_does_not_answer_keeps_nobody_from_making_alarms() -> None:
    """It is left alone for a while, and then asked again."""
    clock = ManualClock()
    with receiver(_hangs) as server:
        checker = a_checker(server.url(""), clock)
        for _ in range(5):
            checker.check("up{")
        assert 1 == len(server.received)
        server.script = said({"status": "error", "error": "it is bad"}, "400 Bad Request")
        clock.advance(30)
        with pytest.raises(InvalidInput, match="it is bad"):
            checker.check("up{")


def _hangs(_connection: Any, end: Any) -> None:
    end.wait(DEADLINE_S)


# --- who asks ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("how", "header"),
    [
        ({}, None),
        ({"bearer_token": "secret"}, "Bearer secret"),
        ({"username": "ann", "password": "pw"}, "Basic YW5uOnB3"),
        ({"password": "pw"}, "Basic YWxhcm1kOnB3"),
    ],
)
def test_alarmd_shows_what_the_settings_say(how: dict[str, str], header: str | None) -> None:
    """To evaluate as well as to check."""
    with receiver(said(a_success())) as server:
        chosen = Settings.model_validate({"prometheus": {"url": server.url("/behind/a/path/"), **how}})
        asked = servers.servers(chosen, clock=SystemClock())["prometheus"]
        check = servers.promql_check(chosen, clock=SystemClock())
        assert check is not None
        check("up")
        asked.ask(PromQuery(query="up"), now=SystemClock().now())
        asked.close()

        assert [
            (b"POST /behind/a/path/api/v1/format_query HTTP/1.1", header),
            (b"POST /behind/a/path/api/v1/query HTTP/1.1", header),
        ] == [(request.line, request.headers.get("authorization")) for request in server.received]


def test_who_is_not_named_is_not_asked() -> None:
    """Rules that need them are kept."""
    chosen = Settings()

    assert frozenset() == servers.configured(chosen)
    assert {} == servers.servers(chosen, clock=SystemClock())
    assert servers.promql_check(chosen, clock=SystemClock()) is None
