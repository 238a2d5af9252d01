# SPDX-License-Identifier: Apache-2.0
"""The roster: what alarms of every kind have, as columns; from outcomes to what is to be said of whom."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alarmd.evaluators.columns import Columns
from alarmd.evaluators.verdicts.transition_table import NEXT_STATE, OUTCOMES, STATE_CODES
from alarmd.model.alarm import AlarmId, State
from alarmd.model.verdict import Outcome

#: Columns of a roster and their types.
_COLUMNS: dict[str, type[np.generic]] = {
    #: Code of `transition_table.STATES`.
    "state": np.int8,
    "revision": np.int64,
    "state_version": np.int64,
    #: When the actions are due again, ms since the epoch; infinite where they are not repeated.
    "repeat_ms": np.float64,
    #: How often they are repeated, in seconds.
    "repeat_interval_s": np.float32,
    #: Whether its time constraints keep the alarm from being evaluated.
    "closed": np.bool_,
    #: The states that it enters on fresh evidence only, as bits by their codes.
    "leads_in": np.int8,
}

#: Columns that count evaluations, in the order of `transition_table.STATES`, and the outcomes that they count.
COUNTS = {"ok": Outcome.NONE_OUTSIDE, "alarm": Outcome.ALL_OUTSIDE, "insufficient_data": Outcome.UNKNOWN}

_UNKNOWN_STATE = STATE_CODES[State.INSUFFICIENT_DATA]


#: Returns which of some rows go ahead; asked of those that are about to enter or repeat a state of their `leads_in`.
Admit: TypeAlias = Callable[[NDArray[np.intp]], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A row of which something is to be said: its state is to change, or its actions are due again."""

    row: int
    #: Codes of `transition_table.STATES`.
    previous: int
    current: int
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One alarm of which something is to be said, in words."""

    alarm_id: AlarmId
    revision: int
    state_version: int
    #: Codes of `transition_table.STATES`.
    previous: int
    current: int
    reason: str
    reason_data: Mapping[str, Any]
    evidence: Mapping[str, Any] = field(default_factory=dict)


class Roster:
    """Alarms as rows. `more` are further columns of whoever holds the roster."""

    def __init__(
        self,
        more: Mapping[str, type[np.generic]],
        *,
        counts_results: bool = False,
        repeats_unknown: bool = True,
    ) -> None:
        counted = dict.fromkeys(COUNTS, np.uint32) if counts_results else {}
        self._columns: Columns[AlarmId] = Columns({**_COLUMNS, **more, **counted})
        self._counts_results = counts_results
        #: Whether actions are repeated while nothing is known.
        self._repeats_unknown = repeats_unknown
        self._repeating = 0
        self._closed = 0
        #: How many there are that enter some state on fresh evidence only.
        self._careful = 0

    def __len__(self) -> int:
        return len(self._columns)

    def column(self, name: str) -> NDArray[Any]:
        """Return a column; it may be longer than there are alarms."""
        return self._columns[name]

    @property
    def ids(self) -> Sequence[AlarmId]:
        """The alarms by their rows."""
        return self._columns.keys

    def add(self, alarm_id: AlarmId, values: Mapping[str, Any]) -> int:
        """Add an alarm, 0 where no value is given; return its row."""
        self._repeating += values["repeat_ms"] != np.inf
        self._closed += bool(values.get("closed"))
        self._careful += bool(values.get("leads_in"))
        return self._columns.add(alarm_id, values)

    def drop(self, row: int) -> AlarmId | None:
        """Remove the alarm in a row; return the alarm that has moved into this row, if one has."""
        self._repeating -= bool(self._columns["repeat_ms"][row] != np.inf)
        self._closed -= bool(self._columns["closed"][row])
        self._careful -= bool(self._columns["leads_in"][row])
        return self._columns.drop(row)

    def enter(self, row: int, *, state: int, state_version: int, at_ms: float) -> None:
        """Note the state that an alarm is in from now on; if it stays, its actions have been repeated.

        Repeats keep the rhythm in which the state was entered, however late one of them was.
        """
        columns = self._columns
        repeat_ms = float(columns["repeat_ms"][row])
        if repeat_ms != np.inf:
            interval_ms = float(columns["repeat_interval_s"][row]) * 1000
            if columns["state"][row] != state:
                columns["repeat_ms"][row] = at_ms + interval_ms
            else:
                columns["repeat_ms"][row] = (
                    repeat_ms + max(np.floor((at_ms - repeat_ms) / interval_ms) + 1, 0) * interval_ms
                )
        columns["state"][row] = state
        columns["state_version"][row] = state_version

    def close(self, row: int) -> None:
        """Evaluate an alarm no more until it is opened."""
        closed = self._columns["closed"]
        self._closed += not closed[row]
        closed[row] = True

    def open(self, row: int, *, since_ms: float) -> None:
        """Evaluate an alarm again. What it would have repeated while it was closed is left out; the rhythm stays."""
        closed, repeat_ms = self._columns["closed"], self._columns["repeat_ms"]
        self._closed -= bool(closed[row])
        closed[row] = False
        interval_ms = float(self._columns["repeat_interval_s"][row]) * 1000
        if repeat_ms[row] < since_ms:
            repeat_ms[row] += np.ceil((since_ms - repeat_ms[row]) / interval_ms) * interval_ms

    def counts(self, row: int) -> dict[str, int]:
        """Return how often the alarm in a row was found in which state since that was last taken, where it was."""
        if not self._counts_results:
            return {}
        return {name: found for name in COUNTS if (found := int(self._columns[name][row]))}

    def take_counts(self) -> tuple[list[AlarmId], NDArray[np.uint32]]:
        """Return the alarms that were counted and their counts, a row each, and count from nothing again."""
        if not self._counts_results:
            return [], np.zeros((0, len(COUNTS)), np.uint32)
        counts = np.stack([self._columns[name][: len(self)] for name in COUNTS], axis=1)
        counted = np.flatnonzero(counts.any(axis=1))
        for name in COUNTS:
            self._columns[name][:] = 0
        return [self._columns.keys[row] for row in counted.tolist()], counts[counted]

    def turns(
        self,
        rows: slice,
        outcome: NDArray[np.int8],
        evaluated: NDArray[np.bool_] | None,
        *,
        now_ms: float,
        counts: bool = True,
        admit: Admit | None = None,
    ) -> list[Turn]:
        """Return of which of some rows something is to be said, from their outcomes.

        Nothing is said of alarms that are closed, nor of those that could not be evaluated (None: all could). All
        others are counted, unless that has been done. Those that need fresh evidence stay as they are unless `admit`
        lets them go ahead.
        """
        if self._closed:
            opened = ~self._columns["closed"][rows]
            evaluated = opened if evaluated is None else evaluated & opened
        state = self._columns["state"][rows]
        current = NEXT_STATE.take(state * np.int8(OUTCOMES) + outcome)
        wanted = current != state
        if self._repeating:
            due = self._columns["repeat_ms"][rows] <= now_ms
            wanted |= due if self._repeats_unknown else due & (current != _UNKNOWN_STATE)
        if evaluated is not None:
            wanted &= evaluated
        if self._counts_results and counts:
            self._count(rows, outcome, evaluated)
        if self._careful and admit is not None:
            careful = np.flatnonzero(wanted & (self._columns["leads_in"][rows] >> current & 1 > 0))
            if len(careful):
                wanted[careful] = admit(rows.start + careful)
        return [
            Turn(
                row=rows.start + at,
                previous=int(state[at]),
                current=int(current[at]),
                outcome=Outcome(int(outcome[at])),
            )
            for at in np.flatnonzero(wanted).tolist()
        ]

    def found(self, turn: Turn, words: tuple[str, Mapping[str, Any]], evidence: Mapping[str, Any]) -> Found:
        """Return a turn with what is said of it."""
        columns = self._columns
        return Found(
            alarm_id=columns.keys[turn.row],
            revision=int(columns["revision"][turn.row]),
            state_version=int(columns["state_version"][turn.row]),
            previous=turn.previous,
            current=turn.current,
            reason=words[0],
            reason_data=words[1],
            evidence=evidence,
        )

    def _count(self, rows: slice, outcome: NDArray[np.int8], evaluated: NDArray[np.bool_] | None) -> None:
        for name, counted in COUNTS.items():
            hits = outcome == counted
            self._columns[name][rows] += hits if evaluated is None else hits & evaluated
