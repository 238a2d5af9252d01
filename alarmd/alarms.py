# SPDX-License-Identifier: Apache-2.0
"""What may be asked of alarms, by whom, and what follows from it. Knows no HTTP."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alarmd.clock import Clock
from alarmd.cluster.doorbell import Doorbell
from alarmd.model.alarm import Alarm, Severity, State
from alarmd.model.history import AlarmChange
from alarmd.model.notification import Notification
from alarmd.model.rule import RuleType
from alarmd.store.alarms import AlarmQuery
from alarmd.store.database import Database
from alarmd.store.history import HistoryQuery
from alarmd.store.outbox import OutboxQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks."""

    project_id: str
    user_id: str
    #: Compared without regard to case.
    roles: frozenset[str]

    @property
    def is_admin(self) -> bool:
        """Whether the caller may do everything in every project."""

    @property
    def may_read(self) -> bool:
        """Whether the caller may look at the alarms of its project."""

    @property
    def may_write(self) -> bool:
        """Whether the caller may change the alarms of its project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmDraft:
    """An alarm as a client wants it. What is None was not given and gets its default."""

    name: str
    type: str
    rule: Mapping[str, Any]
    description: str | None = None
    enabled: bool | None = None
    severity: Severity | None = None
    ok_actions: tuple[str, ...] | None = None
    alarm_actions: tuple[str, ...] | None = None
    insufficient_data_actions: tuple[str, ...] | None = None
    repeat_actions: bool | None = None
    time_constraints: tuple[Mapping[str, Any], ...] | None = None
    project_id: str | None = None
    user_id: str | None = None
    state: State | None = None
    #: What the client read before it changed something; tells an echoed state from a wanted one.
    state_timestamp: datetime | None = None
    evaluate_timestamp: datetime | None = None


class AlarmService:
    """Creates, changes, deletes and finds alarms on behalf of a caller. Safe to use from several threads.

    Every method may raise `Forbidden`, `NotFound`, `Unauthorized`, `InvalidInput` and `StoreUnavailable`.
    """

    def __init__(
        self,
        *,
        database: Database,
        rule_types: Mapping[str, RuleType],
        schemes: frozenset[str],
        check_target: Callable[[str], None],
        doorbell: Doorbell,
        clock: Clock,
        max_actions: int,
    ) -> None:
        pass

    def create(self, draft: AlarmDraft, caller: Caller) -> Alarm:
        """Create an alarm."""

    def get(self, alarm_id: str, caller: Caller) -> Alarm:
        """Return one alarm."""

    def find(self, query: AlarmQuery, caller: Caller, *, all_projects: bool = False) -> list[Alarm]:
        """Return alarms: of the caller's project, unless an admin asks for another or for all."""

    def replace(self, alarm_id: str, draft: AlarmDraft, caller: Caller) -> Alarm:
        """Replace an alarm's whole definition and return it as it is then."""

    def delete(self, alarm_id: str, caller: Caller) -> None:
        """Delete an alarm. Its history stays; what still waits to be sent is given up."""

    def set_state(self, alarm_id: str, state: State, caller: Caller) -> Alarm:
        """Set an alarm's state by hand. No action is taken."""

    def history(self, alarm_id: str, query: HistoryQuery, caller: Caller) -> list[AlarmChange]:
        """Return what was recorded about an alarm that exists."""

    def deliveries(self, query: OutboxQuery, caller: Caller) -> list[Notification]:
        """Return notifications: of the caller's project, an admin's of all projects unless narrowed."""

    def retry_delivery(self, event_id: str, caller: Caller) -> Notification:
        """Put a buried notification back in the queue and return it."""
