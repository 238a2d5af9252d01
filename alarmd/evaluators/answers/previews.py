# SPDX-License-Identifier: Apache-2.0
"""Previews and backtests: what a rule would have done over the log's samples, or over some that somebody has."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import TypeAlias

from alarmd.errors import InvalidInput
from alarmd.evaluators.answers.replay import Course, Replay
from alarmd.evaluators.answers.scope import Scope
from alarmd.evaluators.answers.surroundings import Surroundings
from alarmd.evaluators.answers.turns import TurnLimits, Turns
from alarmd.evaluators.family import TickedRule
from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.samples import Batch, Sample, batches_of
from alarmd.store.alarms import AlarmQuery

#: When a span begins: a moment, or so long before its end. None: where what is there begins, an hour ago at most.
Since: TypeAlias = timedelta | datetime | None

_DEFAULT_SPAN = timedelta(hours=1)
#: How long a span may be over samples that somebody has; what there is time for bounds it sooner.
_LONGEST_BACKTEST = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a rule would have done, and what had to be assumed to say so."""

    course: Course
    assumptions: tuple[str, ...]


class Previews:
    """Previews rules, one at a time. Safe to use from several threads."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        limits = TurnLimits(at_once=1, most=surroundings.most_answers, most_of_one=1, patience_s=surroundings.timeout_s)
        self._turns = Turns(limits, what="previews")

    def run(self, alarm: Alarm, *, since: Since = None, samples: Sequence[Sample] | None = None) -> Preview:
        """Return what an alarm would have done from its state on, with the samples of the log or only with these.

        Raises `InvalidInput` for rules that are not evaluated from samples, for spans that are too long, and when it
        takes too long; `TooMany` as `Turns` does; `LogUnavailable` and `StoreUnavailable`.
        """
        rule, scope = self._rule(alarm)
        with self._turns.turn(alarm.project_id):
            others = self._states_of(scope)
            return self._run(alarm, rule, scope, since=since, samples=samples, others=others)

    def _run(
        self,
        alarm: Alarm,
        rule: TickedRule,
        scope: Scope,
        *,
        since: Since,
        samples: Sequence[Sample] | None,
        others: Mapping[AlarmId, State],
    ) -> Preview:
        source = self._given(samples) if samples is not None else self._logged(scope)
        start = _start_of(since, source)
        proceed = self._deadline(start, source.end)
        alarm = replace(alarm, state_timestamp=start)
        replay = Replay(window=self._around.window, plan=self._around.plan, tick_s=self._around.tick_s, proceed=proceed)
        # As much as a worker reads that starts then.
        known_s = start.timestamp() - self._around.window.length_s
        batches = _each(source.batches(known_s), proceed)
        course = replay.run(alarm, rule, batches, start=start, end=source.end, others=others)
        return Preview(course=course, assumptions=tuple(_assumptions(alarm, scope, source, course, others)))

    def _rule(self, alarm: Alarm) -> tuple[TickedRule, Scope]:
        family = self._around.families[alarm.type]
        rule = family.parse(alarm.rule, project_id=alarm.project_id, confined=alarm.confined)
        scope = Scope.of(rule)
        if scope.servers:
            named = " and ".join(scope.servers)
            raise InvalidInput(
                f"The rule asks another server ({named}) for its values, and what that would have answered is not "
                "kept here. A preview takes rules over alarmd's own samples; look at the query there instead."
            )
        return rule, scope

    def _states_of(self, scope: Scope) -> dict[AlarmId, State]:
        if not scope.alarm_ids:
            return {}
        with self._around.database.read() as unit:
            found = unit.alarms.find(AlarmQuery(alarm_ids=scope.alarm_ids, sort=()))
        return {one.alarm_id: one.state for one in found}

    def _logged(self, scope: Scope) -> "_Source":
        return _Source(
            what="log",
            batches=lambda since_s: scope.recorded(self._around.log, since_s=since_s),
            begin_s=self._around.log.stats().oldest_s,
            end=self._around.clock.now(),
            longest=timedelta(seconds=self._around.retention_s),
            remedy="the sample log goes back no further (setting log.retention_s)",
        )

    def _given(self, samples: Sequence[Sample]) -> "_Source":
        if not samples:
            raise InvalidInput("There are no samples: leave them out to use those of the log, or send some.")
        times_s = [one.timestamp_s for one in samples]
        return _Source(
            what="samples",
            batches=lambda since_s: batches_of((s for s in samples if s.timestamp_s >= since_s), source="backtest"),
            begin_s=min(times_s),
            end=datetime.fromtimestamp(max(times_s), UTC),
            longest=_LONGEST_BACKTEST,
            remedy="a backtest goes back no further",
        )

    def _deadline(self, start: datetime, end: datetime) -> Callable[[], None]:
        clock, allowed_s = self._around.clock, self._around.timeout_s
        until_s = clock.monotonic_s() + allowed_s

        def proceed() -> None:
            if clock.monotonic_s() > until_s:
                raise InvalidInput(
                    f"Going through {_words(end - start)} takes longer than the {allowed_s:g} s allowed: name a later "
                    "`since`, or ask the operator to raise api.preview_timeout_s."
                )

        return proceed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Where samples come from."""

    what: str
    #: Returns the batches with samples since a moment, and perhaps older ones.
    batches: Callable[[float], Iterable[Batch]]
    #: Time of the oldest sample there is, None when there is none.
    begin_s: float | None
    end: datetime
    longest: timedelta
    remedy: str


def _start_of(since: Since, source: _Source) -> datetime:
    end = source.end
    match since:
        case datetime():
            start = since
        case timedelta():
            start = end - min(since, timedelta(days=36500))
        case None:
            earliest = end - (_DEFAULT_SPAN if source.what == "log" else source.longest)
            begin = earliest if source.begin_s is None else datetime.fromtimestamp(source.begin_s, UTC)
            start = max(min(begin, end), earliest)
    if start > end:
        raise InvalidInput(f"`since` ({_moment(start)}) is after the end of the span ({_moment(end)}).")
    if end - start > source.longest:
        raise InvalidInput(
            f"`since` is {_words(end - start)} before the end of the span, but {_words(source.longest)} is the most: "
            f"{source.remedy}."
        )
    return start


def _each(batches: Iterable[Batch], proceed: Callable[[], None]) -> Iterable[Batch]:
    for batch in batches:
        proceed()
        yield batch


def _assumptions(
    alarm: Alarm, scope: Scope, source: _Source, course: Course, others: Mapping[AlarmId, State]
) -> Iterable[str]:
    yield f"At the start it was in the state {str(alarm.state)!r}."
    yield "Each sample came at its own time, a late one together with the newer one before it, and counted at once."
    if source.begin_s is None:
        yield "There are no samples at all."
    elif source.what == "log" and source.begin_s > course.start.timestamp():
        yield f"The log begins at {_moment(datetime.fromtimestamp(source.begin_s, UTC))}: before, there was nothing."
    for alarm_id in scope.alarm_ids:
        state = others.get(alarm_id)
        known = f"was {str(state)!r}, as it is now, for the whole span" if state else "does not exist"
        yield f"The alarm {alarm_id} that the rule refers to {known}."
    if not alarm.enabled:
        yield "The alarm was enabled."


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _words(length: timedelta) -> str:
    seconds = ceil(length.total_seconds())
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
