# SPDX-License-Identifier: Apache-2.0
"""Reads an Aodh (or another alarmd) over its API.

Everything is read by complex queries: they go through all projects for an admin, they can be continued behind any id,
and Aodh's show the trusts of actions, which its lists do not.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from alarmd.errors import AlarmdError, Forbidden, Unavailable
from alarmd.importing.source import Record

_TIMEOUTS_S = (5.0, 120.0)
#: Reading the same page again does no harm.
_RETRY = Retry(
    total=3, backoff_factor=0.5, status_forcelist=(502, 503, 504), allowed_methods=None, raise_on_status=False
)
_UNLIMITED = -1


class ApiSource:
    """Asks one server."""

    #: Aodh stores a quota when it is asked for one, and then takes -1 for "none at all".
    reads_quotas = False
    shows_confinement = False

    def __init__(self, url: str, *, headers: Mapping[str, str]) -> None:
        """Take the base URL, and the headers that say who asks."""
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.headers.update({"Accept": "application/json", **headers})
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=_RETRY))
        self._projects: set[str] = set()

    def count(self) -> int | None:
        return None

    def alarms(self, *, limit: int) -> Iterator[Sequence[Record]]:
        for page in self._pages("/v2/query/alarms", "alarm_id", limit=limit):
            self._projects.update(alarm["project_id"] for alarm in page if alarm.get("project_id"))
            yield [dict(alarm) | {"rule": alarm.get(f"{alarm.get('type')}_rule")} for alarm in page]

    def changes(self, alarm_ids: Sequence[str], *, limit: int) -> Iterator[Sequence[Record]]:
        among = {"in": {"alarm_id": list(alarm_ids)}}
        yield from self._pages("/v2/query/alarms/history", "event_id", limit=limit, among=among)

    def quotas(self, *, limit: int) -> Iterator[Sequence[Record]]:
        """Yield the quotas of the projects whose alarms were read.

        Asking Aodh stores a quota that is not stored yet. One of -1 would refuse every new alarm, so it is deleted
        again.
        """
        projects = sorted(self._projects)
        for start in range(0, len(projects), limit):
            yield [record for project in projects[start : start + limit] for record in self._quota(project)]

    def close(self) -> None:
        self._session.close()

    def _quota(self, project_id: str) -> list[Record]:
        told = self._ask("GET", "/v2/quotas", params={"project_id": project_id})
        limits = [entry["limit"] for entry in told["quotas"] if entry.get("resource") == "alarms"]
        if limits == [_UNLIMITED]:
            self._ask("DELETE", f"/v2/quotas/{quote(project_id, safe='')}")
            return []
        return [{"project_id": project_id, "limit": limit} for limit in limits]

    def _pages(
        self, path: str, key: str, *, limit: int, among: Mapping[str, Any] | None = None
    ) -> Iterator[Sequence[Mapping[str, Any]]]:
        behind: str | None = None
        while True:
            conditions: list[Mapping[str, Any]] = [] if among is None else [among]
            if behind is not None:
                conditions.append({">": {key: behind}})
            body: dict[str, Any] = {"orderby": json.dumps([{key: "asc"}]), "limit": limit}
            if conditions:
                both = {"and": conditions} if len(conditions) > 1 else conditions[0]
                body["filter"] = json.dumps(both)
            page = self._ask("POST", path, json=body)
            if page:
                yield page
            if len(page) < limit:
                return
            behind = page[-1][key]

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        try:
            response = self._session.request(
                method, self._url + path, timeout=_TIMEOUTS_S, allow_redirects=False, **content
            )
        except requests.RequestException as error:
            raise Unavailable(f"The Aodh at {self._url} does not answer {method} {path}: {error}.") from error
        if not response.ok:
            raise self._refusal(response, path)
        if not response.content:
            return None
        try:
            return response.json()
        except requests.JSONDecodeError as error:
            raise Unavailable(f"What answers at {self._url}{path} is no Aodh: its answer is not JSON.") from error

    def _refusal(self, response: requests.Response, path: str) -> AlarmdError:
        try:
            text = str(response.json()["error_message"]["faultstring"])
        except (ValueError, KeyError, TypeError):
            text = response.reason or "without a reason"
        told = f"The Aodh at {self._url} refuses {path} (HTTP {response.status_code}): {text.rstrip('.')}."
        if response.status_code in {401, 403}:
            return Forbidden(f"{told} Give an identity that may read it: --token, or --project, --user and --roles.")
        return Unavailable(told)
