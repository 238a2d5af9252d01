# SPDX-License-Identifier: Apache-2.0
"""Circuits: receivers that do not answer are left alone for a while, and asked now and then whether they do again.

There is one for each queue (what one project has for one receiver) and one for each receiver as a whole. A project's
own failures open the circuit of its queue only: one whose hooks hang must not stop what others have for the same host.
That of the receiver opens when it cannot be reached, or when it fails several projects in a row.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from math import inf
from typing import Generic, TypeVar

import structlog

from alarmd.notifiers.scheme import Attempt, Reason
from alarmd.store.database import UnitOfWork
from alarmd.store.queues import Queue
from alarmd.store.thinning import Mark
from alarmd.telemetry import CIRCUIT_CHANGES, CIRCUITS_OPEN

_log = structlog.get_logger()

#: What says that the receiver is in trouble.
_TROUBLE = frozenset({Reason.TIMEOUT, Reason.CONNECTION, Reason.TLS, Reason.SERVER_ERROR})
#: What says that it is there.
_ANSWERED = frozenset({Reason.OK, Reason.BUSY, Reason.CLIENT_ERROR, Reason.GONE, Reason.REDIRECT})
#: How often what waits for a receiver that does not answer is thinned out, piece by piece.
_THIN_EVERY_S = 1.0
#: How many circuits are kept in mind; beyond that, trouble with further receivers is met try by try.
_MOST = 10_000
#: What nothing was heard of for so many times the longest pause is forgotten.
_FORGOTTEN_AFTER = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitPolicy:
    """When circuits open, and for how long."""

    #: After how many failures in a row; 0 for never.
    failures: int = 5
    #: The first pause before a receiver is asked again; doubles each time in vain.
    first_pause_s: float = 1.0
    max_pause_s: float = 30.0


@dataclass(slots=True, kw_only=True)
class _Circuit:
    failures: int = 0
    #: Of the failures in a row: how many of them could not reach it, and whose they were (two are enough to know).
    unreached: int = 0
    projects: set[str] = field(default_factory=set)
    is_open: bool = False
    opened_s: float = 0.0
    pause_s: float = 0.0
    #: When it may be asked again.
    until_s: float = 0.0
    heard_s: float = 0.0
    #: When what waits for it was thinned out last, and how far that came.
    thinned_s: float = -inf
    mark: Mark | None = None


_Key = TypeVar("_Key", bound=Hashable)


class _Board(Generic[_Key]):
    """The circuits of one kind."""

    def __init__(self, policy: CircuitPolicy, *, needs_witnesses: bool) -> None:
        self._policy = policy
        self._needs_witnesses = needs_witnesses
        self._circuits: dict[_Key, _Circuit] = {}

    def failed(self, key: _Key, queue: Queue, reason: Reason, now_s: float) -> None:
        if key not in self._circuits and len(self._circuits) >= _MOST:
            return
        circuit = self._circuits.setdefault(key, _Circuit())
        circuit.heard_s = now_s
        if circuit.is_open:
            # What was under way when it opened says nothing new.
            if now_s >= circuit.until_s:
                circuit.pause_s = min(2 * circuit.pause_s, self._policy.max_pause_s)
                circuit.until_s = now_s + circuit.pause_s
            return
        circuit.failures += 1
        circuit.unreached += reason is Reason.CONNECTION
        if len(circuit.projects) < 2:
            circuit.projects.add(queue.project_id)
        if self._is_to_open(circuit):
            circuit.is_open, circuit.opened_s = True, now_s
            circuit.pause_s = min(self._policy.first_pause_s, self._policy.max_pause_s)
            circuit.until_s = now_s + circuit.pause_s
            CIRCUIT_CHANGES.labels("opened").inc()
            _log.warning("circuit_opened", failures=circuit.failures, error=str(reason), **self._named(queue))

    def answered(self, key: _Key, queue: Queue, now_s: float) -> bool:
        """Close a circuit; return whether it was open."""
        circuit = self._circuits.pop(key, None)
        if circuit is None or not circuit.is_open:
            return False
        CIRCUIT_CHANGES.labels("closed").inc()
        _log.info("circuit_closed", open_s=round(now_s - circuit.opened_s, 1), **self._named(queue))
        return True

    def drop(self, is_wanted: Callable[[_Key], bool]) -> None:
        """Close circuits without a word."""
        for key in [key for key in self._circuits if is_wanted(key)]:
            del self._circuits[key]

    def open(self, now_s: float) -> Iterator[tuple[_Key, bool]]:
        """Yield what is open, and whether it may be asked again."""
        return ((key, now_s >= one.until_s) for key, one in self._circuits.items() if one.is_open)

    def to_thin(self, now_s: float) -> Iterator[tuple[_Key, _Circuit]]:
        """Yield what is open and was not thinned out for a while."""
        return (
            (key, one) for key, one in self._circuits.items() if one.is_open and now_s - one.thinned_s >= _THIN_EVERY_S
        )

    def forget(self, now_s: float) -> None:
        """Drop what nothing has been heard of for long: nothing waits for it any more."""
        long_ago_s = now_s - _FORGOTTEN_AFTER * self._policy.max_pause_s
        for key in [key for key, one in self._circuits.items() if one.heard_s < long_ago_s]:
            del self._circuits[key]

    def _is_to_open(self, circuit: _Circuit) -> bool:
        if circuit.failures < self._policy.failures:
            return False
        return not self._needs_witnesses or len(circuit.projects) > 1 or circuit.unreached == circuit.failures

    def _named(self, queue: Queue) -> dict[str, str]:
        whose = {} if self._needs_witnesses else {"project_id": queue.project_id}
        return {"origin": queue.origin, **whose}


class Circuits:
    """All circuits of a notifier. One thread at a time."""

    def __init__(self, policy: CircuitPolicy) -> None:
        """Start with every receiver trusted."""
        self._policy = policy
        self._origins: _Board[str] = _Board(policy, needs_witnesses=True)
        self._queues: _Board[Queue] = _Board(policy, needs_witnesses=False)
        #: Until when queues keep still since the receiver has asked for it.
        self._quiet_until_s: dict[Queue, float] = {}

    def note(self, queue: Queue, attempt: Attempt, now_s: float) -> None:
        """Take in how an attempt has ended."""
        if attempt.retry_after_s and len(self._quiet_until_s) < _MOST:
            self._quiet_until_s[queue] = now_s + min(attempt.retry_after_s, self._policy.max_pause_s)
        if attempt.reason in _ANSWERED:
            self._queues.answered(queue, queue, now_s)
            if self._origins.answered(queue.origin, queue, now_s):
                # What failed with it is to be tried with it.
                self._queues.drop(lambda one: one.origin == queue.origin)
        elif attempt.reason in _TROUBLE and self._policy.failures:
            self._origins.failed(queue.origin, queue, attempt.reason, now_s)
            self._queues.failed(queue, queue, attempt.reason, now_s)

    def origins(self, now_s: float) -> dict[str, bool]:
        """Return the receivers whose circuit is open, and whether one notification may be tried there."""
        return dict(self._origins.open(now_s))

    def queues(self, now_s: float) -> dict[Queue, bool]:
        """Return the queues that keep still, and whether one notification of them may be tried."""
        self._quiet_until_s = {queue: until_s for queue, until_s in self._quiet_until_s.items() if until_s > now_s}
        return dict(self._queues.open(now_s)) | dict.fromkeys(self._quiet_until_s, False)

    def thin(self, unit: UnitOfWork, now: datetime, now_s: float) -> int:
        """Thin out a piece of what waits behind an open circuit, if it is time to; return how many it has ended."""
        wholes = ((origin, None, one) for origin, one in self._origins.to_thin(now_s))
        parts = ((queue.origin, queue.project_id, one) for queue, one in self._queues.to_thin(now_s))
        for origin, project_id, circuit in chain(wholes, parts):
            done = unit.outbox.thin(origin, project_id=project_id, mark=circuit.mark, now=now)
            circuit.thinned_s, circuit.mark = now_s, done.mark
            return done.superseded
        return 0

    def measure(self, now_s: float) -> None:
        """Tell how many are open, and forget what is no longer in use."""
        self._origins.forget(now_s)
        self._queues.forget(now_s)
        CIRCUITS_OPEN.labels("receiver").set(sum(1 for _ in self._origins.open(now_s)))
        CIRCUITS_OPEN.labels("project").set(sum(1 for _ in self._queues.open(now_s)))
