# SPDX-License-Identifier: Apache-2.0
"""The plan: all alarms of a worker compiled into columns, and one pass over them.

Rules over the window are cells of columns (`window_rules`), rules whose values other servers know are told them
(`asked`), composite rules are the truth of both, counted (`composites`). Time constraints close and open alarms of all
kinds (`timetable`). A pass costs no Python step an alarm, only one for each change it finds.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import floor, inf
from typing import Any

import numpy as np

from alarmd.cache.window import Window
from alarmd.evaluators.asking.asked_rules import AskedRules
from alarmd.evaluators.asking.asker import Asker
from alarmd.evaluators.cell import Cell
from alarmd.evaluators.composites import Composites, Insight
from alarmd.evaluators.family import TickedRule
from alarmd.evaluators.fresh_evidence import FreshEvidence, Lack, leads_in
from alarmd.evaluators.kernel.newest import NOTHING, Newest
from alarmd.evaluators.leaves import LeafKind, PlacedLeaf, leaves_of
from alarmd.evaluators.projects import Projects
from alarmd.evaluators.roster import COUNTS, Found, Roster
from alarmd.evaluators.schedules.schedule import Schedule
from alarmd.evaluators.schedules.timetable import Timetable
from alarmd.evaluators.tally import Counted
from alarmd.evaluators.verdicts.transition_table import STATE_CODES, STATES
from alarmd.evaluators.window_rules import WindowRules
from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.rule import CompositeRule, WindowRule
from alarmd.model.transition import Transition


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What a plan needs to know beside the alarms."""

    #: Data is missing when the newest sample is older than a period and this.
    lateness_s: float
    #: How often the actions of an alarm with `repeat_actions` are due while its state stays.
    repeat_interval_s: float
    #: For how long a series that has gone silent counts as a member of its groups at least.
    member_memory_s: float = 600.0
    #: The share of a group's members that must have reported in every judged period before it scales in; 0: none.
    scale_in_coverage: float = 0.9
    #: Whether the results of evaluations are counted.
    count_results: bool = False


class Plan:
    """The compiled alarms over one window. Not safe for use by several threads.

    Rules that ask other servers are asked by the `asker`; without one, nothing is ever known of them.
    """

    def __init__(self, window: Window, options: PlanOptions, asker: Asker | None = None) -> None:
        self._options = options
        self._window_rules = WindowRules(
            window,
            lateness_s=options.lateness_s,
            member_memory_s=options.member_memory_s,
            counts_results=options.count_results,
        )
        self._asked = AskedRules(asker, counts_results=options.count_results)
        self._composites = Composites(counts_results=options.count_results)
        self._places: dict[AlarmId, tuple[Cell | AskedRules | Composites, int]] = {}
        self._timetable = Timetable()
        self._fresh = FreshEvidence(options.scale_in_coverage)
        self._projects = Projects()
        #: What was counted of alarms that have been taken out since.
        self._left: dict[AlarmId, dict[str, int]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, alarm_id: object) -> bool:
        return alarm_id in self._places

    def close(self) -> None:
        """Let go of what others are asked."""
        self._asked.close()

    def put(self, alarm: Alarm, rule: TickedRule, *, now: datetime) -> None:
        """Add an alarm, or replace what was known of it.

        Raises `InvalidInput` for time constraints that cannot be read here.
        """
        schedule = Schedule.of(alarm.time_constraints) if alarm.time_constraints else None
        self.remove(alarm.alarm_id)
        values = {
            "state": STATE_CODES[alarm.state],
            "revision": alarm.revision,
            "state_version": alarm.state_version,
            "repeat_ms": self._next_repeat_ms(alarm, now) if alarm.repeat_actions else inf,
            "repeat_interval_s": self._repeat_interval_s(alarm),
            "leads_in": leads_in(alarm),
            **self._left.pop(alarm.alarm_id, {}),
        }
        self._place(alarm.alarm_id, rule, values)
        self._projects.join(alarm.alarm_id, alarm.project_id)
        if schedule is not None and not self._timetable.join(alarm.alarm_id, schedule, now=now):
            holder, row = self._places[alarm.alarm_id]
            holder.roster.close(row)

    def remove(self, alarm_id: AlarmId) -> None:
        """Forget an alarm, if it is known."""
        place = self._places.pop(alarm_id, None)
        if place is None:
            return
        holder, row = place
        self._timetable.leave(alarm_id)
        self._projects.leave(alarm_id)
        counts = holder.roster.counts(row)
        if counts:
            self._left[alarm_id] = counts
        if isinstance(holder, Cell):
            moved = self._window_rules.drop(holder, row)
        elif isinstance(holder, Composites):
            for leaf in holder.leaves(row):
                self._uproot(leaf)
            moved = holder.drop(row)
        else:
            moved = holder.drop(row)
        if moved is not None:
            self._places[moved] = place

    def decide(self, *, now: datetime, watching_since: datetime) -> list[Transition]:
        """Evaluate every alarm that is open and return what should change, and what should be repeated.

        Changes no state: what is not entered (see `enter`) is found again by the next pass. `watching_since` is the
        moment since when every sample would have been seen: an alarm's data is called missing only after its periods
        and the lateness budget have passed under watch, so what nobody watched never blinds an alarm.
        """
        self._follow_timetable(now)
        watched_s = (now - watching_since).total_seconds()
        composites = self._composites
        self._fresh.begin()
        self._window_rules.compute(now=now)
        leaf_states = composites.leaf_states
        self._asked.refresh(leaf_states, now=now)
        self._window_rules.fill_leaves(composites.outcomes, composites.blind, leaf_states, watched_s=watched_s)
        self._asked.fill_leaves(composites.outcomes, composites.blind)
        found = self._window_rules.find(self._fresh, now=now, watched_s=watched_s)
        found += self._asked.find(self._fresh, now_ms=now.timestamp() * 1000)
        found += self._find_composites(now, is_first=True)
        return [self._transition(one, now) for one in found]

    def decide_followers(self, *, now: datetime) -> list[Transition]:
        """Return what should change since the state of an alarm that others refer to has been entered, or noted."""
        if not self._composites.has_news:
            return []
        return [self._transition(one, now) for one in self._find_composites(now, is_first=False)]

    @property
    def waiting(self) -> Mapping[AlarmId, Lack]:
        """Who wanted to scale in, as of the last pass, and waits for fresh evidence; and what is lacking."""
        return self._fresh.waiting

    @property
    def project_sizes(self) -> Mapping[str, int]:
        """How many alarms each project has here."""
        return self._projects.sizes

    def project_of(self, alarm_id: AlarmId) -> str:
        """Return the project of an alarm that is here."""
        return self._projects.of(alarm_id)

    def scales_in(self, alarm_id: AlarmId, state: State) -> bool:
        """Whether the actions of a state make a group smaller, of an alarm that is here."""
        holder, row = self._places[alarm_id]
        return bool(int(holder.roster.column("leads_in")[row]) >> STATE_CODES[state] & 1)

    def series_of(self, alarm_id: AlarmId) -> Collection[int]:
        """Return the series that an alarm reads, those aside that leaves of composites do."""
        holder, row = self._places[alarm_id]
        return self._window_rules.series_of(holder, row) if isinstance(holder, Cell) else ()

    def enter(self, alarm_id: AlarmId, *, state: State, state_version: int, at: datetime) -> None:
        """Note that a transition, or a repeat, has been stored. Alarms forgotten meanwhile are passed over."""
        place = self._places.get(alarm_id)
        if place is None:
            return
        holder, row = place
        at_ms = at.timestamp() * 1000
        holder.roster.enter(row, state=STATE_CODES[state], state_version=state_version, at_ms=at_ms)
        if isinstance(holder, Composites):
            holder.enter(row, state=STATE_CODES[state])
        self._composites.note(alarm_id, state)

    def note(self, alarm_id: AlarmId, state: State | None) -> None:
        """Note the state of an alarm that composite alarms may refer to; None: there is no such alarm."""
        self._composites.note(alarm_id, state)

    def refers_to(self, alarm_id: AlarmId) -> bool:
        """Whether a composite alarm refers to an alarm."""
        return self._composites.refers_to(alarm_id)

    def unheard_of(self) -> list[AlarmId]:
        """Return the alarms that others refer to and of whose state nothing has been noted."""
        return self._composites.unheard_of()

    def take_counts(self) -> Counted:
        """Return what was counted since this was last asked."""
        left = [[counts.get(name, 0) for name in COUNTS] for counts in self._left.values()]
        alarm_ids, rows = list(self._left), [np.array(left, np.uint32).reshape(-1, len(COUNTS))]
        rosters: list[Roster] = [cell.roster for cell in self._window_rules.cells]
        for roster in (*rosters, self._asked.roster, self._composites.roster):
            counted, counts = roster.take_counts()
            alarm_ids += counted
            rows.append(counts)
        self._left = {}
        return Counted(alarm_ids=alarm_ids, counts=np.concatenate(rows))

    def _place(self, alarm_id: AlarmId, rule: TickedRule, values: dict[str, Any]) -> None:
        if isinstance(rule, WindowRule):
            self._places[alarm_id] = self._window_rules.add(alarm_id, rule, values)
        elif not isinstance(rule, CompositeRule):
            self._places[alarm_id] = self._asked, self._asked.add(alarm_id, rule, values)
        else:
            row = self._composites.add(alarm_id, rule, values)
            # Before its leaves: should one of them fail, it can be removed with those that are there.
            self._places[alarm_id] = self._composites, row
            for placed, leaf in zip(self._composites.leaves(row), leaves_of(rule.root), strict=True):
                if placed.kind is LeafKind.WINDOW:
                    self._window_rules.add_leaf(placed.slot, leaf.rule)
                elif placed.kind is LeafKind.ASKED:
                    self._asked.add_leaf(placed.slot, leaf.rule)

    def _uproot(self, placed: PlacedLeaf) -> None:
        if placed.kind is LeafKind.WINDOW:
            self._window_rules.drop_leaf(placed.slot)
        elif placed.kind is LeafKind.ASKED:
            self._asked.drop_leaf(placed.slot)

    def _find_composites(self, now: datetime, *, is_first: bool) -> list[Found]:
        insight = Insight(self._leaf_evidence, self._leaves_are_fresh)
        return self._composites.find(insight, self._fresh, now_ms=now.timestamp() * 1000, is_first=is_first)

    def _leaves_are_fresh(self, leaves: Sequence[PlacedLeaf], seen: set[AlarmId] | None = None) -> list[bool]:
        """Return for which leaves there is fresh evidence; alarms that have been seen are not looked at again."""
        reading = [one.slot for one in leaves if one.kind is LeafKind.WINDOW]
        enough = self._window_rules.leaf_coverage(reading).is_enough(self._fresh.share)
        fresh = dict(zip(reading, enough.tolist(), strict=True))
        for one in leaves:
            if one.alarm_id is not None:
                known = set() if seen is None else seen
                fresh[one.slot] = self._alarm_is_fresh(one.alarm_id, known)
            elif one.slot not in fresh:
                fresh[one.slot] = self._asked.leaf_is_fresh(one.slot, share=self._fresh.share)
        return [fresh[one.slot] for one in leaves]

    def _alarm_is_fresh(self, alarm_id: AlarmId, seen: set[AlarmId]) -> bool:
        """Whether there is fresh evidence for all that an alarm goes by; one evaluated elsewhere is believed."""
        place = self._places.get(alarm_id)
        if place is None or alarm_id in seen:
            return True
        seen.add(alarm_id)
        holder, row = place
        if isinstance(holder, Cell):
            return bool(self._window_rules.coverage(holder, row).is_enough(self._fresh.share)[0])
        if isinstance(holder, Composites):
            return all(self._leaves_are_fresh(holder.leaves(row), seen))
        return holder.is_fresh(row, share=self._fresh.share)

    def _leaf_evidence(self, leaves: Sequence[PlacedLeaf]) -> Mapping[int, Mapping[str, Any]]:
        reading = [one.slot for one in leaves if one.kind is LeafKind.WINDOW]
        asking = [one.slot for one in leaves if one.kind is LeafKind.ASKED]
        asked = {slot: self._asked.leaf_evidence(slot) for slot in asking}
        return self._window_rules.leaf_evidence(reading) | asked

    def _follow_timetable(self, now: datetime) -> None:
        """Open and close what the time constraints say."""
        for turn in self._timetable.turns(now):
            for alarm_id in turn.alarm_ids:
                holder, row = self._places[alarm_id]
                if not turn.is_open:
                    holder.roster.close(row)
                    continue
                holder.roster.open(row, since_ms=turn.at.timestamp() * 1000)

    def _next_repeat_ms(self, alarm: Alarm, now: datetime) -> float:
        """Return when a loaded alarm's actions are due again: whole intervals after it entered its state.

        So evaluators that start, stop and take over from each other keep one rhythm. What was entered in the future,
        by a clock that was set back since, was entered now.
        """
        interval_s = self._repeat_interval_s(alarm)
        entered_s = min(alarm.state_timestamp, now).timestamp()
        passed = floor((now.timestamp() - entered_s) / interval_s)
        return (entered_s + (passed + 1) * interval_s) * 1000

    def _repeat_interval_s(self, alarm: Alarm) -> float:
        return alarm.repeat_interval_s or self._options.repeat_interval_s

    def _transition(self, found: Found, now: datetime) -> Transition:
        newest = self._newest(found)
        return Transition(
            alarm_id=found.alarm_id,
            revision=found.revision,
            state_version=found.state_version,
            previous=STATES[found.previous],
            current=STATES[found.current],
            reason=found.reason,
            reason_data=found.reason_data,
            evidence=found.evidence,
            at=now,
            sampled_at=newest.taken_at,
            traceparent=newest.traceparent,
        )

    def _newest(self, found: Found) -> Newest:
        """Return the newest sample behind what was found; that nothing is known has none behind it."""
        holder, row = self._places[found.alarm_id]
        if STATES[found.current] is State.INSUFFICIENT_DATA or isinstance(holder, AskedRules):
            return NOTHING
        if isinstance(holder, Cell):
            return self._window_rules.newest(holder, row)
        leaves = holder.leaves(row)
        return self._window_rules.newest_of_leaves(one.slot for one in leaves if one.kind is LeafKind.WINDOW)
