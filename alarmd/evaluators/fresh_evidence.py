# SPDX-License-Identifier: Apache-2.0
"""Fresh evidence: what lets alarms enter, or repeat, a state whose actions make a group smaller.

Silence and errors are never read as zero. An alarm that wants to scale in goes ahead only when enough of its group has
reported in every period that is judged; until then it stays as it is. Alarms that scale out may act on partial data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from alarmd import telemetry
from alarmd.evaluators.asking.asking import Finding
from alarmd.evaluators.kernel.coverage import Coverage
from alarmd.evaluators.verdicts.transition_table import STATE_CODES
from alarmd.model.alarm import Alarm, AlarmId, State
from alarmd.model.direction import Direction

_logger = structlog.get_logger()

_WAITS = "scale-in waits for fresh evidence"
NO_ANSWER = f"{_WAITS}: the server that is asked has not answered this question the last time"


@dataclass(frozen=True, slots=True, kw_only=True)
class TooFew:
    """So few of a group have reported in a period that is judged."""

    reported: int
    members: int
    share: float

    def __str__(self) -> str:
        some = "member" if self.members == 1 else "members"
        return (
            f"{_WAITS}: {self.reported} of {self.members} {some} reported in every period that is judged, and "
            f"{self.share:.0%} must (evaluator.scale_in_coverage)"
        )


@dataclass(frozen=True, slots=True)
class OpenRules:
    """The rules of a composite for which there is fresh evidence do not decide it by themselves."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{_WAITS}: there is too little for {', '.join(self.names)}, and the other rules do not decide it alone"


#: What an alarm lacks; in words when made a text.
Lack = TooFew | OpenRules | str


def lack_in(finding: Finding | None, *, share: float) -> Lack | None:
    """Return what lacks for scaling in on what was found in the last answer of a server; None: nothing."""
    if finding is None:
        return NO_ANSWER
    if finding.gap:
        return f"{_WAITS}: {finding.gap}"
    coverage = Coverage(np.array([finding.reported]), np.array([finding.members]))
    if not finding.members or coverage.is_enough(share)[0]:
        return None
    return TooFew(reported=finding.reported, members=finding.members, share=share)


def leads_in(alarm: Alarm) -> int:
    """Return the states of an alarm whose actions make a group smaller, as bits by their codes."""
    return sum(1 << STATE_CODES[state] for state in State if alarm.direction_of(state) is Direction.IN)


class FreshEvidence:
    """Decides in each pass who may scale in, and knows who waits. Not safe for use by several threads."""

    def __init__(self, share: float) -> None:
        #: Of the members, so many must have reported; 0: nobody need wait.
        self.share = share
        #: Who waits as of this pass, and what for.
        self.waiting: dict[AlarmId, Lack] = {}

    def begin(self) -> None:
        """Begin a pass."""
        if self.waiting:
            self.waiting = {}

    def admit(self, alarm_ids: Sequence[AlarmId], coverage: Coverage) -> NDArray[np.bool_]:
        """Return which alarms may go ahead, by the coverage of what they read."""
        is_enough = coverage.is_enough(self.share)
        for at in np.flatnonzero(~is_enough).tolist():
            self.waiting[alarm_ids[at]] = TooFew(
                reported=int(coverage.reported[at]), members=int(coverage.members[at]), share=self.share
            )
        return is_enough

    def refuse(self, alarm_id: AlarmId, lack: Lack) -> None:
        """Have an alarm wait."""
        self.waiting[alarm_id] = lack


class Waiting:
    """Tells operators who waits: a line when an alarm begins to, one when it no longer does, and how many do."""

    def __init__(self) -> None:
        self._known: frozenset[AlarmId] = frozenset()

    def tell(self, waiting: Mapping[AlarmId, Lack]) -> None:
        """Take over who waits as of now."""
        if not waiting and not self._known:
            return
        now = frozenset(waiting)
        for alarm_id in sorted(now - self._known):
            telemetry.SCALE_INS_WITHHELD.inc()
            _logger.warning("scale_in_waits", alarm_id=alarm_id, reason=str(waiting[alarm_id]))
        for alarm_id in sorted(self._known - now):
            _logger.info("scale_in_waits_no_more", alarm_id=alarm_id)
        telemetry.SCALE_INS_WAITING.set(len(now))
        self._known = now
