# SPDX-License-Identifier: Apache-2.0
"""What a caller can see and name: everything for an admin, its own project and user for everybody else."""

from alarmd.errors import NotFound, Unauthorized
from alarmd.model.alarm import Alarm
from alarmd.model.caller import Caller
from alarmd.policy import Policy, is_admin
from alarmd.store.database import UnitOfWork


def visible_alarm(
    unit: UnitOfWork, policy: Policy, alarm_id: str, caller: Caller, *, for_update: bool = False
) -> Alarm:
    """Return an alarm; raises `NotFound` also for what belongs to another project, whose existence is hidden."""
    alarm = unit.alarms.get(alarm_id, for_update=for_update)
    if alarm is None or not sees(policy, caller, alarm.project_id):
        raise NotFound(f"Alarm {alarm_id} not found", alarm_id=alarm_id)
    return alarm


def sees(policy: Policy, caller: Caller, project_id: str) -> bool:
    """Return whether a caller can see what belongs to a project."""
    return caller.project_id == project_id or is_admin(policy, caller)


def refuse_others(policy: Policy, caller: Caller, *, project_id: str | None = None, user_id: str | None = None) -> None:
    """Raise `Unauthorized` when somebody names another's project or user and is no admin; None names nobody."""
    foreign_project = project_id is not None and project_id != caller.project_id
    foreign_user = user_id is not None and user_id != caller.user_id
    if not (foreign_project or foreign_user) or is_admin(policy, caller):
        return
    named = f"project {project_id}" if foreign_project else f"user {user_id}"
    raise Unauthorized(f"Not Authorized to access {named}")
