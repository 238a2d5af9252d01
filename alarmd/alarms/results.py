# SPDX-License-Identifier: Apache-2.0
"""What may be asked of results: how often the evaluation of each alarm led to which state."""

from collections.abc import Sequence

from alarmd.errors import Forbidden
from alarmd.model.caller import Caller
from alarmd.model.results import AlarmResults
from alarmd.policy import Action, Policy, require
from alarmd.store.database import Database


class ResultService:
    """Shows what evaluators have counted. Safe to use from several threads."""

    def __init__(self, *, database: Database, policy: Policy, is_enabled: bool) -> None:
        self._database = database
        self._policy = policy
        self._is_enabled = is_enabled

    def find(self, caller: Caller, *, all_projects: bool, marker: str | None, limit: int) -> Sequence[AlarmResults]:
        """Return the results of the alarms of the caller's project, or of all, by their ids from the marker on.

        Raises `Forbidden`, also while nothing is counted at all, and `StoreUnavailable`.
        """
        if not self._is_enabled:
            raise Forbidden("metrics endpoint is disabled")
        require(self._policy, Action.GET_METRICS_OF_ALL_PROJECTS if all_projects else Action.GET_METRICS, caller)
        with self._database.read() as unit:
            return unit.counters.find(
                project_id=None if all_projects else caller.project_id, marker=marker, limit=limit
            )
