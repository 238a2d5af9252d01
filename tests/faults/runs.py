# SPDX-License-Identifier: Apache-2.0
"""Which histories of an alarm its samples allow, given when what was broken."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.records import Fault, Sample
from tests.faults.watches import BLIND, Watch

#: How long after the end of a fault everything works again, at the latest.
RECOVERY_S = 6.0
#: A state that the samples show for so long while nothing is broken has to be seen.
SEEN_S = 2.0
#: How much sooner or later than computed an alarm may find that it is blind.
_EARLY_S, _LATE_S = 1.0, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A stretch of samples that all ask for the same state."""

    state: str
    #: When it was sure that the state holds, on the monotonic clock: samples of a whole window were accepted.
    #: None when it never was.
    sure_s: float | None
    #: Whether the alarm must have been in this state; otherwise it may have been.
    owed: bool


def runs_of(
    watch: Watch, samples: Sequence[Sample], faults: Sequence[Fault], *, lateness_s: float, exact: bool, end_s: float
) -> list[Run]:
    """Return what an alarm's samples ask for, in order.

    Args:
        watch: The alarm.
        samples: Of the resource that it watches, in the order of their times.
        faults: What was broken; only stretches that went by without may be demanded.
        lateness_s: For how long beyond a period an alarm waits for samples before it is blind.
        exact: Whether each stretch is owed, because it has lasted until it was told of; not so before and after samples
            came no more.
        end_s: Until when the samples went, on the monotonic clock.
    """
    runs = []
    stretches = _stretches(watch, samples, lateness_s)
    for number, (state, first, last) in enumerate(stretches):
        until_s = stretches[number + 1][1].accepted_s if number + 1 < len(stretches) else end_s
        if state == BLIND:
            sure_s: float | None = first.accepted_s + watch.period_s + lateness_s
            owed = until_s > first.accepted_s + _LATE_S + watch.period_s + lateness_s
            owed = owed and _seen_s(faults, sure_s or 0.0, until_s) >= SEEN_S
        else:
            sure_s = _sure_s(samples, first, last, watch.span_s)
            # Whoever changes a load only when it was told of cannot help it if no more samples are accepted, and does
            # not know of the spell.
            beside_blind = any(state == BLIND for state, *_ in stretches[max(number - 1, 0) : number + 2])
            owed = (exact and not beside_blind) or (sure_s is not None and _seen_s(faults, sure_s, until_s) >= SEEN_S)
        runs.append(Run(state=state, sure_s=sure_s, owed=owed))
    return runs


def follow(runs: Sequence[Run], states: Sequence[str]) -> list[Run] | None:
    """Return the run behind each state of a history that begins blind; None when they do not allow that history.

    A run that is owed may only be passed over by an alarm which is in its state already.
    """
    ways: dict[int, tuple[Run, ...]] = {0: ()}
    for run in runs:
        further: dict[int, tuple[Run, ...]] = {}
        for told, behind in ways.items():
            current = states[told - 1] if told else BLIND
            if current == run.state:
                further[told] = behind
                continue
            if told < len(states) and states[told] == run.state:
                further[told + 1] = (*behind, run)
            if not run.owed:
                further.setdefault(told, behind)
        ways = further
    found = ways.get(len(states))
    return None if found is None else list(found)


def owed_of(runs: Sequence[Run]) -> list[str]:
    """Return the shortest history that the runs allow: what is owed, without what repeats itself."""
    states: list[str] = []
    for run in runs:
        if run.owed and run.state != (states[-1] if states else BLIND):
            states.append(run.state)
    return states


def _gap_s(before: Sample, after: Sample) -> float:
    return max(after.accepted_s - before.accepted_s, after.timestamp_s - before.timestamp_s)


def _stretches(watch: Watch, samples: Sequence[Sample], lateness_s: float) -> list[tuple[str, Sample, Sample]]:
    """Return each state with the first and the last sample that asks for it; silence begins with the last sample."""
    found: list[tuple[str, Sample, Sample]] = []
    before: Sample | None = None
    for sample in samples:
        if before is not None and _gap_s(before, sample) > watch.period_s + lateness_s - _EARLY_S:
            found.append((BLIND, before, before))
        state = watch.state_at(sample.value)
        if found and found[-1][0] == state:
            found[-1] = (state, found[-1][1], sample)
        else:
            found.append((state, sample, sample))
        before = sample
    return found


def _sure_s(samples: Sequence[Sample], first: Sample, last: Sample, span_s: float) -> float | None:
    for sample in samples:
        if first.timestamp_s + span_s <= sample.timestamp_s <= last.timestamp_s:
            return sample.accepted_s
    return None


def _seen_s(faults: Sequence[Fault], start_s: float, end_s: float) -> float:
    """Return how long the longest part of a stretch is in which nothing was broken."""
    longest_s, at_s = 0.0, start_s
    for fault in sorted(faults, key=lambda fault: fault.start_s):
        if fault.end_s + RECOVERY_S < at_s or fault.start_s > end_s:
            continue
        longest_s = max(longest_s, min(fault.start_s, end_s) - at_s)
        at_s = max(at_s, fault.end_s + RECOVERY_S)
    return max(longest_s, end_s - at_s)
