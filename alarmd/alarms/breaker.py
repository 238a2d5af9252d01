# SPDX-License-Identifier: Apache-2.0
"""What may be asked of the breaker: whether scale-in is held back, why, and until when."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from alarmd.model.breaker import Trip
from alarmd.model.caller import Caller
from alarmd.policy import Action, Policy, is_admin, require
from alarmd.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerStatus:
    """The breaker as it is."""

    #: Oldest first; none while it is closed. Who says so is left out for all but admins.
    trips: Sequence[Trip]
    #: How many actions are held back, of all projects; None for all but admins.
    held: int | None


def breaker_status(database: Database, policy: Policy, caller: Caller, *, now: datetime) -> BreakerStatus:
    """Return the breaker as it is. Raises `Forbidden`, `Unauthorized` and `StoreUnavailable`."""
    require(policy, Action.GET_BREAKER, caller)
    with database.read() as unit:
        trips = unit.breaker.in_force(now)
        if is_admin(policy, caller):
            return BreakerStatus(trips=trips, held=unit.outbox.held())
    return BreakerStatus(trips=[replace(one, owner="") for one in trips], held=None)
