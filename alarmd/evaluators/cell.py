# SPDX-License-Identifier: Apache-2.0
"""Cells: alarms that differ only in what they watch, their threshold and their state, as columns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alarmd.evaluators.points import Points
from alarmd.evaluators.transition_table import NEXT_STATE, OUTCOMES
from alarmd.model.alarm import AlarmId
from alarmd.model.rule import Comparison, Statistic
from alarmd.model.verdict import Outcome

#: Alarms looked at at once; keeps the intermediate arrays inside the processor's caches.
_ALARMS_AT_ONCE = 1 << 16

_COMPARE: dict[Comparison, Callable[..., NDArray[np.bool_]]] = {
    Comparison.LT: np.less,
    Comparison.LE: np.less_equal,
    Comparison.EQ: np.equal,
    Comparison.NE: np.not_equal,
    Comparison.GE: np.greater_equal,
    Comparison.GT: np.greater,
}


class CellKey(NamedTuple):
    """What all alarms of a cell have in common."""

    period_s: int
    statistic: Statistic
    evaluation_periods: int
    exclude_outliers: bool
    comparison: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One alarm of which something is to be said."""

    alarm_id: AlarmId
    revision: int
    state_version: int
    #: Codes of `transition_table.STATES`.
    previous: int
    current: int
    outcome: Outcome
    #: How many of the values are outside.
    outside: int
    #: The newest value, None when there is none.
    latest: float | None


#: Columns of a cell and their types.
_COLUMNS: dict[str, type[np.generic]] = {
    "unit": np.int32,
    "threshold": np.float64,
    "state": np.int8,
    "revision": np.int64,
    "state_version": np.int64,
    #: When the actions are due again, ms since the epoch; infinite where they are not repeated.
    "repeat_ms": np.float64,
}


class Cell:
    """The columns of one `CellKey`."""

    def __init__(self, key: CellKey) -> None:
        self.key = key
        self._ids: list[AlarmId] = []
        self._columns: dict[str, NDArray[Any]] = {name: np.zeros(0, dtype) for name, dtype in _COLUMNS.items()}
        self._repeating = 0
        self._verdicts = _verdict_table(key.evaluation_periods)

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, alarm_id: AlarmId, **values: float) -> int:
        """Add an alarm, a value for each column; return its row."""
        row = len(self._ids)
        if row == len(self._columns["unit"]):
            size = max(row * 9 // 8, row + 16)
            self._columns = {name: np.resize(column, size) for name, column in self._columns.items()}
        self._ids.append(alarm_id)
        for name, value in values.items():
            self._columns[name][row] = value
        self._repeating += values["repeat_ms"] != np.inf
        return row

    def drop(self, row: int) -> AlarmId | None:
        """Remove the alarm in a row; return the alarm that has moved into this row, if one has."""
        self._repeating -= bool(self._columns["repeat_ms"][row] != np.inf)
        last = len(self._ids) - 1
        moved = self._ids.pop()
        if row == last:
            return None
        self._ids[row] = moved
        for column in self._columns.values():
            column[row] = column[last]
        return moved

    def unit(self, row: int) -> int:
        """Return which unit the alarm in a row reads."""
        return int(self._columns["unit"][row])

    def enter(self, row: int, *, state: int, state_version: int, repeat_ms: float) -> None:
        """Note the state that an alarm is in from now on."""
        self._columns["state"][row] = state
        self._columns["state_version"][row] = state_version
        if self._columns["repeat_ms"][row] != np.inf:
            self._columns["repeat_ms"][row] = repeat_ms

    def find(self, points: Points, known: NDArray[np.bool_], *, now_ms: float, believe_silence: bool) -> list[Found]:
        """Return the alarms whose state is to change and those whose actions are due again.

        `points` and `known` (whether there is enough fresh data) are by unit. Unless silence is to be believed,
        nothing is said of alarms without enough data.
        """
        found: list[Found] = []
        for start in range(0, len(self._ids), _ALARMS_AT_ONCE):
            rows = slice(start, min(start + _ALARMS_AT_ONCE, len(self._ids)))
            outcome, outside = self._outcomes(rows, points)
            enough = known.take(self._columns["unit"][rows])
            outcome *= enough
            state = self._columns["state"][rows]
            current = NEXT_STATE.take(state * np.int8(OUTCOMES) + outcome)
            wanted = current != state
            if self._repeating:
                wanted |= self._columns["repeat_ms"][rows] <= now_ms
            if not believe_silence:
                wanted &= enough
            found += [
                self._found(start + at, int(current[at]), Outcome(int(outcome[at])), int(outside[at]), points)
                for at in np.flatnonzero(wanted).tolist()
            ]
        return found

    def _outcomes(self, rows: slice, points: Points) -> tuple[NDArray[np.int8], NDArray[np.int16]]:
        """Return, for some rows, how their values stand to the threshold, and how many of them are outside."""
        unit, threshold = self._columns["unit"][rows], self._columns["threshold"][rows]
        compare = _COMPARE[self.key.comparison]
        latest = compare(points.values[0].take(unit), threshold)
        outside = latest.astype(np.int16)
        for values in points.values[1:]:
            outside += compare(values.take(unit), threshold)
        return self._verdicts.take(2 * outside + latest), outside

    def _found(self, row: int, current: int, outcome: Outcome, outside: int, points: Points) -> Found:
        columns = self._columns
        latest = float(points.values[0][columns["unit"][row]])
        return Found(
            alarm_id=self._ids[row],
            revision=int(columns["revision"][row]),
            state_version=int(columns["state_version"][row]),
            previous=int(columns["state"][row]),
            current=current,
            outcome=outcome,
            outside=outside,
            latest=None if np.isnan(latest) else latest,
        )


def _verdict_table(evaluation_periods: int) -> NDArray[np.int8]:
    """Return the outcome by ``2 * values outside + latest is outside``."""
    table = np.zeros(2 * (evaluation_periods + 1), np.int8)
    table[0::2] = Outcome.MIXED_LATEST_INSIDE
    table[1::2] = Outcome.MIXED_LATEST_OUTSIDE
    table[0] = Outcome.NONE_OUTSIDE
    table[2 * evaluation_periods + 1] = Outcome.ALL_OUTSIDE
    return table
