# SPDX-License-Identifier: Apache-2.0
"""Attendance: which series the answers to each query had lately. Whoever scales in must have heard of most of them.

Kept in memory. Of a query that is new here, or was not asked for a while, the server itself is asked once what there
was in that time. Where it will not say, all is known once answers have been watched for as long.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from threading import Lock
from typing import Final

from alarmd.evaluators.asking.asking import NoAnswer

#: How many series of one query are remembered: twice what an answer may have. With so many, no answer has most of them.
_MOST: Final = 20_000
#: What two readings of one clock may differ by, seconds.
_ROUNDING_S: Final = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A series, and when it last had a value, seconds since the epoch."""

    labels: Mapping[str, str]
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many series were heard of lately."""

    members: int
    #: Why there may have been more; empty when these are all.
    gap: str = ""


@dataclass(slots=True, kw_only=True)
class _Heard:
    """What is known of one query."""

    #: Since when its answers have been watched; minus infinity once the server has said what there was before.
    since_s: float
    asked_s: float
    #: By the series: when it last had a value. Their labels would take ten times the room.
    last_s: dict[int, float] = field(default_factory=dict)


class Attendance:
    """Counts the members of queries. Safe to use from several threads."""

    def __init__(self, *, memory_s: float, patience_s: float) -> None:
        """Take for how long series are remembered, and a query counts as asked all along."""
        self._memory_s = memory_s
        self._patience_s = patience_s
        self._heard: dict[Hashable, _Heard] = {}
        self._swept_s = -inf
        self._lock = Lock()

    def count(
        self,
        question: Hashable,
        seen: Iterable[Sighting],
        *,
        now_s: float,
        past: Callable[[], Iterable[Sighting]],
    ) -> Count:
        """Take note of an answer, and return how many series the question has.

        `past` asks what there was within the memory. It is called where that is not known, and may raise `NoAnswer`.
        """
        sightings = list(seen)
        with self._lock:
            self._sweep(now_s)
            heard = self._watched(question, now_s)
            is_open = bool(sightings) and now_s - heard.since_s < self._memory_s
        error = ""
        if is_open:
            try:
                sightings = [*past(), *sightings]
                is_open = False
            except NoAnswer as reason:
                error = reason.message
        with self._lock:
            if sightings and not is_open:
                heard.since_s = -inf
            self._note(heard, sightings, now_s)
            members = len(heard.last_s)
        if not error:
            return Count(members=members)
        gap = f"which series there were within the last {self._memory_s:g} s is not known yet ({error.rstrip('.')})"
        return Count(members=members, gap=gap)

    def _watched(self, question: Hashable, now_s: float) -> _Heard:
        """Return what is known of a question, which is being asked now."""
        heard = self._heard.setdefault(question, _Heard(since_s=now_s, asked_s=now_s))
        if not 0 <= now_s - heard.asked_s <= self._patience_s:
            heard.since_s = now_s  # series may have come and gone meanwhile
        heard.asked_s = now_s
        return heard

    def _note(self, heard: _Heard, sightings: Iterable[Sighting], now_s: float) -> None:
        last_s = heard.last_s
        for one in sightings:
            series = hash(frozenset(one.labels.items()))
            last_s[series] = max(one.at_s, last_s.get(series, -inf))
        oldest_s = now_s - self._memory_s - _ROUNDING_S
        for series in [series for series, at_s in last_s.items() if at_s < oldest_s]:
            del last_s[series]
        if len(last_s) > _MOST:
            newest = sorted(last_s.items(), key=lambda item: item[1], reverse=True)[:_MOST]
            heard.last_s = dict(newest)

    def _sweep(self, now_s: float) -> None:
        """Forget the questions that are asked no more, now and then."""
        kept_s = max(self._memory_s, self._patience_s)
        if 0 <= now_s - self._swept_s < kept_s:
            return
        self._swept_s = now_s
        for question in [one for one, heard in self._heard.items() if now_s - heard.asked_s > kept_s]:
            del self._heard[question]
