# SPDX-License-Identifier: Apache-2.0
"""A real Gnocchi, asked over HTTP: with deadlines, answers of bounded size, and no further than its own address."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.client import responses
from math import isnan, nan
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

from alarmd.errors import AlarmdError
from alarmd.evaluators.asking.asking import Answer, NoAnswer, Refused
from alarmd.evaluators.asking.json_client import JsonClient, Reply
from alarmd.evaluators.families.gnocchi.ownership import Ownership
from alarmd.evaluators.families.gnocchi.question import FoundMetrics, GnocchiQuestion, Measures, OneMetric
from alarmd.settings.schema import GnocchiSettings

#: How much of Gnocchi's own words is passed on.
_SHOWN: Final = 500

_NO_METRIC: Final = re.compile("Metric .* does not exist")
_NO_RESOURCE: Final = re.compile("Resource .* does not exist")


class Identity(Protocol):
    """Who alarmd is to Keystone."""

    def own_token(self) -> str:
        """Return a token of alarmd's own user."""

    def own_project_id(self) -> str:
        """Return the id of the project that this token is for."""

    def discard(self, trust_id: str | None, token: str) -> None:
        """Keep a token no longer."""


class GnocchiServer:
    """A `Server`. Safe to use from several threads; made after a fork."""

    def __init__(self, client: JsonClient, *, identity: Identity | None, settings: GnocchiSettings) -> None:
        """Take who alarmd is to Keystone; None: the client says itself who is asking."""
        self.interval_s = settings.interval_s
        self.concurrency = settings.concurrency
        self.timeout_s = settings.timeout_s
        self._client = client
        self._identity = identity
        self._strict = settings.strict
        self._service_project_id = settings.service_project_id
        self._ownership = Ownership(lambda path: self._reply("GET", path, None), self._service)

    def ask(self, question: GnocchiQuestion, *, now: datetime) -> Answer:
        """Ask and wait. Raises `NoAnswer`; in strict mode what goes wrong is an answer, too."""
        try:
            return Answer(at=now, values=self._measures(question, now))
        except NoAnswer as error:
            if not self._strict:
                raise
            return Answer(at=now, values=Measures(failure=f"alarm statistics retrieval failed: {error.message}"))

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _measures(self, question: GnocchiQuestion, now: datetime) -> Measures:
        for place in _owned(question):
            refused = self._ownership.refusal(place, project_id=question.project_id or "", now=now)
            if refused is not None:
                return _nothing(question, refused, is_named=True)
        method, path, body, more = self._request_of(question)
        span = timedelta(seconds=question.granularity_s * (question.periods + 1))
        params = {
            **more,
            "granularity": str(question.granularity_s),
            "start": (now - span).astimezone(UTC).replace(tzinfo=None).isoformat(),
            "stop": now.astimezone(UTC).replace(tzinfo=None).isoformat(),
        }
        reply = self._reply(method, f"{path}?{urlencode(params)}", body)
        if reply.status != HTTPStatus.OK:
            return _nothing(question, reply)
        return Measures(buckets=_buckets(reply.body, granularity_s=question.granularity_s))

    def _request_of(self, question: GnocchiQuestion) -> tuple[str, str, Any, dict[str, str]]:
        """Return the method, the path, the body and the parameters of what asks a question."""
        wanted = question.wanted
        if isinstance(wanted, OneMetric):
            resource, metric = quote(wanted.resource_id, safe=""), quote(wanted.metric, safe="")
            path = f"/v1/resource/generic/{resource}/metric/{metric}/measures"
            return "GET", path, None, {"aggregation": wanted.method}
        body: dict[str, Any] = {"operations": json.loads(wanted.operations)}
        if isinstance(wanted, FoundMetrics):
            search = json.loads(wanted.search)
            body["resource_type"] = wanted.resource_type
            body["search"] = search if question.project_id is None else self._confined(search, question.project_id)
        return "POST", "/v1/aggregates", body, {"needed_overlap": "0"}

    def _confined(self, search: Mapping[str, Any], project_id: str) -> Mapping[str, Any]:
        """Return a query that finds a project's resources only, as Aodh confines it; never twice."""
        confinement: dict[str, Any] = {"=": {"project_id": project_id}}
        if self._identity is not None:
            for_project = {"and": [{"=": {"created_by_project_id": self._service()}}, confinement]}
            confinement = {"or": [{"=": {"created_by_project_id": project_id}}, for_project]}
        if not search:
            return confinement
        match search:
            case {"and": [first, _]} if first == confinement:
                return search
            case _:
                return {"and": [confinement, search]}

    def _reply(self, method: str, path: str, body: Any) -> Reply:
        """Return whatever Gnocchi says, also to a token that has just ended."""
        if self._identity is None:
            return self._client.ask(method, path, json_body=body)
        token = self._token(self._identity)
        reply = self._client.ask(method, path, json_body=body, headers={"X-Auth-Token": token})
        if reply.status == HTTPStatus.UNAUTHORIZED:
            self._identity.discard(None, token)
            token = self._token(self._identity)
            reply = self._client.ask(method, path, json_body=body, headers={"X-Auth-Token": token})
        return reply

    @staticmethod
    def _token(identity: Identity) -> str:
        try:
            return identity.own_token()
        except AlarmdError as error:
            raise NoAnswer(f"There is no token for Gnocchi: {error.message}") from error

    def _service(self) -> str | None:
        """Return the project whose resources count for the one that they are made for; None without Keystone."""
        if self._identity is None:
            return None
        try:
            return self._service_project_id or self._identity.own_project_id()
        except AlarmdError as error:
            raise NoAnswer(f"There is no token for Gnocchi: {error.message}") from error


def _owned(question: GnocchiQuestion) -> list[str]:
    """Return the paths of what a question names by its id and must not be anybody else's."""
    wanted = question.wanted
    if question.project_id is None or isinstance(wanted, FoundMetrics):
        return []
    if isinstance(wanted, OneMetric):
        return [f"/v1/resource/generic/{quote(wanted.resource_id, safe='')}"]
    return [f"/v1/metric/{quote(metric, safe='')}" for metric in wanted.metrics]


def _nothing(question: GnocchiQuestion, reply: Reply, *, is_named: bool = False) -> Measures:
    """Return that there is nothing, and why; raises `NoAnswer` where that is not known."""
    if reply.status != HTTPStatus.NOT_FOUND:
        raise (Refused if reply.status < HTTPStatus.INTERNAL_SERVER_ERROR else NoAnswer)(_reason(reply))
    if not is_named:
        return Measures(absence=_absence(question, _reason(reply)))
    absences = question.wanted.absences()
    return Measures(absence=absences.resource or absences.metric)


def _reason(reply: Reply) -> str:
    """Return why Gnocchi refuses, as its Python client says it."""
    told = reply.body.get("description") if isinstance(reply.body, dict) else None
    return f"{str(told)[:_SHOWN] if told else responses.get(reply.status, 'Error')} (HTTP {reply.status})"


def _absence(question: GnocchiQuestion, reason: str) -> str:
    """Return in Aodh's words what is not there."""
    absences = question.wanted.absences()
    if _NO_METRIC.match(reason):
        return absences.metric
    if _NO_RESOURCE.match(reason) and absences.resource:
        return absences.resource
    return absences.method


def _value(told: Any) -> float | None:
    """Return a value; what is not a number is none, since it would be inside every threshold."""
    value = nan if told is None else float(told)
    return None if isnan(value) else value


def _buckets(answer: Any, *, granularity_s: int) -> tuple[tuple[float, float | None], ...]:
    """Return the values of one granularity, in order; raises `NoAnswer` for what has another shape."""
    try:
        if isinstance(answer, dict):
            answer = answer["measures"]["aggregated"]
        return tuple(
            (datetime.fromisoformat(time).timestamp(), _value(value))
            for time, granularity, value in answer
            if granularity == granularity_s
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NoAnswer(f"Gnocchi's answer has an unknown shape: {error!r}.") from error
