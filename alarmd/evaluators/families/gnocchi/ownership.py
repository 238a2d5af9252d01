# SPDX-License-Identifier: Apache-2.0
"""Whose the metrics and resources in a Gnocchi are that rules name by their ids.

Gnocchi lets alarmd's own user read everything, and an id is no secret. So whoever made an alarm that is confined to a
project is told of what this project may read, and other ids are as good as none.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from threading import Lock
from typing import Any, Final

from alarmd.evaluators.asking.json_client import Reply

#: How long it is remembered whose something is, and of how many things; the one looked up longest ago makes room.
_REMEMBERED: Final = timedelta(minutes=5)
_MOST: Final = 100_000


class Ownership:
    """Looks owners up, each once in a while. Safe to use from several threads."""

    def __init__(self, ask: Callable[[str], Reply], service_project_id: Callable[[], str | None]) -> None:
        """Take how a path is asked for, and whose resources count for the project that they are made for.

        None: everybody's do.
        """
        self._ask = ask
        self._service_project_id = service_project_id
        self._known: OrderedDict[str, tuple[datetime, frozenset[str]]] = OrderedDict()
        self._lock = Lock()

    def refusal(self, path: str, *, project_id: str, now: datetime) -> Reply | None:
        """Return what Gnocchi says instead of telling whose the thing behind a path is.

        None where the project may read it; not found where it may not.
        """
        with self._lock:
            until, readers = self._known.get(path, (now, frozenset[str]()))
        if until <= now:
            reply = self._ask(path)
            if not reply.is_ok:
                return reply
            readers = self._readers_of(reply.body)
            with self._lock:
                self._known[path] = (now + _REMEMBERED, readers)
                self._known.move_to_end(path)
                if len(self._known) > _MOST:
                    self._known.popitem(last=False)
        return None if project_id in readers else Reply(status=HTTPStatus.NOT_FOUND, body=None)

    def _readers_of(self, thing: Any) -> frozenset[str]:
        """Return the projects that may read a resource, or a metric and its resource."""
        if not isinstance(thing, dict):
            return frozenset()
        within = thing.get("resource")
        resource = within if isinstance(within, dict) else thing
        maker, owner = resource.get("created_by_project_id"), resource.get("project_id")
        service = self._service_project_id()
        for_owner = owner if service is None or maker == service else None
        return frozenset(str(one) for one in (maker, for_owner) if one)
