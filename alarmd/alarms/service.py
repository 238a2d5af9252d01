# SPDX-License-Identifier: Apache-2.0
"""What may be asked of alarms, and what follows from it.

Every change is one unit of work: the alarm and its history, and on deletion the queue too. Doorbells ring after the
commit, so whoever wakes up sees the change.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from alarmd.alarms.actions import needs_new_trust, needs_trust
from alarmd.alarms.drafting import AlarmDraft, Drafting
from alarmd.alarms.queries import find_alarms, find_changes
from alarmd.alarms.quotas import QuotaService
from alarmd.alarms.reach import refuse_others, visible_alarm
from alarmd.alarms.reasons import told_now
from alarmd.alarms.references import ReferenceRules
from alarmd.alarms.secrets import check_signing_secret
from alarmd.alarms.trusts import TrustKeeper
from alarmd.clock import Clock
from alarmd.cluster.doorbell import Bell, Doorbell
from alarmd.errors import AlarmdError, Outdated
from alarmd.model.alarm import SET_BY_API_REASON, Alarm, Severity, State
from alarmd.model.caller import Caller
from alarmd.model.history import AlarmChange, ChangeType, changes_between, detail_of
from alarmd.model.notification import DeliveryState
from alarmd.policy import Action, Policy, is_admin, require
from alarmd.store.alarms import AlarmQuery
from alarmd.store.database import Database, UnitOfWork
from alarmd.store.expression import Search
from alarmd.store.history import HistoryQuery
from alarmd.telemetry import NOTIFICATIONS

_DELETED_REASON = "the alarm was deleted"
#: What of an alarm says which actions are wanted.
_WANTS = frozenset({"enabled", "ok_actions", "alarm_actions", "insufficient_data_actions"})


class AlarmService:
    """Creates, changes, deletes and finds alarms on behalf of a caller. Safe to use from several threads.

    Every method may raise `Forbidden` (the role is missing), `Unauthorized` (another's project, user or a scheme for
    admins), `NotFound` (also for what belongs to another project), `InvalidInput` and `StoreUnavailable`. Those that
    change an alarm take the versions (`Alarm.version`) that the caller is willing to change, and raise `Outdated` when
    the alarm is at another; None means any.
    """

    def __init__(
        self,
        *,
        database: Database,
        drafting: Drafting,
        quotas: QuotaService,
        trusts: TrustKeeper,
        policy: Policy,
        doorbell: Doorbell,
        clock: Clock,
    ) -> None:
        self._database = database
        self._drafting = drafting
        self._quotas = quotas
        self._trusts = trusts
        self._references = ReferenceRules(rule_types=drafting.rule_types, policy=policy)
        self._policy = policy
        self._doorbell = doorbell
        self._clock = clock

    def create(self, draft: AlarmDraft, caller: Caller) -> Alarm:
        """Create an alarm. No action is taken, whatever state it starts in."""
        require(self._policy, Action.CREATE_ALARM, caller)
        now = self._clock.now()
        alarm = self._drafting.new(draft, caller, now)
        self._drafting.actions.check_targets(alarm)
        if needs_trust(alarm):
            alarm = replace(alarm, trust_id=self._trusts.create(caller))
        try:
            with self._database.write() as unit:
                check_signing_secret(unit, alarm, now)
                alarm = unit.alarms.add(alarm)
                self._references.keep(unit, alarm, caller)
                self._quotas.hold(unit, alarm)
                _record(
                    unit, alarm, caller, ChangeType.CREATION, detail=detail_of(alarm), at=now, severity=alarm.severity
                )
        except AlarmdError:
            self._end_trust(alarm.trust_id, caller)
            raise
        self._doorbell.ring(Bell.ALARMS)
        return alarm

    def drafted(self, draft: AlarmDraft, caller: Caller) -> Alarm:
        """Return the alarm that would be created, checked like one that is; nothing is stored."""
        require(self._policy, Action.CREATE_ALARM, caller)
        alarm = self._drafting.new(draft, caller, self._clock.now())
        self._drafting.actions.check_targets(alarm)
        with self._database.read() as unit:
            self._references.check(unit, alarm, caller)
            check_signing_secret(unit, alarm, alarm.timestamp)
        return alarm

    def get(self, alarm_id: str, caller: Caller, *, action: Action = Action.GET_ALARM) -> Alarm:
        """Return one alarm; the action says what of it is wanted."""
        with self._database.read() as unit:
            alarm = visible_alarm(unit, self._policy, alarm_id, caller)
        require(self._policy, action, caller, project_id=alarm.project_id)
        return told_now(self._drafting.rule_types, alarm)

    def find(self, query: AlarmQuery, caller: Caller, *, all_projects: bool = False) -> list[Alarm]:
        """Return alarms of the caller's project; an admin may ask for another project, or for all.

        An admin who acts for no project sees all of them.
        """
        require(self._policy, Action.GET_ALARMS, caller)
        if all_projects:
            require(self._policy, Action.GET_ALARMS_OF_ALL_PROJECTS, caller)
        refuse_others(self._policy, caller, project_id=query.project_id)
        everywhere = all_projects or (not caller.project_id and is_admin(self._policy, caller))
        if query.project_id is None and not everywhere:
            query = replace(query, project_id=caller.project_id)
        with self._database.read() as unit:
            found = unit.alarms.find(query)
        return [told_now(self._drafting.rule_types, alarm) for alarm in found]

    def replace(
        self, alarm_id: str, draft: AlarmDraft, caller: Caller, *, versions: frozenset[str] | None = None
    ) -> Alarm:
        """Replace an alarm's whole definition and return it as it is then (see `Drafting.changed`).

        A new state is set by hand, so no action is taken. A draft that changes nothing leaves no trace.
        """
        now = self._clock.now()
        before = self.get(alarm_id, caller, action=Action.CHANGE_ALARM)
        # Before the row is locked: what plugins and other servers say may take a while.
        wanted = self._drafting.changed(before, draft, caller, now)
        self._drafting.actions.check_targets(wanted, before=before)
        new_trust = self._trusts.create(caller) if needs_new_trust(wanted, before=before, caller=caller) else ""
        try:
            with self._database.write() as unit:
                before = self._changeable(unit, alarm_id, caller, Action.CHANGE_ALARM, versions)
                alarm = self._drafting.changed(before, draft, caller, now)
                check_signing_secret(unit, alarm, now, before=before)
                alarm = replace(alarm, trust_id=_trust_of(alarm, before, new_trust, caller))
                alarm, given_up = self._store(unit, before, alarm, caller, now)
        except AlarmdError:
            self._end_trust(new_trust, caller)
            raise
        _count_given_up(given_up)
        if alarm is not before:
            self._doorbell.ring(Bell.ALARMS)
        for trust_id in {before.trust_id, new_trust} - {alarm.trust_id}:
            self._end_trust(trust_id, caller)
        return told_now(self._drafting.rule_types, alarm)

    def delete(
        self, alarm_id: str, caller: Caller, *, versions: frozenset[str] | None = None, cascade: bool = False
    ) -> None:
        """Delete an alarm. Its history stays; what waits to be sent is given up, unless it is being sent right now.

        Raises `Conflict` while other alarms refer to it; with `cascade` these are deleted too, and so on.
        """
        now = self._clock.now()
        given_up = 0
        with self._database.write() as unit:
            doomed = self._doomed(unit, alarm_id, caller, versions, cascade=cascade)
            for alarm in doomed:
                unit.alarms.remove(alarm.alarm_id, now)
            # By now the shard is locked, so nobody can begin to refer to them any more.
            self._references.release(unit, doomed, caller)
            for alarm in doomed:
                given_up += unit.outbox.bury_waiting(alarm.alarm_id, reason=_DELETED_REASON, now=now)
                detail, severity = detail_of(alarm), alarm.severity
                _record(unit, alarm, caller, ChangeType.DELETION, detail=detail, at=now, severity=severity)
        _count_given_up(given_up)
        self._doorbell.ring(Bell.ALARMS)
        for alarm in doomed:
            self._end_trust(alarm.trust_id, caller)

    def set_state(
        self, alarm_id: str, state: State, caller: Caller, *, versions: frozenset[str] | None = None
    ) -> Alarm:
        """Set an alarm's state by hand; no action is taken. Its history says so even when nothing changes."""
        now = self._clock.now()
        with self._database.write() as unit:
            before = self._changeable(unit, alarm_id, caller, Action.CHANGE_ALARM_STATE, versions)
            alarm = replace(before, state=state, state_reason=SET_BY_API_REASON, state_timestamp=now)
            alarm = unit.alarms.replace(alarm)
            detail = {"state": str(state), "state_reason": SET_BY_API_REASON}
            _record(unit, alarm, caller, ChangeType.STATE_TRANSITION, detail=detail, at=now, severity=None)
        self._doorbell.ring(Bell.ALARMS)
        return alarm

    def history(self, alarm_id: str, query: HistoryQuery, caller: Caller) -> list[AlarmChange]:
        """Return what was recorded about an alarm that exists; to others than admins, in their own project."""
        with self._database.read() as unit:
            alarm = visible_alarm(unit, self._policy, alarm_id, caller)
            require(self._policy, Action.ALARM_HISTORY, caller, project_id=alarm.project_id)
            refuse_others(self._policy, caller, project_id=query.project_id)
            refuse_others(self._policy, caller, project_id=query.on_behalf_of)
            scope = query.on_behalf_of if is_admin(self._policy, caller) else caller.project_id
            return unit.history.find(replace(query, alarm_id=alarm_id, on_behalf_of=scope))

    def query(self, search: Search, caller: Caller) -> list[Alarm]:
        """Return the alarms that a search asks for (see `find_alarms`)."""
        found = find_alarms(self._database, self._policy, search, caller)
        return [told_now(self._drafting.rule_types, alarm) for alarm in found]

    def query_history(self, search: Search, caller: Caller) -> list[AlarmChange]:
        """Return the changes that a search asks for (see `find_changes`)."""
        return find_changes(self._database, self._policy, search, caller)

    def _doomed(
        self, unit: UnitOfWork, alarm_id: str, caller: Caller, versions: frozenset[str] | None, *, cascade: bool
    ) -> list[Alarm]:
        """Return an alarm that is about to be deleted, and with `cascade` behind it those that refer to it; locked."""
        if not cascade:
            return [self._changeable(unit, alarm_id, caller, Action.DELETE_ALARM, versions)]
        visible_alarm(unit, self._policy, alarm_id, caller)
        # Locked in the order of their ids, as everybody does.
        ids = sorted({alarm_id, *self._references.all_referring(unit, alarm_id)})
        found = [unit.alarms.get(one, for_update=True) for one in ids]
        alarm = self._changeable(unit, alarm_id, caller, Action.DELETE_ALARM, versions)
        others = [one for one in found if one is not None and one.alarm_id != alarm_id]
        self._references.check_deletion(alarm, others, caller)
        return [alarm, *others]

    def _changeable(
        self, unit: UnitOfWork, alarm_id: str, caller: Caller, action: Action, versions: frozenset[str] | None
    ) -> Alarm:
        """Return an alarm, locked, to a caller that is about to change it."""
        alarm = visible_alarm(unit, self._policy, alarm_id, caller, for_update=True)
        require(self._policy, action, caller, project_id=alarm.project_id)
        if versions is not None and alarm.version not in versions:
            raise Outdated(
                f"Alarm {alarm_id} is at version {alarm.version} now; read it again before you change it.",
                version=alarm.version,
            )
        return alarm

    def _store(self, unit: UnitOfWork, before: Alarm, alarm: Alarm, caller: Caller, now: datetime) -> tuple[Alarm, int]:
        """Write what a draft has changed, with its history; return the alarm from before when that is nothing.

        Returns, too, how much of what waits to be sent was given up by that.
        """
        changed = changes_between(before, alarm)
        if unit.disabled_targets.clear(before.alarm_id):
            # Whoever writes an alarm means all of its actions, even one whose receiver was gone.
            changed["disabled_actions"] = []
        is_same_unseen = (alarm.evaluate_timestamp, alarm.trust_id) == (before.evaluate_timestamp, before.trust_id)
        if not changed and is_same_unseen:
            return before, 0
        alarm = unit.alarms.replace(alarm)
        given_up = 0 if _WANTS.isdisjoint(changed) else unit.outbox.bury_unwanted(alarm, now=now)
        self._references.keep(unit, alarm, caller, before=before)
        self._quotas.hold(unit, alarm, before=before)
        if changed:
            severity = alarm.severity if "severity" in changed else None
            _record(unit, alarm, caller, ChangeType.RULE_CHANGE, detail=changed, at=now, severity=severity)
        return alarm, given_up

    def _end_trust(self, trust_id: str, caller: Caller) -> None:
        if trust_id:
            self._trusts.delete(trust_id, caller)


def _count_given_up(count: int) -> None:
    if count:
        NOTIFICATIONS.labels(outcome=str(DeliveryState.BURIED), reason="alarm").inc(count)


def _trust_of(alarm: Alarm, before: Alarm, new_trust: str, caller: Caller) -> str:
    """Return the trust for an alarm's actions: the one it had where that will do, else the new one, made beforehand."""
    if not needs_new_trust(alarm, before=before, caller=caller):
        return before.trust_id if needs_trust(alarm) else ""
    if not new_trust:
        raise Outdated(f"Alarm {alarm.alarm_id} was changed by somebody else just now; read it again.")
    return new_trust


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
