# SPDX-License-Identifier: Apache-2.0
"""The operator's Prometheus, or whatever answers as one: what a query answers, and whether it is a query at all."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from alarmd.clock import Clock
from alarmd.errors import InvalidInput
from alarmd.evaluators.asking.asking import Answer, NoAnswer, Refused
from alarmd.evaluators.asking.json_client import JsonClient, Reply

SERVER: Final = "prometheus"

#: How many series an answer may have.
_MAX_SERIES: Final = 10_000
#: How many of them are shown to people who ask why.
_SHOWN_SERIES: Final = 10
#: What tells servers that put others' answers together to fail where one of those is missing.
_WHOLE: Final = {"partial_response": "false", "deny_partial_response": "1"}
#: What Prometheus begins its remarks on the query itself with; others are about what could not be read.
_REMARK: Final = "PromQL "

_CHECK_TIMEOUT_S: Final = 2.0
#: For how long nobody is kept waiting by a server that did not answer.
_CHECK_PAUSE_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PromQuery:
    """A question: what a query answers now, or at the last points so many seconds apart."""

    query: str
    #: None: now alone.
    granularity_s: int | None = None
    points: int = 1

    @property
    def server(self) -> str:
        """Prometheus."""
        return SERVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series of an answer."""

    labels: Mapping[str, str]
    #: Oldest first; what is not a number is not there.
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesAnswered:
    """All series of an answer, in the order of the answer."""

    series: tuple[Series, ...]
    #: What people are shown.
    evidence: Mapping[str, Any] = field(default_factory=dict)


class PrometheusServer:
    """Answers `PromQuery` with `SeriesAnswered`."""

    def __init__(self, client: JsonClient, *, interval_s: float, timeout_s: float, concurrency: int) -> None:
        self._client = client
        self.interval_s = interval_s
        self.timeout_s = timeout_s
        self.concurrency = concurrency

    def ask(self, question: PromQuery, *, now: datetime) -> Answer:
        form = {"query": question.query, "timeout": f"{self.timeout_s:g}s", **_WHOLE}
        path = "/api/v1/query"
        if question.granularity_s is not None:
            path = "/api/v1/query_range"
            form |= _span_of(question, now=now)
        reply = self._client.ask("POST", path, form=form)
        data = _data_of(reply, name=self._client.name)
        series = _series_of(data, kinds=("matrix",) if question.granularity_s else ("vector", "scalar"))
        return Answer(at=now, values=SeriesAnswered(series=series, evidence=_evidence_of(question, series, now=now)))

    def close(self) -> None:
        self._client.close()


class PromqlChecker:
    """Asks Prometheus whether a text is PromQL, and never keeps anybody waiting for long."""

    def __init__(self, client: JsonClient, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._quiet_until_s = -math.inf

    def check(self, query: str) -> None:
        """Raise `InvalidInput` in Prometheus' words for what is no PromQL; nothing where Prometheus cannot tell."""
        if self._clock.monotonic_s() < self._quiet_until_s:
            return
        try:
            reply = self._client.ask("POST", "/api/v1/format_query", form={"query": query}, timeout_s=_CHECK_TIMEOUT_S)
            if not isinstance(reply.body, dict):  # a server that has no such question
                form = {"query": query, "timeout": f"{_CHECK_TIMEOUT_S:g}s"}
                reply = self._client.ask("POST", "/api/v1/query", form=form, timeout_s=_CHECK_TIMEOUT_S)
        except NoAnswer:
            self._quiet_until_s = self._clock.monotonic_s() + _CHECK_PAUSE_S
            return
        if reply.status == HTTPStatus.BAD_REQUEST and isinstance(reply.body, dict):
            raise InvalidInput(f"The query is no PromQL: {_error_of(reply)}")


def _span_of(question: PromQuery, *, now: datetime) -> dict[str, str]:
    step_s = question.granularity_s or 1
    end_s = now.timestamp()
    start_s = end_s - step_s * (question.points - 1)
    return {"start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "step": f"{step_s}"}


def _data_of(reply: Reply, *, name: str) -> Mapping[str, Any]:
    """Return the data of a good reply. Raises `NoAnswer`, and `Refused` where the query is what is wrong."""
    body = reply.body if isinstance(reply.body, dict) else {}
    if reply.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY} and body:
        raise Refused(f"{name} refuses the query: {_error_of(reply)}")
    if reply.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise NoAnswer(f"{name} does not let alarmd in (HTTP {reply.status}). Look at the settings in [{SERVER}].")
    if not reply.is_ok:
        raise NoAnswer(f"{name} cannot answer: HTTP {reply.status}{_more_of(reply)}")
    data = body.get("data")
    if body.get("status") != "success" or not isinstance(data, dict):
        raise NoAnswer(f"{name} answers with something else than Prometheus does. Look at {SERVER}.url.")
    missing = [str(one) for one in body.get("warnings") or () if not str(one).startswith(_REMARK)]
    if missing or body.get("isPartial") is True:
        # Half of the series are not the series: a sum over them is no smaller load.
        raise NoAnswer(f"{name} could read a part only: {'; '.join(missing)[:500] or 'it says so'}")
    return data


def _series_of(data: Mapping[str, Any], *, kinds: Sequence[str]) -> tuple[Series, ...]:
    kind, result = data.get("resultType"), data.get("result")
    if kind not in kinds:
        raise Refused(f"The query answers with a {kind}, which cannot be held against a threshold.")
    if kind == "scalar":
        result = [{"metric": {}, "value": result}]
    if not isinstance(result, list) or len(result) > _MAX_SERIES:
        raise Refused(f"The query answers with more than {_MAX_SERIES} series. Aggregate them: sum(…), max(…).")
    try:
        return tuple(
            Series(labels=one.get("metric") or {}, values=_values_of(one.get("values") or [one["value"]]))
            for one in result
        )
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        if any(isinstance(one, dict) and ({"histogram", "histograms"} & one.keys()) for one in result):
            raise Refused("The query answers with histograms, which cannot be held against a threshold.") from error
        raise NoAnswer(f"What {SERVER} answered is not what Prometheus answers.") from error


def _values_of(points: Sequence[Sequence[Any]]) -> tuple[float, ...]:
    values = (float(value) for _, value in points)
    return tuple(value for value in values if not math.isnan(value))


def _evidence_of(question: PromQuery, series: Sequence[Series], *, now: datetime) -> dict[str, Any]:
    return {
        "query": question.query,
        "asked_at": now.isoformat(),
        "series_count": len(series),
        "series": [
            {"labels": dict(one.labels), "values": [shown(value) for value in one.values]}
            for one in series[:_SHOWN_SERIES]
        ],
    }


def shown(value: float) -> float | str:
    """Return a number as JSON can hold it; what is infinite in Prometheus' words."""
    if math.isfinite(value):
        return value
    return "+Inf" if value > 0 else "-Inf"


def _error_of(reply: Reply) -> str:
    return str(reply.body.get("error") or f"HTTP {reply.status}")[:1000]


def _more_of(reply: Reply) -> str:
    error = reply.body.get("error") if isinstance(reply.body, dict) else None
    return f": {str(error)[:1000]}" if error else "."
