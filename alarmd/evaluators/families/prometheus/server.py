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
from alarmd.evaluators.families.prometheus.attendance import Attendance, Sighting

SERVER: Final = "prometheus"

#: How many series an answer may have.
_MAX_SERIES: Final = 10_000
#: How many of them are shown to people who ask why.
_SHOWN_SERIES: Final = 10
#: In how many steps it is asked which series there were.
_PAST_POINTS: Final = 10
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
    #: When the last of them was, seconds since the epoch.
    last_s: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesAnswered:
    """All series of an answer, in the order of the answer."""

    series: tuple[Series, ...]
    #: How many series the query had lately, these among them; 0: no more than these. And why more may be missing.
    members: int = 0
    gap: str = ""
    #: What people are shown.
    evidence: Mapping[str, Any] = field(default_factory=dict)


class PrometheusServer:
    """Answers `PromQuery` with `SeriesAnswered`."""

    def __init__(
        self, client: JsonClient, *, interval_s: float, timeout_s: float, concurrency: int, member_memory_s: float
    ) -> None:
        self._client = client
        self._member_memory_s = member_memory_s
        self._attendance = Attendance(memory_s=member_memory_s, patience_s=3 * interval_s + timeout_s)
        self.interval_s = interval_s
        self.timeout_s = timeout_s
        self.concurrency = concurrency

    def ask(self, question: PromQuery, *, now: datetime) -> Answer:
        form = {"query": question.query, "timeout": _duration(self.timeout_s), **_WHOLE}
        path = "/api/v1/query"
        if question.granularity_s is not None:
            path = "/api/v1/query_range"
            form |= _span_of(question, now=now)
        reply = self._client.ask("POST", path, form=form)
        data = _data_of(reply, name=self._client.name)
        series = _series_of(data, kinds=("matrix",) if question.granularity_s else ("vector", "scalar"))
        count = self._attendance.count(
            question, _seen_in(series), now_s=now.timestamp(), past=lambda: self._past(question, now=now)
        )
        evidence = _evidence_of(question, series, now=now)
        answered = SeriesAnswered(series=series, members=count.members, gap=count.gap, evidence=evidence)
        return Answer(at=now, values=answered)

    def _past(self, question: PromQuery, *, now: datetime) -> Sequence[Sighting]:
        """Ask which series there were within the memory. Raises `NoAnswer`."""
        span = _steps(now.timestamp(), step_s=self._member_memory_s / _PAST_POINTS, steps=_PAST_POINTS)
        within_s = self.timeout_s / 2  # whoever waits for the answer does so for both
        form = {"query": question.query, "timeout": _duration(within_s), **_WHOLE, **span}
        reply = self._client.ask("POST", "/api/v1/query_range", form=form, timeout_s=within_s)
        return _seen_in(_series_of(_data_of(reply, name=self._client.name), kinds=("matrix",)))

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
    return _steps(now.timestamp(), step_s=question.granularity_s or 1, steps=question.points - 1)


def _duration(length_s: float) -> str:
    """Return a length of time as Prometheus reads it: a whole number of something."""
    return f"{round(length_s * 1000)}ms"


def _steps(end_s: float, *, step_s: float, steps: int) -> dict[str, str]:
    return {"start": f"{end_s - step_s * steps:.3f}", "end": f"{end_s:.3f}", "step": f"{step_s:.15g}"}


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
        return tuple(_one_series(one.get("metric") or {}, one.get("values") or [one["value"]]) for one in result)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        if any(isinstance(one, dict) and ({"histogram", "histograms"} & one.keys()) for one in result):
            raise Refused("The query answers with histograms, which cannot be held against a threshold.") from error
        raise NoAnswer(f"What {SERVER} answered is not what Prometheus answers.") from error


def _one_series(labels: Mapping[str, str], points: Sequence[Sequence[Any]]) -> Series:
    """Return the points that are numbers."""
    there = [(float(at_s), number) for at_s, value in points if not math.isnan(number := float(value))]
    return Series(
        labels=labels, values=tuple(number for _, number in there), last_s=there[-1][0] if there else math.nan
    )


def _seen_in(series: Sequence[Series]) -> list[Sighting]:
    return [Sighting(labels=one.labels, at_s=one.last_s) for one in series if one.values]


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
