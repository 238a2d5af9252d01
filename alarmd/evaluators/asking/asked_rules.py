# SPDX-License-Identifier: Apache-2.0
"""The rules that ask other servers: of alarms and of leaves of composites, over what was answered last."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alarmd.evaluators.asking.asked import AskedRows
from alarmd.evaluators.asking.asker import Asker
from alarmd.evaluators.asking.asking import AskedRule, Finding
from alarmd.evaluators.columns import Columns
from alarmd.evaluators.fresh_evidence import NO_ANSWER, FreshEvidence, Lack
from alarmd.evaluators.roster import Found, Roster
from alarmd.evaluators.verdicts.transition_table import STATES
from alarmd.model.alarm import AlarmId

#: Where rules ask that nobody asks for.
_NOWHERE = -1


class AskedRules:
    """All rules of a plan that ask. Not safe for use by several threads.

    Without anybody who asks, nothing is ever known of them.
    """

    def __init__(self, asker: Asker | None, *, counts_results: bool = False) -> None:
        self.roster = Roster({"asked": np.int32}, counts_results=counts_results)
        self._rows = AskedRows(asker) if asker is not None else None
        #: By their slots in the composites: where they ask.
        self._leaves: Columns[int] = Columns({"leaf": np.int32, "asked": np.int32})
        self._leaf_rows: dict[int, int] = {}

    def add(self, alarm_id: AlarmId, rule: AskedRule, values: Mapping[str, Any]) -> int:
        """Add an alarm; return its row."""
        return self.roster.add(alarm_id, {**values, "asked": self._join(rule)})

    def drop(self, row: int) -> AlarmId | None:
        """Remove the alarm in a row; return the alarm that has moved into this row, if one has."""
        self._leave(int(self.roster.column("asked")[row]))
        return self.roster.drop(row)

    def add_leaf(self, slot: int, rule: AskedRule) -> None:
        """Add a leaf of a composite, by its slot."""
        asked = self._join(rule)
        self._leaf_rows[slot] = self._leaves.add(slot, {"leaf": slot, "asked": asked})

    def drop_leaf(self, slot: int) -> None:
        """Remove a leaf, if it is there."""
        row = self._leaf_rows.pop(slot, None)
        if row is None:
            return
        self._leave(int(self._leaves["asked"][row]))
        moved = self._leaves.drop(row)
        if moved is not None:
            self._leaf_rows[moved] = row

    def close(self) -> None:
        """Ask nothing any more."""
        for row in range(len(self.roster)):
            self._leave(int(self.roster.column("asked")[row]))
        for row in range(len(self._leaves)):
            self._leave(int(self._leaves["asked"][row]))

    def refresh(self, leaf_states: NDArray[np.int8], *, now: datetime) -> None:
        """Take in what was answered; `leaf_states` are those of `Composites.leaf_states`."""
        if self._rows is None:
            return
        alarms, leaves = slice(len(self.roster)), slice(len(self._leaves))
        states = np.zeros(len(self._rows.outcomes), np.int8)
        states[self.roster.column("asked")[alarms]] = self.roster.column("state")[alarms]
        states[self._leaves["asked"][leaves]] = leaf_states[self._leaves["leaf"][leaves]]
        self._rows.refresh(states, now_s=now.timestamp())

    def fill_leaves(self, into: NDArray[np.int8], blind: NDArray[np.bool_]) -> None:
        """Put the outcome of each leaf into its slot; leaves are blind while no answer counts."""
        if self._rows is not None:
            leaves = slice(len(self._leaves))
            slots, asked = self._leaves["leaf"][leaves], self._leaves["asked"][leaves]
            into[slots] = self._rows.outcomes[asked]
            blind[slots] = ~self._rows.known[asked]

    def find(self, fresh: FreshEvidence, *, now_ms: float) -> list[Found]:
        """Return the alarms of which something is to be said; nothing is where no answer counts."""
        if self._rows is None or not len(self.roster):
            return []
        rows = slice(0, len(self.roster))
        asked = self.roster.column("asked")[rows]

        def admit(careful: NDArray[np.intp]) -> NDArray[np.bool_]:
            lacks = [self._lack(row, share=fresh.share) for row in careful.tolist()]
            for row, lack in zip(careful.tolist(), lacks, strict=True):
                if lack is not None:
                    fresh.refuse(self.roster.ids[row], lack)
            return np.array([lack is None for lack in lacks], np.bool_)

        outcomes, known = self._rows.outcomes[asked], self._rows.known[asked]
        turns = self.roster.turns(rows, outcomes, known, now_ms=now_ms, admit=admit if fresh.share else None)
        found = []
        for turn in turns:
            finding = self._rows.finding(int(self.roster.column("asked")[turn.row])) or Finding(outcome=turn.outcome)
            words = finding.words(STATES[turn.previous], STATES[turn.current])
            found.append(self.roster.found(turn, words, finding.evidence))
        return found

    def is_fresh(self, row: int, *, share: float) -> bool:
        """Whether the last try brought an answer for the alarm in a row that it can scale in on."""
        return self._lack(row, share=share) is None

    def leaf_is_fresh(self, slot: int, *, share: float) -> bool:
        """Whether the last try brought an answer for a leaf that its composite can scale in on."""
        if self._rows is None:
            return False
        return self._rows.lack(int(self._leaves["asked"][self._leaf_rows[slot]]), share=share) is None

    def leaf_evidence(self, slot: int) -> Mapping[str, Any]:
        """Return what the outcome of a leaf was found from."""
        if self._rows is None:
            return {}
        asked = int(self._leaves["asked"][self._leaf_rows[slot]])
        finding = self._rows.finding(asked)
        if finding is not None:
            return finding.evidence
        error = self._rows.last_error(asked)
        return {"error": error.message} if error else {}

    def _lack(self, row: int, *, share: float) -> Lack | None:
        """Return what the alarm in a row lacks for scaling in."""
        if self._rows is None:
            return NO_ANSWER
        return self._rows.lack(int(self.roster.column("asked")[row]), share=share)

    def _join(self, rule: AskedRule) -> int:
        return _NOWHERE if self._rows is None else self._rows.join(rule)

    def _leave(self, asked: int) -> None:
        if self._rows is not None:
            self._rows.leave(asked)
