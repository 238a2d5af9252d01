# SPDX-License-Identifier: Apache-2.0
"""Quotas: how many alarms a project, and a user, may have."""

from dataclasses import dataclass

from alarmd.errors import Forbidden
from alarmd.model.alarm import Alarm
from alarmd.model.caller import Caller
from alarmd.policy import Action, Policy, require
from alarmd.store.alarms import AlarmQuery
from alarmd.store.database import Database, UnitOfWork

#: No bound.
UNLIMITED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaDefaults:
    """How many alarms are allowed where nothing else is stored; `UNLIMITED` for any number."""

    project_alarms: int = UNLIMITED
    user_alarms: int = UNLIMITED


class QuotaService:
    """Shows, sets and holds quotas. Safe to use from several threads.

    Every method may raise `Forbidden`, `Unauthorized` and `StoreUnavailable`.
    """

    def __init__(self, *, database: Database, policy: Policy, defaults: QuotaDefaults) -> None:
        self._database = database
        self._policy = policy
        self._defaults = defaults

    def get(self, project_id: str | None, caller: Caller) -> int:
        """Return how many alarms a project (by default the caller's) may have."""
        require(self._policy, Action.GET_QUOTAS, caller, project_id=project_id)
        with self._database.read() as unit:
            return self._limit_of(unit, caller.project_id if project_id is None else project_id)

    def set(self, project_id: str, limit: int | None, caller: Caller) -> int:
        """Set how many alarms a project may have and return it; None leaves it as it is."""
        require(self._policy, Action.UPDATE_QUOTAS, caller)
        with self._database.write() as unit:
            if limit is not None:
                unit.quotas.put(project_id, limit)
            return self._limit_of(unit, project_id)

    def delete(self, project_id: str, caller: Caller) -> None:
        """Give a project the default again; fine when it has it already."""
        require(self._policy, Action.DELETE_QUOTAS, caller)
        with self._database.write() as unit:
            unit.quotas.remove(project_id)

    def hold(self, unit: UnitOfWork, alarm: Alarm, *, before: Alarm | None = None) -> None:
        """Raise `Forbidden` when an alarm that has just been stored is one too many for its project or its user.

        An owner whom it belonged to before has no more alarms than it had, and is not asked about. Where a limit
        applies, whoever else stores an alarm for the same owner waits until this unit of work ends, so two at once
        cannot both take the last place. First the project, then the user, so that nobody waits in a ring.
        """
        limits: list[tuple[AlarmQuery, int]] = []
        if before is None or alarm.project_id != before.project_id:
            limits.append((AlarmQuery(project_id=alarm.project_id), self._limit_of(unit, alarm.project_id)))
        if before is None or alarm.user_id != before.user_id:
            limits.append((AlarmQuery(user_id=alarm.user_id), self._defaults.user_alarms))
        for owner, limit in limits:
            if limit == UNLIMITED:
                continue
            unit.quotas.lock(project_id=owner.project_id, user_id=owner.user_id)
            if unit.alarms.count(owner) > limit:
                raise Forbidden(
                    f"Alarm quota exceeded for user {alarm.user_id} on project {alarm.project_id}", limit=limit
                )

    def _limit_of(self, unit: UnitOfWork, project_id: str) -> int:
        stored = unit.quotas.get(project_id)
        return self._defaults.project_alarms if stored is None else stored
