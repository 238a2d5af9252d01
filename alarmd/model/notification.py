# SPDX-License-Identifier: Apache-2.0
"""Notifications: what waits in the outbox until a receiver has taken it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from alarmd.model.alarm import ActingAlarm, AlarmId
from alarmd.model.direction import Direction
from alarmd.model.trace import of_project
from alarmd.model.transition import Transition

EventId = NewType("EventId", str)

#: What indexes of databases can hold, in characters.
_LONGEST_ORIGIN = 300

#: Where the host and the port of a URL end.
_REST = re.compile(r"[/?#]")


class DeliveryState(StrEnum):
    """Where a notification stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    #: Given up, with a reason; an operator may retry it.
    BURIED = "buried"
    #: A newer state of the same alarm for the same target made it pointless while it waited for a retry.
    SUPERSEDED = "superseded"
    #: Not delivered before its `not_after`: an order to scale that is late does harm.
    EXPIRED = "expired"
    #: Kept back while the breaker of the installation is open; becomes one of the others when it closes.
    HELD = "held"
    #: Never sent, since a silence was in force when it came up.
    SILENCED = "silenced"
    #: Taken out by an operator.
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One action of one transition, on its way to one target."""

    #: The same over all tries and for ever unique; sent as `webhook-id`.
    event_id: EventId
    alarm_id: AlarmId
    project_id: str
    #: Number of the notification within its alarm; never goes back.
    sequence: int
    #: The action's URL, byte for byte as the client gave it, with the id of the alarm's trust where a user's name
    #: stands if it is a `trust+…` one. A bearer secret: never logged.
    target: str
    #: Aodh's webhook body.
    body: Mapping[str, Any]
    created_at: datetime
    #: Whether it makes a group larger or smaller.
    direction: Direction = Direction.NEUTRAL
    #: When it is too late to send it; None: as long as the retry policy goes on.
    not_after: datetime | None = None
    #: Name of the signing secret of the project; empty for the project's default.
    signing_secret: str = ""
    #: When the newest sample behind it was taken, where there was one.
    sampled_at: datetime | None = None
    #: W3C `traceparent` of what brought that sample; empty when there is none.
    traceparent: str = ""
    state: DeliveryState = DeliveryState.PENDING
    #: Tries that have ended.
    attempts: int = 0
    next_attempt_at: datetime
    #: HTTP status of the last try, when there was an answer.
    last_status: int | None = None
    #: What went wrong at the last try; empty when nothing did.
    last_error: str = ""
    #: When it reached its final state.
    finished_at: datetime | None = None

    @property
    def told(self) -> str | None:
        """The state of the alarm that it tells; None where its body has been spoilt."""
        told = self.body.get("current")
        return told if isinstance(told, str) else None

    @property
    def is_repeat(self) -> bool:
        """Whether it says no more than that the alarm is still in its state; an event is news each time."""
        data = self.body.get("reason_data")
        is_event = isinstance(data, Mapping) and data.get("type") == "event"
        return self.told is not None and self.told == self.body.get("previous") and not is_event


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What has become of a claimed notification after a try; written back to the outbox."""

    event_id: EventId
    #: `PENDING` postpones it to `next_attempt_at`; any other state is final.
    state: DeliveryState
    next_attempt_at: datetime
    last_status: int | None
    last_error: str
    at: datetime
    #: The target wants to hear no more: the alarm's action for it is not taken until the alarm is written anew.
    disables_target: bool = False


def event_id_of(alarm_id: AlarmId, sequence: int, index: int) -> EventId:
    """Return the id of the index-th action of an alarm's notification.

    It is computed, not drawn, so one transition can never go out under two ids. It holds no dot, as Standard
    Webhooks asks.
    """
    return EventId(f"{alarm_id}_{sequence}_{index}")


def notifications_of(alarm: ActingAlarm, transition: Transition, *, sequence: int) -> list[Notification]:
    """Return the notifications that a transition of the alarm calls for, one an action of the new state."""
    body = {
        "alarm_id": alarm.alarm_id,
        "alarm_name": alarm.name,
        "severity": str(alarm.severity),
        "previous": str(transition.previous),
        "current": str(transition.current),
        "reason": transition.reason,
        "reason_data": dict(transition.reason_data),
    }
    direction = alarm.direction_of(transition.current)
    return [
        Notification(
            event_id=event_id_of(alarm.alarm_id, sequence, index),
            alarm_id=alarm.alarm_id,
            project_id=alarm.project_id,
            sequence=sequence,
            target=target_of(action, alarm.trust_id),
            body=body,
            created_at=transition.at,
            next_attempt_at=transition.at,
            direction=direction,
            signing_secret=alarm.signing_secret,
            sampled_at=transition.sampled_at,
            traceparent=of_project(transition.traceparent, alarm.project_id),
        )
        for index, action in enumerate(alarm.actions_for(transition.current))
    ]


def origin_of(target: str) -> str:
    """Return what takes the notifications for a target: scheme, host and port, lower case and without credentials.

    Targets of one origin share its capacity and its troubles. It holds no secret.
    """
    scheme, _, rest = target.partition(":")
    authority = _REST.split(rest.removeprefix("//"), maxsplit=1)[0].rpartition("@")[2]
    return f"{scheme.lower().removeprefix('trust+')}://{authority.lower()}"[:_LONGEST_ORIGIN]


def target_of(action: str, trust_id: str) -> str:
    """Return where the notifications for an action go.

    A trust, which no view of the alarm shows, is named in the target alone.
    """
    scheme, _, rest = action.partition(":")
    if not (trust_id and scheme.lower().startswith("trust+")):
        return action
    return f"{scheme}://{trust_id}@{rest.removeprefix('//')}"


def stands_for(target: str, action: str) -> bool:
    """Return whether a target is that of an action, whatever the trust."""
    if target == action:
        return True
    scheme, _, rest = target.partition("://")
    return scheme.lower().startswith("trust+") and action == f"{scheme}://{rest.partition('@')[2]}"
