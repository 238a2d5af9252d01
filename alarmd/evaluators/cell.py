# SPDX-License-Identifier: Apache-2.0
"""Cells: alarms that differ only in what they watch, their threshold and their state, as columns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alarmd.evaluators.method import Method
from alarmd.evaluators.points import Points
from alarmd.evaluators.transition_table import NEXT_STATE, OUTCOMES
from alarmd.model.alarm import AlarmId
from alarmd.model.rule import Comparison
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
    method: Method
    periods: int
    evaluation_periods: int
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
    #: Whether its time constraints keep the alarm from being evaluated.
    "closed": np.bool_,
}

#: Columns that count evaluations, in the order of `transition_table.STATES`, and the outcomes that they count.
COUNTS = {"ok": Outcome.NONE_OUTSIDE, "alarm": Outcome.ALL_OUTSIDE, "insufficient_data": Outcome.UNKNOWN}


class Cell:
    """The columns of one `CellKey`; whether it counts the results of evaluations is for the operator to say."""

    def __init__(self, key: CellKey, *, counts_results: bool = False) -> None:
        self.key = key
        self._ids: list[AlarmId] = []
        self._counts_results = counts_results
        kinds = _COLUMNS | dict.fromkeys(COUNTS, np.uint32) if counts_results else _COLUMNS
        self._columns: dict[str, NDArray[Any]] = {name: np.zeros(0, dtype) for name, dtype in kinds.items()}
        self._repeating = 0
        self._closed = 0
        self._verdicts = _verdict_table(key.evaluation_periods)

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, alarm_id: AlarmId, **values: float) -> int:
        """Add an alarm, a value for each column (0 where there is none); return its row."""
        row = len(self._ids)
        if row == len(self._columns["unit"]):
            size = max(row * 9 // 8, row + 16)
            self._columns = {name: np.resize(column, size) for name, column in self._columns.items()}
        self._ids.append(alarm_id)
        for name in self._columns:
            self._columns[name][row] = values.get(name, 0)
        self._repeating += values["repeat_ms"] != np.inf
        self._closed += bool(values.get("closed"))
        return row

    def drop(self, row: int) -> AlarmId | None:
        """Remove the alarm in a row; return the alarm that has moved into this row, if one has."""
        self._repeating -= bool(self._columns["repeat_ms"][row] != np.inf)
        self._closed -= bool(self._columns["closed"][row])
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

    def close(self, row: int) -> None:
        """Evaluate an alarm no more until it is opened."""
        self._closed += not self._columns["closed"][row]
        self._columns["closed"][row] = True

    def open(self, row: int, *, since_ms: float, repeat_interval_ms: float) -> None:
        """Evaluate an alarm again. What it would have repeated while it was closed is left out; the rhythm stays."""
        self._closed -= bool(self._columns["closed"][row])
        self._columns["closed"][row] = False
        missed = (since_ms - self._columns["repeat_ms"][row]) / repeat_interval_ms
        if missed > 0:
            self._columns["repeat_ms"][row] += np.ceil(missed) * repeat_interval_ms

    def counts(self, row: int) -> dict[str, int]:
        """Return how often the alarm in a row was found in which state since that was last taken, where it was."""
        if not self._counts_results:
            return {}
        return {name: found for name in COUNTS if (found := int(self._columns[name][row]))}

    def take_counts(self) -> tuple[list[AlarmId], NDArray[np.uint32]]:
        """Return the alarms that were counted and their counts, a row each, and count from nothing again."""
        counts = np.stack([self._columns[name][: len(self._ids)] for name in COUNTS], axis=1)
        counted = np.flatnonzero(counts.any(axis=1))
        for name in COUNTS:
            self._columns[name][:] = 0
        return [self._ids[row] for row in counted.tolist()], counts[counted]

    def find(self, points: Points, known: NDArray[np.bool_], *, now_ms: float, believe_silence: bool) -> list[Found]:
        """Return the alarms whose state is to change and those whose actions are due again.

        `points` and `known` (whether there is enough fresh data) are by unit. Nothing is said of alarms that are
        closed, nor, unless silence is to be believed, of those without enough data. Whoever something could be said of
        has been evaluated, and is counted.
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
            evaluated = self._evaluated(rows, enough, believe_silence=believe_silence)
            if evaluated is not None:
                wanted &= evaluated
            if self._counts_results:
                self._count(rows, outcome, evaluated)
            found += [
                self._found(start + at, int(current[at]), Outcome(int(outcome[at])), int(outside[at]), points)
                for at in np.flatnonzero(wanted).tolist()
            ]
        return found

    def _evaluated(self, rows: slice, enough: NDArray[np.bool_], *, believe_silence: bool) -> NDArray[np.bool_] | None:
        """Return which of some rows are evaluated at all, None for all of them."""
        if not self._closed:
            return None if believe_silence else enough
        opened = ~self._columns["closed"][rows]
        return opened if believe_silence else opened & enough

    def _count(self, rows: slice, outcome: NDArray[np.int8], evaluated: NDArray[np.bool_] | None) -> None:
        for name, counted in COUNTS.items():
            hits = outcome == counted
            self._columns[name][rows] += hits if evaluated is None else hits & evaluated

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
