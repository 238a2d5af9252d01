# SPDX-License-Identifier: Apache-2.0
"""Says what alarmd has done wrong, from what was pushed, what was broken, and what came.

It knows what is documented, and nothing of how alarmd works.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tests.faults.ends import judge_deliveries, kept_back
from tests.faults.evidence import Evidence, Findings
from tests.faults.giving_way import GivingWay
from tests.faults.journal import Entry
from tests.faults.past import judge_past
from tests.faults.repeats import judge_repeats
from tests.faults.runs import Run, follow, owed_of, runs_of
from tests.faults.watches import BLIND, Watch

#: Within which time of the moment at which everything that it needs was in order a webhook has to come.
LATENESS_S = 10.0

_ID = re.compile(r"(?P<alarm>.+)_(?P<sequence>\d+)_(?P<index>\d+)")


def judge(evidence: Evidence) -> Findings:
    """Return what the evidence shows."""
    findings = Findings()
    by_alarm: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in evidence.entries:
        by_alarm[entry.alarm_id].append(entry)
    refused: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in evidence.refused:
        refused[entry.alarm_id].append(entry)
    records: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for each in evidence.deliveries:
        records[each["alarm_id"]].append(each)
    ways = GivingWay(evidence, [each for watch in evidence.watches for each in records[watch.alarm_id]])
    known: dict[Any, list[Run]] = {}
    for watch in evidence.watches:
        # Thousands may watch the same machine in the same way.
        key = (watch.resource_id, watch.threshold, watch.operator, watch.period_s, watch.periods)
        if key not in known and watch.alarm_id not in evidence.polled:
            known[key] = _runs(evidence, watch)
        behind = _judge_history(evidence, watch, known.get(key, []), findings)
        mine, in_vain = by_alarm[watch.alarm_id], refused[watch.alarm_id]
        back = kept_back(evidence, watch, records[watch.alarm_id], ways, came={entry.webhook_id for entry in mine})
        found = (mine, in_vain, back)
        arrivals = _judge_webhooks(evidence, watch, found, findings)
        _judge_lateness(evidence, watch, behind, arrivals, findings)
        attempts = [*mine, *in_vain]
        judge_past(evidence, watch, attempts, findings)
        judge_repeats(evidence, watch, records[watch.alarm_id], attempts, findings)
    for alarm_id in set(by_alarm) - evidence.histories.keys() - evidence.others:
        findings.complaints.append(f"webhooks came of an alarm that nobody has made: {alarm_id}")
    judge_deliveries(evidence, ways, findings)
    return findings


def _runs(evidence: Evidence, watch: Watch) -> list[Run]:
    return runs_of(
        watch,
        evidence.samples[watch.resource_id],
        evidence.faults,
        lateness_s=evidence.lateness_s,
        exact=evidence.exact,
        end_s=evidence.end_s,
    )


def _judge_history(evidence: Evidence, watch: Watch, runs: Sequence[Run], findings: Findings) -> list[Run]:
    """Compare the history with the samples; return the stretch of samples behind each transition."""
    actual = list(evidence.histories[watch.alarm_id])
    findings.transitions += len(actual)
    if (actual or [BLIND])[-1] != evidence.states[watch.alarm_id]:
        findings.complaints.append(
            f"{watch.name} is {evidence.states[watch.alarm_id]}, its history ends with {actual[-1:]}"
        )
    if watch.alarm_id in evidence.polled:
        return []
    behind = follow(runs, actual)
    if behind is not None:
        return behind
    owed = owed_of(runs)
    findings.lost += max(len(owed) - len(actual), 0)
    findings.doubled += max(len(actual) - len(runs), 0)
    findings.complaints.append(f"{watch.name} went through {_short(actual)}; its samples ask for {_short(owed)}")
    return []


def _judge_webhooks(
    evidence: Evidence,
    watch: Watch,
    found: tuple[Sequence[Entry], Sequence[Entry], set[tuple[int, str]]],
    findings: Findings,
) -> list[tuple[int, float]]:
    """Compare what came with the history; return the number of the transition and the moment of each first arrival.

    `found` is what took effect, what did not, and what is owed no more.
    """
    entries, refused, back = found
    first: dict[str, Entry] = {}
    for entry in [*entries, *refused]:
        original = first.setdefault(entry.webhook_id, entry)
        if (original.path, original.body) != (entry.path, entry.body):
            findings.complaints.append(f"{watch.name}: {entry.webhook_id} has told two different things")
    taken: dict[str, Entry] = {}
    for entry in entries:
        taken.setdefault(entry.webhook_id, entry)
    lanes: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in taken.values():
        lanes[entry.path].append(entry)
    states = evidence.histories[watch.alarm_id]
    owed: defaultdict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for number, (before, state) in enumerate(zip([BLIND, *states], states, strict=False)):
        for path in watch.paths(state):
            if (number, path) not in back:
                owed[path].append((number, before, state))
    arrivals = []
    for path in owed.keys() | lanes.keys():
        lane = lanes[path]
        _judge_order(watch, path, lane, findings)
        changes = [entry for entry in lane if not entry.is_repeat]
        arrivals += _judge_lane(f"{watch.name} at {path}", owed[path], changes, findings)
    return arrivals


def _judge_order(watch: Watch, path: str, lane: Sequence[Entry], findings: Findings) -> None:
    last = 0
    for entry in lane:
        match = _ID.fullmatch(entry.webhook_id)
        if match is None or match["alarm"] != watch.alarm_id:
            findings.complaints.append(f"{watch.name} has sent {entry.webhook_id!r}")
        elif int(match["sequence"]) <= last:
            findings.complaints.append(f"{watch.name}: {entry.webhook_id} came to {path} after number {last}")
        else:
            last = int(match["sequence"])


def _judge_lane(
    name: str,
    owed: Sequence[tuple[int, str, str]],
    lane: Sequence[Entry],
    findings: Findings,
) -> list[tuple[int, float]]:
    """Match arrivals with what is owed, in order."""
    arrivals: list[tuple[int, float]] = []
    missing: list[tuple[int, str, str]] = []
    place = 0
    for entry in lane:
        start = place
        while place < len(owed) and owed[place][1:] != entry.change:
            place += 1
        if place == len(owed):
            findings.doubled += 1
            findings.complaints.append(f"{name}: told of {entry.change} once too often")
            place = start
            continue
        missing += owed[start:place]
        arrivals.append((owed[place][0], entry.at_s))
        place += 1
    lost = [*missing, *owed[place:]]
    if lost:
        findings.lost += len(lost)
        findings.complaints.append(f"{name}: never told of {len(lost)} changes, the first {lost[0]}")
    return arrivals


def _judge_lateness(
    evidence: Evidence,
    watch: Watch,
    behind: Sequence[Run],
    arrivals: Sequence[tuple[int, float]],
    findings: Findings,
) -> None:
    """Measure from the moment at which the new state was sure; allow for what was broken meanwhile."""
    for number, at_s in arrivals:
        sure_s = behind[number].sure_s if number < len(behind) else None
        if sure_s is None:
            continue
        findings.worst_lateness_s = max(findings.worst_lateness_s, at_s - sure_s)
        excuse_s = max(
            [sure_s, *(fault.end_s for fault in evidence.faults if fault.start_s < at_s and fault.end_s > sure_s - 5)]
        )
        if at_s > excuse_s + LATENESS_S:
            findings.complaints.append(
                f"{watch.name} has told of its change {number + 1} {at_s - excuse_s:.1f} s after it could have"
            )


def _short(states: Sequence[str]) -> str:
    words = [state.split()[0] for state in states]
    return " ".join(words) if len(words) <= 24 else f"{' '.join(words[:8])} … {' '.join(words[-8:])} ({len(words)})"
