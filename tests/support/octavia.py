# SPDX-License-Identifier: Apache-2.0
"""Octavia as far as it is asked here: pools and their members in pages, over a real socket."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.loopback import Handler, serving


@dataclass(kw_only=True)
class Octavia:
    """The pools, and how they are told of."""

    url: str = ""
    page_size: int = 3
    #: Tells whose token counts; at first everybody comes in.
    believes: Callable[[str | None], bool] = lambda _token: True
    #: What is answered instead, where that is set.
    status: int | None = None
    pools: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def add_pool(self, pool_id: str, *, project_id: str) -> None:
        """Have one more pool, without members."""
        self.pools[pool_id] = {"id": pool_id, "project_id": project_id, "operating_status": "ONLINE"}
        self.members[pool_id] = []

    def add_member(
        self, pool_id: str, member_id: str, *, created_at: datetime, status: str = "ONLINE", up: bool = True
    ) -> dict[str, Any]:
        """Have one more member of a pool; return it as Octavia shows it."""
        member = {
            "id": member_id,
            "admin_state_up": up,
            "operating_status": status,
            "created_at": created_at.replace(tzinfo=None).isoformat(timespec="seconds"),
        }
        self.members[pool_id].append(member)
        return member

    def answer(self, path: str, token: str | None) -> tuple[int, Any]:
        """Return the status and the body for a path."""
        self.asked.append(path)
        if self.status is not None:
            return self.status, {"faultstring": "no"}
        if not self.believes(token):
            return 401, {"faultstring": "who are you?"}
        split = urlsplit(path)
        head, _, rest = split.path.partition("/v2/lbaas/pools/")
        pool_id, _, what = rest.partition("/")
        if head or pool_id not in self.pools or what not in {"", "members"}:
            return 404, {"faultstring": f"Pool {pool_id} not found."}
        if not what:
            return 200, {"pool": self.pools[pool_id]}
        return 200, self._page(pool_id, marker=parse_qs(split.query).get("marker", [""])[0])

    def _page(self, pool_id: str, *, marker: str) -> dict[str, Any]:
        every = self.members[pool_id]
        start = next((at + 1 for at, one in enumerate(every) if one["id"] == marker), 0)
        page = every[start : start + self.page_size]
        said: dict[str, Any] = {"members": page, "members_links": []}
        if start + self.page_size < len(every):
            # As behind a proxy: by another name than it was asked by.
            href = f"http://inside.example/v2/lbaas/pools/{pool_id}/members?limit=3&marker={page[-1]['id']}"
            said["members_links"] = [{"rel": "next", "href": href}]
        return said


@contextmanager
def octavia() -> Iterator[Octavia]:
    """Run one for as long as the context lasts."""
    standing = Octavia()

    class Door(Handler):
        def respond(self) -> None:
            status, body = standing.answer(self.path, self.headers.get("X-Auth-Token"))
            self.say(status, body)

    with serving(Door) as standing.url:
        yield standing
