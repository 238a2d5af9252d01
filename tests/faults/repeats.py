# SPDX-License-Identifier: Apache-2.0
"""Says whether alarms that repeat their actions do so in their beat, go on after faults, and flood nobody.

Beats are counted by when repeats were made, not by when they came. That is alarmd's own word, so it is held against
what cannot be made up: they ascend, come after they were made, and as many as there must have been are there.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import floor

from tests.faults.evidence import Evidence, Findings
from tests.faults.journal import Entry
from tests.faults.records import Fault
from tests.faults.runs import RECOVERY_S
from tests.faults.told import Record, Span, finished_s, is_repeat, made_s, path_of, spans_of, state_of
from tests.faults.watches import Watch

#: By how much a repeat that is still to be sent may have been overtaken by the next one: somebody has it in hand.
_IN_HAND_S = 1.5
#: Of the repeats that there is time for, so many have to be there, but for one: a busy evaluator skips a beat.
_SHARE = 0.8
#: A beat is not missed for rounding.
_ROUNDING_S = 0.01
#: Within which time of the moment at which everything that it needs was in order a repeat has to come.
_LATENESS_S = 10.0


def judge_repeats(
    evidence: Evidence,
    watch: Watch,
    records: Sequence[Record],
    attempts: Sequence[Entry],
    findings: Findings,
) -> None:
    """Compare an alarm's repeats, as they are on record and as they came, with its spans."""
    repeats = sorted((each for each in records if is_repeat(each)), key=lambda each: (each["sequence"], each["target"]))
    known = {each["event_id"] for each in repeats}
    unknown = {entry.webhook_id for entry in attempts if entry.is_repeat and entry.taken} - known
    findings.doubled += len(unknown)
    findings.complaints += [f"{watch.name}: the repeat {event_id} is not on record" for event_id in sorted(unknown)]
    if repeats and not watch.repeats_s:
        findings.complaints.append(f"{watch.name} repeats itself {len(repeats)} times, which nobody has asked for")
    spans = spans_of(evidence, watch.alarm_id)
    if not watch.repeats_s or not spans:
        return
    beats = _beats_of(evidence, repeats)
    extra, wrong = _out_of_beat(watch, spans, beats)
    findings.doubled += extra
    missing = sum(_missing(evidence, watch, span, [at_s for _, at_s, _ in beats]) for span in spans)
    findings.lost += missing
    wrong += [f"has left out {missing} repeats"] if missing else []
    wrong += _unsent(evidence, repeats)
    wrong += _too_many(evidence, repeats, attempts)
    findings.complaints += [f"{watch.name} {what}" for what in wrong]


def _beats_of(evidence: Evidence, repeats: Sequence[Record]) -> list[tuple[str, float, list[str]]]:
    """Return the state, the moment and the paths of each repeat, in the order of their numbers."""
    found: defaultdict[int, list[Record]] = defaultdict(list)
    for each in repeats:
        found[each["sequence"]].append(each)
    return [
        (state_of(records[0]), made_s(evidence, records[0]) or 0.0, [path_of(each) for each in records])
        for _, records in sorted(found.items())
    ]


def _out_of_beat(
    watch: Watch, spans: Sequence[Span], beats: Sequence[tuple[str, float, list[str]]]
) -> tuple[int, list[str]]:
    """Return how many repeats are too many, and what is wrong with them: one for each beat of a span and no more."""
    extra, wrong = 0, []
    last: tuple[Span | None, int] = (None, 0)
    for state, at_s, paths in beats:
        span = next((each for each in reversed(spans) if each.start_s <= at_s + _ROUNDING_S), None)
        if span is None or span.state != state:
            wrong.append(f"has repeated {state} at {at_s:.2f}, when it was not in that state")
            continue
        beat = floor((at_s - span.start_s + _ROUNDING_S) / watch.repeats_s)
        if beat <= (last[1] if last[0] is span else 0):
            extra += 1
            wrong.append(f"has repeated {state} at {at_s:.2f}, sooner than its beat")
        if sorted(paths) != sorted(watch.paths(state)):
            wrong.append(f"has repeated {state} at {at_s:.2f} at {paths} only")
        last = (span, beat)
    return extra, wrong


def _missing(evidence: Evidence, watch: Watch, span: Span, made: Sequence[float]) -> int:
    """Return how many repeats there should have been while alarmd was well, whatever became of receivers."""
    if not watch.paths(span.state):
        return 0
    missing = 0
    for start_s, end_s in _well(evidence.faults, span.start_s, min(span.end_s, evidence.end_s)):
        count = sum(start_s <= at_s <= end_s for at_s in made)
        missing += max(floor((end_s - start_s) / watch.repeats_s * _SHARE) - 1 - count, 0)
    return missing


def _well(faults: Sequence[Fault], start_s: float, end_s: float) -> Iterator[tuple[float, float]]:
    """Yield the parts of a time in which nothing was broken that alarmd stands on, and had not just been."""
    for fault in sorted(faults, key=lambda fault: fault.start_s):
        if fault.is_outside:
            continue
        if start_s < fault.start_s < end_s:
            yield start_s, fault.start_s
        start_s = max(start_s, fault.end_s + RECOVERY_S)
    if start_s < end_s:
        yield start_s, end_s


def _unsent(evidence: Evidence, repeats: Sequence[Record]) -> list[str]:
    """Return what is wrong with those that gave way, or were late, although nothing was broken."""
    first: dict[str, float] = {}
    for entry in evidence.entries:
        first.setdefault(entry.webhook_id, entry.at_s)
    wrong = []
    for each in repeats:
        at_s, end_s = made_s(evidence, each), finished_s(evidence, each)
        if at_s is None or end_s is None:
            continue
        came_s = first.get(each["event_id"], end_s)
        broken = [
            fault.end_s for fault in evidence.faults if fault.start_s < came_s and fault.end_s > at_s - RECOVERY_S
        ]
        if came_s < at_s - _ROUNDING_S:
            wrong.append(f"has repeated itself before that was made: {each['event_id']}")
        if came_s > max([at_s, *broken]) + _LATENESS_S:
            wrong.append(f"has repeated itself {came_s - at_s:.1f} s late: {each['event_id']}")
        # One that is made in the moment in which its state ends gives way to that, too.
        if each["event_id"] not in first and not broken and end_s > at_s + _IN_HAND_S:
            wrong.append(f"has not sent the repeat {each['event_id']} though nothing kept it from that")
    return wrong


def _too_many(evidence: Evidence, repeats: Sequence[Record], attempts: Sequence[Entry]) -> list[str]:
    """Return where more than one repeat of a lane came late after a fault: those that wait give way to the newest."""
    by_id = {each["event_id"]: each for each in repeats}
    by_path: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for each in repeats:
        by_path[path_of(each)].append((each["sequence"], made_s(evidence, each) or 0.0))
    tried: Counter[str] = Counter()
    late: Counter[tuple[str, str]] = Counter()
    for entry in sorted(attempts, key=lambda entry: entry.at_s):
        record = by_id.get(entry.webhook_id)
        tried[entry.webhook_id] += 1
        if record is None or tried[entry.webhook_id] > 1:
            continue
        newer = [at_s for number, at_s in by_path[entry.path] if number > record["sequence"]]
        if min(newer, default=entry.at_s) < entry.at_s - _IN_HAND_S:
            late[entry.path, _fault_before(evidence.faults, entry.at_s)] += 1
    return _floods(late)


def _fault_before(faults: Sequence[Fault], at_s: float) -> str:
    begun = [fault for fault in faults if fault.start_s <= at_s]
    last = max(begun, key=lambda fault: fault.end_s, default=None)
    return f"{last.what} at {last.start_s:.1f}" if last else ""


def _floods(late: Mapping[tuple[str, str], int]) -> list[str]:
    return [
        f"has sent {count} repeats to {path} that newer ones had overtaken, after: {what or 'nothing'}"
        for (path, what), count in sorted(late.items())
        if count > (1 if what else 0)
    ]
