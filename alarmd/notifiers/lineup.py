# SPDX-License-Identifier: Apache-2.0
"""The line-up: claimed notifications that wait for a free thread, and who of them is next."""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from threading import Condition
from typing import Generic, Protocol, TypeVar

from alarmd.store.queues import Queue


class Queued(Protocol):
    """What belongs to a queue."""

    @property
    def queue(self) -> Queue:
        """Which one."""


_Item = TypeVar("_Item", bound=Queued)


class Lineup(Generic[_Item]):
    """Hands items to threads, the queues by turns, and no more at once of one receiver or project than they may have.

    Safe to use from several threads.
    """

    def __init__(self, *, per_origin: int, per_project: int) -> None:
        """Start empty.

        Args:
            per_origin: How many items of one origin may be in threads' hands at once.
            per_project: The same of one project.
        """
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

    def take(self) -> _Item | None:
        """Wait for an item that may go and return it; None once it is closed. Whoever has it gives it `back`."""
        with self._changed:
            while not self._closed:
                item = self._next()
                if item is not None:
                    return item
                self._changed.wait()
            return None

    def back(self, item: _Item) -> None:
        """Say that a thread is done with an item."""
        with self._changed:
            for counts, key in ((self._origins, item.queue.origin), (self._projects, item.queue.project_id)):
                counts[key] -= 1
                if not counts[key]:
                    del counts[key]
            self._changed.notify()

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
