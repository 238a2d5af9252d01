# SPDX-License-Identifier: Apache-2.0
"""Fairness: how much of whom a notifier may take on, so that no receiver and no project delays the others."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass

from alarmd.model.notification import Notification, origin_of
from alarmd.notifiers.circuit import CircuitPolicy, Circuits
from alarmd.notifiers.scheme import Attempt
from alarmd.store.claims import Rooms
from alarmd.store.queues import Queue

#: What receivers have answered in so long may be claimed in advance: about what they take in that time.
_LATELY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How many threads there are, and how many of them anybody may have."""

    threads: int
    #: For notifications to one receiver, whoever they belong to.
    per_origin: int
    #: For notifications of one project, wherever they go.
    per_project: int

    @classmethod
    def of(cls, threads: int, *, per_receiver: int = 0, per_project: int = 0) -> "Shares":
        """Return the shares that settings ask for; 0 is half of the threads, and three quarters for a project.

        A project's is the larger: else one receiver that hangs would take up all of it, and its others would wait.
        """
        half = max(1, threads // 2)
        most = min(threads, max(half + 1, 3 * threads // 4))
        return cls(threads=threads, per_origin=per_receiver or half, per_project=per_project or most)


class Fairness:
    """Keeps count of what is in hand and says what may be claimed next. One thread at a time."""

    def __init__(self, shares: Shares, *, circuits: CircuitPolicy, batch: int) -> None:
        """Start with empty hands.

        Args:
            shares: What anybody may have.
            circuits: When receivers are left alone.
            batch: How many claimed notifications may wait for a free thread, at most.
        """
        self.circuits = Circuits(circuits)
        self._shares = shares
        self._batch = batch
        self._in_hand: Counter[Queue] = Counter()
        #: So many more than there are threads for may wait for one: quick receivers keep every thread busy, and behind
        #: slow ones next to nothing is held back from other notifiers. It counts for a time, and not for some turns of
        #: the pump: what comes in one go is to be claimed in one go, also while half of the threads wait for a receiver
        #: that hangs, and however often the pump has turned since the last came.
        self._answered = _Answered()

    @property
    def in_hand(self) -> int:
        """How many notifications are claimed."""
        return self._in_hand.total()

    def take(self, queues: Iterable[Queue]) -> None:
        """Note that one notification each of these queues has been claimed."""
        self._in_hand.update(queues)

    def end(self, queue: Queue, attempt: Attempt | None, now_s: float) -> None:
        """Note that a claimed notification has been tried, or given back when there is no attempt."""
        self._in_hand[queue] -= 1
        if not self._in_hand[queue]:
            del self._in_hand[queue]
        if attempt is not None:
            self.circuits.note(queue, attempt, now_s)
            if attempt.ok:
                self._answered.add(queue, now_s)

    def rooms(self, now_s: float, *, after: Queue | None) -> tuple[int, Rooms]:
        """Return how many notifications may be claimed, and of whom."""
        self._answered.forget(now_s - _LATELY_S)
        origins = _by_origin(self._in_hand)
        projects = _by_project(self._in_hand, per_origin=self._shares.per_origin)
        more_of_origin, more_of_project = self._answered.origins, self._answered.projects
        of_origin = {
            origin: self._shares.per_origin + min(more_of_origin[origin], self._batch) - origins[origin]
            for origin in origins | more_of_origin
        }
        of_project = {
            project: self._shares.per_project + min(more_of_project[project], self._batch) - projects[project]
            for project in projects | more_of_project
        }
        for origin, may_ask in self.circuits.origins(now_s).items():
            of_origin[origin] = 1 if may_ask and not origins[origin] else 0
        of_queue = {
            queue: 1 if may_ask and not self._in_hand[queue] else 0
            for queue, may_ask in self.circuits.queues(now_s).items()
        }
        rooms = Rooms(
            per_origin=self._shares.per_origin,
            per_project=self._shares.per_project,
            of_origin=of_origin,
            of_project=of_project,
            of_queue=of_queue,
            after=after,
        )
        return self._room(origins, projects), rooms

    def _room(self, origins: Counter[str], projects: Counter[str]) -> int:
        spare = min(len(self._answered), self._batch)
        # What waits behind others of its receiver or its project takes no thread away from anybody.
        busy = min(
            sum(min(count, self._shares.per_origin) for count in origins.values()),
            sum(min(count, self._shares.per_project) for count in projects.values()),
        )
        room = self._shares.threads + spare - busy
        return max(0, min(room, self._shares.threads + 2 * self._batch - self._in_hand.total()))


class _Answered:
    """What has been answered lately: how much, and whose it was."""

    def __init__(self) -> None:
        self.origins: Counter[str] = Counter()
        self.projects: Counter[str] = Counter()
        self._when: deque[tuple[float, Queue]] = deque()

    def __len__(self) -> int:
        return len(self._when)

    def add(self, queue: Queue, now_s: float) -> None:
        self._when.append((now_s, queue))
        self.origins[queue.origin] += 1
        self.projects[queue.project_id] += 1

    def forget(self, until_s: float) -> None:
        """Leave out what was answered by then."""
        while self._when and self._when[0][0] <= until_s:
            queue = self._when.popleft()[1]
            for counts, key in ((self.origins, queue.origin), (self.projects, queue.project_id)):
                counts[key] -= 1
                if not counts[key]:
                    del counts[key]


def queue_of(notification: Notification) -> Queue:
    """Return the queue that a notification stands in."""
    return Queue(origin_of(notification.target), notification.project_id)


def _by_origin(counts: Counter[Queue]) -> Counter[str]:
    found: Counter[str] = Counter()
    for queue, count in counts.items():
        found[queue.origin] += count
    return found


def _by_project(counts: Counter[Queue], *, per_origin: int) -> Counter[str]:
    """Return how many threads each project may take up with what is in hand.

    What was claimed in advance for a receiver waits for one of that receiver's own threads: the project's others shall
    not wait with it.
    """
    found: Counter[str] = Counter()
    for queue, count in counts.items():
        found[queue.project_id] += min(count, per_origin)
    return found
