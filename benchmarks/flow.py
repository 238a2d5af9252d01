# SPDX-License-Identifier: Apache-2.0
"""A flow of notifications: alarms that flip by turns at a steady pace, and what comes of it at the receivers.

Each flip goes the way of an evaluator's: state, history and notification in one transaction, then the doorbell.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from alarmd.clock import Clock
from alarmd.cluster.doorbell import Bell, Doorbell
from alarmd.model.alarm import Alarm, State
from alarmd.model.direction import Direction
from alarmd.model.notification import event_id_of
from alarmd.model.transition import Transition
from alarmd.store import transitions
from alarmd.store.database import Database
from alarmd.store.gate import GateLimits
from benchmarks.definitions import definition
from benchmarks.sink import Arrival, Sink

PROJECTS = 100
#: How often flips are stored, and how often the outbox is measured.
_BEAT_S, _MEASURE_S = 0.05, 0.25
#: How long an alarm keeps its state; longer than any notification waits while all is well.
_FLIP_EVERY_S = 10.0
#: What has not come so long after the last flip is lost.
_PATIENCE_S = 60.0
_AT_ONCE = 5_000
#: The operator's default.
_LIMITS = GateLimits(expire_after_s={Direction.IN: 300.0})
_OTHER = {State.OK: State.ALARM, State.ALARM: State.OK}


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A notification that was put into the outbox."""

    #: Which of the receivers it is for.
    receiver: int
    #: When its alarm flipped, on the monotonic clock: a moment before it was committed.
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What was made in a time, and what has come of it."""

    began_s: float
    ended_s: float
    made: Mapping[str, Made]
    arrivals: Sequence[Arrival]
    #: How many notifications were unfinished at which moments, while it flowed.
    depths: Sequence[tuple[float, int]]

    @property
    def made_per_s(self) -> float:
        """How many notifications were made in a second."""
        return len(self.made) / (self.ended_s - self.began_s)

    def received_per_s(self, *, after_s: float) -> float:
        """Return how many arrived in a second, from so long after the beginning until no more were made."""
        since_s = self.began_s + after_s
        return sum(since_s <= one.at_s <= self.ended_s for one in self.arrivals) / (self.ended_s - since_s)

    def depth_slope_per_s(self, *, after_s: float) -> float:
        """Return by how many notifications the outbox grew in a second, from so long after the beginning."""
        points = [(at_s, depth) for at_s, depth in self.depths if at_s >= self.began_s + after_s]
        if len(points) < 2:
            return 0.0
        at_s, depths = np.array(points, dtype=float).T
        return float(np.polyfit(at_s - at_s[0], depths, 1)[0])

    def lost(self, *, but: int | None = None) -> int:
        """Return how many never arrived, one receiver's left aside."""
        arrived = {one.event_id for one in self.arrivals}
        return sum(one.receiver != but for event_id, one in self.made.items() if event_id not in arrived)

    def doubled(self) -> int:
        """Return how often something arrived that had arrived before."""
        counts = Counter(one.event_id for one in self.arrivals)
        return counts.total() - len(counts)

    def took_ms(self, *, but: int | None = None, made_within_s: float | None = None) -> NDArray[np.float64]:
        """Return how long each took from its flip to its receiver, one receiver's left aside.

        With `made_within_s` only what was made so soon after the beginning counts.
        """
        until_s = self.ended_s if made_within_s is None else self.began_s + made_within_s
        first = {one.event_id: one for one in reversed(self.arrivals)}
        return np.array(
            [
                (first[event_id].at_s - one.at_s) * 1000
                for event_id, one in self.made.items()
                if event_id in first and one.receiver != but and one.at_s <= until_s
            ]
        )


class Flipping:
    """Alarms of many projects, each of which tells one of the receivers whenever it flips."""

    def __init__(self, database: Database, bell: Doorbell, receivers: Sink, *, rate: float, clock: Clock) -> None:
        """Store enough alarms for so many flips a second."""
        self._database = database
        self._bell = bell
        self._receivers = receivers
        self._rate = rate
        self._clock = clock
        self._alarms: list[Alarm] = []
        new = [_alarm(number, receivers.addresses, clock.now()) for number in range(max(1, int(rate * _FLIP_EVERY_S)))]
        for start in range(0, len(new), _AT_ONCE):
            with database.write() as unit:
                self._alarms += unit.alarms.add_all(new[start : start + _AT_ONCE])
        self._turns = self._turns_for_ever()

    def flow(self, duration_s: float, *, but: int | None = None) -> Flow:
        """Have alarms flip for so long, then wait until everything has arrived, one receiver's left aside."""
        self._receivers.arrivals()
        made: dict[str, Made] = {}
        depths: list[tuple[float, int]] = []
        began_s = self._clock.monotonic_s()
        measured_s = began_s
        while (now_s := self._clock.monotonic_s()) < began_s + duration_s:
            made |= self._flip(int((now_s - began_s) * self._rate) - len(made), now_s)
            if now_s - measured_s >= _MEASURE_S:
                measured_s = now_s
                with self._database.read() as unit:
                    depths.append((now_s, unit.outbox.depth()))
            time.sleep(_BEAT_S)
        awaited = {event_id for event_id, one in made.items() if one.receiver != but}
        arrivals = self._wait_for(awaited, until_s=now_s + _PATIENCE_S)
        return Flow(began_s=began_s, ended_s=now_s, made=made, arrivals=arrivals, depths=depths)

    def _flip(self, count: int, at_s: float) -> dict[str, Made]:
        """Have the next alarms flip, in one transaction as those of a tick."""
        if count <= 0:
            return {}
        at = self._clock.now()
        numbers = list(islice(self._turns, count))
        wanted = [_flip_of(self._alarms[number], at) for number in numbers]
        with self._database.write() as unit:
            applied = transitions.apply(unit, wanted, limits=_LIMITS)
        self._bell.ring(Bell.OUTBOX)
        done = {one.alarm_id: one for one in applied.applied}
        made: dict[str, Made] = {}
        for number in numbers:
            before = self._alarms[number]
            now = done[before.alarm_id]
            self._alarms[number] = replace(
                before, state=_OTHER[before.state], state_version=now.state_version, sequence=now.sequence
            )
            event_id = event_id_of(before.alarm_id, now.sequence, 0)
            made[event_id] = Made(receiver=_receiver_of(number, len(self._receivers.addresses)), at_s=at_s)
        return made

    def _wait_for(self, awaited: set[str], *, until_s: float) -> list[Arrival]:
        arrivals: list[Arrival] = []
        while True:
            arrived = self._receivers.arrivals()
            arrivals += arrived
            awaited -= {one.event_id for one in arrived}
            if not awaited or self._clock.monotonic_s() > until_s:
                return arrivals
            time.sleep(_BEAT_S)

    def _turns_for_ever(self) -> Iterator[int]:
        while True:
            yield from range(len(self._alarms))


def _receiver_of(number: int, receivers: int) -> int:
    """Return whom an alarm tells: a project's alarms tell all of the receivers."""
    return number % receivers


def _alarm(number: int, addresses: Sequence[str], at: datetime) -> Alarm:
    hook = f"http://{addresses[_receiver_of(number, len(addresses))]}/hook?token={number}"
    # Half of them scale out, the others in.
    rule = {"comparison_operator": "gt" if number % 2 else "lt", "threshold": 80.0}
    alarm = definition(
        number, project_id=f"project-{number // len(addresses) % PROJECTS}", at=at, rule=rule, state=State.OK
    )
    return replace(alarm, ok_actions=(hook,), alarm_actions=(hook,))


def _flip_of(alarm: Alarm, at: datetime) -> Transition:
    current = _OTHER[alarm.state]
    return Transition(
        alarm_id=alarm.alarm_id,
        revision=alarm.revision,
        state_version=alarm.state_version,
        previous=alarm.state,
        current=current,
        reason=f"Transition to {current} due to 1 samples outside threshold, most recent: 97.0",
        reason_data={"type": "threshold", "disposition": "outside", "count": 1, "most_recent": 97.0},
        at=at,
        sampled_at=at,
    )
