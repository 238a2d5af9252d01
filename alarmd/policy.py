# SPDX-License-Identifier: Apache-2.0
"""Who may do what: Aodh's rules as a small table, and the seam behind which a site may put its own."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from alarmd.errors import Forbidden
from alarmd.model.caller import Caller


class Action(StrEnum):
    """What may be allowed or not, by the names that policy files use."""

    #: Whether the caller acts in every project. Who does not is confined to its own project and user.
    ADMIN = "context_is_admin"
    GET_ALARM = "telemetry:get_alarm"
    GET_ALARMS = "telemetry:get_alarms"
    GET_ALARMS_OF_ALL_PROJECTS = "telemetry:get_alarms:all_projects"
    QUERY_ALARM = "telemetry:query_alarm"
    CREATE_ALARM = "telemetry:create_alarm"
    CHANGE_ALARM = "telemetry:change_alarm"
    DELETE_ALARM = "telemetry:delete_alarm"
    GET_ALARM_STATE = "telemetry:get_alarm_state"
    CHANGE_ALARM_STATE = "telemetry:change_alarm_state"
    ALARM_HISTORY = "telemetry:alarm_history"
    QUERY_ALARM_HISTORY = "telemetry:query_alarm_history"
    GET_QUOTAS = "telemetry:get_quotas"
    UPDATE_QUOTAS = "telemetry:update_quotas"
    DELETE_QUOTAS = "telemetry:delete_quotas"
    GET_METRICS = "telemetry:get_metrics"
    GET_METRICS_OF_ALL_PROJECTS = "telemetry:get_metrics:all_projects"
    # alarmd's own.
    PUSH_SAMPLES = "alarmd:push_samples"
    PUSH_EVENTS = "alarmd:push_events"
    GET_SERIES = "alarmd:get_series"
    GET_DELIVERIES = "alarmd:get_deliveries"
    RETRY_DELIVERY = "alarmd:retry_delivery"
    GET_BREAKER = "alarmd:get_breaker"
    GET_SILENCES = "alarmd:get_silences"
    CREATE_SILENCE = "alarmd:create_silence"
    END_SILENCE = "alarmd:end_silence"
    DROP_DELIVERY = "alarmd:drop_delivery"
    GET_SECRETS = "alarmd:get_secrets"
    CREATE_SECRET = "alarmd:create_secret"  # noqa: S105  # the name of a rule
    ROTATE_SECRET = "alarmd:rotate_secret"  # noqa: S105  # the name of a rule
    DELETE_SECRET = "alarmd:delete_secret"  # noqa: S105  # the name of a rule


class Policy(Protocol):
    """Decides what a caller may do. Safe to use from several threads."""

    def allows(self, action: Action, caller: Caller, *, project_id: str | None = None) -> bool:
        """Return whether a caller may do something in a project; None means the caller's own."""


#: The role that an action takes in its project; who has the role `admin` may do everything everywhere.
_ROLES: Mapping[Action, str] = {
    Action.ADMIN: "admin",
    Action.GET_ALARM: "reader",
    Action.GET_ALARMS: "reader",
    Action.GET_ALARMS_OF_ALL_PROJECTS: "admin",
    Action.QUERY_ALARM: "reader",
    Action.CREATE_ALARM: "member",
    Action.CHANGE_ALARM: "member",
    Action.DELETE_ALARM: "member",
    Action.GET_ALARM_STATE: "reader",
    Action.CHANGE_ALARM_STATE: "member",
    Action.ALARM_HISTORY: "reader",
    Action.QUERY_ALARM_HISTORY: "reader",
    Action.GET_QUOTAS: "reader",
    Action.UPDATE_QUOTAS: "admin",
    Action.DELETE_QUOTAS: "admin",
    Action.GET_METRICS: "reader",
    Action.GET_METRICS_OF_ALL_PROJECTS: "admin",
    Action.GET_BREAKER: "reader",
    Action.PUSH_SAMPLES: "member",
    Action.PUSH_EVENTS: "member",
    Action.GET_SERIES: "reader",
    Action.GET_DELIVERIES: "reader",
    Action.RETRY_DELIVERY: "member",
    Action.GET_SILENCES: "reader",
    Action.CREATE_SILENCE: "member",
    Action.END_SILENCE: "member",
    Action.DROP_DELIVERY: "member",
    Action.GET_SECRETS: "reader",
    Action.CREATE_SECRET: "member",
    Action.ROTATE_SECRET: "member",
    Action.DELETE_SECRET: "member",
}


def role_of(action: Action) -> str:
    """Return the role that an action takes by default."""
    return _ROLES[action]


class TablePolicy:
    """The default: a role an action, in the caller's own project. No role implies another."""

    def allows(self, action: Action, caller: Caller, *, project_id: str | None = None) -> bool:
        if caller.has_role("admin"):
            return True
        own = bool(caller.project_id) and project_id in {None, caller.project_id}
        return own and role_of(action) != "admin" and caller.has_role(role_of(action))


def is_admin(policy: Policy, caller: Caller) -> bool:
    """Return whether a caller acts in every project."""
    return policy.allows(Action.ADMIN, caller)


def require(policy: Policy, action: Action, caller: Caller, *, project_id: str | None = None) -> None:
    """Raise `Forbidden` unless a caller may do something; in Aodh's words, which its clients know."""
    if not policy.allows(action, caller, project_id=project_id):
        raise Forbidden("RBAC Authorization Failed", action=str(action))
