# SPDX-License-Identifier: Apache-2.0
"""The operator's Octavia: which members a pool has, and how they are."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from alarmd.errors import AlarmdError
from alarmd.evaluators.asking.asking import Answer, NoAnswer, Refused
from alarmd.evaluators.asking.json_client import JsonClient, Reply

SERVER: Final = "octavia"

_SERVICE_TYPE: Final = "load-balancer"
#: What leads to one pool and nowhere else.
_POOL_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")
_VERSION: Final = re.compile(r"/v2(\.0)?$")
_MAX_PAGES: Final = 100


class Tokens(Protocol):
    """Who lets alarmd in: `keystone.client.KeystoneClient`. Each raises an `AlarmdError` when it cannot."""

    def own_token(self) -> str:
        """Return a token of alarmd's own user."""

    def endpoint(self, service_type: str) -> str:
        """Return where a service is."""

    def discard(self, trust_id: str | None, token: str) -> None:
        """Keep a token no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolQuestion:
    """A question: how is this pool?"""

    pool_id: str

    @property
    def server(self) -> str:
        """Octavia."""
        return SERVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What Octavia says of a pool."""

    project_id: str
    #: As Octavia shows them, those that were added a moment ago left out.
    members: tuple[Mapping[str, Any], ...]


class OctaviaServer:
    """Answers `PoolQuestion` with a `Pool`, or with None where there is no such pool."""

    def __init__(
        self,
        client: JsonClient,
        *,
        tokens: Tokens | None,
        url: str | None,
        interval_s: float,
        timeout_s: float,
        concurrency: int,
        member_creation_time_s: float,
    ) -> None:
        self._client = client
        self._tokens = tokens
        self._url = url
        self._creation_time_s = member_creation_time_s
        self.interval_s = interval_s
        self.timeout_s = timeout_s
        self.concurrency = concurrency

    def ask(self, question: PoolQuestion, *, now: datetime) -> Answer:
        if not _POOL_ID.fullmatch(question.pool_id):
            return Answer(at=now, values=None)
        path = f"/v2/lbaas/pools/{question.pool_id}"
        said = self._get(path)
        if said is None:
            return Answer(at=now, values=None)
        pool = _part_of(said, "pool", dict)
        members = tuple(one for one in self._members(f"{path}/members") if self._has_settled(one, now=now))
        return Answer(at=now, values=Pool(project_id=str(pool.get("project_id") or ""), members=members))

    def close(self) -> None:
        self._client.close()

    def _members(self, path: str) -> Iterator[Mapping[str, Any]]:
        """Yield the members on all pages."""
        query = ""
        for _ in range(_MAX_PAGES):
            said = self._get(f"{path}{query}")
            if said is None:  # deleted in between; the next time there is no such pool
                return
            yield from (one for one in _part_of(said, "members", list) if isinstance(one, dict))
            links = said.get("members_links") or []
            following = [one.get("href") for one in links if isinstance(one, dict) and one.get("rel") == "next"]
            if not following:
                return
            # Only what tells the page: a token goes nowhere else because of what an answer says.
            query = f"?{urlsplit(str(following[0])).query}"
        raise NoAnswer(f"Octavia tells the members of the pool on more than {_MAX_PAGES} pages.")

    def _has_settled(self, member: Mapping[str, Any], *, now: datetime) -> bool:
        """Whether a member is old enough to be believed; one whose age cannot be read is not, as in Aodh."""
        try:
            created = datetime.fromisoformat(str(member.get("created_at")))
        except ValueError:
            return False
        # Octavia tells UTC without saying so.
        created = created.replace(tzinfo=UTC) if created.tzinfo is None else created
        return (now - created).total_seconds() >= self._creation_time_s

    def _get(self, path: str) -> Mapping[str, Any] | None:
        """Return what is said, None where there is nothing of the kind."""
        reply = self._ask(path)
        if reply.status == HTTPStatus.UNAUTHORIZED and self._tokens is not None:
            reply = self._ask(path)  # the token has been revoked; with a new one
        if reply.status == HTTPStatus.NOT_FOUND:
            return None
        if reply.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise Refused(
                f"Octavia does not show the pool to alarmd (HTTP {reply.status}). Its user needs a role that reads the "
                "pools of all projects, such as load-balancer_global_observer."
            )
        if not reply.is_ok or not isinstance(reply.body, dict):
            raise NoAnswer(f"Octavia cannot answer: HTTP {reply.status}.")
        return reply.body

    def _ask(self, path: str) -> Reply:
        if self._tokens is None:
            return self._client.ask("GET", path, base=_VERSION.sub("", self._url or ""))
        try:
            token = self._tokens.own_token()
            base = _VERSION.sub("", self._url or self._tokens.endpoint(_SERVICE_TYPE))
        except NoAnswer:
            raise
        except AlarmdError as error:
            raise NoAnswer(f"Octavia cannot be asked. {error.message}") from error
        reply = self._client.ask("GET", path, base=base, headers={"X-Auth-Token": token})
        if reply.status == HTTPStatus.UNAUTHORIZED:
            self._tokens.discard(None, token)
        return reply


def _part_of(said: Mapping[str, Any], name: str, kind: type) -> Any:
    part = said.get(name)
    if not isinstance(part, kind):
        raise NoAnswer("What answers is no Octavia. Look at the settings in [octavia].")
    return part
