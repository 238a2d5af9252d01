# SPDX-License-Identifier: Apache-2.0
"""The tick: follow the samples and the definitions, evaluate everything, store what changed."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

import structlog

from alarmd import telemetry
from alarmd.cache.log import Cursor, SampleLog
from alarmd.cache.window import Window, WindowLimits
from alarmd.clock import Clock, JumpWatch
from alarmd.cluster.doorbell import Bell, Doorbell
from alarmd.cluster.membership import Membership
from alarmd.errors import InvalidInput, LogUnavailable
from alarmd.evaluators.asking.asker import Asker
from alarmd.evaluators.family import RuleFamily
from alarmd.evaluators.fresh_evidence import Waiting
from alarmd.evaluators.plan import Plan, PlanOptions
from alarmd.evaluators.safety import Watch
from alarmd.evaluators.sharing import shared_out
from alarmd.evaluators.tally import Tally
from alarmd.evaluators.telling import tell
from alarmd.evaluators.upheaval import Upheaval
from alarmd.model.alarm import Alarm, AlarmId
from alarmd.model.shard import Shard
from alarmd.model.transition import Transition
from alarmd.store.alarms import AlarmQuery
from alarmd.store.database import Database
from alarmd.store.gate import GateLimits
from alarmd.store.transitions import Applied, apply

_logger = structlog.get_logger()

#: Entries and definitions read at once: enough to be quick, few enough to keep memory and transactions small.
_ENTRIES_AT_ONCE = 500
_DEFINITIONS_AT_ONCE = 5_000
#: Transitions stored by one tick, in one transaction; the projects share what there is room for. What is left over is
#: found by the next tick again, after it has looked at everybody's new samples.
_TRANSITIONS_A_TICK = 10_000
#: A pause between two ticks that is no longer than this holds nobody up, however little lateness is allowed for.
_PAUSE_S = 2.0
#: How many alarms may refer to each other in a row and still follow within one tick.
_LONGEST_CHAIN = 16
#: Series that have gone silent are forgotten this often.
_EXPIRE_EVERY_S = 60.0


_NO_LIMITS = GateLimits()

#: What surrounds the reading of everything that a worker's shards hold.
TakingOver: TypeAlias = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TickReport:
    """What one tick has done."""

    samples_read: int
    alarms: int
    transitions: int
    repeats: int
    #: Decisions that fell through since the alarm was changed meanwhile.
    stale: int
    notifications: int
    #: What there was no room for in this tick, so that the next one should follow at once.
    left_over: int


class Evaluation:
    """Evaluates the alarms of a worker's shards, tick by tick. One thread at a time."""

    def __init__(
        self,
        *,
        database: Database,
        log: SampleLog,
        doorbell: Doorbell,
        membership: Membership,
        families: Mapping[str, RuleFamily],
        window: WindowLimits,
        plan: PlanOptions,
        clock: Clock,
        count_interval_s: float = 10.0,
        asker: Asker | None = None,
        taking_over: TakingOver = nullcontext,
        gate: GateLimits = _NO_LIMITS,
        watch: Watch | None = None,
        transitions_a_tick: int = _TRANSITIONS_A_TICK,
    ) -> None:
        self._gate = gate
        self._transitions_a_tick = transitions_a_tick
        #: Who looks for what is too much at once; without one, nobody does.
        self._watch = watch
        self._waiting = Waiting()
        self._database = database
        self._log = log
        self._doorbell = doorbell
        self._membership = membership
        self._families = families
        self._window_limits = window
        self._plan_options = plan
        #: Between two ticks there is always a pause, however little lateness is allowed for.
        self._longest_pause_s = max(plan.lateness_s, _PAUSE_S)
        self._clock = clock
        self._asker = asker
        self._taking_over = taking_over
        self._jumps = JumpWatch(clock, tolerance_s=max(plan.lateness_s, 1.0))
        self._owned: frozenset[Shard] | None = None
        self._tally = Tally(database=database, clock=clock, interval_s=count_interval_s)
        self._forget()

    def tick(self) -> TickReport:
        """Run one full evaluation.

        What could not be stored is found again by the next tick, so nothing is lost by an error. Raises
        `StoreUnavailable` when the database does not answer. While the log does not answer, silence is not taken for
        missing data. Alarms that cannot be compiled are logged and passed over; they hold up no others.
        """
        owned = self._membership.owned()
        if owned != self._owned or self._clock_was_set():
            self._take_over(owned)
            with self._taking_over():
                now, samples = self._follow()
        else:
            now, samples = self._follow()
        transitions = self._plan.decide(now=now, watching_since=self._watching_since)
        if self._watch is not None:
            # Before anything is stored: the first actions of a storm are to be held back, too.
            self._watch.look(self._upheaval, transitions, now=now)
        report = self._store(transitions, samples)
        report = self._store_followers(report, now)
        self._waiting.tell(self._plan.waiting)
        telemetry.SERIES.set(len(self._window.directory))
        telemetry.ALARMS.set(len(self._plan))
        if self._plan_options.count_results:
            if self._tally.wants_more():
                self._tally.take(self._plan.take_counts())
            self._tally.store()
        return report

    def close(self) -> None:
        """Store what was counted since the last time; to be called when no tick runs or follows."""
        if self._asker is not None:
            self._asker.close()
        if self._plan_options.count_results:
            self._tally.take(self._plan.take_counts())
            self._tally.close()

    def _forget(self) -> None:
        self._window = Window(self._window_limits)
        self._plan = Plan(self._window, self._plan_options, self._asker)
        self._upheaval = Upheaval(self._plan, self._window, self._plan_options)
        self._samples_cursor: Cursor | None = None
        self._definitions_cursor: dict[Shard, int] = {}
        #: Since when every sample would have been seen; silence before that says nothing.
        self._watching_since = self._clock.now()
        self._last_followed_s = self._clock.monotonic_s()
        self._last_expired_s = self._clock.monotonic_s()

    def _clock_was_set(self) -> bool:
        """Whether the time of day has jumped since the last tick: somebody set it, or the machine slept.

        After a jump ahead all samples look old, after one back they lie in the future and shut out those that follow.
        """
        jump = self._jumps.look()
        if not (jump.set_s or jump.slept_s):
            return False
        _logger.warning("clock_jumped", seconds=round(jump.set_s, 3), slept_s=round(jump.slept_s, 3))
        return True

    def _take_over(self, owned: frozenset[Shard]) -> None:
        """Start anew, with these shards: the log is replayed and the definitions are read from the beginning."""
        if self._plan_options.count_results:
            self._tally.take(self._plan.take_counts())
        self._plan.close()
        self._forget()
        self._owned = owned
        self._definitions_cursor = dict.fromkeys(owned, 0)
        _logger.info("shards_taken_over", shards=len(owned))

    def _follow(self) -> tuple[datetime, int]:
        """Bring samples and definitions up to now; return when that was and how many samples were new."""
        now = self._clock.now()
        samples = self._follow_samples(now)
        self._follow_definitions(now)
        self._hear_of_others()
        return now, samples

    def _follow_samples(self, now: datetime) -> int:
        """Bring the window up to the end of the log; return how many samples were new to it."""
        before = replace(self._window.counts)
        try:
            self._read_log(now.timestamp())
        except LogUnavailable as error:
            _logger.warning("log_unavailable", error=str(error))
            self._watching_since = now
        else:
            # A worker that was held up for longer than the lateness budget may have been held up with its pollers.
            if self._clock.monotonic_s() - self._last_followed_s > self._longest_pause_s:
                self._watching_since = now
            self._last_followed_s = self._clock.monotonic_s()
        counts = self._window.counts
        telemetry.SAMPLES_LATE.inc(counts.late - before.late)
        telemetry.SAMPLES_REJECTED.labels("future").inc(counts.future - before.future)
        telemetry.SAMPLES_REJECTED.labels("no_room").inc(counts.crowded_out - before.crowded_out)
        if self._clock.monotonic_s() - self._last_expired_s > _EXPIRE_EVERY_S:
            self._last_expired_s = self._clock.monotonic_s()
            self._window.expire(now_s=now.timestamp())
        return counts.accepted - before.accepted

    def _read_log(self, now_s: float) -> None:
        if self._samples_cursor is None:
            self._samples_cursor = self._log.start_of(self._owned or (), since_s=now_s - self._window_limits.length_s)
        while True:
            entries, self._samples_cursor = self._log.read(self._samples_cursor, limit=_ENTRIES_AT_ONCE)
            for entry in entries:
                self._window.append(entry.batch, now_s=now_s)
            if len(entries) < _ENTRIES_AT_ONCE:
                return

    def _follow_definitions(self, now: datetime) -> None:
        while True:
            with self._database.read() as unit:
                news = unit.alarms.definitions(self._definitions_cursor, limit=_DEFINITIONS_AT_ONCE)
            for alarm in news.alarms:
                self._learn(alarm, now)
            # A removed alarm may have come back in another of these shards, so what is there now decides.
            self._read_again(
                [alarm_id for alarm_id in news.removed_ids if alarm_id in self._plan or self._plan.refers_to(alarm_id)],
                now,
            )
            if news.cursor == self._definitions_cursor:
                return
            self._definitions_cursor = news.cursor

    def _read_again(self, alarm_ids: Sequence[AlarmId], now: datetime) -> None:
        if not alarm_ids:
            return
        with self._database.read() as unit:
            found = unit.alarms.find(AlarmQuery(alarm_ids=tuple(alarm_ids), sort=()))
        for alarm_id in alarm_ids:
            self._plan.remove(alarm_id)
            self._plan.note(alarm_id, None)
        for alarm in found:
            self._learn(alarm, now)

    def _learn(self, alarm: Alarm, now: datetime) -> None:
        """Compile an alarm into the plan; one that is disabled, elsewhere or unreadable is taken out of it."""
        self._plan.note(alarm.alarm_id, alarm.state)
        try:
            family = self._families.get(alarm.type)
            if alarm.enabled and family is not None and family.is_ticked and alarm.shard in (self._owned or ()):
                rule = family.parse(alarm.rule, project_id=alarm.project_id, confined=alarm.confined)
                self._plan.put(alarm, rule, now=now)
            else:
                self._plan.remove(alarm.alarm_id)
        except InvalidInput as error:
            _logger.warning("alarm_not_evaluated", alarm_id=alarm.alarm_id, type=alarm.type, error=error.message)
            self._plan.remove(alarm.alarm_id)
        except Exception:  # the evaluate loop: whatever is wrong with one alarm must not stop the others
            _logger.exception("alarm_not_compiled", alarm_id=alarm.alarm_id, type=alarm.type)
            self._plan.remove(alarm.alarm_id)

    def _hear_of_others(self) -> None:
        """Read the states of alarms that composite alarms refer to, where they have not been heard of."""
        wanted = self._plan.unheard_of()
        if not wanted:
            return
        with self._database.read() as unit:
            states = {
                alarm.alarm_id: alarm.state for alarm in unit.alarms.find(AlarmQuery(alarm_ids=tuple(wanted), sort=()))
            }
        for alarm_id in wanted:
            self._plan.note(alarm_id, states.get(alarm_id))

    def _store_followers(self, report: TickReport, now: datetime) -> TickReport:
        """Let alarms that refer to others follow those whose state has just been stored, and so on."""
        for _ in range(_LONGEST_CHAIN):
            transitions = self._plan.decide_followers(now=now)
            if not transitions:
                break
            more = self._store(transitions, 0)
            report = replace(
                report,
                transitions=report.transitions + more.transitions,
                repeats=report.repeats + more.repeats,
                stale=report.stale + more.stale,
                notifications=report.notifications + more.notifications,
                left_over=report.left_over + more.left_over,
            )
        return report

    def _store(self, transitions: Sequence[Transition], samples: int) -> TickReport:
        part = shared_out(transitions, self._plan.project_of, limit=self._transitions_a_tick)
        outcome, outgoing = Applied(applied=[], stale=[]), 0
        if part:
            with self._database.write() as unit:
                outcome = apply(unit, part, limits=self._gate)
            outgoing = sum(one.notifications for one in outcome.applied)
        if outgoing:
            self._doorbell.ring(Bell.OUTBOX)
        self._enter(part, outcome)
        return TickReport(
            samples_read=samples,
            alarms=len(self._plan),
            transitions=len(outcome.applied),
            repeats=sum(one.is_repeat for one in part),
            stale=len(outcome.stale),
            notifications=outgoing,
            left_over=len(transitions) - len(part),
        )

    def _enter(self, transitions: Sequence[Transition], outcome: Applied) -> None:
        by_id = {transition.alarm_id: transition for transition in transitions}
        for one in outcome.applied:
            transition = by_id[one.alarm_id]
            self._plan.enter(one.alarm_id, state=transition.current, state_version=one.state_version, at=transition.at)
        tell((by_id[one.alarm_id], one) for one in outcome.applied)
        self._read_again(outcome.stale, self._clock.now())
