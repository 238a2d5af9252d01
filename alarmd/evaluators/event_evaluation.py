# SPDX-License-Identifier: Apache-2.0
"""Events as they come: held against the event alarms of their projects, and what follows is stored at once.

The alarms are read from the store for each push, so one that was just created or changed counts. An event only ever
moves alarms to `alarm`; one that is there already takes its actions again if it says `repeat_actions`, no sooner than
its `repeat_interval` says where it has one, and else is left alone. Time constraints do not count. Evaluators are told
where composites refer to an alarm that was moved.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

import structlog

from alarmd import telemetry
from alarmd.clock import Clock
from alarmd.cluster.doorbell import Bell, Doorbell
from alarmd.errors import InvalidInput
from alarmd.evaluators.families.event.family import EventFamily, read_event_rule
from alarmd.evaluators.families.event.matching import EventRule, is_of_type
from alarmd.evaluators.telling import tell
from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.event import Event
from alarmd.model.transition import Transition
from alarmd.store.alarms import AlarmQuery
from alarmd.store.database import Database, UnitOfWork
from alarmd.store.gate import GateLimits
from alarmd.store.transitions import AppliedTransition, announce, apply

_logger = structlog.get_logger()

_NO_LIMITS = GateLimits()
#: Hits stored in one transaction. All of a push, unless that would make the transaction too long.
_HITS_AT_ONCE = 10_000
#: Stands for any moment among texts. No text that is pushed holds it.
_MOMENTS = "\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReport:
    """What became of a push."""

    #: Alarms that went to `alarm`.
    transitions: int
    #: How often alarms that were there took their actions again.
    repeats: int
    notifications: int


@dataclass(frozen=True, slots=True)
class _Hit:
    """An alarm, and the events that meet its rule; the first of them that has not been stored yet comes first."""

    alarm: Alarm
    rule: EventRule
    events: Sequence[Event]

    def transition(self, now: datetime, traceparent: str) -> Transition:
        event = self.events[0]
        return Transition(
            alarm_id=self.alarm.alarm_id,
            revision=self.alarm.revision,
            state_version=self.alarm.state_version,
            previous=self.alarm.state,
            current=State.ALARM,
            reason=f"Event <id={event.message_id},event_type={event.event_type}> "
            f"hits the query <query={self.rule.query}>.",
            reason_data={"type": "event", "event": event.document},
            at=now,
            traceparent=traceparent,
            is_news=True,
            evidence={"event": event.document},
        )

    def behind(self, *, state_version: int) -> "_Hit | None":
        """Return what is left once the first event has been stored."""
        # One that has a rhythm of its own repeats no sooner.
        if not (self.alarm.repeat_actions and self.events[1:]) or self.alarm.repeat_interval_s:
            return None
        after = replace(self.alarm, state=State.ALARM, state_version=state_version)
        return replace(self, alarm=after, events=self.events[1:])


class EventEvaluation:
    """Holds events against alarms. Safe to use from several threads, and in several processes at once."""

    def __init__(self, *, database: Database, doorbell: Doorbell, clock: Clock, gate: GateLimits = _NO_LIMITS) -> None:
        self._gate = gate
        self._database = database
        self._doorbell = doorbell
        self._clock = clock

    def take(self, events: Sequence[Event], *, traceparent: str = "") -> EventReport:
        """Act on events, in their order; when this returns, whatever follows from them has been committed.

        Raises `StoreUnavailable`; then nothing has happened, unless there were more hits than go into one transaction.
        An alarm whose rule cannot be read is logged and passed over.
        """
        incoming = _Incoming(events, traceparent)
        hits = self._hits(incoming)
        transitions = repeats = notifications = 0
        is_heard = False
        for part in _in_parts(hits):
            with self._database.write() as unit:
                stored = _store(unit, part, incoming, self._gate, self._clock.now())
                turned = [transition.alarm_id for transition, _ in stored if not transition.is_repeat]
                is_heard |= announce(unit, turned)
            tell(stored)
            for transition, applied in stored:
                transitions += not transition.is_repeat
                repeats += transition.is_repeat
                notifications += applied.notifications
        if notifications:
            self._doorbell.ring(Bell.OUTBOX)
        if is_heard:
            self._doorbell.ring(Bell.ALARMS)
        matched = len({id(event) for hit in hits for event in hit.events})
        telemetry.EVENTS.labels("matched").inc(matched)
        telemetry.EVENTS.labels("unmatched").inc(len(events) - matched)
        return EventReport(transitions=transitions, repeats=repeats, notifications=notifications)

    def _hits(self, incoming: "_Incoming") -> list[_Hit]:
        """Return what is hit, by the ids of the alarms: locks are taken in that order everywhere."""
        found: list[_Hit] = []
        with self._database.read() as unit:
            for project_id in incoming.projects:
                query = AlarmQuery(project_id=project_id, type=EventFamily.name, enabled=True, sort=())
                found += filter(None, map(incoming.hit, unit.alarms.find(query)))
        return sorted(found, key=lambda hit: hit.alarm.alarm_id)


class _Incoming:
    """The events of a push, looked up by project and type."""

    def __init__(self, events: Sequence[Event], traceparent: str) -> None:
        #: Of the push.
        self.traceparent = traceparent
        self._by_project: dict[str, list[Event]] = {}
        for event in events:
            self._by_project.setdefault(event.project_id, []).append(event)
        #: By project and wildcard: alarms share few of them.
        self._by_type: dict[tuple[str, str], list[Event]] = {}
        #: By project, wildcard and field: by what stands there. Most alarms want the name of one machine.
        self._by_text: dict[tuple[str, str, str], dict[str, list[Event]]] = {}

    @property
    def projects(self) -> list[str]:
        """The projects that the events concern."""
        return sorted(self._by_project)

    def hit(self, alarm: Alarm) -> _Hit | None:
        """Return an alarm with the events that it has to be told of; None when there are none."""
        is_watching = alarm.enabled and alarm.type == EventFamily.name
        if not is_watching or (alarm.state is State.ALARM and not alarm.repeat_actions):
            return None
        try:
            rule = read_event_rule(alarm.rule)
        except InvalidInput as error:
            _logger.warning("event_alarm_passed_over", alarm_id=alarm.alarm_id, error=error.message)
            return None
        met = (event for event in self._candidates(alarm.project_id, rule) if rule.conditions_hold(event))
        told = list(met if alarm.repeat_actions else islice(met, 1))
        return _Hit(alarm, rule, told) if told else None

    def _candidates(self, project_id: str, rule: EventRule) -> list[Event]:
        """Return at least those events that meet a rule, in their order."""
        events = self._of_type(project_id, rule.event_type)
        if rule.key is None:
            return events
        field, text = rule.key
        place = (project_id, rule.event_type, field)
        if place not in self._by_text:
            self._by_text[place] = _by_text(events, field)
        found = self._by_text[place]
        return events if _MOMENTS in found else found.get(text, [])

    def _of_type(self, project_id: str, wildcard: str) -> list[Event]:
        key = (project_id, wildcard)
        if key not in self._by_type:
            events = self._by_project.get(project_id, [])
            self._by_type[key] = [event for event in events if is_of_type(event.event_type, wildcard)]
        return self._by_type[key]


def _by_text(events: Sequence[Event], field: str) -> dict[str, list[Event]]:
    """Return events by the text that stands in a field, and under `_MOMENTS` those that have a moment there."""
    found: dict[str, list[Event]] = {}
    for event in events:
        match event.value_of(field):
            case str() as text:
                found.setdefault(text, []).append(event)
            case datetime():
                found.setdefault(_MOMENTS, []).append(event)
    return found


def _in_parts(hits: Sequence[_Hit]) -> Iterator[list[_Hit]]:
    """Yield hits in parts that each fit into one transaction; those of one alarm stay together."""
    part: list[_Hit] = []
    size = 0
    for hit in hits:
        if part and size + len(hit.events) > _HITS_AT_ONCE:
            yield part
            part, size = [], 0
        part.append(hit)
        size += len(hit.events)
    if part:
        yield part


def _store(
    unit: UnitOfWork, part: Sequence[_Hit], incoming: _Incoming, gate: GateLimits, now: datetime
) -> list[tuple[Transition, AppliedTransition]]:
    """Make true what follows from hits, alarm by alarm in the order of the events; return what took effect."""
    stored: list[tuple[Transition, AppliedTransition]] = []
    waiting: dict[AlarmId, _Hit] = {hit.alarm.alarm_id: hit for hit in part if _is_time(unit, hit.alarm, now)}
    seen_again: set[AlarmId] = set()
    while waiting:
        wanted = {alarm_id: hit.transition(now, incoming.traceparent) for alarm_id, hit in waiting.items()}
        outcome = apply(unit, list(wanted.values()), limits=gate)
        following: dict[AlarmId, _Hit | None] = {}
        for one in outcome.applied:
            stored.append((wanted[one.alarm_id], one))
            following[one.alarm_id] = waiting[one.alarm_id].behind(state_version=one.state_version)
        # Changed since they were read. They are locked by now, so they are decided anew as they are, and only once.
        for alarm_id in set(outcome.stale) - seen_again:
            alarm = unit.alarms.get(alarm_id, for_update=True)
            is_time = alarm is not None and _is_time(unit, alarm, now)
            following[alarm_id] = incoming.hit(alarm) if alarm is not None and is_time else None
        seen_again.update(outcome.stale)
        waiting = {alarm_id: hit for alarm_id, hit in following.items() if hit is not None}
    return stored


def _is_time(unit: UnitOfWork, alarm: Alarm, now: datetime) -> bool:
    """Whether an alarm with a rhythm of its own may take its actions again; the history knows when it last did."""
    if alarm.state is not State.ALARM or not alarm.repeat_interval_s:
        return True
    last = unit.history.latest_transition(alarm.alarm_id)
    if last is None or last.timestamp > now:
        # In the future it was by a clock that was set back since, and nobody knows how long ago.
        return True
    return now - last.timestamp >= timedelta(seconds=alarm.repeat_interval_s)
