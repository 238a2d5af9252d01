# SPDX-License-Identifier: Apache-2.0
"""Transitions: state, history and outgoing notifications of a whole tick in one transaction.

What each of them moves: the state version by one (repeats included, so of two evaluators that decide on the same repeat
only one sends it), and the sequence by one if the alarm has an action to take. A repeat changes nothing else and leaves
no history, unless it is news (`Transition.is_news`). The definition is never written, so an edit cannot be undone from
here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any
from uuid import uuid4

from sqlalchemy import select

from alarmd.model.alarm import ActingAlarm, AlarmId
from alarmd.model.history import AlarmChange, ChangeType
from alarmd.model.notification import DeliveryState, Notification, notifications_of
from alarmd.model.transition import Transition
from alarmd.store.bulk import update_rows
from alarmd.store.columns import storable
from alarmd.store.database import UnitOfWork
from alarmd.store.evidence import bounded
from alarmd.store.gate import Gate, GateLimits
from alarmd.store.rows import acting_alarm_of
from alarmd.store.silencing import give_way
from alarmd.store.tables import alarms

#: How many alarms are looked at in one piece.
_CHUNK = 1_000

_NO_LIMITS = GateLimits()

#: What it takes to act, and no more: of 10,000 alarms, reading everything would take a tenth of a second longer.
_READ = select(*(alarms.c[each.name] for each in fields(ActingAlarm)))


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedTransition:
    """A transition that took effect, and what the alarm's counters are now."""

    alarm_id: AlarmId
    state_version: int
    sequence: int
    #: How many notifications were put in the outbox.
    notifications: int
    #: How many of them are there for the record only, since a silence is in force.
    silenced: int = 0
    #: How many older ones give way to what is silenced, though it is never sent.
    superseded: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of the transitions of a tick."""

    #: By alarm_id.
    applied: list[AppliedTransition]
    #: Alarms that are gone, disabled, edited or moved on meanwhile: to be read again.
    stale: list[AlarmId]


def apply(unit: UnitOfWork, transitions: Sequence[Transition], *, limits: GateLimits = _NO_LIMITS) -> Applied:
    """Make transitions true where the alarm still is what they were decided on; leave the others alone.

    Everything becomes visible, or nothing, when the unit of work is committed. Of several transitions of one alarm the
    first counts and the others are stale. What becomes of their notifications is for the gate to say, within `limits`.
    """
    gate = Gate.of(limits, unit.silences, unit.disabled_targets, unit.breaker, transitions)
    result = Applied(applied=[], stale=[])
    wanted: dict[AlarmId, Transition] = {}
    for transition in transitions:
        if wanted.setdefault(transition.alarm_id, transition) is not transition:
            result.stale.append(transition.alarm_id)
    for chunk in _chunks(sorted(wanted)):
        _apply_chunk(unit, {alarm_id: wanted[alarm_id] for alarm_id in chunk}, gate, result)
    return result


def announce(unit: UnitOfWork, alarm_ids: Sequence[AlarmId]) -> bool:
    """Have evaluators hear of states that others than they have changed; return whether there is anything to hear.

    Only alarms that others refer to are given a new revision: a rule that refers to an alarm counts its stored state.
    Comes last in its unit of work: it locks shards, so that nobody begins to refer to one of these alarms meanwhile.
    """
    if not alarm_ids:
        return False
    unit.alarms.lock_shards(alarm_ids)
    heard = unit.references.referred_to(alarm_ids)
    unit.alarms.announce(sorted(heard))
    return bool(heard)


def _apply_chunk(unit: UnitOfWork, wanted: dict[AlarmId, Transition], gate: Gate, result: Applied) -> None:
    # Rows are locked in the order of their ids, chunk after chunk, so that two evaluators never wait for each other.
    statement = _READ.where(alarms.c.alarm_id.in_(list(wanted))).order_by(alarms.c.alarm_id).with_for_update()
    found = [acting_alarm_of(row) for row in unit.connection.execute(statement).mappings()]
    stored = {alarm.alarm_id: alarm for alarm in found}
    gate.learn(stored.values())
    states: list[dict[str, Any]] = []
    changes: list[AlarmChange] = []
    notifications: list[Notification] = []
    for alarm_id, transition in wanted.items():
        alarm = stored.get(alarm_id)
        if alarm is None or not _still_holds(alarm, transition):
            result.stale.append(alarm_id)
            continue
        judged = [gate.judge(alarm, one) for one in notifications_of(alarm, transition, sequence=alarm.sequence + 1)]
        outgoing = [one for one in judged if one is not None]
        notifications += outgoing
        done = AppliedTransition(
            alarm_id=alarm_id,
            state_version=alarm.state_version + 1,
            sequence=alarm.sequence + bool(outgoing),
            notifications=len(outgoing),
            silenced=sum(one.state is DeliveryState.SILENCED for one in outgoing),
        )
        result.applied.append(done)
        states.append(_state_values(alarm, transition, done))
        if transition.is_news or not transition.is_repeat:
            changes.append(_change(alarm, transition, gate.remarks.get(alarm_id, {})))
    update_rows(unit.connection, alarms, key="alarm_id", rows=states)
    unit.history.add_all(changes)
    unit.outbox.add(notifications)
    given_way = give_way(unit.connection, notifications)
    if given_way:
        result.applied[:] = [
            replace(one, superseded=given_way[one.alarm_id]) if one.alarm_id in given_way else one
            for one in result.applied
        ]


def _still_holds(alarm: ActingAlarm, transition: Transition) -> bool:
    return (
        alarm.enabled
        and alarm.revision == transition.revision
        and alarm.state_version == transition.state_version
        and alarm.state is transition.previous
    )


def _state_values(alarm: ActingAlarm, transition: Transition, done: AppliedTransition) -> dict[str, Any]:
    stays = transition.is_repeat
    return {
        "alarm_id": alarm.alarm_id,
        "state": str(transition.current),
        "state_reason": alarm.state_reason if stays else storable(transition.reason),
        "state_timestamp": alarm.state_timestamp if stays else transition.at,
        "state_version": done.state_version,
        "sequence": done.sequence,
    }


def _change(alarm: ActingAlarm, transition: Transition, remarks: Mapping[str, Any]) -> AlarmChange:
    return AlarmChange(
        event_id=str(uuid4()),
        alarm_id=alarm.alarm_id,
        type=ChangeType.STATE_TRANSITION,
        detail={"state": str(transition.current), "transition_reason": storable(transition.reason), **remarks},
        user_id="",
        project_id="",
        on_behalf_of=alarm.project_id,
        timestamp=transition.at,
        severity=alarm.severity,
        evidence=bounded(transition.evidence) if transition.evidence else None,
    )


def _chunks(alarm_ids: Sequence[AlarmId]) -> Iterator[Sequence[AlarmId]]:
    for start in range(0, len(alarm_ids), _CHUNK):
        yield alarm_ids[start : start + _CHUNK]
