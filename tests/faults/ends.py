# SPDX-License-Identifier: Apache-2.0
"""Says whether each notification has ended as it should: sent in time, or kept back for a reason and never sent."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from tests.faults.evidence import Evidence, Findings, Hush
from tests.faults.watches import Watch

SILENCED, EXPIRED, SUPERSEDED = "silenced", "expired", "superseded"

#: How long after its last moment a request that was begun before may come in.
_UNDER_WAY_S = 0.5
#: How long it takes at most from the moment that a tick goes by to what it stores.
_TICK_S = 1.0


def kept_back(
    evidence: Evidence,
    watch: Watch,
    records: Sequence[Mapping[str, Any]],
    *,
    came: AbstractSet[str],
    tried: AbstractSet[str],
) -> set[tuple[int, str]]:
    """Return which changes are owed to which paths no more, by their numbers: those on record as never sent.

    Whether that was for a reason is not said here; but what gives way to something newer has to have been tried, unless
    the case says otherwise.

    Args:
        evidence: Of all alarms.
        watch: The alarm.
        records: Its notifications.
        came: The ids of its webhooks that took effect.
        tried: Those of its webhooks that did not.
    """
    ends = {SILENCED, EXPIRED, SUPERSEDED} & evidence.ends.keys()
    by_sequence: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for each in records:
        by_sequence[each["sequence"]].append(each)
    if len(by_sequence) != len(evidence.histories[watch.alarm_id]):
        # Some changes have told nobody, or there are too few records, which is found elsewhere.
        return set()
    return {
        (number, urlsplit(each["target"]).path)
        for number, sequence in enumerate(sorted(by_sequence))
        for each in by_sequence[sequence]
        if (each["state"] in ends or (each["state"] == SUPERSEDED and each["event_id"] in tried))
        and each["event_id"] not in came
    }


def judge_deliveries(evidence: Evidence, findings: Findings) -> None:
    """Every notification of every transition ended, in a way that fits what came."""
    judged = {watch.alarm_id for watch in evidence.watches}
    mine = [each for each in evidence.deliveries if each["alarm_id"] in judged]
    per_alarm = Counter(str(each["alarm_id"]) for each in mine)
    for watch in evidence.watches:
        owed = sum(len(watch.paths(state)) for state in evidence.histories[watch.alarm_id])
        if per_alarm[watch.alarm_id] != owed:
            findings.complaints.append(
                f"{watch.name}: {per_alarm[watch.alarm_id]} notifications are on record, there should be {owed}"
            )
    came: dict[str, float] = {}
    for entry in evidence.entries:
        came.setdefault(entry.webhook_id, entry.at_s)
    newest: Counter[tuple[str, str]] = Counter()
    for each in mine:
        newest[_lane(each)] = max(newest[_lane(each)], each["sequence"])
    for each in mine:
        event_id, state = each["event_id"], each["state"]
        wrong = [
            *_not_allowed(evidence, each, came),
            *_too_late(evidence, each, came),
            *_not_silent(evidence, each, came),
        ]
        if state == SUPERSEDED and each["sequence"] >= newest[_lane(each)]:
            wrong.append("is superseded by nothing")
        findings.complaints += [f"{event_id} {what}" for what in wrong]
        if event_id in came and (_is_late(evidence, each, came[event_id]) or state == SILENCED):
            findings.doubled += 1


def _not_allowed(evidence: Evidence, record: Mapping[str, Any], came: Mapping[str, float]) -> Iterator[str]:
    """What came was delivered; what was tried in vain may give way to something newer; anything else is the case's."""
    event_id, state, error = record["event_id"], record["state"], record["last_error"] or ""
    if state == "delivered":
        if event_id not in came:
            yield "is said to be delivered and never came"
        return
    if state in evidence.ends and re.search(evidence.ends[state], error):
        return
    was_tried = event_id in came or any(entry.webhook_id == event_id for entry in evidence.refused)
    if state != SUPERSEDED or not was_tried:
        yield f"is {state}: {error}"


def _lane(record: Mapping[str, Any]) -> tuple[str, str]:
    """Return what keeps its order: an alarm and a target."""
    return record["alarm_id"], record["target"]


def _too_late(evidence: Evidence, record: Mapping[str, Any], came: Mapping[str, float]) -> Iterator[str]:
    """What is too late is not sent; what is not is."""
    if evidence.epoch_s is None or record.get("not_after") is None:
        return
    last_s = _moment_s(record["not_after"]) - evidence.epoch_s
    if _is_late(evidence, record, came.get(record["event_id"], last_s)):
        yield f"took effect {came[record['event_id']] - last_s:.1f} s after its last moment"
    if record["state"] == EXPIRED:
        if _moment_s(record["finished_at"]) - evidence.epoch_s < last_s:
            yield "has expired before its time"
        if not any(fault.start_s < last_s and fault.end_s > last_s - _TICK_S for fault in evidence.faults):
            yield "has expired though nothing kept it from being sent"


def _is_late(evidence: Evidence, record: Mapping[str, Any], at_s: float) -> bool:
    if evidence.epoch_s is None or record.get("not_after") is None:
        return False
    return at_s > _moment_s(record["not_after"]) - evidence.epoch_s + _UNDER_WAY_S


def _not_silent(evidence: Evidence, record: Mapping[str, Any], came: Mapping[str, float]) -> Iterator[str]:
    """What comes up during a silence is kept back, and nothing else is."""
    is_silenced = record["state"] == SILENCED
    if is_silenced and record["event_id"] in came:
        yield "was silenced and took effect"
    if evidence.epoch_s is None:
        return
    made_s = _moment_s(record["created_at"]) - evidence.epoch_s
    mine = [hush for hush in evidence.hushes if _is_about(hush, record)]
    if is_silenced and not any(hush.asked_s - _TICK_S <= made_s <= hush.end_s for hush in mine):
        yield "was silenced while no silence was in force"
    if not is_silenced and any(hush.start_s < made_s < hush.stop_s - _TICK_S for hush in mine):
        yield f"is {record['state']} though a silence was in force"


def _is_about(hush: Hush, record: Mapping[str, Any]) -> bool:
    return record["alarm_id"] in hush.alarm_ids and hush.direction in {"", record["direction"]}


def _moment_s(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
