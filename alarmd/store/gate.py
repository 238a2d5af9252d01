# SPDX-License-Identifier: Apache-2.0
"""The gate: what becomes of a notification when its transition is stored; most of them just wait to be sent.

It is read once a unit of work, whatever the number of transitions, and judges them in memory.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeAlias

from alarmd.model.alarm import ActingAlarm, AlarmId
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState, Notification
from alarmd.model.silence import OpenHours, ReadHours
from alarmd.model.transition import Transition
from alarmd.store.breaker import BreakerRepository, HoldingBack
from alarmd.store.disabled import DisabledTargetRepository, Disabling
from alarmd.store.silences import SilenceRepository
from alarmd.store.silencing import Silencing, silenced


def _nobody_reads(_constraints: Sequence[Mapping[str, Any]]) -> OpenHours:
    raise RuntimeError("there are recurring silences, and GateLimits.read_hours is not set")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """What the operator says about notifications."""

    #: After how many seconds it is too late to send them, by their direction; those left out are sent at any time.
    expire_after_s: Mapping[Direction, float] = field(default_factory=dict)
    #: Reads the time constraints of silences.
    read_hours: ReadHours = _nobody_reads


#: Returns a notification of an alarm as it goes into the outbox, None when it is left out; leaves alone what is no
#: longer to be sent.
Check: TypeAlias = Callable[[ActingAlarm, Notification], Notification | None]
#: Reads at once what a check will need of some alarms.
Reader: TypeAlias = Callable[[Collection[ActingAlarm]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Judges the notifications of one unit of work."""

    checks: tuple[Check, ...] = ()
    readers: tuple[Reader, ...] = ()
    #: What the history says of a transition's notifications beside its usual words, by alarm; plain JSON.
    remarks: dict[AlarmId, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        limits: GateLimits,
        silences: SilenceRepository,
        disabled_targets: DisabledTargetRepository,
        breaker: BreakerRepository,
        transitions: Sequence[Transition],
    ) -> "Gate":
        """Return the gate for some transitions as the operator and the database have it now."""
        if not transitions:
            return cls()
        moments = [transition.at for transition in transitions]
        silencing = Silencing(silences, since=min(moments), until=max(moments), read_hours=limits.read_hours)
        disabling = Disabling(disabled_targets)
        holding_back = HoldingBack(breaker, now=max(moments))
        remarks: dict[AlarmId, dict[str, Any]] = {}
        return cls(
            checks=(_disabled(disabling, remarks), _expiry(limits), _silence(silencing, remarks), holding_back.judge),
            readers=(disabling.learn, silencing.learn, holding_back.learn),
            remarks=remarks,
        )

    def learn(self, alarms: Collection[ActingAlarm]) -> None:
        """Read what it takes to judge the notifications of some alarms."""
        for read in self.readers:
            read(alarms)

    def judge(self, alarm: ActingAlarm, notification: Notification) -> Notification | None:
        """Return a notification as it goes into the outbox; None when it does not."""
        judged: Notification | None = notification
        for check in self.checks:
            if judged is None:
                return None
            judged = check(alarm, judged)
        return judged


def _disabled(disabling: Disabling, remarks: dict[AlarmId, dict[str, Any]]) -> Check:
    def check(alarm: ActingAlarm, notification: Notification) -> Notification | None:
        action = disabling.action_of(alarm, notification)
        if action is None:
            return notification
        # Not as a delivery that was never made: the alarm may repeat itself every minute for ever.
        remarks.setdefault(alarm.alarm_id, {}).setdefault("left_out_actions", []).append(action)
        return None

    return check


def _expiry(limits: GateLimits) -> Check:
    def check(_alarm: ActingAlarm, notification: Notification) -> Notification:
        after_s = limits.expire_after_s.get(notification.direction)
        if after_s is None:
            return notification
        return replace(notification, not_after=notification.created_at + timedelta(seconds=after_s))

    return check


def _silence(silencing: Silencing, remarks: dict[AlarmId, dict[str, Any]]) -> Check:
    def check(alarm: ActingAlarm, notification: Notification) -> Notification:
        if notification.state is not DeliveryState.PENDING:
            return notification
        silence = silencing.silence_for(alarm, notification)
        if silence is None:
            return notification
        remarks.setdefault(alarm.alarm_id, {})["silenced_by"] = silence.silence_id
        return silenced(notification, silence)

    return check
