# SPDX-License-Identifier: Apache-2.0
"""The tick over a real sample log and a real database."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from alarmd import plugins, telemetry
from alarmd.cache.log import Cursor, Entry, SampleLog
from alarmd.cache.window import WindowLimits
from alarmd.clock import ManualClock
from alarmd.cluster.local_doorbell import LocalDoorbell
from alarmd.cluster.membership import Membership
from alarmd.cluster.solo import SoloMembership
from alarmd.errors import LogUnavailable, StoreUnavailable
from alarmd.evaluators.family import RuleLimits
from alarmd.evaluators.plan import PlanOptions
from alarmd.evaluators.tick import Evaluation, TickReport
from alarmd.model.alarm import Alarm, State
from alarmd.model.notification import Notification
from alarmd.model.shard import Shard, shard_of
from alarmd.store.database import Database
from alarmd.store.history import HistoryQuery
from alarmd.store.outbox import OutboxQuery
from tests.support.alarms import an_alarm
from tests.support.rest import new_database
from tests.support.samples import a_batch, a_resource, new_log

LATENESS_S = 5.0
LIMITS = RuleLimits(window_s=600, lateness_s=LATENESS_S)
FAMILIES = {"threshold": plugins.load("alarmd.evaluators", "threshold")(LIMITS, lambda _name: None)}


def a_group_alarm(**changes: Any) -> Alarm:
    """An alarm on the CPU of group ``web`` in project ``p1``, in periods of ten seconds."""
    alarm = an_alarm(**changes)
    rule = {"query": [{"field": "labels.group", "op": "eq", "value": "web"}], "period": 10}
    return replace(alarm, rule={**alarm.rule, **rule})


@dataclass
class Room:
    """A database, a log, a clock, and evaluators over them."""

    database: Database
    log: SampleLog
    doorbell: LocalDoorbell
    clock: ManualClock

    def evaluation(
        self,
        *,
        membership: Membership | None = None,
        log: SampleLog | None = None,
        count_results: bool = False,
        lateness_s: float = LATENESS_S,
        transitions_a_tick: int = 10_000,
    ) -> Evaluation:
        return Evaluation(
            database=self.database,
            log=log or self.log,
            doorbell=self.doorbell,
            membership=membership or SoloMembership(index=0, count=1),
            families=FAMILIES,
            window=WindowLimits(length_s=600, lateness_s=lateness_s),
            plan=PlanOptions(lateness_s=lateness_s, repeat_interval_s=60, count_results=count_results),
            clock=self.clock,
            count_interval_s=10,
            transitions_a_tick=transitions_a_tick,
        )

    def add(self, alarm: Alarm) -> Alarm:
        with self.database.write() as unit:
            return unit.alarms.add(alarm)

    def get(self, alarm: Alarm) -> Alarm:
        with self.database.read() as unit:
            found = unit.alarms.get(alarm.alarm_id)
        assert found is not None
        return found

    def sample(self, value: float, *, project_id: str = "p1", resource_id: str = "vm-1") -> None:
        resource = a_resource(resource_id, project_id=project_id, labels={"group": "web"})
        self.log.append([a_batch({resource: {"cpu_util": value}}, timestamp_s=self.clock.time_s())])

    def outbox(self) -> list[Notification]:
        with self.database.read() as unit:
            return unit.outbox.find(OutboxQuery())

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Return how often each alarm was found ok, in alarm, and without data."""
        with self.database.read() as unit:
            rows = [row.counts for row in unit.counters.find(project_id=None, limit=100)]
        return {row.alarm_id: (row.ok, row.alarm, row.insufficient_data) for row in rows}

    def reasons(self, alarm: Alarm) -> list[str]:
        """Return why the alarm changed its state, in order."""
        with self.database.read() as unit:
            rows = unit.history.find(HistoryQuery(alarm_id=alarm.alarm_id))
        return [str(row.detail["transition_reason"]) for row in reversed(rows)]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """An empty room."""
    clock = ManualClock(datetime(2026, 1, 1, 9, tzinfo=UTC))
    with ExitStack() as stack:
        database = stack.enter_context(closing(new_database(tmp_path)))
        log = stack.enter_context(closing(new_log(tmp_path)))
        doorbell = stack.enter_context(closing(LocalDoorbell(tmp_path / "bells")))
        yield Room(database, log, doorbell, clock)


class BrokenLog:
    """A log that does not answer."""

    def read(self, cursor: Cursor, *, limit: int) -> tuple[Sequence[Entry], Cursor]:
        raise LogUnavailable(f"cannot read {limit} entries behind {len(cursor)} positions")


def told(report: TickReport) -> tuple[int, int, int]:
    """Return what matters most of a report: transitions, those that fell through, notifications."""
    return report.transitions, report.stale, report.notifications


def test_a_sample_becomes_a_state_a_history_row_and_a_notification(room: Room) -> None:
    """One tick after a busy sample everything that follows from it is stored."""
    alarm = room.add(a_group_alarm())
    evaluation = room.evaluation()
    quiet = evaluation.tick()
    room.sample(97.0)
    busy = evaluation.tick()

    reason = "Transition to alarm due to 1 samples outside threshold, most recent: 97.0"
    assert ((0, 0, 0), (1, 0, 1)) == (told(quiet), told(busy))
    assert (State.ALARM, reason) == (room.get(alarm).state, room.get(alarm).state_reason)
    assert [reason] == room.reasons(alarm)
    assert [("http://127.0.0.1:9/scale-out", 1)] == [(sent.target, sent.sequence) for sent in room.outbox()]
    assert (0, 0, 0) == told(evaluation.tick())


def test_a_restart_finds_everything_as_it_was(room: Room) -> None:
    """A new evaluator replays the log: nothing is told twice and no alarm loses its data."""
    alarm = room.add(a_group_alarm())
    room.sample(97.0)
    room.evaluation().tick()
    room.clock.advance(300)
    restarted = room.evaluation()
    first = restarted.tick()
    room.sample(96.0)
    room.clock.advance(1)
    second = restarted.tick()

    assert [(0, 0, 0), (0, 0, 0)] == [told(first), told(second)]
    assert State.ALARM is room.get(alarm).state


def test_an_alarm_without_data_goes_to_insufficient_data(room: Room) -> None:
    """When samples stop, the alarm says so after a period and the lateness budget."""
    alarm = room.add(a_group_alarm())
    evaluation = room.evaluation()
    for _ in range(20):
        room.sample(97.0)
        evaluation.tick()
        room.clock.advance(1)
    for _ in range(17):
        evaluation.tick()
        room.clock.advance(1)

    assert State.INSUFFICIENT_DATA is room.get(alarm).state
    assert "1 datapoints are unknown" == room.reasons(alarm)[-1]


def test_a_log_that_does_not_answer_is_not_missing_data(room: Room) -> None:
    """While the log cannot be read alarms keep their states, for however long."""
    alarm = room.add(a_group_alarm())
    evaluation = room.evaluation()
    room.sample(97.0)
    evaluation.tick()
    evaluation._log = BrokenLog()  # type: ignore[assignment]  # only what the tick calls
    for _ in range(30):
        room.clock.advance(2)
        evaluation.tick()

    assert State.ALARM is room.get(alarm).state


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_clock_that_is_set_blinds_no_alarm(room: Room, jump_s: float) -> None:
    """However the time of day jumps, no alarm loses its data, and the next sample counts."""
    alarm = room.add(a_group_alarm())
    evaluation = room.evaluation()
    evaluation.tick()
    room.clock.advance(30)
    room.sample(97.0)
    evaluation.tick()
    room.clock.step(jump_s)
    jumped = evaluation.tick()
    room.clock.advance(1)
    room.sample(10.0)

    assert ((0, 0, 0), State.ALARM) == (told(jumped), room.get(alarm).state)
    assert 1 == evaluation.tick().transitions
    assert State.OK == room.get(alarm).state


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_clock_that_is_set_leaves_out_no_repeat(room: Room, jump_s: float) -> None:
    """Within its interval of the jump an alarm that stays takes its actions again, and so it goes on."""
    room.add(a_group_alarm(repeat_actions=True))
    evaluation = room.evaluation()
    evaluation.tick()
    room.sample(97.0)
    evaluation.tick()
    room.clock.step(jump_s)
    evaluation.tick()
    repeats = []
    for _ in range(36):
        room.clock.advance(5)
        room.sample(97.0)
        repeats.append(evaluation.tick().repeats)

    assert [1, 1, 1] == [sum(repeats[start : start + 12]) for start in (0, 12, 24)]


def test_a_worker_that_was_held_up_does_not_take_its_own_absence_for_silence(room: Room) -> None:
    """After a pause that may have held up the pollers too, data is missing only once it has stayed away for a while."""
    alarm = room.add(a_group_alarm())
    evaluation = room.evaluation()
    evaluation.tick()
    room.sample(97.0)
    evaluation.tick()
    room.clock.advance(300)
    after_the_pause = evaluation.tick()
    for _ in range(4):
        room.clock.advance(4)
        evaluation.tick()

    assert (0, 0, 0) == told(after_the_pause)
    assert State.INSUFFICIENT_DATA == room.get(alarm).state


def test_series_that_have_gone_silent_are_forgotten(room: Room) -> None:
    """A series whose last sample has left the window takes no room any more."""
    evaluation = room.evaluation()
    room.sample(97.0)
    evaluation.tick()
    before = telemetry.REGISTRY.get_sample_value("alarmd_series")
    room.clock.advance(601)
    evaluation.tick()

    assert (1, 0) == (before, telemetry.REGISTRY.get_sample_value("alarmd_series"))


def test_an_edited_alarm_is_evaluated_as_edited(room: Room) -> None:
    """Changes of the definition count at the next tick: another threshold, disabled, deleted."""
    alarm = room.add(a_group_alarm())
    evaluation = room.evaluation()
    room.sample(50.0)
    evaluation.tick()
    with room.database.write() as unit:
        unit.alarms.replace(replace(room.get(alarm), rule={**alarm.rule, "threshold": 40.0}))
    evaluation.tick()
    edited = room.get(alarm).state
    with room.database.write() as unit:
        unit.alarms.replace(replace(room.get(alarm), enabled=False))
    room.sample(10.0)
    disabled = evaluation.tick()
    with room.database.write() as unit:
        unit.alarms.remove(alarm.alarm_id, room.clock.now())
    evaluation.tick()

    assert State.ALARM is edited
    assert (0, 0, 0) == told(disabled)
    assert 0 == evaluation.tick().alarms


def test_a_suspended_alarm_keeps_its_state_and_goes_on_when_it_is_resumed(room: Room) -> None:
    """As Heat suspends stacks: from then on nothing is decided and nothing told; resumed, it sees what there is now."""
    alarm = room.add(a_group_alarm())
    evaluation = room.evaluation()
    room.sample(90.0)
    evaluation.tick()
    with room.database.write() as unit:
        unit.alarms.replace(replace(room.get(alarm), enabled=False))
    room.sample(10.0)
    suspended = (told(evaluation.tick()), room.get(alarm).state)
    with room.database.write() as unit:
        unit.alarms.replace(replace(room.get(alarm), enabled=True))
    evaluation.tick()

    assert ((0, 0, 0), State.ALARM) == suspended
    assert State.OK is room.get(alarm).state


def test_of_two_evaluators_one_acts(room: Room) -> None:
    """Two workers that believe to own the same shard make one transition and one notification."""
    alarm = room.add(a_group_alarm())
    one, two = room.evaluation(), room.evaluation()
    one.tick()
    two.tick()
    room.sample(97.0)

    assert [(1, 0, 1), (0, 1, 0)] == [told(one.tick()), told(two.tick())]
    assert 1 == len(room.reasons(alarm))
    room.clock.advance(1)
    room.sample(1.0)
    assert [(1, 0, 0), (0, 1, 0)] == [told(two.tick()), told(one.tick())]


def test_a_database_that_is_away_costs_no_transition(room: Room) -> None:
    """A transition that could not be stored is stored when the database is back."""
    alarm = room.add(a_group_alarm())
    evaluation = room.evaluation()
    evaluation.tick()
    room.sample(97.0)
    with room.database.write() as unit:
        unit.connection.exec_driver_sql("ALTER TABLE outbox RENAME TO away")
    with pytest.raises(StoreUnavailable):
        evaluation.tick()
    with room.database.write() as unit:
        unit.connection.exec_driver_sql("ALTER TABLE away RENAME TO outbox")
    before = room.get(alarm).state
    evaluation.tick()

    assert (State.INSUFFICIENT_DATA, State.ALARM) == (before, room.get(alarm).state)
    assert 1 == len(room.outbox())


def test_a_tenant_whose_alarms_all_change_holds_up_nobody_else(room: Room) -> None:
    """A tick stores no more than it has room for, its projects share that, and each tick looks at what is new."""
    noisy = [room.add(a_group_alarm(project_id="p1")) for _ in range(10)]
    quiet = room.add(a_group_alarm(project_id="p2"))
    evaluation = room.evaluation(transitions_a_tick=4)
    room.clock.advance(10)
    for project_id in ("p1", "p2"):
        room.sample(90, project_id=project_id)
    room.clock.advance(10)

    first = evaluation.tick()
    after_first = room.get(quiet).state
    room.sample(90, project_id="p1")
    room.sample(10, project_id="p2")
    room.clock.advance(10)
    second = evaluation.tick()
    left_over = [evaluation.tick().left_over for _ in range(2)]

    assert (4, 7) == (first.transitions, first.left_over)
    assert State.ALARM is after_first
    assert (4, 4) == (second.transitions, second.left_over)
    assert State.OK is room.get(quiet).state
    assert [0, 0] == left_over
    assert {State.ALARM} == {room.get(alarm).state for alarm in noisy}
    assert 11 == len(room.outbox())


def test_one_unreadable_alarm_stops_no_other(room: Room) -> None:
    """An alarm whose rule cannot be compiled is passed over."""
    room.add(replace(a_group_alarm(), rule={"meter_name": 5}))
    room.add(replace(a_group_alarm(), type="unheard_of"))
    good = room.add(a_group_alarm())
    room.sample(97.0)
    room.evaluation().tick()

    assert State.ALARM is room.get(good).state


class Changing:
    """A membership that is told what it owns."""

    def __init__(self, *shards: Shard) -> None:
        self.shards = frozenset(shards)

    def owned(self) -> frozenset[Shard]:
        return self.shards

    def close(self) -> None:
        self.shards = frozenset()


def test_shards_that_are_taken_over_are_evaluated_from_the_log(room: Room) -> None:
    """A member evaluates what it owns, and what it takes over with all the samples that came before."""
    assert shard_of("p1") != shard_of("p2")
    first, second = room.add(a_group_alarm()), room.add(a_group_alarm(project_id="p2"))
    membership = Changing(shard_of("p1"))
    evaluation = room.evaluation(membership=membership)
    room.sample(97.0)
    room.sample(97.0, project_id="p2")
    evaluation.tick()
    before = [room.get(first).state, room.get(second).state]
    membership.shards = frozenset({shard_of("p2")})
    evaluation.tick()

    assert [State.ALARM, State.INSUFFICIENT_DATA] == before
    assert State.ALARM is room.get(second).state
    assert 1 == evaluation.tick().alarms


def test_an_alarm_that_moves_between_shards_is_kept(room: Room) -> None:
    """An alarm that reads another project from now on is not lost between its two shards."""
    moving = room.add(a_group_alarm(project_id="p1"))
    evaluation = room.evaluation()
    evaluation.tick()
    with room.database.write() as unit:
        unit.alarms.replace(replace(room.get(moving), project_id="p2", shard=shard_of("p2")))
    room.sample(97.0, project_id="p2")
    evaluation.tick()

    assert State.ALARM is room.get(moving).state


#: Half past nine for ten minutes; the clock of the room starts at nine.
HALF_PAST = {"name": "n", "description": "", "start": "30 9 * * *", "duration": 600, "timezone": ""}


def test_outside_its_time_constraints_an_alarm_is_left_alone(room: Room) -> None:
    """A closed alarm keeps its state and tells nobody; the tick at which its window opens evaluates it."""
    alarm = room.add(a_group_alarm(time_constraints=(HALF_PAST,), repeat_actions=True))
    evaluation = room.evaluation()
    room.sample(97.0)
    early = [told(evaluation.tick())]
    room.clock.advance(29 * 60)
    room.sample(97.0)
    early.append(told(evaluation.tick()))
    room.clock.advance(0.001)
    opened = told(evaluation.tick())
    room.clock.advance(660)
    room.sample(10.0)
    late = told(evaluation.tick())

    assert ([(0, 0, 0), (0, 0, 0)], (1, 0, 1), (0, 0, 0)) == (early, opened, late)
    assert State.ALARM is room.get(alarm).state


@pytest.mark.parametrize("jump_s", [1800.0, -1800.0])
def test_a_clock_that_is_set_opens_and_closes_windows(room: Room, jump_s: float) -> None:
    """After the time of day has jumped, time constraints go by the new one at once."""
    room.clock.step(1800.0 - max(jump_s, 0.0))
    alarm = room.add(a_group_alarm(time_constraints=(HALF_PAST,)))
    evaluation = room.evaluation()
    evaluation.tick()
    room.clock.step(jump_s)
    evaluation.tick()
    room.sample(97.0)
    evaluation.tick()

    assert (State.ALARM if jump_s > 0 else State.INSUFFICIENT_DATA) is room.get(alarm).state


def test_constraints_that_are_dropped_close_nothing_any_more(room: Room) -> None:
    """An alarm that was closed is evaluated at the next tick after its constraints have been taken away."""
    alarm = room.add(a_group_alarm(time_constraints=(HALF_PAST,)))
    evaluation = room.evaluation()
    room.sample(97.0)
    closed = told(evaluation.tick())
    with room.database.write() as unit:
        unit.alarms.replace(replace(room.get(alarm), time_constraints=()))

    assert ((0, 0, 0), (1, 0, 1)) == (closed, told(evaluation.tick()))


def test_results_are_stored_at_their_interval_and_at_the_end(room: Room) -> None:
    """Counts are in the database every ten seconds, and all of them after an orderly end; a successor goes on."""
    alarm = room.add(a_group_alarm())
    evaluation = room.evaluation(count_results=True)
    room.sample(97.0)
    stored = []
    for _ in range(13):
        evaluation.tick()
        stored.append(room.counts())
        room.clock.advance(1)
    evaluation.close()
    closed = room.counts()
    evaluation.close()
    successor = room.evaluation(count_results=True)
    successor.tick()
    successor.close()

    assert ([{}] * 10, [{alarm.alarm_id: (0, 11, 0)}] * 3) == (stored[:10], stored[10:])
    assert {alarm.alarm_id: (0, 13, 0)} == closed
    assert {alarm.alarm_id: (0, 14, 0)} == room.counts()


def test_silence_is_believed_where_no_lateness_is_allowed_for(room: Room) -> None:
    """The pause between two ticks is none that hides samples: alarms without data are evaluated, and counted."""
    alarm = room.add(a_group_alarm())
    evaluation = room.evaluation(count_results=True, lateness_s=0)
    room.sample(97.0)
    for _ in range(60):
        evaluation.tick()
        room.clock.advance(1)
    evaluation.close()

    assert State.INSUFFICIENT_DATA is room.get(alarm).state
    ok, alarms, without_data = room.counts()[alarm.alarm_id]
    assert (0, True, True) == (ok, alarms > 0, without_data > 30)


def test_nothing_is_counted_unless_the_operator_wants_it(room: Room) -> None:
    """By default no counter is written."""
    room.add(a_group_alarm())
    evaluation = room.evaluation()
    room.sample(97.0)
    for _ in range(12):
        evaluation.tick()
        room.clock.advance(1)
    evaluation.close()

    assert {} == room.counts()


def test_counts_that_could_not_be_stored_are_stored_later(room: Room) -> None:
    """A counter table that is away stops no evaluation and loses no count; new shards do not either."""
    alarm = room.add(a_group_alarm())
    membership = Changing(shard_of("p1"))
    evaluation = room.evaluation(count_results=True, membership=membership)
    room.sample(97.0)
    with room.database.write() as unit:
        unit.connection.exec_driver_sql("ALTER TABLE alarm_counters RENAME TO away")
    transitions = 0
    for _ in range(13):
        transitions += evaluation.tick().transitions
        room.clock.advance(1)
    membership.shards = frozenset({shard_of("p1"), shard_of("p2")})
    evaluation.tick()
    with room.database.write() as unit:
        unit.connection.exec_driver_sql("ALTER TABLE away RENAME TO alarm_counters")
    evaluation.tick()
    evaluation.close()

    assert 1 == transitions
    assert {alarm.alarm_id: (0, 15, 0)} == room.counts()


def test_an_end_without_a_database_is_an_end(room: Room) -> None:
    """Counts that cannot be stored at the end are given up; the log says so."""
    room.add(a_group_alarm())
    evaluation = room.evaluation(count_results=True)
    room.sample(97.0)
    evaluation.tick()
    with room.database.write() as unit:
        unit.connection.exec_driver_sql("ALTER TABLE alarm_counters RENAME TO away")
    with structlog.testing.capture_logs() as logs:
        evaluation.close()

    assert [("results_lost", 1)] == [(entry["event"], entry["alarms"]) for entry in logs]
