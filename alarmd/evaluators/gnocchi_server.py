# SPDX-License-Identifier: Apache-2.0
"""A real Gnocchi, asked over HTTP: with deadlines, answers of bounded size, and no further than its own address."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from alarmd import __version__
from alarmd.clock import Clock
from alarmd.errors import AlarmdError
from alarmd.evaluators.asking import Answer, NoAnswer, Refused
from alarmd.evaluators.gnocchi_question import FoundMetrics, GnocchiQuestion, Measures, OneMetric
from alarmd.settings.schema import GnocchiSettings

#: An answer is a few hundred values; what is longer is none.
_MOST_BYTES: Final = 4 * 1024 * 1024
_AT_ONCE: Final = 65_536
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """A whole answer."""

    status: int
    body: bytes
    is_json: bool

    def decoded(self) -> Any:
        """Return what stands in it; raises `NoAnswer` when it is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise NoAnswer(f"Gnocchi's answer cannot be read: {error}.") from error

    def reason(self) -> str:
        """Return why Gnocchi refuses, as its Python client says it."""
        text = self.body.decode(errors="replace")
        if self.is_json:
            decoded = self.decoded()
            if isinstance(decoded, dict) and "description" in decoded:
                text = str(decoded["description"])
        return f"{text.strip()[:_SHOWN] or HTTPStatus(self.status).phrase} (HTTP {self.status})"


class GnocchiServer:
    """A `Server`. Safe to use from several threads; made after a fork."""

    def __init__(self, settings: GnocchiSettings, *, identity: Identity | None, clock: Clock) -> None:
        """Take who alarmd is to Keystone; None: Gnocchi takes the user's name that the settings give."""
        self.interval_s = settings.interval_s
        self.concurrency = settings.concurrency
        self.timeout_s = settings.timeout_s
        self._url = f"{settings.url or ''}/v1"
        self._settings = settings
        self._identity = identity
        self._clock = clock
        self._session = requests.Session()
        self._session.trust_env = False
        if settings.cafile is not None:
            self._session.verify = str(settings.cafile)
        adapter = HTTPAdapter(pool_maxsize=settings.concurrency)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def ask(self, question: GnocchiQuestion, *, now: datetime) -> Answer:
        """Ask and wait. Raises `NoAnswer`; in strict mode what goes wrong is an answer, too."""
        try:
            return Answer(at=now, values=self._measures(question, now))
        except NoAnswer as error:
            if not self._settings.strict:
                raise
            return Answer(at=now, values=Measures(failure=f"alarm statistics retrieval failed: {error.message}"))

    def close(self) -> None:
        """Let go of connections."""
        self._session.close()

    def _measures(self, question: GnocchiQuestion, now: datetime) -> Measures:
        method, path, body, more = self._request_of(question)
        span = timedelta(seconds=question.granularity_s * (question.periods + 1))
        params = {
            **more,
            "granularity": str(question.granularity_s),
            "start": (now - span).astimezone(UTC).replace(tzinfo=None).isoformat(),
            "stop": now.astimezone(UTC).replace(tzinfo=None).isoformat(),
        }
        said = self._say(method, path, params, body)
        if said.status == HTTPStatus.NOT_FOUND:
            return Measures(absence=_absence(question, said.reason()))
        if said.status != HTTPStatus.OK:
            raise (Refused if said.status < HTTPStatus.INTERNAL_SERVER_ERROR else NoAnswer)(said.reason())
        return Measures(buckets=_buckets(said.decoded(), granularity_s=question.granularity_s))

    def _request_of(self, question: GnocchiQuestion) -> tuple[str, str, Any, dict[str, str]]:
        """Return the method, the path, the body and the parameters of what asks a question."""
        wanted = question.wanted
        if isinstance(wanted, OneMetric):
            resource, metric = quote(wanted.resource_id, safe=""), quote(wanted.metric, safe="")
            path = f"/resource/generic/{resource}/metric/{metric}/measures"
            return "GET", path, None, {"aggregation": wanted.method}
        body: dict[str, Any] = {"operations": json.loads(wanted.operations)}
        if isinstance(wanted, FoundMetrics):
            search = json.loads(wanted.search)
            body["resource_type"] = wanted.resource_type
            body["search"] = search if question.project_id is None else self._confined(search, question.project_id)
        return "POST", "/aggregates", body, {"needed_overlap": "0"}

    def _confined(self, search: Mapping[str, Any], project_id: str) -> Mapping[str, Any]:
        """Return a query that finds a project's resources only, as Aodh confines it; never twice."""
        confinement: dict[str, Any] = {"=": {"project_id": project_id}}
        if self._identity is not None:
            service = self._settings.service_project_id or self._own_project_id(self._identity)
            for_project = {"and": [{"=": {"created_by_project_id": service}}, confinement]}
            confinement = {"or": [{"=": {"created_by_project_id": project_id}}, for_project]}
        if not search:
            return confinement
        match search:
            case {"and": [first, _]} if first == confinement:
                return search
            case _:
                return {"and": [confinement, search]}

    def _say(self, method: str, path: str, params: Mapping[str, str], body: Any) -> _Said:
        """Return whatever Gnocchi says, also to a token that has just ended."""
        if self._identity is None:
            return self._send(method, path, params, body, token=None)
        token = self._token(self._identity)
        said = self._send(method, path, params, body, token=token)
        if said.status == HTTPStatus.UNAUTHORIZED:
            self._identity.discard(None, token)
            said = self._send(method, path, params, body, token=self._token(self._identity))
        return said

    def _send(self, method: str, path: str, params: Mapping[str, str], body: Any, *, token: str | None) -> _Said:
        end_s = self._clock.monotonic_s() + self.timeout_s
        headers = {"User-Agent": f"alarmd/{__version__}", "Accept": "application/json"}
        if token is not None:
            headers["X-Auth-Token"] = token
        try:
            with self._session.request(
                method,
                f"{self._url}{path}",
                params=params,
                json=body,
                headers=headers,
                auth=None if token is not None else (self._settings.user, ""),
                timeout=self.timeout_s,
                allow_redirects=False,
                stream=True,
            ) as response:
                read = bytearray()
                # What has come is taken at once: who waits for a whole piece waits for who drips.
                while piece := response.raw.read1(_AT_ONCE, decode_content=True):
                    read += piece
                    if len(read) > _MOST_BYTES:
                        raise NoAnswer(f"Gnocchi's answer is longer than {_MOST_BYTES} bytes.")
                    if self._clock.monotonic_s() > end_s:
                        raise NoAnswer(f"Gnocchi's answer took longer than {self.timeout_s:g} s.")
                is_json = response.headers.get("Content-Type", "").startswith("application/json")
                return _Said(status=response.status_code, body=bytes(read), is_json=is_json)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise NoAnswer(f"Gnocchi at {self._settings.url} does not answer ({type(error).__name__}).") from error

    @staticmethod
    def _token(identity: Identity) -> str:
        try:
            return identity.own_token()
        except AlarmdError as error:
            raise NoAnswer(f"There is no token for Gnocchi: {error.message}") from error

    @staticmethod
    def _own_project_id(identity: Identity) -> str:
        try:
            return identity.own_project_id()
        except AlarmdError as error:
            raise NoAnswer(f"There is no token for Gnocchi: {error.message}") from error


def _absence(question: GnocchiQuestion, reason: str) -> str:
    """Return in Aodh's words what is not there."""
    absences = question.wanted.absences()
    if _NO_METRIC.match(reason):
        return absences.metric
    if _NO_RESOURCE.match(reason) and absences.resource:
        return absences.resource
    return absences.method


def _buckets(answer: Any, *, granularity_s: int) -> tuple[tuple[float, float | None], ...]:
    """Return the values of one granularity, in order; raises `NoAnswer` for what has another shape."""
    try:
        if isinstance(answer, dict):
            answer = answer["measures"]["aggregated"]
        return tuple(
            (datetime.fromisoformat(time).timestamp(), None if value is None else float(value))
            for time, granularity, value in answer
            if granularity == granularity_s
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NoAnswer(f"Gnocchi's answer has an unknown shape: {error!r}.") from error
