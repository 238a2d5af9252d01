# SPDX-License-Identifier: Apache-2.0
"""What may be asked of silences: to begin one, see them, end one.

A project keeps its own alarms quiet, an administrator those of any project or of all. Everybody sees what concerns
them: the silences of their project, and those of all projects.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from alarmd.alarms.drafting import NormaliseConstraints
from alarmd.alarms.reach import refuse_others, sees, visible_alarm
from alarmd.clock import Clock
from alarmd.complaints import invalid
from alarmd.errors import Forbidden, InvalidInput, NotFound, Unauthorized
from alarmd.model.alarm import AlarmId
from alarmd.model.caller import Caller
from alarmd.model.direction import Direction
from alarmd.model.silence import ReadHours, Silence, SilenceId, SilenceState
from alarmd.policy import Action, Policy, is_admin, require
from alarmd.store.database import Database, UnitOfWork
from alarmd.store.silences import SilenceQuery

#: The author where nobody has a name: on loopback, the administrator.
NAMELESS = "administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceDraft:
    """A silence as a client wants it. What is None was not given."""

    comment: str
    #: Of this project; None: of the alarm's, or the caller's own.
    project_id: str | None = None
    all_projects: bool = False
    alarm_id: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    direction: Direction | None = None
    #: Whether all alarms are meant; has to be said, since it is what is left when everything else is forgotten.
    everything: bool = False
    #: None: now.
    starts_at: datetime | None = None
    #: One of these two.
    ends_at: datetime | None = None
    duration_s: int | None = None
    time_constraints: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceLimits:
    """The bounds of silences."""

    #: From beginning to end, however often it recurs.
    longest_s: float = 30 * 86400.0
    #: How many of a project, and of all projects together, may be there that are not over.
    most: int = 100


class SilenceService:
    """Begins, shows and ends silences on behalf of a caller. Safe to use from several threads.

    Every method may raise `Forbidden`, `Unauthorized`, `NotFound`, `InvalidInput` and `StoreUnavailable`.
    """

    def __init__(
        self,
        *,
        database: Database,
        policy: Policy,
        normalise_constraints: NormaliseConstraints,
        read_hours: ReadHours,
        limits: SilenceLimits,
        clock: Clock,
    ) -> None:
        self._database = database
        self._policy = policy
        self._normalise_constraints = normalise_constraints
        self._read_hours = read_hours
        self._limits = limits
        self._clock = clock

    def create(self, draft: SilenceDraft, caller: Caller) -> Silence:
        """Begin a silence, or have it begin later. What has been queued for delivery before goes out all the same."""
        require(self._policy, Action.CREATE_SILENCE, caller)
        self._check_meaning(draft, caller)
        now = self._clock.now()
        starts_at, ends_at = self._times(draft, now)
        constraints = self._normalise_constraints(draft.time_constraints)
        with self._database.write() as unit:
            project_id = self._project_of(unit, draft, caller)
            require(self._policy, Action.CREATE_SILENCE, caller, project_id=project_id)
            silence = Silence(
                silence_id=SilenceId(str(uuid4())),
                project_id=project_id,
                author=caller.user_id or NAMELESS,
                comment=draft.comment,
                alarm_id=None if draft.alarm_id is None else AlarmId(draft.alarm_id),
                labels=draft.labels,
                direction=draft.direction,
                starts_at=starts_at,
                ends_at=ends_at,
                time_constraints=constraints,
                created_at=now,
            )
            unit.silences.lock(project_id)
            if unit.silences.count(project_id, unfinished_at=now) >= self._limits.most:
                whose = "all projects have" if project_id is None else f"project {project_id} has"
                raise Forbidden(
                    f"{whose} {self._limits.most} silences that are not over, and more are not allowed (setting "
                    "api.project_silence_quota): end some of them first.",
                    limit=self._limits.most,
                )
            unit.silences.add(silence)
        return silence

    def find(self, query: SilenceQuery, caller: Caller, *, with_ended: bool = False) -> list[Silence]:
        """Return silences, newest first: those that concern the caller's project; to an admin, all of them."""
        require(self._policy, Action.GET_SILENCES, caller)
        refuse_others(self._policy, caller, project_id=query.project_id)
        if not is_admin(self._policy, caller):
            query = replace(query, project_id=caller.project_id)
        if not with_ended:
            query = replace(query, unfinished_at=self._clock.now())
        with self._database.read() as unit:
            return unit.silences.find(query)

    def get(self, silence_id: str, caller: Caller) -> Silence:
        """Return one silence, over or not."""
        require(self._policy, Action.GET_SILENCES, caller)
        with self._database.read() as unit:
            return self._visible(unit, silence_id, caller)

    def end(self, silence_id: str, caller: Caller) -> Silence:
        """Have a silence be over from now on and return it; fine when it is over already."""
        now = self._clock.now()
        with self._database.write() as unit:
            silence = self._visible(unit, silence_id, caller)
            if silence.project_id is None and not is_admin(self._policy, caller):
                raise Unauthorized("Not Authorized to end silences of all projects")
            require(self._policy, Action.END_SILENCE, caller, project_id=silence.project_id)
            ended_by = caller.user_id or NAMELESS
            if not unit.silences.end(silence.silence_id, at=now, by=ended_by):
                return silence
        return replace(silence, ends_at=now, ended_by=ended_by)

    def state_of(self, silence: Silence) -> SilenceState:
        """Return where a silence stands now."""
        return silence.state_at(self._clock.now(), self._read_hours)

    def trouble_of(self, silence: Silence) -> str | None:
        """Return why a silence that is not over keeps nothing back, if that is so."""
        return silence.trouble(self._clock.now(), self._read_hours)

    def _check_meaning(self, draft: SilenceDraft, caller: Caller) -> None:
        """Refuse what means nothing in particular, unless an administrator says that it means everything."""
        is_narrow = draft.alarm_id is not None or bool(draft.labels) or draft.direction is not None
        admin = is_admin(self._policy, caller)
        if draft.everything and is_narrow:
            raise invalid(
                "everything", value=True, detail="Value should be false where alarm_id, labels or direction are given"
            )
        if draft.everything and not admin:
            raise Forbidden("Only administrators silence everything: name an alarm_id, labels or a direction.")
        if not draft.everything and not is_narrow:
            hint = ', or say "everything": true' if admin else ""
            raise InvalidInput(f"The silence is about nothing: name an alarm_id, labels or a direction{hint}.")
        if draft.all_projects and not admin:
            raise Unauthorized("Not Authorized to silence all projects")
        if draft.all_projects and (draft.alarm_id is not None or draft.project_id is not None):
            raise invalid(
                "all_projects", value=True, detail="Value should be false where an alarm_id or a project_id is given"
            )

    def _times(self, draft: SilenceDraft, now: datetime) -> tuple[datetime, datetime]:
        """Return when a silence begins and ends; a beginning that is past is now."""
        if (draft.ends_at is None) == (draft.duration_s is None):
            raise InvalidInput("A silence has an end: give either ends_at or duration (seconds), and not both.")
        starts_at = now if draft.starts_at is None else max(draft.starts_at, now)
        ends_at = draft.ends_at or starts_at + timedelta(seconds=draft.duration_s or 0)
        if ends_at <= starts_at:
            raise invalid("ends_at", ends_at.isoformat(), f"Value should be later than {starts_at.isoformat()}")
        if (ends_at - starts_at).total_seconds() > self._limits.longest_s:
            raise invalid(
                "ends_at",
                ends_at.isoformat(),
                f"A silence lasts {self._limits.longest_s:.0f} seconds at most (setting api.max_silence_s)",
            )
        return starts_at, ends_at

    def _project_of(self, unit: UnitOfWork, draft: SilenceDraft, caller: Caller) -> str | None:
        if draft.all_projects:
            return None
        refuse_others(self._policy, caller, project_id=draft.project_id)
        if draft.alarm_id is None:
            return caller.project_id if draft.project_id is None else draft.project_id
        alarm = visible_alarm(unit, self._policy, draft.alarm_id, caller)
        if draft.project_id not in {None, alarm.project_id}:
            raise invalid("project_id", draft.project_id, f"The alarm is of project {alarm.project_id}")
        return alarm.project_id

    def _visible(self, unit: UnitOfWork, silence_id: str, caller: Caller) -> Silence:
        silence = unit.silences.get(silence_id)
        if silence is None or not (silence.project_id is None or sees(self._policy, caller, silence.project_id)):
            raise NotFound(f"Silence {silence_id} not found", silence_id=silence_id)
        return silence
