# SPDX-License-Identifier: Apache-2.0
"""The outbox: notifications on their way, claimed by notifiers under a lease."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from alarmd.model.notification import DeliveryState, EventId, Notification, Settlement


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxQuery:
    """Which notifications, newest first, and which page of them. What is None does not narrow."""

    project_id: str | None = None
    alarm_id: str | None = None
    state: DeliveryState | None = None
    target: str | None = None
    #: The event_id of the last notification of the page before.
    marker: str | None = None
    limit: int | None = None


class OutboxRepository:
    """Reads and writes the outbox within one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, notifications: Sequence[Notification]) -> None:
        """Put notifications in the outbox."""

    def claim(self, *, now: datetime, owner: str, lease_s: float, limit: int) -> list[Notification]:
        """Take up to `limit` due notifications, oldest first, for `lease_s` seconds.

        Of the unfinished ones for the same alarm and target only the lowest sequence is ever handed out, so their
        order holds; one that was tried and waits for another try gives way to a newer one and ends as SUPERSEDED.
        The unit of work must be committed before anything is sent.
        """

    def settle(self, settlements: Sequence[Settlement], *, owner: str) -> int:
        """Write back how tries ended and let go of the leases; return how many were still the owner's to settle."""

    def release(self, event_ids: Iterable[EventId], *, owner: str) -> int:
        """Give claimed notifications back untried; return how many were still the owner's."""

    def bury_waiting(self, alarm_id: str, *, reason: str, now: datetime) -> int:
        """Give up an alarm's notifications that wait and are in nobody's hands; return how many."""

    def next_due(self) -> datetime | None:
        """Return the earliest moment at which something may be claimable, leases included; None when nothing waits."""

    def find(self, query: OutboxQuery) -> list[Notification]:
        """Return the notifications asked for. Raises `InvalidInput` for an unknown marker."""

    def get(self, event_id: str) -> Notification | None:
        """Return one notification, or None."""

    def retry(self, event_id: str, now: datetime) -> bool:
        """Put a buried notification back to be tried now; False when it is not there or not buried."""

    def depth(self) -> int:
        """Return how many notifications are unfinished."""

    def prune(self, before: datetime, *, limit: int) -> int:
        """Drop notifications that were finished before a moment, at most `limit`; return how many went."""
