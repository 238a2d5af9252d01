# SPDX-License-Identifier: Apache-2.0
"""Searches with conditions put together freely: what of them a caller gets to see."""

from dataclasses import replace

from alarmd.alarms.reach import refuse_others
from alarmd.model.alarm import Alarm
from alarmd.model.caller import Caller
from alarmd.model.history import AlarmChange
from alarmd.policy import Action, Policy, is_admin, require
from alarmd.store.database import Database
from alarmd.store.expression import In, Search, leaves


def find_alarms(database: Database, policy: Policy, search: Search, caller: Caller) -> list[Alarm]:
    """Return alarms of the caller's project; of all projects to an admin, without asking for that."""
    require(policy, Action.QUERY_ALARM, caller)
    search = _within_reach(policy, search, caller, owner="project_id")
    with database.read() as unit:
        return unit.alarms.query(search)


def find_changes(database: Database, policy: Policy, search: Search, caller: Caller) -> list[AlarmChange]:
    """Return what was recorded about alarms of the caller's project, of any project to an admin; of deleted ones too.

    A project here is the one that owned the alarm when the change was made.
    """
    require(policy, Action.QUERY_ALARM_HISTORY, caller)
    search = _within_reach(policy, search, caller, owner="on_behalf_of")
    with database.read() as unit:
        return unit.history.query(search)


def _within_reach(policy: Policy, search: Search, caller: Caller, *, owner: str) -> Search:
    """Confine a search to the caller's project, unless the caller is an admin.

    Who compares the owner with anything but its own project is told so. The answer would be empty anyway, or that of
    the own project; but to ask for another project is mostly a mistake, and Aodh says so too.
    """
    if is_admin(policy, caller):
        return search
    for leaf in leaves(search.expression) if search.expression is not None else ():
        if leaf.field == owner:
            for value in leaf.values if isinstance(leaf, In) else (leaf.value,):
                refuse_others(policy, caller, project_id=str(value))
    return replace(search, project_id=caller.project_id)
