# SPDX-License-Identifier: Apache-2.0
"""Replays against the live run: the same transitions from the same samples, to the byte."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from alarmd.cache.sqlite_log import SqliteLog
from alarmd.clock import ManualClock
from alarmd.cluster.local_doorbell import LocalDoorbell
from alarmd.cluster.solo import SoloMembership
from alarmd.evaluators import tick
from alarmd.evaluators.answers.replay import Course, Replay
from alarmd.evaluators.answers.scope import Scope
from alarmd.evaluators.schedules.schedule import normalise_constraints
from alarmd.evaluators.tick import Evaluation
from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.transition import Transition
from alarmd.store.database import Database
from alarmd.store.transitions import Applied
from alarmd.store.transitions import apply as real_apply
from tests.support.alarms import an_alarm
from tests.support.rest import new_database
from tests.support.samples import new_log
from tests.support.window_rules import (
    FAMILIES,
    PLAN,
    RULES,
    START,
    WINDOW,
    Push,
    an_alarm_of,
    leaf,
    one_machine,
    pushes,
)


@dataclass
class Room:
    """A database, a log and a clock."""

    database: Database
    log: SqliteLog
    doorbell: LocalDoorbell
    clock: ManualClock
    #: What the live run has stored, by alarm.
    stored: dict[AlarmId, list[Transition]]

    def live(self, made: list[Push], *, begin_s: int, length_s: int) -> None:
        """Run a live evaluation that begins late: a tick each second, and one whenever something is pushed."""
        begin = [push for push in made if push.at_s < START.timestamp() + begin_s]
        for push in begin:
            self.log.append(push.batches)
        self.clock.advance(begin_s)
        evaluation = Evaluation(
            database=self.database,
            log=self.log,
            doorbell=self.doorbell,
            membership=SoloMembership(index=0, count=1),
            families=FAMILIES,
            window=WINDOW,
            plan=PLAN,
            clock=self.clock,
        )
        evaluation.tick()
        for push in made[len(begin) :]:
            self._tick_until(evaluation, push.at_s)
            self.clock.advance(push.at_s - self.clock.time_s())
            self.log.append(push.batches)
            evaluation.tick()
        self._tick_until(evaluation, START.timestamp() + length_s)

    def _tick_until(self, evaluation: Evaluation, until_s: float) -> None:
        while (next_s := ceil(self.clock.time_s() + 1e-6)) <= until_s:
            self.clock.advance(next_s - self.clock.time_s())
            evaluation.tick()

    def replayed(self, alarm: Alarm, *, begin_s: int, length_s: int, **options: Any) -> Course:
        """Replay an alarm over the log, as it was at the start."""
        rule = FAMILIES[alarm.type].parse(alarm.rule, project_id=alarm.project_id)
        return Replay(window=WINDOW, plan=PLAN, tick_s=1.0).run(
            alarm,
            rule,
            Scope.of(rule).recorded(self.log, since_s=START.timestamp() - WINDOW.length_s),
            start=START + timedelta(seconds=begin_s),
            end=START + timedelta(seconds=length_s),
            **options,
        )


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """An empty room that notes what the live run stores."""
    with ExitStack() as stack:
        database = stack.enter_context(closing(new_database(tmp_path)))
        log = stack.enter_context(closing(new_log(tmp_path)))
        doorbell = stack.enter_context(closing(LocalDoorbell(tmp_path / "bells")))
        stored: dict[AlarmId, list[Transition]] = {}

        def noting(unit: Any, transitions: Any, **how: Any) -> Applied:
            outcome = real_apply(unit, transitions, **how)
            by_id = {one.alarm_id: one for one in transitions}
            for done in outcome.applied:
                stored.setdefault(done.alarm_id, []).append(by_id[done.alarm_id])
            return outcome

        monkeypatch.setattr(tick, "apply", noting)
        yield Room(database, log, doorbell, ManualClock(START), stored)


def as_bytes(transitions: Any) -> list[bytes]:
    """Return what the store, the history and the webhook would hold of transitions."""
    return [
        json.dumps(
            {
                "previous": one.previous,
                "current": one.current,
                "reason": one.reason,
                "reason_data": one.reason_data,
                "at": one.at.isoformat(),
                "state_version": one.state_version,
                "is_repeat": one.is_repeat,
                "evidence": one.evidence,
            }
        ).encode()
        for one in transitions
    ]


@pytest.mark.parametrize(("seed", "begin_s"), [(0, 0), (1, 60)])
def test_a_replay_finds_what_the_live_run_has_stored(room: Room, seed: int, begin_s: int) -> None:
    """Whatever the rule: every transition and repeat, with its reason, data, evidence, moment and version.

    Also where the run begins among samples that are there, where it is closed for a while, and beside other projects.
    """
    span = {"begin_s": begin_s, "length_s": begin_s + 200}
    hours = normalise_constraints([{"name": "now and then", "start": "*/3 * * * *", "duration": 30}])
    with room.database.write() as unit:
        alarms = [
            unit.alarms.add(
                an_alarm_of(
                    name,
                    repeat_actions=place % 3 == 0,
                    time_constraints=hours if place % 5 == 1 else (),
                    state=list(State)[(place + seed) % 3],
                )
            )
            for place, name in enumerate(RULES)
        ]
    room.live(pushes(seed, length_s=span["length_s"]), **span)
    expected = {alarm.name: as_bytes(room.stored.get(alarm.alarm_id, [])) for alarm in alarms}
    actual = {alarm.name: as_bytes(room.replayed(alarm, **span).transitions) for alarm in alarms}

    assert expected == actual
    # So the comparison was one of many transitions.
    assert len(RULES) * 3 < sum(map(len, expected.values()))
    assert len(RULES) * 3 / 4 < sum(map(bool, expected.values()))


def test_other_alarms_are_as_they_are_told_to_be(room: Room) -> None:
    """A composite follows what is said of the alarms that it refers to; those not told of do not exist."""
    rule = {"or": [{"alarm_id": "a"}, leaf(**one_machine(9))]}
    alarm = an_alarm(type="composite", rule=FAMILIES["composite"].normalise(rule, project_id="p1"))
    span = {"begin_s": 0, "length_s": 30}
    known = room.replayed(alarm, **span, others={AlarmId("a"): State.ALARM})
    unknown = room.replayed(alarm, **span, others={})

    assert [State.ALARM] == [one.current for one in known.changes]
    assert [] == unknown.changes


def test_a_course_is_told_in_stretches_and_shares() -> None:
    """Without gaps; a flap leads back to where it was just before."""
    start = START
    moments = [(10, State.OK), (20, State.ALARM), (20, State.ALARM), (30, State.OK), (40, State.INSUFFICIENT_DATA)]
    transitions: list[Transition] = []
    state = State.INSUFFICIENT_DATA
    for at_s, current in moments:
        transitions.append(
            Transition(
                alarm_id=AlarmId("a"),
                revision=1,
                state_version=len(transitions),
                previous=state,
                current=current,
                reason="",
                reason_data={},
                at=start + timedelta(seconds=at_s),
            )
        )
        state = current
    course = Course(
        start=start,
        end=start + timedelta(seconds=100),
        first=State.INSUFFICIENT_DATA,
        transitions=tuple(transitions),
        samples_read=0,
    )

    assert [
        (State.INSUFFICIENT_DATA, 10),
        (State.OK, 10),
        (State.ALARM, 10),
        (State.OK, 10),
        (State.INSUFFICIENT_DATA, 60),
    ] == [(one.state, (one.end - one.start).total_seconds()) for one in course.stretches()]
    assert {State.OK: 0.2, State.ALARM: 0.1, State.INSUFFICIENT_DATA: 0.7} == course.shares()
    assert (4, 1, 144.0) == (len(course.changes), course.flaps, course.changes_per_hour)
    assert {State.OK: 2, State.ALARM: 2, State.INSUFFICIENT_DATA: 1} == course.taken()


@pytest.mark.parametrize("tick_s", [0.1, 0.3, 1.0, 7.0])
def test_ticks_are_whole_ones_and_go_on_to_the_end(tick_s: float) -> None:
    """However their length is rounded, none comes twice and none is left out."""
    replay = Replay(window=WINDOW, plan=PLAN, tick_s=tick_s)
    start_s = START.timestamp()
    ticks = list(replay._ticks(start_s, start_s + 60))

    assert len(ticks) == len(set(ticks))
    assert all(tick_s * 0.9 < after - before < tick_s * 1.1 for before, after in pairwise(ticks[1:]))
    assert start_s + 60 - ticks[-1] < tick_s
