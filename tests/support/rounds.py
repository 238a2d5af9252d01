# SPDX-License-Identifier: Apache-2.0
"""Rounds of deliveries over one database, for tests of what rounds do."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from alarmd.clock import ManualClock
from alarmd.model.notification import Notification
from alarmd.notifiers.circuit import CircuitPolicy
from alarmd.notifiers.fairness import Shares
from alarmd.notifiers.retry import RetryPolicy
from alarmd.notifiers.round import DeliveryRound
from alarmd.notifiers.scheme import Scheme
from alarmd.store.database import Database
from tests.support.daemon import wait_until
from tests.support.notifications import CREATED_AT
from tests.support.stock import add_meant

POLICY = RetryPolicy(first_delay_s=10, factor=2, max_delay_s=100, give_up_after_s=1000, jitter=0)


@dataclass
class Rounds:
    """Makes rounds over one database."""

    database: Database
    clock: ManualClock = field(default_factory=lambda: ManualClock(CREATED_AT))
    made: list[DeliveryRound] = field(default_factory=list)

    def __call__(
        self,
        schemes: Mapping[str, Scheme],
        *,
        owner: str = "notifier-1",
        workers: int = 4,
        shares: Shares | None = None,
        circuits: CircuitPolicy | None = None,
        lease_s: float = 60.0,
        batch: int = 16,
        database: Database | None = None,
    ) -> DeliveryRound:
        """Make one more round."""
        made = DeliveryRound(
            database=database or self.database,
            schemes=schemes,
            policy=POLICY,
            clock=self.clock,
            owner=owner,
            shares=shares or Shares(threads=workers, per_origin=workers, per_project=workers),
            circuits=circuits,
            lease_s=lease_s,
            batch=batch,
        )
        self.made.append(made)
        return made

    def add(self, *notifications: Notification) -> None:
        """Put notifications into the outbox, as their alarms mean them."""
        add_meant(self.database, *notifications)

    def get(self, event_id: str) -> Notification:
        """Return what has become of a notification."""
        with self.database.read() as unit:
            found = unit.outbox.get(event_id)
        assert found is not None
        return found

    def wait_until(self, event_id: str, holds: Callable[[Notification], bool]) -> Notification:
        """Return a notification as soon as something holds for it."""

        def look() -> Notification | None:
            found = self.get(event_id)
            return found if holds(found) else None

        return wait_until(look, deadline_s=10, what=f"what is expected of {event_id}", every_s=0.005)

    def depth(self) -> int:
        """Return how many wait."""
        with self.database.read() as unit:
            return unit.outbox.depth()


@pytest.fixture
def rounds(database: Database) -> Iterator[Rounds]:
    """A way to make rounds; all are ended after the test."""
    rounds = Rounds(database)
    yield rounds
    for made in rounds.made:
        made.drain(10)
        made.close()
