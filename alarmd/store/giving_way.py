# SPDX-License-Identifier: Apache-2.0
"""What gives way to new notifications of its lane when they are put in the outbox: it says no more than they do."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, select

from alarmd.model.alarm import AlarmId
from alarmd.model.notification import DeliveryState, Notification
from alarmd.store.bulk import update_rows
from alarmd.store.meant import after_tries
from alarmd.store.queued import chunks, held_back, waits
from alarmd.store.rows import lane_of, notification_of
from alarmd.store.tables import outbox


def give_way(connection: Connection, new: Collection[Notification]) -> Counter[AlarmId]:
    """Supersede what new notifications leave without a meaning, before they are stored; return how many, by alarm.

    - What the breaker holds back gives way to what it is about to hold: an alarm that repeats itself leaves one to be
      released, not one a minute.
    - What waits for another try gives way to a newer state that is silenced: it tells a state that is past, and the one
      that would have taken its place is never sent.
    - A repeat that waits for its first try gives way to the next one of the same state: a notifier that was away for an
      hour would else send sixty at once, and a receiver would take sixty steps.
    """
    comers = _Newcomers.of(new)
    count: Counter[AlarmId] = Counter()
    for one, words, older in comers.overtake(connection):
        ends = [
            {
                "event_id": each.event_id,
                "state": str(DeliveryState.SUPERSEDED),
                "last_error": after_tries(words, each.attempts, each.last_error),
                "finished_at": one.created_at,
            }
            for each in older
        ]
        update_rows(connection, outbox, key="event_id", rows=ends)
        count[one.alarm_id] += len(ends)
    return count


@dataclass(frozen=True, slots=True, kw_only=True)
class _Newcomers:
    """New notifications that others may give way to, by what they do; each sort by lane."""

    held: dict[str, Notification] = field(default_factory=dict)
    silenced: dict[str, Notification] = field(default_factory=dict)
    repeats: dict[str, Notification] = field(default_factory=dict)

    @classmethod
    def of(cls, new: Collection[Notification]) -> "_Newcomers":
        comers = cls()
        for one in new:
            is_same = one.body.get("previous") == one.told
            if one.state is DeliveryState.HELD:
                comers.held[_lane(one)] = one
            elif one.state is DeliveryState.SILENCED and not is_same:
                comers.silenced[_lane(one)] = one
            elif one.state is DeliveryState.PENDING and is_same and one.is_repeat:
                comers.repeats[_lane(one)] = one
        return comers

    def overtake(self, connection: Connection) -> Iterator[tuple[Notification, str, list[Notification]]]:
        """Yield what is overtaken, with the newcomer and why."""
        for lane, older in _in(connection, self.held, held_back(outbox)):
            yield self.held[lane], "held back, and the alarm has said it again since", older
        for lane, older in _in(connection, self.silenced, waits(outbox)):
            tried = [one for one in older if one.attempts]
            yield self.silenced[lane], "not sent: the alarm has moved on, to what is silenced", tried
        for lane, older in _in(connection, self.repeats, waits(outbox)):
            told = self.repeats[lane].told
            untried = [one for one in older if not one.attempts and one.is_repeat and one.told == told]
            yield self.repeats[lane], "not sent: the alarm has said it again since", untried


def _in(
    connection: Connection, lanes: Mapping[str, Notification], which: ColumnElement[bool]
) -> Iterator[tuple[str, list[Notification]]]:
    """Yield what is in some lanes and in nobody's hands, by lane."""
    for part in chunks(sorted(lanes)):
        statement = (
            select(outbox)
            .where(outbox.c.lane.in_(part), which)
            .order_by(outbox.c.event_id)
            .with_for_update(skip_locked=True)
        )
        found: dict[str, list[Notification]] = {}
        for row in connection.execute(statement).mappings().all():
            found.setdefault(row["lane"], []).append(notification_of(row))
        yield from found.items()


def _lane(notification: Notification) -> str:
    return lane_of(notification.alarm_id, notification.target)
