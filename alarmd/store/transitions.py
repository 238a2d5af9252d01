# SPDX-License-Identifier: Apache-2.0
"""Transitions: state, history and outgoing notifications of a whole tick in one transaction.

What each of them moves: the state version by one (repeats included, so of two evaluators that decide on the same repeat
only one sends it), and the sequence by one if the alarm has an action to take. A repeat changes nothing else and leaves
no history, unless it is news (`Transition.is_news`). The definition is never written, so an edit cannot be undone from
here.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, RowMapping

from alarmd.model.alarm import ActingAlarm, AlarmId
from alarmd.model.history import AlarmChange, ChangeType
from alarmd.model.notification import DeliveryState, Notification, notifications_of
from alarmd.model.transition import Transition
from alarmd.store.beside import beside
from alarmd.store.bulk import Write, updating
from alarmd.store.columns import storable
from alarmd.store.database import UnitOfWork
from alarmd.store.evidence import bounded
from alarmd.store.gate import Gate, GateLimits
from alarmd.store.meant import READ_ACTING
from alarmd.store.rows import acting_alarm_of
from alarmd.store.tables import alarms

#: How many alarms are looked at in one piece.
_CHUNK = 1_000
_ID_BYTES = 16

_NO_LIMITS = GateLimits()


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
    #: How many older ones give way to them.
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
    # Rows are locked in the order of their ids, chunk after chunk, so that two evaluators never wait for each other.
    chunks = list(_chunks(sorted(wanted)))
    given_way: Counter[AlarmId] = Counter()
    with beside(pieces=len(chunks)) as do:
        found = [do(partial(_rows, unit.connection, chunk)) for chunk in chunks]
        stored = {alarm.alarm_id: alarm for rows in found for alarm in map(acting_alarm_of, rows())}
        # All rows are there, so nobody else uses the connection.
        gate.learn(stored.values())
        for chunk in chunks:
            piece = _piece([wanted[alarm_id] for alarm_id in chunk], stored, gate, result)
            do(_spelt(unit, piece, given_way))
    if given_way:
        result.applied[:] = [
            replace(one, superseded=given_way[one.alarm_id]) if one.alarm_id in given_way else one
            for one in result.applied
        ]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """What the transitions of some alarms write."""

    #: Of those that enter a state, and of those that only repeat one.
    states: list[dict[str, Any]] = field(default_factory=list)
    repeats: list[dict[str, Any]] = field(default_factory=list)
    changes: list[AlarmChange] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)


def _rows(connection: Connection, alarm_ids: Sequence[AlarmId]) -> Sequence[RowMapping]:
    statement = READ_ACTING.where(alarms.c.alarm_id.in_(alarm_ids)).order_by(alarms.c.alarm_id).with_for_update()
    # All at once: to fetch row by row takes twice as long.
    return connection.execute(statement).mappings().all()


def _piece(
    transitions: Sequence[Transition], stored: Mapping[AlarmId, ActingAlarm], gate: Gate, result: Applied
) -> _Piece:
    piece = _Piece()
    event_ids = _event_ids(len(transitions))
    for transition in transitions:
        alarm = stored.get(transition.alarm_id)
        if alarm is None or not _still_holds(alarm, transition):
            result.stale.append(transition.alarm_id)
            continue
        judged = [gate.judge(alarm, one) for one in notifications_of(alarm, transition, sequence=alarm.sequence + 1)]
        outgoing = [one for one in judged if one is not None]
        piece.notifications.extend(outgoing)
        done = AppliedTransition(
            alarm_id=alarm.alarm_id,
            state_version=alarm.state_version + 1,
            sequence=alarm.sequence + bool(outgoing),
            notifications=len(outgoing),
            silenced=sum(one.state is DeliveryState.SILENCED for one in outgoing),
        )
        result.applied.append(done)
        reason = storable(transition.reason)
        if transition.is_repeat:
            piece.repeats.append(_counters(done))
        else:
            entered = {"state": str(transition.current), "state_reason": reason, "state_timestamp": transition.at}
            piece.states.append(_counters(done) | entered)
        if transition.is_news or not transition.is_repeat:
            remarks = gate.remarks.get(alarm.alarm_id, {})
            piece.changes.append(_change(next(event_ids), alarm, transition, reason, remarks))
    return piece


def _spelt(unit: UnitOfWork, piece: _Piece, given_way: Counter[AlarmId]) -> Write:
    """Spell what a piece writes, and return what writes it."""
    writes = (
        updating(unit.connection, alarms, key="alarm_id", rows=piece.states),
        updating(unit.connection, alarms, key="alarm_id", rows=piece.repeats),
        unit.history.adding(piece.changes),
        unit.outbox.adding(piece.notifications, given_way=given_way),
    )

    def write() -> None:
        for one in writes:
            one()

    return write


def _still_holds(alarm: ActingAlarm, transition: Transition) -> bool:
    return (
        alarm.enabled
        and alarm.revision == transition.revision
        and alarm.state_version == transition.state_version
        and alarm.state is transition.previous
    )


def _counters(done: AppliedTransition) -> dict[str, Any]:
    return {"alarm_id": done.alarm_id, "state_version": done.state_version, "sequence": done.sequence}


def _change(
    event_id: str, alarm: ActingAlarm, transition: Transition, reason: str, remarks: Mapping[str, Any]
) -> AlarmChange:
    return AlarmChange(
        event_id=event_id,
        alarm_id=alarm.alarm_id,
        type=ChangeType.STATE_TRANSITION,
        detail={"state": str(transition.current), "transition_reason": reason, **remarks},
        user_id="",
        project_id="",
        on_behalf_of=alarm.project_id,
        timestamp=transition.at,
        severity=alarm.severity,
        evidence=bounded(transition.evidence) if transition.evidence else None,
    )


def _event_ids(count: int) -> Iterator[str]:
    """Yield random UUIDs of version 4, drawn and spelt at once: one by one it would take 3 % of a storm's time."""
    noise = os.urandom(count * _ID_BYTES).hex()
    for start in range(0, len(noise), 2 * _ID_BYTES):
        drawn = noise[start : start + 2 * _ID_BYTES]
        variant = "89ab"[int(drawn[16], 16) % 4]
        yield f"{drawn[:8]}-{drawn[8:12]}-4{drawn[13:16]}-{variant}{drawn[17:20]}-{drawn[20:]}"


def _chunks(alarm_ids: Sequence[AlarmId]) -> Iterator[Sequence[AlarmId]]:
    for start in range(0, len(alarm_ids), _CHUNK):
        yield alarm_ids[start : start + _CHUNK]
