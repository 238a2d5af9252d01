# SPDX-License-Identifier: Apache-2.0
"""What records of notifications tell, and in which state their alarms were when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from tests.faults.evidence import Evidence
from tests.faults.watches import ALARM, Watch

#: A notification as `/v3/deliveries` shows it.
Record: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """How long an alarm was in a state, on the monotonic clock."""

    state: str
    start_s: float
    end_s: float


def spans_of(evidence: Evidence, alarm_id: str) -> list[Span]:
    """Return the states of an alarm; nothing where nobody knows when it entered them."""
    states, starts = evidence.histories[alarm_id], evidence.entered_s.get(alarm_id, [])
    if len(states) != len(starts):
        return []
    ends = [*starts[1:], inf][: len(starts)]
    return [
        Span(state=state, start_s=start_s, end_s=end_s)
        for state, start_s, end_s in zip(states, starts, ends, strict=True)
    ]


def was_in(spans: Sequence[Span], state: str, start_s: float, end_s: float) -> bool:
    """Return whether an alarm was in a state at any moment of a time."""
    return any(span.state == state and span.start_s <= end_s and span.end_s >= start_s for span in spans)


def is_repeat(record: Record) -> bool:
    """Return whether a notification tells of a state that stays."""
    body = record.get("body") or {}
    return "current" in body and body["current"] == body.get("previous")


def state_of(record: Record) -> str:
    """Return the state that a notification tells; nothing if its body is not known."""
    return str((record.get("body") or {}).get("current", ""))


def path_of(record: Record) -> str:
    """Return where at the receiver a notification goes."""
    return urlsplit(record["target"]).path


def receiver_of(record: Record) -> str:
    """Return whom a notification goes to: host and port."""
    return urlsplit(record["target"]).netloc


def lane_of(record: Record) -> tuple[str, str]:
    """Return what keeps its order: an alarm and a target."""
    return record["alarm_id"], record["target"]


def made_s(evidence: Evidence, record: Record) -> float | None:
    """Return when a notification was made, on the monotonic clock; None where nobody knows."""
    return _on_clock(evidence, record.get("created_at"))


def finished_s(evidence: Evidence, record: Record) -> float | None:
    """Return when a notification came to its end, on the monotonic clock; None where nobody knows."""
    return _on_clock(evidence, record.get("finished_at"))


def shrinks(watch: Watch, state: str) -> bool:
    """Return whether what a watch does in a state makes a group smaller, unless its alarm says otherwise."""
    return watch.operator == "lt" and state == ALARM


def moment_s(text: str) -> float:
    """Return a moment that alarmd has told, in seconds since the epoch."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _on_clock(evidence: Evidence, text: str | None) -> float | None:
    return None if text is None or evidence.epoch_s is None else moment_s(text) - evidence.epoch_s
