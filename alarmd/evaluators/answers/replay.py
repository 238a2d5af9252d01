# SPDX-License-Identifier: Apache-2.0
"""Replays: what an alarm would have done over samples that are there already, by the code of the live run.

A window and a plan of one alarm are led through the entries of a sample log under a clock of their own: a tick at each
whole tick, and one whenever something comes. What a log does not tell is when its entries came, so each is taken to
have come at the moment of its samples, or together with the entry before it when that one's are newer.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, pairwise
from math import floor, inf
from operator import itemgetter

from alarmd.cache.window import Window, WindowLimits
from alarmd.evaluators.answers.scope import Scope
from alarmd.evaluators.family import TickedRule
from alarmd.evaluators.plan import Plan, PlanOptions
from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.samples import Batch
from alarmd.model.transition import Transition

#: The tick forgets series that have gone silent this often, see `tick`.
_EXPIRE_EVERY_S = 60.0
#: A pause between two ticks that is no longer than this holds nobody up, see `tick`.
_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A time for which the state stayed."""

    state: State
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What an alarm would have done over a span."""

    start: datetime
    end: datetime
    #: The state at the start.
    first: State
    #: As the live run would have stored them, repeats included, oldest first.
    transitions: tuple[Transition, ...]
    #: How many samples of the alarm's project and metrics were read.
    samples_read: int

    @property
    def changes(self) -> list[Transition]:
        """The transitions that are no repeats."""
        return [one for one in self.transitions if not one.is_repeat]

    @property
    def flaps(self) -> int:
        """How often it went back into the state that it had just left."""
        return sum(after.current is before.previous for before, after in pairwise(self.changes))

    @property
    def changes_per_hour(self) -> float:
        """How often it changed its state in an hour, on average."""
        seconds = (self.end - self.start).total_seconds()
        return len(self.changes) * 3600 / seconds if seconds else 0.0

    def stretches(self) -> list[Stretch]:
        """Return which state it was in when, without gaps."""
        moments = [self.start, *(one.at for one in self.changes), self.end]
        states = [self.first, *(one.current for one in self.changes)]
        return [
            Stretch(state=state, start=start, end=end)
            for state, (start, end) in zip(states, pairwise(moments), strict=True)
        ]

    def shares(self) -> dict[State, float]:
        """Return the share of the span that it was in each state for."""
        whole_s = (self.end - self.start).total_seconds()
        shares = dict.fromkeys(State, 0.0)
        if not whole_s:
            return shares
        for one in self.stretches():
            shares[one.state] += (one.end - one.start).total_seconds() / whole_s
        return shares

    def taken(self) -> dict[State, int]:
        """Return how often the actions of each state would have been taken."""
        return {state: sum(one.current is state for one in self.transitions) for state in State}


class Replay:
    """Leads one alarm through samples."""

    def __init__(
        self,
        *,
        window: WindowLimits,
        plan: PlanOptions,
        tick_s: float,
        proceed: Callable[[], None] = lambda: None,
    ) -> None:
        """Take what the live run has.

        Args:
            window: Bounds of the window.
            plan: What the plan knows.
            tick_s: How often there is a tick when nothing comes.
            proceed: Called before each tick; may raise, which ends the replay.
        """
        self._window_limits = window
        self._plan_options = plan
        self._tick_s = tick_s
        self._proceed = proceed

    def run(
        self,
        alarm: Alarm,
        rule: TickedRule,
        batches: Iterable[Batch],
        *,
        start: datetime,
        end: datetime,
        others: Mapping[AlarmId, State] | None = None,
    ) -> Course:
        """Return what an alarm would have done from its state at the start on.

        `batches` are those of the log in its order; those from before the start are what is known at the start. Of
        `others`, the alarms that the rule refers to, the states are taken to stay; those that are not there do not
        exist. Rules that ask other servers are told nothing.
        """
        run = _Run(self._window_limits, self._plan_options, alarm, start, self._proceed)
        scope = Scope.of(rule)
        run.plan.put(alarm, rule, now=start)
        for alarm_id in scope.alarm_ids:
            run.plan.note(alarm_id, (others or {}).get(alarm_id))
        start_s, end_s = start.timestamp(), end.timestamp()
        next_s = start_s
        for at_s, coming in groupby(_arrivals(scope.only(batches), end_s=end_s), key=itemgetter(0)):
            for tick_s in self._ticks(next_s, at_s):
                run.tick(tick_s)
                next_s = self._after(tick_s)
            for _, batch in coming:
                run.window.append(batch, now_s=at_s)
            if at_s >= start_s:
                run.tick(at_s)
        for tick_s in self._ticks(next_s, end_s):
            run.tick(tick_s)
        return Course(
            start=start,
            end=end,
            first=alarm.state,
            transitions=tuple(run.found),
            samples_read=run.window.counts.accepted,
        )

    def _ticks(self, next_s: float, until_s: float) -> Iterator[float]:
        """Yield the ticks that are due up to a moment, that included."""
        while next_s <= until_s:
            yield next_s
            next_s = self._after(next_s)

    def _after(self, at_s: float) -> float:
        """Return the first whole tick after a moment."""
        number = floor(at_s / self._tick_s) + 1
        # A quotient that was rounded down leads back to the moment itself.
        return (number + (number * self._tick_s <= at_s)) * self._tick_s


class _Run:
    """One replay: a worker that has just started, and has one alarm."""

    def __init__(
        self,
        window: WindowLimits,
        plan: PlanOptions,
        alarm: Alarm,
        start: datetime,
        proceed: Callable[[], None],
    ) -> None:
        self.window = Window(window)
        self.plan = Plan(self.window, plan)
        self.found: list[Transition] = []
        self._proceed = proceed
        self._version = alarm.state_version
        self._watching_since = start
        self._last_tick_s = self._last_expired_s = start.timestamp()
        self._longest_pause_s = max(plan.lateness_s, _PAUSE_S)

    def tick(self, at_s: float) -> None:
        """Do what a tick does once it has read the log."""
        self._proceed()
        now = datetime.fromtimestamp(at_s, UTC)
        if at_s - self._last_tick_s > self._longest_pause_s:
            self._watching_since = now
        self._last_tick_s = at_s
        if at_s - self._last_expired_s > _EXPIRE_EVERY_S:
            self._last_expired_s = at_s
            self.window.expire(now_s=at_s)
        for one in self.plan.decide(now=now, watching_since=self._watching_since):
            self._version += 1
            self.plan.enter(one.alarm_id, state=one.current, state_version=self._version, at=one.at)
            self.found.append(one)


def _arrivals(batches: Iterable[Batch], *, end_s: float) -> Iterator[tuple[float, Batch]]:
    """Yield batches with the moments at which they came, the end of the span being the latest."""
    at_s = -inf
    for batch in batches:
        at_s = max(at_s, min(batch.timestamp_s, end_s))
        yield at_s, batch
