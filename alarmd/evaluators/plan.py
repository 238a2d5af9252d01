# SPDX-License-Identifier: Apache-2.0
"""The plan: all alarms of a worker compiled into columns, and one pass over them.

Rules that read the same series in the same periods share one computation (`units`); alarms whose rules differ only in
series and threshold share columns (`cell`); time constraints close and open them (`timetable`). A pass costs no Python
step an alarm, only one for each change it finds.
"""

from dataclasses import dataclass
from datetime import datetime
from math import ceil, floor, inf

import numpy as np

from alarmd.cache.window import Window
from alarmd.evaluators.cell import COUNTS, Cell, CellKey, Found
from alarmd.evaluators.schedule import Schedule
from alarmd.evaluators.tally import Counted
from alarmd.evaluators.timetable import Timetable
from alarmd.evaluators.transition_table import STATE_CODES, STATES
from alarmd.evaluators.units import Layer, Method, Units
from alarmd.evaluators.wording import reason_of
from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.rule import MissingData, Reading, WindowRule
from alarmd.model.transition import Transition


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What a plan needs to know beside the alarms."""

    #: Data is missing when the newest sample is older than a period and this.
    lateness_s: float
    #: How often the actions of an alarm with `repeat_actions` are due while its state stays.
    repeat_interval_s: float
    #: Whether the results of evaluations are counted.
    count_results: bool = False


def look_back_periods(rule: WindowRule, *, lateness_s: float) -> int:
    """Return how many periods before its `evaluation_periods` a rule may use when some are empty.

    Aodh's rule looked back one period, or once more over all of them to judge outliers. Short periods look back over
    the lateness budget, so that a poller's restart leaves no alarm without data.
    """
    gap = max(1, ceil(lateness_s / rule.reading.period_s))
    return max(gap, rule.judgement.evaluation_periods) if rule.reading.exclude_outliers else gap


class Plan:
    """The compiled alarms over one window. Not safe for use by several threads."""

    def __init__(self, window: Window, options: PlanOptions) -> None:
        self._window = window
        self._options = options
        self._units = Units(window, lateness_s=options.lateness_s)
        self._cells: dict[Layer, dict[CellKey, Cell]] = {}
        self._places: dict[AlarmId, tuple[Layer, Cell, int]] = {}
        self._readings: dict[AlarmId, Reading] = {}
        self._timetable = Timetable()
        #: What was counted of alarms that have been taken out since.
        self._left: dict[AlarmId, dict[str, int]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, alarm_id: object) -> bool:
        return alarm_id in self._places

    def put(self, alarm: Alarm, rule: WindowRule, *, now: datetime) -> None:
        """Add an alarm, or replace what was known of it.

        Raises `InvalidInput` for time constraints that cannot be read here.
        """
        schedule = Schedule.of(alarm.time_constraints) if alarm.time_constraints else None
        self.remove(alarm.alarm_id)
        look_back = look_back_periods(rule, lateness_s=self._options.lateness_s)
        reading, judgement = rule.reading, rule.judgement
        periods = judgement.evaluation_periods + look_back
        layer, unit = self._units.join(reading, periods=periods)
        key = CellKey(
            reading.period_s,
            Method.of(reading),
            periods,
            judgement.evaluation_periods,
            judgement.comparison,
        )
        cells = self._cells.setdefault(layer, {})
        cell = cells.get(key) or cells.setdefault(key, Cell(key, counts_results=self._options.count_results))
        row = cell.add(
            alarm.alarm_id,
            unit=unit,
            threshold=judgement.threshold,
            state=STATE_CODES[alarm.state],
            revision=alarm.revision,
            state_version=alarm.state_version,
            repeat_ms=self._next_repeat_ms(alarm, now) if alarm.repeat_actions else inf,
            closed=schedule is not None and not self._timetable.join(alarm.alarm_id, schedule, now=now),
            **self._left.pop(alarm.alarm_id, {}),
        )
        self._places[alarm.alarm_id] = (layer, cell, row)
        self._readings[alarm.alarm_id] = reading

    def remove(self, alarm_id: AlarmId) -> None:
        """Forget an alarm, if it is known."""
        place = self._places.pop(alarm_id, None)
        if place is None:
            return
        layer, cell, row = place
        self._timetable.leave(alarm_id)
        counts = cell.counts(row)
        if counts:
            self._left[alarm_id] = counts
        self._units.leave(layer, cell.unit(row), self._readings.pop(alarm_id), periods=cell.key.periods)
        moved = cell.drop(row)
        if moved is not None:
            self._places[moved] = place
        if not len(cell):
            del self._cells[layer][cell.key]
        if not self._cells[layer]:
            del self._cells[layer]

    def decide(self, *, now: datetime, watching_since: datetime) -> list[Transition]:
        """Evaluate every alarm that is open and return what should change, and what should be repeated.

        Changes no state: what is not entered (see `enter`) is found again by the next pass. `watching_since` is the
        moment since when every sample would have been seen: an alarm's data is called missing only after its periods
        and the lateness budget have passed under watch, so what nobody watched never blinds an alarm.
        """
        self._follow_timetable(now)
        self._units.follow()
        now_ms = now.timestamp() * 1000
        transitions: list[Transition] = []
        for layer, cells in self._cells.items():
            layer.compute(now_ms=round(now_ms))
            for key, cell in cells.items():
                points = layer.points(
                    key.method, periods=key.periods, wanted=key.evaluation_periods, missing=MissingData.MISSING
                )
                patience_s = key.period_s * key.evaluation_periods + self._options.lateness_s
                found = cell.find(
                    points,
                    points.known & (points.held >= key.evaluation_periods),
                    now_ms=now_ms,
                    believe_silence=(now - watching_since).total_seconds() > patience_s,
                )
                transitions += [self._transition(one, key, now) for one in found]
        return transitions

    def enter(self, alarm_id: AlarmId, *, state: State, state_version: int, at: datetime) -> None:
        """Note that a transition, or a repeat, has been stored. Alarms forgotten meanwhile are passed over."""
        place = self._places.get(alarm_id)
        if place is not None:
            _, cell, row = place
            repeat_ms = (at.timestamp() + self._options.repeat_interval_s) * 1000
            cell.enter(row, state=STATE_CODES[state], state_version=state_version, repeat_ms=repeat_ms)

    def take_counts(self) -> Counted:
        """Return what was counted since this was last asked."""
        left = [[counts.get(name, 0) for name in COUNTS] for counts in self._left.values()]
        alarm_ids, rows = list(self._left), [np.array(left, np.uint32).reshape(-1, len(COUNTS))]
        for cell in (cell for cells in self._cells.values() for cell in cells.values()):
            counted, counts = cell.take_counts()
            alarm_ids += counted
            rows.append(counts)
        self._left = {}
        return Counted(alarm_ids=alarm_ids, counts=np.concatenate(rows))

    def _follow_timetable(self, now: datetime) -> None:
        """Open and close what the time constraints say."""
        for turn in self._timetable.turns(now):
            for alarm_id in turn.alarm_ids:
                _, cell, row = self._places[alarm_id]
                if not turn.is_open:
                    cell.close(row)
                    continue
                cell.open(
                    row,
                    since_ms=turn.at.timestamp() * 1000,
                    repeat_interval_ms=self._options.repeat_interval_s * 1000,
                )

    def _next_repeat_ms(self, alarm: Alarm, now: datetime) -> float:
        """Return when a loaded alarm's actions are due again: whole intervals after it entered its state.

        So evaluators that start, stop and take over from each other keep one rhythm.
        """
        interval_s = self._options.repeat_interval_s
        entered_s = alarm.state_timestamp.timestamp()
        passed = max(floor((now.timestamp() - entered_s) / interval_s), 0)
        return (entered_s + (passed + 1) * interval_s) * 1000

    @staticmethod
    def _transition(found: Found, key: CellKey, now: datetime) -> Transition:
        previous, current = STATES[found.previous], STATES[found.current]
        reason, reason_data = reason_of(
            previous=previous,
            current=current,
            outcome=found.outcome,
            outside=found.outside,
            wanted=key.evaluation_periods,
            latest=found.latest,
        )
        return Transition(
            alarm_id=found.alarm_id,
            revision=found.revision,
            state_version=found.state_version,
            previous=previous,
            current=current,
            reason=reason,
            reason_data=reason_data,
            at=now,
        )
