# SPDX-License-Identifier: Apache-2.0
"""Says whether each notification has ended as it should: sent in time, or kept back for a reason and never sent."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from tests.faults.evidence import Evidence, Findings, Hush
from tests.faults.giving_way import SUPERSEDED, GivingWay
from tests.faults.told import is_repeat, moment_s, path_of
from tests.faults.watches import Watch

SILENCED, EXPIRED = "silenced", "expired"

#: How long after its last moment a request that was begun before may come in.
_UNDER_WAY_S = 0.5
#: How long it takes at most from the moment that a tick goes by to what it stores.
_TICK_S = 1.0


def kept_back(
    evidence: Evidence,
    watch: Watch,
    records: Sequence[Mapping[str, Any]],
    ways: GivingWay,
    *,
    came: AbstractSet[str],
) -> set[tuple[int, str]]:
    """Return which changes are owed to which paths no more, by their numbers: those on record as never sent.

    What gives way to something newer must be allowed to; whether the rest had a reason is not said here.

    Args:
        evidence: Of all alarms.
        watch: The alarm.
        records: Its notifications.
        ways: Which of them may have given way.
        came: The ids of its webhooks that took effect.
    """
    ends = {SILENCED, EXPIRED} & evidence.ends.keys()
    by_sequence: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for each in records:
        if not is_repeat(each):
            by_sequence[each["sequence"]].append(each)
    # Changes of which nobody is told have no number of their own.
    told = [number for number, state in enumerate(evidence.histories[watch.alarm_id]) if watch.paths(state)]
    if len(by_sequence) != len(told):
        # Too few records, or too many, which is found elsewhere.
        return set()
    return {
        (number, path_of(each))
        for number, sequence in zip(told, sorted(by_sequence), strict=True)
        for each in by_sequence[sequence]
        if (each["state"] in ends or (each["state"] == SUPERSEDED and ways.may(each))) and each["event_id"] not in came
    }


def judge_deliveries(evidence: Evidence, ways: GivingWay, findings: Findings) -> None:
    """Every notification of every transition ended, in a way that fits what came."""
    judged = {watch.alarm_id for watch in evidence.watches}
    mine = [each for each in evidence.deliveries if each["alarm_id"] in judged]
    per_alarm = Counter(str(each["alarm_id"]) for each in mine if not is_repeat(each))
    for watch in evidence.watches:
        owed = sum(len(watch.paths(state)) for state in evidence.histories[watch.alarm_id])
        if per_alarm[watch.alarm_id] != owed:
            findings.complaints.append(
                f"{watch.name}: {per_alarm[watch.alarm_id]} notifications are on record, there should be {owed}"
            )
    came: dict[str, float] = {}
    for entry in evidence.entries:
        came.setdefault(entry.webhook_id, entry.at_s)
    for each in mine:
        event_id, state = each["event_id"], each["state"]
        wrong = [
            *_not_allowed(evidence, ways, each, came),
            *_too_late(evidence, each, came),
            *_not_silent(evidence, each, came),
        ]
        findings.complaints += [f"{event_id} {what}" for what in wrong]
        if event_id in came and (_is_late(evidence, each, came[event_id]) or state == SILENCED):
            findings.doubled += 1


def _not_allowed(
    evidence: Evidence, ways: GivingWay, record: Mapping[str, Any], came: Mapping[str, float]
) -> Iterator[str]:
    """What came was delivered, or gave way after a try; what never came may have given way; the rest is the case's."""
    event_id, state, error = record["event_id"], record["state"], record["last_error"] or ""
    if state == "delivered":
        if event_id not in came:
            yield "is said to be delivered and never came"
        return
    if state == SUPERSEDED:
        yield from ways.complaints(record)
    elif state not in evidence.ends or not re.search(evidence.ends[state], error):
        yield f"is {state}: {error}"


def _too_late(evidence: Evidence, record: Mapping[str, Any], came: Mapping[str, float]) -> Iterator[str]:
    """What is too late is not sent; what is not is."""
    if evidence.epoch_s is None or record.get("not_after") is None:
        return
    last_s = moment_s(record["not_after"]) - evidence.epoch_s
    if _is_late(evidence, record, came.get(record["event_id"], last_s)):
        yield f"took effect {came[record['event_id']] - last_s:.1f} s after its last moment"
    if record["state"] == EXPIRED:
        if moment_s(record["finished_at"]) - evidence.epoch_s < last_s:
            yield "has expired before its time"
        if not any(fault.start_s < last_s and fault.end_s > last_s - _TICK_S for fault in evidence.faults):
            yield "has expired though nothing kept it from being sent"


def _is_late(evidence: Evidence, record: Mapping[str, Any], at_s: float) -> bool:
    if evidence.epoch_s is None or record.get("not_after") is None:
        return False
    return at_s > moment_s(record["not_after"]) - evidence.epoch_s + _UNDER_WAY_S


def _not_silent(evidence: Evidence, record: Mapping[str, Any], came: Mapping[str, float]) -> Iterator[str]:
    """What comes up during a silence is kept back, and nothing else is."""
    is_silenced = record["state"] == SILENCED
    if is_silenced and record["event_id"] in came:
        yield "was silenced and took effect"
    if evidence.epoch_s is None:
        return
    made_s = moment_s(record["created_at"]) - evidence.epoch_s
    mine = [hush for hush in evidence.hushes if _is_about(hush, record)]
    if is_silenced and not any(hush.asked_s - _TICK_S <= made_s <= hush.end_s for hush in mine):
        yield "was silenced while no silence was in force"
    if not is_silenced and any(hush.start_s < made_s < hush.stop_s - _TICK_S for hush in mine):
        yield f"is {record['state']} though a silence was in force"


def _is_about(hush: Hush, record: Mapping[str, Any]) -> bool:
    return record["alarm_id"] in hush.alarm_ids and hush.direction in {"", record["direction"]}
