# SPDX-License-Identifier: Apache-2.0
"""What may be asked of the outbox."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, false, or_

from alarmd.model.direction import Direction
from alarmd.store.columns import is_storable
from alarmd.store.paging import matches
from alarmd.store.tables import outbox

#: Behind every text that begins as another one does.
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxQuery:
    """Which notifications, newest first, and which page of them. What is None, or empty, does not narrow."""

    project_id: str | None = None
    alarm_id: str | None = None
    #: Any of these texts: what is no state matches nothing.
    states: tuple[str, ...] = ()
    direction: Direction | None = None
    #: Scheme, host and port of the target (`origin_of`).
    origin: str | None = None
    #: Its host, whatever the scheme and the port.
    host: str | None = None
    #: What the event_id begins with.
    event_prefix: str | None = None
    #: Made at this moment or later, and before that one.
    since: datetime | None = None
    until: datetime | None = None
    #: The event_id of the last notification of the page before.
    marker: str | None = None
    limit: int | None = None

    @property
    def is_of_few(self) -> bool:
        """Whether it is about so few notifications that an index finds them."""
        return not (self.project_id is None and self.alarm_id is None and self.event_prefix is None)

    @property
    def visible(self) -> list[ColumnElement[bool]]:
        """What must hold of every row that whoever asks may know of."""
        return [] if self.project_id is None else [matches(outbox.c.project_id, self.project_id)]

    @property
    def narrowed(self) -> list[ColumnElement[bool]]:
        """What must hold beside that."""
        return list(self._conditions())

    def _conditions(self) -> Iterator[ColumnElement[bool]]:
        columns = outbox.c
        exact = {columns.alarm_id: self.alarm_id, columns.direction: self.direction, columns.origin: self.origin}
        yield from (matches(column, str(value)) for column, value in exact.items() if value is not None)
        if self.states:
            yield columns.state.in_([state for state in self.states if is_storable(state)])
        if self.host is not None:
            yield _of_host(self.host)
        if self.event_prefix is not None:
            yield _begins(self.event_prefix)
        if self.since is not None:
            yield columns.created_at >= self.since
        if self.until is not None:
            yield columns.created_at < self.until


def _of_host(host: str) -> ColumnElement[bool]:
    if not is_storable(host):
        return false()
    place = f"://{host.lower()}"
    return or_(outbox.c.origin.endswith(place, autoescape=True), outbox.c.origin.contains(f"{place}:", autoescape=True))


def _begins(prefix: str) -> ColumnElement[bool]:
    """Return a condition that the index of the ids serves."""
    if not is_storable(prefix):
        return false()
    return (outbox.c.event_id >= prefix) & (outbox.c.event_id < prefix + _LAST)
