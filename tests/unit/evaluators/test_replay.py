# SPDX-License-Identifier: Apache-2.0
"""Replays against the live run: the same transitions from the same samples, to the byte."""

import json
import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alarmd.cache.log import LogLimits
from alarmd.cache.sqlite_log import SqliteLog, SqliteLogOptions
from alarmd.cache.window import WindowLimits
from alarmd.clock import ManualClock
from alarmd.cluster.local_doorbell import LocalDoorbell
from alarmd.cluster.solo import SoloMembership
from alarmd.evaluators import tick
from alarmd.evaluators.plan import PlanOptions
from alarmd.evaluators.replay import Course, Replay
from alarmd.evaluators.schedule import normalise_constraints
from alarmd.evaluators.scope import Scope
from alarmd.evaluators.tick import Evaluation
from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.samples import Batch, Kind, Metric, Resource, labels_of
from alarmd.model.shard import shard_of
from alarmd.model.transition import Transition
from alarmd.store.database import Database
from alarmd.store.transitions import Applied
from alarmd.store.transitions import apply as real_apply
from tests.support.alarms import an_alarm
from tests.support.rest import new_database, rule_families

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
LATENESS_S = 5.0
WINDOW = WindowLimits(length_s=600, lateness_s=LATENESS_S)
PLAN = PlanOptions(lateness_s=LATENESS_S, repeat_interval_s=20)
FAMILIES = rule_families()

#: A project whose samples stand in the same shard.
NEIGHBOUR = next(name for name in map(str, count()) if shard_of(name) == shard_of("p1"))

CPU = Metric(name="cpu_util", unit="%")
TIME = Metric(name="cpu", unit="ns", kind=Kind.CUMULATIVE)
OTHER = Metric(name="memory.usage", unit="MB")


def threshold(**changes: Any) -> dict[str, Any]:
    """A threshold rule on the CPU of a group."""
    return {
        "meter_name": "cpu_util",
        "threshold": 50.0,
        "comparison_operator": "gt",
        "period": 10,
        "query": [{"field": "labels.group", "value": "web"}],
    } | changes


def leaf(**changes: Any) -> dict[str, Any]:
    """The same as a leaf of a composite."""
    return {"type": "threshold"} | threshold(**changes)


#: What rules of the gnocchi types have in common.
GNOCCHI = {
    "aggregation_method": "mean",
    "granularity": 10,
    "evaluation_periods": 2,
    "comparison_operator": "gt",
    "threshold": 50.0,
}


def one_machine(number: int = 1) -> dict[str, Any]:
    """What makes a rule one on a single series."""
    return {"query": [{"field": "resource_id", "value": f"vm-{number}"}]}


#: Every kind of rule over the window: its type and itself.
RULES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "single": ("threshold", threshold(**one_machine())),
    "periods": ("threshold", threshold(**one_machine(), evaluation_periods=3, period=7)),
    "group": ("threshold", threshold()),
    "min": ("threshold", threshold(statistic="min", threshold=20.0)),
    "max": ("threshold", threshold(statistic="max", threshold=90.0, evaluation_periods=2)),
    "sum": ("threshold", threshold(statistic="sum", threshold=400.0)),
    "count": ("threshold", threshold(statistic="count", threshold=5.0, comparison_operator="lt")),
    "last": ("threshold", threshold(statistic="last")),
    "stddev": ("threshold", threshold(statistic="stddev", threshold=25.0)),
    "percentile": ("threshold", threshold(statistic="p90", threshold=80.0)),
    "members": ("threshold", threshold(statistic="max", group_statistic="avg", threshold=70.0)),
    "rate": ("threshold", threshold(meter_name="cpu", statistic="rate", threshold=50.0, period=20)),
    "delta": ("threshold", threshold(meter_name="cpu", statistic="delta", group_statistic="max", threshold=600.0)),
    "outliers": ("threshold", threshold(exclude_outliers=True, evaluation_periods=2)),
    "some of them": ("threshold", threshold(evaluation_periods=4, datapoints_to_alarm=2, period=5)),
    "missing is bad": ("threshold", threshold(treat_missing_data="breaching", period=5)),
    "missing is good": ("threshold", threshold(treat_missing_data="not_breaching", period=5, evaluation_periods=2)),
    "missing is ignored": ("threshold", threshold(treat_missing_data="ignore", period=5, evaluation_periods=2)),
    "hysteresis": ("threshold", threshold(recovery_threshold=35.0)),
    "hold": ("threshold", threshold(hold_for=10, period=5)),
    "keep": ("threshold", threshold(keep_for=15, period=5)),
    "coverage": ("threshold", threshold(minimum_coverage=0.6, period=5)),
    "and": ("composite", {"and": [leaf(), leaf(statistic="max", threshold=90.0)]}),
    "or": ("composite", {"or": [leaf(**one_machine(1)), leaf(**one_machine(2)), leaf(period=30, threshold=60.0)]}),
    "not": ("composite", {"not": {"and": [leaf(), leaf(evaluation_periods=3, period=5)]}}),
    "at least": (
        "composite",
        {"at_least": {"count": 2, "of": [leaf(**one_machine(number)) for number in (1, 2, 3)]}},
    ),
    "gnocchi, one resource": (
        "gnocchi_resources_threshold",
        {"metric": "cpu_util", "resource_id": "vm-1", "resource_type": "instance", **GNOCCHI},
    ),
    "gnocchi, a group's rate": (
        "gnocchi_aggregation_by_resources_threshold",
        {
            "metric": "cpu",
            "resource_type": "instance",
            "query": '{"=": {"server_group": "web"}}',
            **GNOCCHI,
            "aggregation_method": "rate:mean",
        },
    ),
    "two metrics": ("composite", {"and": [leaf(), {"or": [leaf(meter_name="memory.usage", threshold=500.0)]}]}),
}


@dataclass(frozen=True)
class Push:
    """What is pushed together, and when it comes."""

    at_s: float
    batches: list[Batch]


def pushes(seed: int, *, length_s: int) -> list[Push]:
    """Random samples of a group that grows and shrinks: jitter, gaps, late ones, duplicates, counters that restart."""
    chance = random.Random(seed)
    start_s = START.timestamp()
    made: list[Push] = []
    counter = [chance.uniform(0, 1000) for _ in range(4)]
    level = [chance.uniform(0, 100) for _ in range(4)]
    at_ms = 0
    while (at_ms := at_ms + chance.choice([200, 997, 1000, 1500, 3000, 5003])) < length_s * 1000:
        if chance.random() < 0.02:
            at_ms += 40_000
            continue
        machines = [number for number in range(1, 4) if chance.random() < 0.7]
        for number in machines:
            level[number] = min(max(level[number] + chance.gauss(0, 25), 0), 100)
            counter[number] = 0.0 if chance.random() < 0.03 else counter[number] + chance.uniform(0, 300)
        if not machines:
            continue
        at_s = start_s + at_ms / 1000
        batches = [_batch(at_s, machines, [level[n] for n in machines], [counter[n] for n in machines])]
        if chance.random() < 0.1:
            late_s = at_s - chance.choice([0.001, 1, 4.5, 12])
            batches.append(_batch(late_s, machines[:1], [chance.uniform(0, 100)], [counter[machines[0]]]))
        if chance.random() < 0.2:
            batches.append(_batch(at_s, [1, 2], [99.0, 1.0], [0.0, 1e9], project_id=NEIGHBOUR))
        made.append(Push(at_s, batches))
    return made


def _batch(
    at_s: float, machines: list[int], levels: list[float], counters: list[float], *, project_id: str = "p1"
) -> Batch:
    labels = labels_of([("group", "web"), ("server_group", "web")])
    resources = tuple(Resource(id=f"vm-{number}", project_id=project_id, labels=labels) for number in machines)
    rows = [[level, counter, level * 10] for level, counter in zip(levels, counters, strict=True)]
    return Batch(
        source="test",
        timestamp_s=round(at_s, 3),
        metrics=(CPU, TIME, OTHER),
        resources=resources,
        values=np.array(rows, np.float64),
        expected=len(resources),
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
        database = new_database(tmp_path)
        stack.callback(database.close)
        log = SqliteLog(
            tmp_path / "samples.db",
            limits=LogLimits(retention_s=7200, max_bytes=1 << 26),
            options=SqliteLogOptions(),
        )
        stack.callback(log.close)
        doorbell = LocalDoorbell(tmp_path / "bells")
        stack.callback(doorbell.close)
        stored: dict[AlarmId, list[Transition]] = {}

        def noting(unit: Any, transitions: Any) -> Applied:
            outcome = real_apply(unit, transitions)
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


def an_alarm_of(name: str, **changes: Any) -> Alarm:
    """An alarm with the rule of a name."""
    type_, rule = RULES[name]
    return an_alarm(
        name=name,
        type=type_,
        rule=FAMILIES[type_].normalise(rule, project_id="p1"),
        state_timestamp=START,
        timestamp=START,
        **changes,
    )


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
