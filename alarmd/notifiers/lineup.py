# SPDX-License-Identifier: Apache-2.0
"""The line-up: claimed notifications that wait for a free thread, and who of them is next."""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Condition
from typing import Generic, Protocol, TypeVar

from alarmd.store.queues import Queue


class Queued(Protocol):
    """What belongs to a queue."""

    @property
    def queue(self) -> Queue:
        """Which one."""


_Item = TypeVar("_Item", bound=Queued)


def _nothing() -> None:
    """Do nothing."""


class Lineup(Generic[_Item]):
    """Hands items to threads, the queues by turns, and no more at once of one receiver or project than they may have.

    Safe to use from several threads.
    """

    def __init__(self, *, per_origin: int, per_project: int, when_short: Callable[[], None] = _nothing) -> None:
        """Start empty.

        Args:
            per_origin: How many items of one origin may be in threads' hands at once.
            per_project: The same of one project.
            when_short: Called, by its thread, each time one is done with an item and finds no other that may go.
        """
        self._when_short = when_short
        self._per_origin = per_origin
        self._per_project = per_project
        self._changed = Condition()
        self._waiting: OrderedDict[Queue, deque[_Item]] = OrderedDict()
        self._origins: Counter[str] = Counter()
        self._projects: Counter[str] = Counter()
        self._closed = False

    def put(self, items: Sequence[_Item]) -> None:
        """Have items wait."""
        with self._changed:
            for item in items:
                self._waiting.setdefault(item.queue, deque()).append(item)
            self._changed.notify(len(items))

    def take(self, done: _Item | None = None) -> _Item | None:
        """Give back the item in hand, if there is one; wait for one that may go and return it, None once it is closed.

        In one step: to wake another thread for an item that this one takes the next moment costs as much as a delivery.
        """
        with self._changed:
            freed = self._back(done) if done is not None else None
            while not self._closed:
                item = self._next()
                if item is not None:
                    if freed is not None and not freed.is_filled_by(item.queue):
                        self._changed.notify()
                    return item
                if freed is not None:
                    self._when_short()
                    freed = None
                self._changed.wait()
            return None

    def withdraw(self, is_wanted: Callable[[Queue], bool]) -> list[_Item]:
        """Take out what waits in the queues that are wanted."""
        with self._changed:
            queues = [queue for queue in self._waiting if is_wanted(queue)]
            return [item for queue in queues for item in self._waiting.pop(queue)]

    def close(self) -> None:
        """Let go of all threads that wait, and of those that will."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _back(self, item: _Item) -> "_Freed":
        """Count an item out; return who may have another one only since then."""
        origin, project_id = item.queue
        freed = _Freed(
            origin=origin if self._origins[origin] >= self._per_origin else None,
            project_id=project_id if self._projects[project_id] >= self._per_project else None,
        )
        for counts, key in ((self._origins, origin), (self._projects, project_id)):
            counts[key] -= 1
            if not counts[key]:
                del counts[key]
        return freed

    def _next(self) -> _Item | None:
        for queue, items in self._waiting.items():
            if self._origins[queue.origin] < self._per_origin and self._projects[queue.project_id] < self._per_project:
                self._origins[queue.origin] += 1
                self._projects[queue.project_id] += 1
                item = items.popleft()
                if items:
                    self._waiting.move_to_end(queue)
                else:
                    del self._waiting[queue]
                return item
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Freed:
    """An origin and a project that were full and have room again; None where there was room before."""

    origin: str | None
    project_id: str | None

    def is_filled_by(self, queue: Queue) -> bool:
        """Whether an item of a queue takes all of that room."""
        return self.origin in {None, queue.origin} and self.project_id in {None, queue.project_id}
