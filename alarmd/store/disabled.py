# SPDX-License-Identifier: Apache-2.0
"""Targets that have said that they are gone: an alarm's actions for them are not taken until it is written anew."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, bindparam, delete, select, text, update

from alarmd.model.alarm import ActingAlarm, Alarm, AlarmId
from alarmd.model.history import AlarmChange, ChangeType
from alarmd.model.notification import DeliveryState, Notification, Settlement, target_of
from alarmd.store.bulk import insert_rows
from alarmd.store.columns import storable
from alarmd.store.history import HistoryRepository
from alarmd.store.rows import alarm_of, lane_of
from alarmd.store.tables import alarms, disabled_targets, outbox

#: How many alarms or notifications are looked at in one piece.
_CHUNK = 1_000
#: What waits in nobody's hands. Written out, not bound, and each by itself: only then can the partial indexes be used.
_WAITING = (text(f"state = '{DeliveryState.PENDING}' AND lease_until IS NULL"), text(f"state = '{DeliveryState.HELD}'"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DisabledAction:
    """An action of an alarm that is not taken."""

    #: As the alarm has it.
    action: str
    #: What its receiver said.
    reason: str
    disabled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Disabled:
    """What became of targets that have said that they are gone."""

    #: How many were not disabled before.
    targets: int = 0
    #: How many notifications waited for them, and were given up.
    buried: int = 0

    def __add__(self, other: "Disabled") -> "Disabled":
        return Disabled(targets=self.targets + other.targets, buried=self.buried + other.buried)


class DisabledTargetRepository:
    """Reads and writes disabled targets within one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def disable(self, settlements: Sequence[Settlement]) -> Disabled:
        """Disable the targets of some notifications for their alarms; return what that has changed.

        The history of the alarms says so, and what else waits for these targets is buried. What the alarm no longer
        has among its actions is passed over. To be called before anything else locks rows of the outbox: alarms
        come first everywhere.
        """
        disabled = Disabled()
        ordered = sorted(settlements, key=lambda settlement: settlement.event_id)
        for start in range(0, len(ordered), _CHUNK):
            disabled += self._disable({each.event_id: each for each in ordered[start : start + _CHUNK]})
        return disabled

    def clear(self, alarm_id: AlarmId) -> bool:
        """Have an alarm take all of its actions again; return whether there were any that it did not take."""
        statement = delete(disabled_targets).where(disabled_targets.c.alarm_id == alarm_id)
        return self._connection.execute(statement).rowcount > 0

    def of(self, alarm: Alarm) -> list[DisabledAction]:
        """Return the actions of an alarm that are not taken, in the order in which they stand there."""
        statement = select(disabled_targets).where(disabled_targets.c.alarm_id == alarm.alarm_id)
        rows = {row["lane"]: row for row in self._connection.execute(statement).mappings()}
        return [
            DisabledAction(action=action, reason=rows[lane]["reason"], disabled_at=rows[lane]["disabled_at"])
            for lane, action in _actions_of(alarm).items()
            if lane in rows
        ]

    def any(self) -> bool:
        """Return whether any target of any alarm is disabled."""
        return self._connection.execute(select(disabled_targets.c.lane).limit(1)).first() is not None

    def lanes_of(self, alarm_ids: Collection[AlarmId]) -> set[str]:
        """Return the lanes of some alarms that nothing is sent through."""
        found: set[str] = set()
        for chunk in _chunks(sorted(alarm_ids)):
            statement = select(disabled_targets.c.lane).where(disabled_targets.c.alarm_id.in_(chunk))
            found.update(self._connection.execute(statement).scalars())
        return found

    def _disable(self, settlements: Mapping[str, Settlement]) -> Disabled:
        wanted = select(outbox.c.event_id, outbox.c.alarm_id, outbox.c.lane).where(outbox.c.event_id.in_(settlements))
        rows = self._connection.execute(wanted).mappings().all()
        ids = sorted({row["alarm_id"] for row in rows})
        locked = select(alarms).where(alarms.c.alarm_id.in_(ids)).order_by(alarms.c.alarm_id).with_for_update()
        stored = {row["alarm_id"]: alarm_of(row) for row in self._connection.execute(locked).mappings()}
        known = self.lanes_of(stored)
        new: list[dict[str, Any]] = []
        changes: list[AlarmChange] = []
        for row in rows:
            alarm, settlement = stored.get(row["alarm_id"]), settlements[row["event_id"]]
            action = _actions_of(alarm).get(row["lane"]) if alarm else None
            if alarm is None or action is None or row["lane"] in known:
                continue
            known.add(row["lane"])
            new.append(
                {
                    "lane": row["lane"],
                    "alarm_id": alarm.alarm_id,
                    "reason": storable(settlement.last_error),
                    "disabled_at": settlement.at,
                }
            )
            changes.append(_change(alarm, action, settlement))
        insert_rows(self._connection, disabled_targets, new)
        HistoryRepository(self._connection).add_all(changes)
        return Disabled(targets=len(new), buried=self._bury_waiting(new))

    def _bury_waiting(self, disabled: Sequence[Mapping[str, Any]]) -> int:
        """Give up what waits for targets that were just disabled, but for what is being sent; return how many."""
        if not disabled:
            return 0
        rows = [
            {
                "gone": row["lane"],
                "gone_at": row["disabled_at"],
                "gone_reason": f"not sent, since its target is disabled: {row['reason']}",
            }
            for row in disabled
        ]
        buried = 0
        for waits in _WAITING:
            statement = (
                update(outbox)
                .where(outbox.c.lane == bindparam("gone"), waits)
                .values(
                    state=str(DeliveryState.BURIED),
                    finished_at=bindparam("gone_at"),
                    last_error=bindparam("gone_reason"),
                )
            )
            buried += self._connection.execute(statement, rows).rowcount
        return buried


class Disabling:
    """Knows which notifications of a unit of work are for targets that are disabled."""

    def __init__(self, repository: DisabledTargetRepository) -> None:
        self._repository = repository
        self._lanes: set[str] = set()
        # Mostly there are none, and thousands of alarms need not be looked up.
        self._are_some = repository.any()

    def learn(self, found: Collection[ActingAlarm]) -> None:
        """Read which targets of some alarms are disabled."""
        if not self._are_some:
            return
        self._lanes |= self._repository.lanes_of([alarm.alarm_id for alarm in found])

    def action_of(self, alarm: ActingAlarm, notification: Notification) -> str | None:
        """Return the action that a notification is for, as its alarm has it, if its target is disabled."""
        lane = lane_of(alarm.alarm_id, notification.target) if self._lanes else ""
        return _actions_of(alarm).get(lane) if lane in self._lanes else None


def _actions_of(alarm: ActingAlarm) -> dict[str, str]:
    """Return every action of an alarm by its lane."""
    every = (*alarm.alarm_actions, *alarm.ok_actions, *alarm.insufficient_data_actions)
    return {lane_of(alarm.alarm_id, target_of(action, alarm.trust_id)): action for action in every}


def _change(alarm: Alarm, action: str, settlement: Settlement) -> AlarmChange:
    return AlarmChange(
        event_id=str(uuid4()),
        alarm_id=alarm.alarm_id,
        # One of the four types that Aodh's clients know.
        type=ChangeType.RULE_CHANGE,
        detail={"disabled_actions": [action], "reason": storable(settlement.last_error)},
        user_id="",
        project_id="",
        on_behalf_of=alarm.project_id,
        timestamp=settlement.at,
        severity=None,
    )


def _chunks(ids: Sequence[AlarmId]) -> Iterator[Sequence[AlarmId]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
