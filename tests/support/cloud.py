# SPDX-License-Identifier: Apache-2.0
"""Keystone, Heat and Zaqar as far as they are asked here, over real sockets."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.loopback import Handler, serving

PROJECT = "c0ffee"
#: What comes back: status, headers, body.
Answer = tuple[int, dict[str, str], Any]


@dataclass(kw_only=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    token: str | None
    body: Any
    #: In lower case.
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Cloud:
    """A Keystone that gives tokens, also through the trust `t1`; a Heat with one stack and its group; a Zaqar."""

    url: str = ""
    #: Physical id of a resource → the names of the resource and of the one that its stack belongs to.
    resources: dict[str, tuple[str, str]] = field(default_factory=dict)
    unhealthy: dict[str, str] = field(default_factory=dict)
    updates: int = 0
    tokens: int = 0
    #: Tokens that count no more.
    revoked: set[str] = field(default_factory=set)
    #: Answers in place of Heat, when it has something to say.
    instead: Callable[[Asked], Answer | None] = lambda _asked: None
    has_heat: bool = True
    #: A Heat elsewhere that the catalogue names instead.
    heat_url: str = ""
    asked: list[Asked] = field(default_factory=list)
    #: What came to Zaqar, with the queue that it came for.
    messages: list[tuple[str, Any]] = field(default_factory=list)
    subscriptions: list[tuple[str, Any]] = field(default_factory=list)

    def answer(self, asked: Asked) -> Answer:
        """Return the answer to a request."""
        path = urlsplit(asked.path).path
        if path.startswith("/v3/"):
            return self._keystone(path, asked)
        self.asked.append(asked)
        if (asked.token is None and "url-signature" not in asked.headers) or asked.token in self.revoked:
            return 401, {}, {"error": "who are you?"}
        said = self.instead(asked)
        if said is not None or path.startswith("/zaqar/"):
            return said or self._zaqar(path, asked)
        return self._heat(path.removeprefix(f"/heat/v1/{PROJECT}"), asked)

    def _keystone(self, path: str, asked: Asked) -> Answer:
        if path == "/v3/auth/catalog":
            return 200, {}, {"catalog": self._catalog(), "links": {}}
        scope = asked.body["auth"].get("scope", {}).get("OS-TRUST:trust", {})
        if path != "/v3/auth/tokens" or scope.get("id", "t1") != "t1":
            return 401, {}, {"error": {"code": 401, "message": "no such trust"}}
        self.tokens += 1
        token = {
            "methods": ["password"],
            "user": {"id": "ann", "name": "ann", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": PROJECT, "name": "web", "domain": {"id": "default", "name": "Default"}},
            "roles": [],
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "catalog": self._catalog(),
        }
        return 201, {"X-Subject-Token": f"token-{self.tokens}"}, {"token": token}

    def _catalog(self) -> list[dict[str, Any]]:
        places = {"messaging": f"{self.url}/zaqar"}
        if self.has_heat:
            places["orchestration"] = self.heat_url or f"{self.url}/heat/v1/{PROJECT}/"
        where = {"id": "e", "interface": "internal", "region": "one", "region_id": "one"}
        return [
            {"type": kind, "id": kind, "name": kind, "endpoints": [{**where, "url": url}]}
            for kind, url in places.items()
        ]

    def _zaqar(self, path: str, asked: Asked) -> Answer:
        queue, _, what = path.removeprefix("/zaqar/v2/queues/").partition("/")
        if asked.method != "POST" or what not in {"messages", "subscriptions"}:
            return 404, {}, {"title": "Not found"}
        told = self.messages if what == "messages" else self.subscriptions
        told.append((queue, asked.body))
        return 201, {}, {"resources": [f"/v2/queues/{queue}/{what}/1"], "subscription_id": "1"}

    def _heat(self, path: str, asked: Asked) -> Answer:
        places = {"/stacks/STACK": "/stacks/web/STACK", "/stacks/ASG": "/stacks/web-asg-x1/ASG"}
        if asked.method == "GET" and path in places:
            # As behind a proxy: by another name than it was asked by.
            return 302, {"Location": f"http://inside.example/heat/v1/{PROJECT}{places[path]}"}, {}
        if asked.method == "GET" and path == "/stacks/web/STACK/resources":
            query = parse_qs(urlsplit(asked.path).query)
            assert query["nested_depth"] == ["3"]
            return 200, {}, {"resources": [self._shown(one) for one in query["physical_resource_id"]]}
        if asked.method == "PATCH" and path == "/stacks/web/STACK" and asked.body == {}:
            self.updates += 1
            return 202, {}, {}
        group, _, name = path.rpartition("/resources/")
        if asked.method == "PATCH" and group == "/stacks/web-asg-x1/ASG" and asked.body["mark_unhealthy"] is True:
            self.unhealthy[unquote(name)] = asked.body["resource_status_reason"]
            return 200, {}, None
        return 404, {}, {"explanation": "The resource could not be found.", "code": 404}

    def _shown(self, physical_id: str) -> dict[str, Any]:
        name, parent = self.resources.get(physical_id, ("other", ""))
        shown = {"resource_name": name, "physical_resource_id": physical_id, "resource_type": "OS::Octavia::PoolMember"}
        return shown | ({"parent_resource": parent} if parent else {})


@contextmanager
def cloud() -> Iterator[Cloud]:
    """Run both for as long as the context lasts, on one port."""
    standing = Cloud()

    class Door(Handler):
        def respond(self) -> None:
            raw = self.body()
            asked = Asked(
                method=self.command,
                path=self.path,
                token=self.headers.get("X-Auth-Token"),
                body=json.loads(raw) if raw else None,
                headers={name.lower(): value for name, value in self.headers.items()},
            )
            status, headers, body = standing.answer(asked)
            self.say(status, body, headers)

    with serving(Door) as standing.url:
        yield standing
