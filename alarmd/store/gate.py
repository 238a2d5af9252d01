# SPDX-License-Identifier: Apache-2.0
"""The gate: what becomes of a notification when its transition is stored; most of them just wait to be sent.

It is read once a unit of work, whatever the number of transitions, and judges them in memory.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeAlias

from alarmd.model.alarm import Alarm
from alarmd.model.direction import Direction
from alarmd.model.notification import Notification


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """What the operator says about notifications."""

    #: After how many seconds it is too late to send them, by their direction; those left out are sent at any time.
    expire_after_s: Mapping[Direction, float] = field(default_factory=dict)


#: Returns a notification of an alarm as it goes into the outbox.
Check: TypeAlias = Callable[[Alarm, Notification], Notification]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Judges the notifications of one unit of work."""

    checks: tuple[Check, ...] = ()

    @classmethod
    def of(cls, limits: GateLimits) -> "Gate":
        """Return the gate as the operator and the database have it now."""
        return cls(checks=(_expiry(limits),))

    def judge(self, alarm: Alarm, notification: Notification) -> Notification:
        """Return a notification as it goes into the outbox."""
        for check in self.checks:
            notification = check(alarm, notification)
        return notification


def _expiry(limits: GateLimits) -> Check:
    def check(_alarm: Alarm, notification: Notification) -> Notification:
        after_s = limits.expire_after_s.get(notification.direction)
        if after_s is None:
            return notification
        return replace(notification, not_after=notification.created_at + timedelta(seconds=after_s))

    return check
