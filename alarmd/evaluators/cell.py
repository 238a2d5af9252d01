# SPDX-License-Identifier: Apache-2.0
"""Cells: rules over the window that differ only in what they watch and in their threshold, as columns."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alarmd.evaluators.columns import Columns
from alarmd.evaluators.fresh_evidence import FreshEvidence
from alarmd.evaluators.kernel.coverage import Coverage
from alarmd.evaluators.kernel.layer import Layer
from alarmd.evaluators.kernel.method import Method
from alarmd.evaluators.kernel.points import Points
from alarmd.evaluators.roster import Found, Roster
from alarmd.evaluators.verdicts.judging import Shape, outcomes
from alarmd.evaluators.verdicts.transition_table import STATE_CODES, STATES
from alarmd.evaluators.verdicts.wording import reason_of
from alarmd.model.alarm import State
from alarmd.model.rule import MissingData, Reading, WindowRule
from alarmd.model.verdict import Outcome

#: Rules looked at at once; keeps the intermediate arrays inside the processor's caches.
_ROWS_AT_ONCE = 1 << 16

#: Columns of a rule and their types.
_COLUMNS: dict[str, type[np.generic]] = {
    #: Its place in the layer.
    "unit": np.int32,
    "threshold": np.float64,
}
#: Those of shapes that have a recovery threshold, too.
_RECOVERY: dict[str, type[np.generic]] = {"recovery": np.float64}

_ALARM = STATE_CODES[State.ALARM]

#: Returns what the values of units were found from, by their places.
Evidence = Callable[[Sequence[int]], Sequence[Mapping[str, Any]]]


class CellKey(NamedTuple):
    """What all rules of a cell have in common."""

    method: Method
    #: How many periods are read, look-back included.
    periods: int
    shape: Shape


class Seat(NamedTuple):
    """Where the rules of a cell sit."""

    layer: Layer
    key: CellKey
    #: That of any of its rules: they differ in nothing but their selectors.
    reading: Reading


class Sight(NamedTuple):
    """What a cell's rules see: the points of their layer, and where they come from."""

    points: Points
    evidence: Evidence
    #: Returns of how many of their members units have fresh evidence, by the units' places.
    coverage: Callable[[Sequence[int]], Coverage]
    #: Whether it has been watched for long enough to believe that data is missing.
    believe_silence: bool


class Judged(NamedTuple):
    """What comes of some rows."""

    outcome: NDArray[np.int8]
    #: How many values are outside.
    outside: NDArray[np.int16]
    #: Of which of them anything can be said; None: of all.
    evaluated: NDArray[np.bool_] | None


def rule_columns(rule: WindowRule, *, unit: int) -> dict[str, float]:
    """Return the values of a rule's columns."""
    judgement = rule.judgement
    recovery = judgement.recovery_threshold
    return {
        "unit": unit,
        "threshold": judgement.threshold,
        "recovery": judgement.threshold if recovery is None else recovery,
    }


def _kinds(shape: Shape) -> dict[str, type[np.generic]]:
    return {**_COLUMNS, **_RECOVERY} if shape.has_recovery else _COLUMNS


def _judge(
    shape: Shape, column: Callable[[str], NDArray[Any]], rows: slice, sight: Sight, is_alarm: NDArray[np.bool_] | None
) -> Judged:
    points = sight.points
    unit, threshold = column("unit")[rows], column("threshold")[rows]
    if is_alarm is not None and shape.has_recovery:
        threshold = np.where(is_alarm, column("recovery")[rows], threshold)
    values = [one.take(unit) for one in points.values]
    if shape.missing is not MissingData.MISSING:
        # Data that nobody would have seen may have been on either side, whatever the rule says of data that is missing.
        judged_as = shape if sight.believe_silence else shape._replace(missing=MissingData.IGNORE)
        outcome, outside = outcomes(judged_as, values, threshold, is_alarm)
        if judged_as.missing is not MissingData.IGNORE:
            return Judged(outcome, outside, None)
        # Where nothing at all has come there is no evidence to repeat an action on.
        nothing = np.logical_and.reduce([np.isnan(one) for one in values[: shape.evaluation_periods]])
        return Judged(outcome, outside, ~nothing)
    outcome, outside = outcomes(shape, values, threshold, is_alarm)
    enough = ((points.held >= shape.evaluation_periods) & points.known).take(unit)
    outcome *= enough
    return Judged(outcome, outside, None if sight.believe_silence else enough)


class Cell:
    """The alarms of one `CellKey`; whether it counts the results of evaluations is for the operator to say."""

    def __init__(self, seat: Seat, *, counts_results: bool = False) -> None:
        self.seat = seat
        self.roster = Roster(_kinds(seat.key.shape), counts_results=counts_results)

    def unit(self, row: int) -> int:
        """Return which unit the alarm in a row reads."""
        return int(self.roster.column("unit")[row])

    def find(self, sight: Sight, fresh: FreshEvidence, *, now_ms: float) -> list[Found]:
        """Return the alarms of which something is to be said: a change of their state, or a repeat.

        Nothing is said of those that lack data, unless silence is to be believed, nor of those that wait for fresh
        evidence.
        """
        found: list[Found] = []

        def admit(rows: NDArray[np.intp]) -> NDArray[np.bool_]:
            alarm_ids = [self.roster.ids[row] for row in rows.tolist()]
            return fresh.admit(alarm_ids, sight.coverage(self.roster.column("unit")[rows].tolist()))

        shape = self.seat.key.shape
        for start in range(0, len(self.roster), _ROWS_AT_ONCE):
            rows = slice(start, min(start + _ROWS_AT_ONCE, len(self.roster)))
            is_alarm = self.roster.column("state")[rows] == _ALARM if shape.depends_on_state else None
            judged = _judge(shape, self.roster.column, rows, sight, is_alarm)
            turns = self.roster.turns(
                rows, judged.outcome, judged.evaluated, now_ms=now_ms, admit=admit if fresh.share else None
            )
            units = [self.unit(turn.row) for turn in turns]
            for turn, unit, evidence in zip(turns, units, sight.evidence(units), strict=True):
                latest = float(sight.points.values[0][unit])
                words = reason_of(
                    previous=STATES[turn.previous],
                    current=STATES[turn.current],
                    outcome=turn.outcome,
                    outside=int(judged.outside[turn.row - start]),
                    wanted=shape.evaluation_periods,
                    latest=None if np.isnan(latest) else latest,
                )
                found.append(self.roster.found(turn, words, evidence))
        return found


class LeafCell:
    """The leaves of composite rules that have one `CellKey`, by their slots."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        # Their slots are a column: as keys they would be an object each.
        self._columns: Columns[None] = Columns({**_kinds(seat.key.shape), "slot": np.int32})

    def __len__(self) -> int:
        return len(self._columns)

    def add(self, slot: int, columns: Mapping[str, float]) -> int:
        """Add a leaf; return its row."""
        return self._columns.add(None, {**columns, "slot": slot})

    def drop(self, row: int) -> int | None:
        """Remove the leaf in a row; return the slot that has moved into this row, if one has."""
        self._columns.drop(row)
        return int(self._columns["slot"][row]) if row < len(self) else None

    def unit(self, row: int) -> int:
        """Return which unit the leaf in a row reads."""
        return int(self._columns["unit"][row])

    def fill(self, into: NDArray[np.int8], blind: NDArray[np.bool_], states: NDArray[np.int8], sight: Sight) -> None:
        """Put the outcome of each leaf into its slot; `states` are those of the leaves (`Composites.leaf_states`).

        Leaves that lack data are blind, unless silence is to be believed.
        """
        size, shape = len(self._columns), self.seat.key.shape
        for start in range(0, size, _ROWS_AT_ONCE):
            rows = slice(start, min(start + _ROWS_AT_ONCE, size))
            slots = self._columns["slot"][rows]
            is_alarm = states[slots] == _ALARM if shape.depends_on_state else None
            judged = _judge(shape, self._columns.__getitem__, rows, sight, is_alarm)
            outcome = judged.outcome
            if judged.evaluated is not None:
                outcome = np.where(judged.evaluated, outcome, np.int8(Outcome.UNDECIDED))
            into[slots] = outcome
            blind[slots] = False if judged.evaluated is None else ~judged.evaluated
