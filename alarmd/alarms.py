# SPDX-License-Identifier: Apache-2.0
"""What may be asked of alarms, by whom, and what follows from it. Knows no HTTP.

Every change is one unit of work: the alarm and its history, and on deletion the queue too. Doorbells ring after the
commit, so whoever wakes up sees the change.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from alarmd.clock import Clock
from alarmd.cluster.doorbell import Bell, Doorbell
from alarmd.errors import Forbidden, InvalidInput, NotFound, Unauthorized
from alarmd.model.alarm import NOT_EVALUATED_REASON, SET_BY_API_REASON, Alarm, AlarmId, Severity, State
from alarmd.model.caller import Caller
from alarmd.model.history import AlarmChange, ChangeType, detail_of
from alarmd.model.notification import DeliveryState, Notification
from alarmd.model.rule import RuleType
from alarmd.model.shard import shard_of
from alarmd.store.alarms import AlarmQuery
from alarmd.store.columns import is_storable
from alarmd.store.database import Database, UnitOfWork
from alarmd.store.history import HistoryQuery
from alarmd.store.outbox import OutboxQuery

#: Schemes that reach into alarmd itself and not out to a receiver; for admins only.
_INWARD_SCHEMES = frozenset({"log", "test"})

#: Why a value is refused that no database stores and no receiver could read.
_NO_TEXT = "Value should be text without NUL and without half surrogate pairs."

_DELETED_REASON = "the alarm was deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmDraft:
    """An alarm as a client wants it. What is None was not given and gets its default."""

    name: str
    type: str
    rule: Mapping[str, Any]
    #: Derived from the rule when empty.
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
    #: What the client had read before it changed something; tells an echoed state from a wanted one.
    state_timestamp: datetime | None = None
    evaluate_timestamp: datetime | None = None


class AlarmService:
    """Creates, changes, deletes and finds alarms on behalf of a caller. Safe to use from several threads.

    Every method may raise `Forbidden` (the role is missing), `Unauthorized` (another's project, user or a scheme for
    admins), `NotFound` (also for what belongs to another project), `InvalidInput` and `StoreUnavailable`.
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
        """Take the URL schemes that can be delivered, and what refuses their targets (by raising `TargetRefused`).

        `max_actions` bounds each list of actions; 0 means no bound.
        """
        self._database = database
        self._rule_types = rule_types
        self._schemes = schemes
        self._check_target = check_target
        self._doorbell = doorbell
        self._clock = clock
        self._max_actions = max_actions

    def create(self, draft: AlarmDraft, caller: Caller) -> Alarm:
        """Create an alarm. No action is taken, whatever state it starts in."""
        _permit(caller.may_write)
        _own(caller, draft.project_id, draft.user_id)
        now = self._clock.now()
        alarm = self._drafted(
            draft,
            caller,
            alarm_id=AlarmId(str(uuid4())),
            project_id=caller.project_id if draft.project_id is None else draft.project_id,
            user_id=caller.user_id if draft.user_id is None else draft.user_id,
            timestamp=now,
            state=State.INSUFFICIENT_DATA if draft.state is None else draft.state,
            state_reason=NOT_EVALUATED_REASON,
            state_timestamp=now,
            evaluate_timestamp=draft.evaluate_timestamp or now,
        )
        for target in _targets_of(alarm):
            self._check_target(target)
        with self._database.write() as unit:
            alarm = unit.alarms.add(alarm)
            detail = detail_of(alarm)
            _record(unit, alarm, caller, ChangeType.CREATION, detail=detail, at=now, severity=alarm.severity)
        self._doorbell.ring(Bell.ALARMS)
        return alarm

    def get(self, alarm_id: str, caller: Caller) -> Alarm:
        """Return one alarm."""
        with self._database.read() as unit:
            alarm = _visible(unit, alarm_id, caller)
        _permit(caller.may_read)
        return alarm

    def find(self, query: AlarmQuery, caller: Caller, *, all_projects: bool = False) -> list[Alarm]:
        """Return alarms of the caller's project; an admin may ask for another project, or for all.

        An admin who acts for no project sees all of them.
        """
        _permit(caller.may_read)
        _permit(caller.is_admin or not all_projects)
        _own(caller, query.project_id, None)
        if query.project_id is None and not all_projects and caller.project_id:
            query = replace(query, project_id=caller.project_id)
        with self._database.read() as unit:
            return unit.alarms.find(query)

    def replace(self, alarm_id: str, draft: AlarmDraft, caller: Caller) -> Alarm:
        """Replace an alarm's whole definition and return it as it is then.

        What the draft leaves out goes back to its default, the state too (by hand, so no action is taken). Two things
        stay: `evaluate_timestamp`, and the state when the draft merely echoes one that has changed meanwhile, which
        its `state_timestamp` tells. A draft that changes nothing leaves no trace.
        """
        now = self._clock.now()
        before = self._get_for_change(alarm_id, caller)
        alarm = self._redrafted(before, draft, caller, now)
        # Before the row is locked: what plugins check is theirs, and may take a while.
        for target in _targets_of(alarm) - _targets_of(before):
            self._check_target(target)
        with self._database.write() as unit:
            before = _visible(unit, alarm_id, caller, for_update=True)
            alarm = self._redrafted(before, draft, caller, now)
            old, new = detail_of(before), detail_of(alarm)
            changed = {
                key: value
                for key, value in new.items()
                if old[key] != value and key not in {"timestamp", "state_timestamp"}
            }
            if not changed and alarm.evaluate_timestamp == before.evaluate_timestamp:
                return before
            alarm = unit.alarms.replace(alarm)
            if changed:
                severity = alarm.severity if "severity" in changed else None
                _record(unit, alarm, caller, ChangeType.RULE_CHANGE, detail=changed, at=now, severity=severity)
        self._doorbell.ring(Bell.ALARMS)
        return alarm

    def delete(self, alarm_id: str, caller: Caller) -> None:
        """Delete an alarm. Its history stays; what waits to be sent is given up, unless it is being sent right now."""
        now = self._clock.now()
        with self._database.write() as unit:
            alarm = _visible(unit, alarm_id, caller, for_update=True)
            _permit(caller.may_write)
            unit.alarms.remove(alarm.alarm_id, now)
            unit.outbox.bury_waiting(alarm.alarm_id, reason=_DELETED_REASON, now=now)
            detail = detail_of(alarm)
            _record(unit, alarm, caller, ChangeType.DELETION, detail=detail, at=now, severity=alarm.severity)
        self._doorbell.ring(Bell.ALARMS)

    def set_state(self, alarm_id: str, state: State, caller: Caller) -> Alarm:
        """Set an alarm's state by hand; no action is taken. Its history says so even when nothing changes."""
        now = self._clock.now()
        with self._database.write() as unit:
            before = _visible(unit, alarm_id, caller, for_update=True)
            _permit(caller.may_write)
            alarm = replace(before, state=state, state_reason=SET_BY_API_REASON, state_timestamp=now)
            alarm = unit.alarms.replace(alarm)
            detail = {"state": str(state), "state_reason": SET_BY_API_REASON}
            _record(unit, alarm, caller, ChangeType.STATE_TRANSITION, detail=detail, at=now, severity=None)
        self._doorbell.ring(Bell.ALARMS)
        return alarm

    def history(self, alarm_id: str, query: HistoryQuery, caller: Caller) -> list[AlarmChange]:
        """Return what was recorded about an alarm that exists; to others than admins, in their own project."""
        with self._database.read() as unit:
            _visible(unit, alarm_id, caller)
            _permit(caller.may_read)
            _own(caller, query.project_id, None)
            _own(caller, query.on_behalf_of, None)
            scope = query.on_behalf_of if caller.is_admin else caller.project_id
            return unit.history.find(replace(query, alarm_id=alarm_id, on_behalf_of=scope))

    def deliveries(self, query: OutboxQuery, caller: Caller) -> list[Notification]:
        """Return notifications: of the caller's project; to an admin, of all projects unless narrowed."""
        _permit(caller.may_read)
        _own(caller, query.project_id, None)
        if not caller.is_admin:
            query = replace(query, project_id=caller.project_id)
        with self._database.read() as unit:
            return unit.outbox.find(query)

    def retry_delivery(self, event_id: str, caller: Caller) -> Notification:
        """Put a buried notification back in the queue and return it."""
        with self._database.write() as unit:
            notification = unit.outbox.get(event_id)
            if notification is None or not _may_see(caller, notification.project_id):
                raise NotFound(f"Delivery {event_id} not found", event_id=event_id)
            _permit(caller.may_write)
            now = self._clock.now()
            if not unit.outbox.retry(event_id, now):
                state = notification.state
                raise InvalidInput(
                    f"Delivery {event_id} is {state}; only one that is {DeliveryState.BURIED} is retried"
                )
        self._doorbell.ring(Bell.OUTBOX)
        return replace(notification, state=DeliveryState.PENDING, next_attempt_at=now, finished_at=None)

    def _get_for_change(self, alarm_id: str, caller: Caller) -> Alarm:
        """Return one alarm to a caller that is about to change it."""
        with self._database.read() as unit:
            alarm = _visible(unit, alarm_id, caller)
        _permit(caller.may_write)
        return alarm

    def _redrafted(self, before: Alarm, draft: AlarmDraft, caller: Caller, now: datetime) -> Alarm:
        state = State.INSUFFICIENT_DATA if draft.state is None else draft.state
        if draft.state is not None and draft.state_timestamp not in {None, before.state_timestamp}:
            state = before.state
        turned = state is not before.state
        owner = (draft.project_id, draft.user_id) if caller.is_admin else (caller.project_id, caller.user_id)
        return self._drafted(
            draft,
            caller,
            alarm_id=before.alarm_id,
            project_id=before.project_id if owner[0] is None else owner[0],
            user_id=before.user_id if owner[1] is None else owner[1],
            timestamp=now,
            state=state,
            state_reason=SET_BY_API_REASON if turned else before.state_reason,
            state_timestamp=now if turned else before.state_timestamp,
            evaluate_timestamp=draft.evaluate_timestamp or before.evaluate_timestamp,
        )

    def _drafted(
        self, draft: AlarmDraft, caller: Caller, *, alarm_id: AlarmId, project_id: str, user_id: str, **kept: Any
    ) -> Alarm:
        """Return what a draft asks for, checked and complete."""
        for field, value in (("name", draft.name), ("description", draft.description), *_owner(project_id, user_id)):
            if value is not None and not is_storable(value):
                raise _invalid(field, value, _NO_TEXT)
        if draft.time_constraints:
            raise _invalid("time_constraints", list(draft.time_constraints), "Time constraints are not supported yet.")
        rule_type = self._rule_types.get(draft.type)
        if rule_type is None:
            raise _invalid("type", draft.type, f"Value should be one of: {', '.join(sorted(self._rule_types))}")
        rule = rule_type.normalise(draft.rule, project_id=project_id)
        if not is_storable(rule):
            raise _invalid(f"{draft.type}_rule", dict(draft.rule), _NO_TEXT)
        reads = rule_type.reads_project(rule, project_id=project_id)
        if reads != project_id:
            _own(caller, reads, None)
        return Alarm(
            alarm_id=alarm_id,
            name=draft.name,
            description=draft.description or rule_type.describe(rule),
            enabled=True if draft.enabled is None else draft.enabled,
            type=draft.type,
            rule=rule,
            project_id=project_id,
            user_id=user_id,
            severity=draft.severity or Severity.LOW,
            ok_actions=self._actions("ok_actions", draft.ok_actions, caller),
            alarm_actions=self._actions("alarm_actions", draft.alarm_actions, caller),
            insufficient_data_actions=self._actions(
                "insufficient_data_actions", draft.insufficient_data_actions, caller
            ),
            repeat_actions=bool(draft.repeat_actions),
            time_constraints=(),
            shard=shard_of(reads),
            **kept,
        )

    def _actions(self, field: str, urls: tuple[str, ...] | None, caller: Caller) -> tuple[str, ...]:
        kept = tuple(dict.fromkeys(urls or ()))
        if 0 < self._max_actions < len(kept):
            raise InvalidInput(f"{field} count exceeds maximum value {self._max_actions}")
        for url in kept:
            scheme = _scheme_of(url)
            if scheme in _INWARD_SCHEMES and not caller.is_admin:
                raise Unauthorized(f"You are not authorized to create action: {url}")
            if scheme not in self._schemes:
                raise InvalidInput(f"Unsupported action {url}")
        return kept


def _record(
    unit: UnitOfWork,
    alarm: Alarm,
    caller: Caller,
    kind: ChangeType,
    *,
    detail: Mapping[str, Any],
    at: datetime,
    severity: Severity | None,
) -> None:
    change = AlarmChange(
        event_id=str(uuid4()),
        alarm_id=alarm.alarm_id,
        type=kind,
        detail=detail,
        user_id=caller.user_id,
        project_id=caller.project_id,
        on_behalf_of=alarm.project_id,
        timestamp=at,
        severity=severity,
    )
    unit.history.add(change)


def _visible(unit: UnitOfWork, alarm_id: str, caller: Caller, *, for_update: bool = False) -> Alarm:
    alarm = unit.alarms.get(alarm_id, for_update=for_update)
    if alarm is None or not _may_see(caller, alarm.project_id):
        raise NotFound(f"Alarm {alarm_id} not found", alarm_id=alarm_id)
    return alarm


def _may_see(caller: Caller, project_id: str) -> bool:
    return caller.is_admin or caller.project_id == project_id


def _permit(allowed: bool) -> None:  # noqa: FBT001  # reads as a sentence: permit what the caller may
    if not allowed:
        raise Forbidden("RBAC Authorization Failed")


def _own(caller: Caller, project_id: str | None, user_id: str | None) -> None:
    """Refuse another's project or user to everybody but admins."""
    if caller.is_admin:
        return
    if project_id is not None and project_id != caller.project_id:
        raise Unauthorized(f"Not Authorized to access project {project_id}")
    if user_id is not None and user_id != caller.user_id:
        raise Unauthorized(f"Not Authorized to access user {user_id}")


def _owner(project_id: str, user_id: str) -> tuple[tuple[str, str], ...]:
    return ("project_id", project_id), ("user_id", user_id)


def _targets_of(alarm: Alarm) -> set[str]:
    """Return the receivers outside of alarmd that an alarm may call."""
    urls = {*alarm.ok_actions, *alarm.alarm_actions, *alarm.insufficient_data_actions}
    return {url for url in urls if _scheme_of(url) not in _INWARD_SCHEMES}


def _scheme_of(url: str) -> str:
    """Return the scheme of an action's URL; raises `InvalidInput` for what is no URL."""
    try:
        # What `urlsplit` would quietly drop or change must not get through: actions are kept byte for byte.
        readable = is_storable(url) and url.isprintable() and " " not in url
        scheme = urlsplit(url).scheme if readable else None
    except ValueError:
        scheme = None
    if scheme is None:
        raise InvalidInput(f"Unable to parse action {url}")
    return scheme


def _invalid(field: str, value: Any, detail: str) -> InvalidInput:
    return InvalidInput(f"Invalid input for field/attribute {field}. Value: '{value}'. {detail}", field=field)
