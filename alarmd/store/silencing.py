# SPDX-License-Identifier: Apache-2.0
"""What silences do to the notifications of a unit of work: those that one is in force for are never sent.

The silences of a project are read once a unit of work and then looked up in memory, so that 10,000 transitions under
100 silences cost next to nothing.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from alarmd.model.alarm import ActingAlarm, Alarm
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState, Notification
from alarmd.model.silence import ReadHours, Silence, SilenceId, SilenceState
from alarmd.store.silences import SilenceRepository

#: Where silences are looked up: what they are about at the least.
_Place = tuple[str | None, ...]


class Silencing:
    """Finds the silence that a notification falls under. Lives as long as one unit of work."""

    def __init__(
        self, repository: SilenceRepository, *, since: datetime, until: datetime, read_hours: ReadHours
    ) -> None:
        """Take where silences are, the span in which notifications come up, and who can read time constraints."""
        self._repository = repository
        self._span = (since, until)
        self._read_hours = read_hours
        self._known: set[str] = set()
        self._placed: dict[_Place, list[Silence]] = {}
        self._in_force: dict[tuple[SilenceId, datetime], bool] = {}

    def learn(self, alarms: Collection[ActingAlarm]) -> None:
        """Read the silences of the alarms' projects, unless they are known already."""
        projects = {alarm.project_id for alarm in alarms}
        new = projects - self._known
        if not new:
            return
        since, until = self._span
        for silence in self._repository.within(new, since=since, until=until):
            # Those of all projects come along each time.
            if silence.project_id is not None or not self._known:
                self._placed.setdefault(_place_of(silence), []).append(silence)
        self._known |= new

    def silence_for(self, alarm: ActingAlarm, notification: Notification) -> Silence | None:
        """Return the oldest silence that is in force for a notification of an alarm whose project is known."""
        if not self._placed:
            return None
        firsts = (self._first_at(place, alarm, notification) for place in _places_of(alarm, notification.direction))
        found = [silence for silence in firsts if silence is not None]
        return min(found, key=lambda silence: (silence.created_at, silence.silence_id), default=None)

    def _first_at(self, place: _Place, alarm: ActingAlarm, notification: Notification) -> Silence | None:
        for silence in self._placed.get(place, ()):
            is_meant = silence.direction in {None, notification.direction} and silence.is_about(alarm)
            if is_meant and self._is_in_force(silence, notification.created_at):
                return silence
        return None

    def _is_in_force(self, silence: Silence, at: datetime) -> bool:
        if silence.ended_by:
            # Somebody was told that it is over, by now if not when this was decided.
            return False
        if silence.began_at_once:
            at = max(at, silence.starts_at)
        key = (silence.silence_id, at)
        if key not in self._in_force:
            self._in_force[key] = silence.state_at(at, self._read_hours) is SilenceState.IN_FORCE
        return self._in_force[key]


def silenced(notification: Notification, silence: Silence) -> Notification:
    """Return a notification that is never sent, and says why."""
    return replace(
        notification,
        state=DeliveryState.SILENCED,
        last_error=f"silenced by {silence.silence_id}: {silence.comment}",
        finished_at=notification.created_at,
    )


def in_force_for(alarm: Alarm, silences: Sequence[Silence], *, at: datetime, read_hours: ReadHours) -> list[Silence]:
    """Return which of some silences keep any action of an alarm quiet at a moment."""
    return [
        silence
        for silence in silences
        if silence.states_of(alarm) and silence.state_at(at, read_hours) is SilenceState.IN_FORCE
    ]


def _place_of(silence: Silence) -> _Place:
    if silence.alarm_id is not None:
        return (silence.alarm_id,)
    if silence.labels:
        name, value = min(silence.labels.items())
        return (silence.project_id, name, value)
    return (silence.project_id, silence.direction)


def _places_of(alarm: ActingAlarm, direction: Direction) -> Iterator[_Place]:
    yield (alarm.alarm_id,)
    for project_id in (alarm.project_id, None):
        yield (project_id, None)
        yield (project_id, direction)
        for name, value in alarm.labels.items():
            yield (project_id, name, value)
