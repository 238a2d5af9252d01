# SPDX-License-Identifier: Apache-2.0
"""Says which notifications may end without ever having come: those that gave way to what is so by now.

What was tried in vain goes to nobody once its alarm says something newer. What was never tried is sent in any case,
unless it only repeats a state, or makes a group smaller, and is no longer so; or its receiver does not answer others,
is left alone for that, and meanwhile something newer came up for the same target.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tests.faults.evidence import Evidence
from tests.faults.told import (
    Record,
    Span,
    finished_s,
    is_repeat,
    lane_of,
    made_s,
    path_of,
    receiver_of,
    shrinks,
    spans_of,
    state_of,
)
from tests.faults.watches import Watch

SUPERSEDED = "superseded"

#: How long it takes at most from the moment that a tick goes by to what it stores.
_TICK_S = 1.0
#: For how long at most a receiver is left alone after a try has failed, before the next one.
_LEFT_ALONE_S = 5.0


class GivingWay:
    """What is known of those that ended as superseded."""

    def __init__(self, evidence: Evidence, records: Sequence[Record]) -> None:
        self._evidence = evidence
        self._watches: Mapping[str, Watch] = {watch.alarm_id: watch for watch in evidence.watches}
        self._seen = {entry.webhook_id for entry in (*evidence.entries, *evidence.refused)}
        self._spans: dict[str, list[Span]] = {}
        #: The newest of each lane, and of each alarm.
        self._newest: Counter[tuple[str, str]] = Counter()
        self._last: Counter[str] = Counter()
        for each in records:
            self._newest[lane_of(each)] = max(self._newest[lane_of(each)], each["sequence"])
            self._last[each["alarm_id"]] = max(self._last[each["alarm_id"]], each["sequence"])
        receivers = {path_of(each): receiver_of(each) for each in records}
        #: When each receiver has turned something away.
        self._refused_s: defaultdict[str, list[float]] = defaultdict(list)
        for entry in evidence.refused:
            self._refused_s[receivers.get(entry.path, "")].append(entry.at_s)

    def may(self, record: Record) -> bool:
        """Return whether a notification may have given way to something."""
        return next(self.complaints(record), None) is None

    def complaints(self, record: Record) -> Iterator[str]:
        """Say what is wrong with that a notification ended as superseded."""
        is_overtaken = self._newest[lane_of(record)] > record["sequence"]
        has_left = self._has_left(record)
        if not (is_overtaken or has_left):
            yield "is superseded by nothing"
        if self._was_tried(record) or is_repeat(record):
            return
        is_shrinking = shrinks(self._watches[record["alarm_id"]], state_of(record))
        if not ((has_left and is_shrinking) or (is_overtaken and self._was_left_alone(record))):
            yield f"is superseded and was never tried: {record['last_error'] or ''}"

    def _was_tried(self, record: Record) -> bool:
        """Return whether the receiver has seen it, or alarmd says that it was tried while something kept it away.

        Not each try can be seen by a receiver: its name may be unknown, its certificate too old. A kill takes no time
        and is no reason for a try to fail.
        """
        if record["event_id"] in self._seen:
            return True
        start_s, end_s = made_s(self._evidence, record), finished_s(self._evidence, record)
        if not record.get("attempts") or start_s is None or end_s is None:
            return False
        return self._was_broken(start_s, end_s)

    def _was_left_alone(self, record: Record) -> bool:
        """Return whether its receiver had turned another webhook away shortly before, or while it waited."""
        start_s, end_s = made_s(self._evidence, record), finished_s(self._evidence, record)
        if start_s is None or end_s is None or not self._was_broken(start_s, end_s):
            return False
        return any(start_s - _LEFT_ALONE_S <= at_s <= end_s for at_s in self._refused_s[receiver_of(record)])

    def _was_broken(self, start_s: float, end_s: float) -> bool:
        lasting = [fault for fault in self._evidence.faults if fault.end_s > fault.start_s]
        return any(fault.start_s <= end_s and fault.end_s >= start_s for fault in lasting)

    def _has_left(self, record: Record) -> bool:
        """Return whether its alarm has left the state that it tells before it ended."""
        alarm_id = record["alarm_id"]
        start_s, end_s = made_s(self._evidence, record), finished_s(self._evidence, record)
        if alarm_id not in self._spans:
            self._spans[alarm_id] = spans_of(self._evidence, alarm_id)
        spans = self._spans[alarm_id]
        if not spans or start_s is None or end_s is None:
            return not is_repeat(record) and self._last[alarm_id] > record["sequence"]
        state = state_of(record)
        return any(span.state != state and start_s < span.start_s <= end_s + _TICK_S for span in spans)
