# SPDX-License-Identifier: Apache-2.0
"""Lists of the outbox: a page costs what it shows, however much there is beside it.

Of a project or an alarm an index finds few rows. Where neither is said, each state is read for itself: a walk through
all of them would pass by hundreds of thousands of delivered notifications to find one that was buried.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, false, or_, select, union_all

from alarmd.model.notification import DeliveryState, Notification
from alarmd.store.outbox_query import OutboxQuery
from alarmd.store.paging import Pager
from alarmd.store.queued import past_waiting, pending
from alarmd.store.rows import notification_of
from alarmd.store.tables import outbox

_PAGER = Pager(
    keys={"created_at": outbox.c.created_at, "event_id": outbox.c.event_id},
    marker="event_id",
    tie=outbox.c.event_id,
)


def notifications(connection: Connection, query: OutboxQuery) -> list[Notification]:
    """Return the notifications asked for, newest first. Raises `InvalidInput` for an unknown marker."""
    asked = query if query.is_of_few else replace(query, states=())
    page = _PAGER.page(
        connection,
        select(outbox).where(*asked.visible, *asked.narrowed),
        visible=asked.visible,
        sort=(("created_at", "desc"),),
        marker=asked.marker,
        limit=asked.limit,
    )
    if not query.is_of_few:
        page = _newest_of_each_state(page, query)
    return [notification_of(row) for row in connection.execute(page).mappings()]


def _newest_of_each_state(page: Select[Any], query: OutboxQuery) -> Select[Any]:
    """Return the same page, found state by state."""
    parts = [select(page.where(which).subquery()) for which in _states_of(query)]
    if not parts:
        return page.where(false())
    together = union_all(*parts).subquery()
    return select(together).order_by(together.c.created_at.desc(), together.c.event_id.desc()).limit(query.limit)


def _states_of(query: OutboxQuery) -> Iterator[ColumnElement[bool]]:
    """Yield what tells the wanted states apart, in words that their indexes know."""
    known = sorted(DeliveryState)
    for state in known:
        if not query.states or state in query.states:
            yield pending(outbox) if state is DeliveryState.PENDING else past_waiting(outbox, state)
    if not query.states:
        # What somebody else has put into a state that there is not is over; it is listed all the same.
        bounds = [None, *known, None]
        yield or_(*(_between(low, high) for low, high in pairwise(bounds)))


def _between(low: DeliveryState | None, high: DeliveryState | None) -> ColumnElement[bool]:
    """Return the condition that a state lies between two others, as a stretch of the index."""
    above = () if low is None else (outbox.c.state > str(low),)
    below = () if high is None else (outbox.c.state < str(high),)
    return and_(past_waiting(outbox), *above, *below)
