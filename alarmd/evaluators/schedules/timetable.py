# SPDX-License-Identifier: Apache-2.0
"""The timetable: which alarms of a plan are closed by their time constraints, and when that changes.

Only alarms with constraints stand in it. Those whose schedules are equal are looked at together, and not before
something may have changed, so a pass in which no window opens or closes costs nothing here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count

from alarmd.evaluators.schedules.schedule import Schedule
from alarmd.model.alarm import AlarmId

#: What lies further back is not gone through step by step.
_CATCHING_UP = timedelta(hours=1)


@dataclass(slots=True)
class _Group:
    """All alarms of one schedule."""

    schedule: Schedule
    is_open: bool
    alarm_ids: set[AlarmId] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Alarms whose windows have opened, or closed."""

    alarm_ids: frozenset[AlarmId]
    is_open: bool
    #: When that was, rather than when it was noticed.
    at: datetime


class Timetable:
    """Knows when to look at which schedule. Not safe for use by several threads."""

    def __init__(self) -> None:
        self._groups: dict[Schedule, _Group] = {}
        self._by_alarm: dict[AlarmId, _Group] = {}
        #: One look for each group; the number breaks ties.
        self._looks: list[tuple[datetime, int, _Group]] = []
        self._numbers = count()

    def join(self, alarm_id: AlarmId, schedule: Schedule, *, now: datetime) -> bool:
        """Add an alarm; return whether it is open, as of the last look."""
        group = self._groups.get(schedule)
        if group is None:
            group = self._groups[schedule] = _Group(schedule, schedule.is_open(now))
            self._look_again(group, now)
        group.alarm_ids.add(alarm_id)
        self._by_alarm[alarm_id] = group
        return group.is_open

    def leave(self, alarm_id: AlarmId) -> None:
        """Forget an alarm, if it is known. An empty group goes at its next look: alarms come back when they change."""
        group = self._by_alarm.pop(alarm_id, None)
        if group is not None:
            group.alarm_ids.discard(alarm_id)

    def turns(self, now: datetime) -> Iterator[Turn]:
        """Look at what is due and yield what has opened or closed since."""
        while self._looks and self._looks[0][0] <= now:
            at, _, group = heappop(self._looks)
            if not group.alarm_ids:
                del self._groups[group.schedule]
                continue
            # Step by step, so that what has closed and opened again in between is noticed, too.
            as_of = at if now - at < _CATCHING_UP else now
            was_open, group.is_open = group.is_open, group.schedule.is_open(as_of)
            self._look_again(group, as_of)
            if group.is_open is not was_open:
                yield Turn(alarm_ids=frozenset(group.alarm_ids), is_open=group.is_open, at=at)

    def _look_again(self, group: _Group, now: datetime) -> None:
        heappush(self._looks, (group.schedule.next_look(now), next(self._numbers), group))
