# SPDX-License-Identifier: Apache-2.0
"""Says whether anything was sent that was no longer so: a receiver that comes back wants no news of the past.

What was never tried is sent in any case: it has happened. What only repeats a state, what makes a group smaller, and
what has failed before is sent only as long as the alarm is in the state that it tells.
"""

from collections.abc import Sequence

from tests.faults.evidence import Evidence, Findings
from tests.faults.journal import Entry
from tests.faults.told import shrinks, spans_of, was_in
from tests.faults.watches import Watch

#: How long after an alarm has left a state a request may come in that was begun before; that has to be stored first.
_UNDER_WAY_S = 2.5


def judge_past(
    evidence: Evidence,
    watch: Watch,
    attempts: Sequence[Entry],
    findings: Findings,
) -> None:
    """Find webhooks of states that their alarm had left; attempts are those that took effect, and the others."""
    spans = spans_of(evidence, watch.alarm_id)
    if not spans:
        return
    #: When each was last turned away, and what took effect.
    refused_s: dict[str, float] = {}
    taken: set[str] = set()
    for entry in sorted(attempts, key=lambda entry: entry.at_s):
        state, event_id = entry.change[1], entry.webhook_id
        has_to_be_so = entry.is_repeat or shrinks(watch, state) or _has_failed(evidence, refused_s.get(event_id), entry)
        if has_to_be_so and not was_in(spans, state, _since_s(evidence, entry.at_s), entry.at_s + 1.0):
            findings.doubled += entry.taken and event_id not in taken
            findings.complaints.append(f"{watch.name}: {event_id} came although it was in another state by then")
        if entry.taken:
            taken.add(event_id)
        else:
            refused_s[event_id] = entry.at_s


def _since_s(evidence: Evidence, at_s: float) -> float:
    """Return since when what was begun then may have been held up on the way by what is not the receiver."""
    since_s = at_s - _UNDER_WAY_S
    for fault in evidence.faults:
        if not fault.is_outside and fault.start_s < at_s and fault.end_s > at_s - _UNDER_WAY_S:
            since_s = min(since_s, fault.start_s - _UNDER_WAY_S)
    return since_s


def _has_failed(evidence: Evidence, refused_s: float | None, entry: Entry) -> bool:
    """Return whether alarmd must know that it has failed: whoever tried it may have died before that was written."""
    if refused_s is None:
        return False
    return not any(
        refused_s <= fault.end_s and fault.start_s <= entry.at_s for fault in evidence.faults if not fault.is_outside
    )
