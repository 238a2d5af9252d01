# SPDX-License-Identifier: Apache-2.0
"""Asking a Gnocchi over a socket: as whom, confined to what, and what is made of odd answers."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from alarmd.clock import SystemClock
from alarmd.errors import Unavailable
from alarmd.evaluators.asking.asking import NoAnswer, Refused
from alarmd.evaluators.asking.json_client import JsonClient
from alarmd.evaluators.families.gnocchi.question import GnocchiQuestion, OneMetric, Wanted, found_metrics
from alarmd.evaluators.families.gnocchi.server import GnocchiServer, Identity
from alarmd.settings.schema import GnocchiSettings
from tests.support.receivers import Receiver, answers, receiver

NOW = datetime(2026, 1, 1, 12, 0, 30, 500_000, tzinfo=UTC)
ONE = OneMetric(resource_id="a b", metric="cpu", method="rate:mean")
NOTHING = '{"measures": {"aggregated": []}}'


class Caller:
    """Who alarmd is, as Keystone might say it."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = list(tokens)
        self.discarded: list[str] = []

    def own_token(self) -> str:
        if not self.tokens:
            raise Unavailable("Keystone does not answer.")
        return self.tokens[0]

    def own_project_id(self) -> str:
        return "svc"

    def discard(self, trust_id: str | None, token: str) -> None:
        assert trust_id is None
        self.tokens.remove(token)
        self.discarded.append(token)


def found(query: dict[str, Any]) -> Wanted:
    return found_metrics("cpu", "mean", resource_type="instance", query=query, strict=False)


def question(wanted: Wanted = ONE, *, project_id: str | None = None) -> GnocchiQuestion:
    return GnocchiQuestion(wanted=wanted, granularity_s=60, periods=3, project_id=project_id)


def reply(body: str, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def a_server(on: Receiver, *, identity: Identity | None = None, **settings: Any) -> GnocchiServer:
    asked = GnocchiSettings(url=on.url(""), timeout_s=2, **settings)
    client = JsonClient(
        on.url(""),
        name="Gnocchi",
        timeout_s=asked.timeout_s,
        connections=1,
        clock=SystemClock(),
        auth=None if identity else ("admin", ""),
    )
    return GnocchiServer(client, identity=identity, settings=asked)


def test_what_is_kept_of_a_metric_is_asked_for_as_aodh_does() -> None:
    """Path, method and window; values of other granularities are passed over."""
    times = [f"2026-01-01T11:{minute}:00+00:00" for minute in (57, 58)]
    body = json.dumps([[times[0], 300.0, 1], [times[0], 60.0, 2], [times[1], 60.0, None]])
    with receiver(answers(reply(body))) as server:
        measures = a_server(server).ask(question(), now=NOW).values
        line = urlsplit(server.received[0].line.split()[1].decode())

    moments = [datetime.fromisoformat(each).timestamp() for each in times]
    assert ((moments[0], 2.0), (moments[1], None)) == measures.buckets
    assert line.path == "/v1/resource/generic/a%20b/metric/cpu/measures"
    assert {
        "aggregation": ["rate:mean"],
        "granularity": ["60"],
        "start": ["2026-01-01T11:56:30.500000"],
        "stop": ["2026-01-01T12:00:30.500000"],
    } == parse_qs(line.query)


@pytest.mark.parametrize("told", ["null", "NaN"])
def test_what_is_no_number_is_no_data(told: str) -> None:
    """Neither zero nor a value that is inside every threshold."""
    with receiver(answers(reply(f'[["2026-01-01T11:57:00+00:00", 60.0, {told}]]'))) as server:
        measures = a_server(server).ask(question(), now=NOW).values

    assert [None] == [value for _, value in measures.buckets]


OWN = {"=": {"created_by_project_id": "p1"}}
FOR_IT = {"and": [{"=": {"created_by_project_id": "svc"}}, {"=": {"project_id": "p1"}}]}
WRAPPED = {"or": [OWN, FOR_IT]}
BY_NAME = {"=": {"project_id": "p1"}}


@pytest.mark.parametrize(
    ("query", "project_id", "is_keystone", "expected"),
    [
        ({"=": {"a": "b"}}, "p1", True, {"and": [WRAPPED, {"=": {"a": "b"}}]}),
        ({"and": [WRAPPED, {"=": {"a": "b"}}]}, "p1", True, {"and": [WRAPPED, {"=": {"a": "b"}}]}),
        ({}, "p1", True, WRAPPED),
        ({"=": {"a": "b"}}, None, True, {"=": {"a": "b"}}),
        ({"=": {"a": "b"}}, "p1", False, {"and": [BY_NAME, {"=": {"a": "b"}}]}),
        ({}, None, False, {}),
    ],
)
def test_queries_are_confined_when_they_are_asked(
    query: dict[str, Any], project_id: str | None, expected: Any, *, is_keystone: bool
) -> None:
    """As Aodh confines them, and never twice; without Keystone there is nobody who made anything."""
    with receiver(answers(reply(NOTHING))) as server:
        asks = a_server(server, identity=Caller(["t"]) if is_keystone else None)
        asks.ask(question(found(query), project_id=project_id), now=NOW)
        body = json.loads(server.received[0].body)

    assert expected == body["search"]
    assert ("instance", ["aggregate", "mean", ["metric", "cpu", "mean"]]) == (body["resource_type"], body["operations"])


def test_the_service_project_may_be_named() -> None:
    """Whoever writes the measures need not be alarmd's neighbour."""
    with receiver(answers(reply(NOTHING))) as server:
        a_server(server, identity=Caller(["t"]), service_project_id="ceilometer").ask(
            question(found({}), project_id="p1"), now=NOW
        )
        search = json.loads(server.received[0].body)["search"]

    assert {"=": {"created_by_project_id": "ceilometer"}} == search["or"][1]["and"][0]


def test_a_token_that_has_ended_is_replaced_once() -> None:
    """Then what Gnocchi says counts."""
    with receiver(answers(reply("{}", "401 Unauthorized"))) as server:
        caller = Caller(["old", "new", "newest"])
        with pytest.raises(Refused, match="HTTP 401"):
            a_server(server, identity=caller).ask(question(), now=NOW)

        assert ["old", "new"] == [each.headers["x-auth-token"] for each in server.received]
        assert ["old"] == caller.discarded


def test_without_a_token_there_is_no_answer() -> None:
    """Keystone's reason is passed on."""
    with (
        receiver(answers(reply(NOTHING))) as server,
        pytest.raises(NoAnswer, match="no token for Gnocchi: Keystone does not answer"),
    ):
        a_server(server, identity=Caller([])).ask(question(), now=NOW)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (reply("[[1, 2]]"), "unknown shape"),
        (reply('{"measures": []}'), "unknown shape"),
        (reply('[["noon", 60.0, 1]]'), "unknown shape"),
        (reply("what?"), "unknown shape"),
        (reply("{}", "503 Service Unavailable"), "HTTP 503"),
        (reply("{}", "302 Found"), "HTTP 302"),
        (reply("{}", "599 Odd"), "HTTP 599"),
        (reply('{"description": "No."}', "400 Bad Request"), r"No. \(HTTP 400\)"),
    ],
)
def test_odd_answers_are_none(raw: bytes, why: str) -> None:
    """Never data; strictly they are insufficient data, as to Aodh."""
    with receiver(answers(raw)) as server:
        with pytest.raises(NoAnswer, match=why):
            a_server(server).ask(question(), now=NOW)
        failure = a_server(server, strict=True).ask(question(), now=NOW).values.failure

    assert failure.startswith("alarm statistics retrieval failed: ")
