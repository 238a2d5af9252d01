# SPDX-License-Identifier: Apache-2.0
"""Turns: who may have something computed when, so that no project has all of what there is.

What is computed for people who ask takes a thread of the API, and seconds. A project has one place of those where
something is computed, and a share of those where somebody waits; projects that wait have their turns one after another.
"""

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition

from alarmd.errors import TooMany

#: When to try again after there was no place.
_RETRY_S = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnLimits:
    """How many may be served and wait in a process."""

    #: What is computed at once; of each project one of them.
    at_once: int
    #: What is computed or waits.
    most: int
    #: Of these, what one project has.
    most_of_one: int
    #: How long somebody waits at most.
    patience_s: float


class Turns:
    """Lets callers in, each project in its turn. Safe to use from several threads."""

    def __init__(self, limits: TurnLimits, *, what: str) -> None:
        """Take the bounds, and what is computed, in the plural and in words."""
        self._limits = limits
        self._what = what
        self._changed = Condition()
        #: Of each project: what is computed or waits. Nothing is kept of those that have nothing here.
        self._present: Counter[str] = Counter()
        self._served: set[str] = set()
        #: Projects with somebody who waits, the one whose turn comes first at the front; each as often as it waits.
        self._waiting: deque[str] = deque()

    @contextmanager
    def turn(self, project_id: str) -> Iterator[None]:
        """Wait for the project's turn, and hold it.

        Raises `TooMany` at once where the project has its share already or everything is taken, and when the turn does
        not come in time.
        """
        with self._changed:
            self._come(project_id)
        try:
            with self._changed:
                self._wait(project_id)
            try:
                yield
            finally:
                with self._changed:
                    self._served.discard(project_id)
        finally:
            with self._changed:
                self._go(project_id)

    def _come(self, project_id: str) -> None:
        limits = self._limits
        if self._present[project_id] >= limits.most_of_one:
            raise TooMany(
                f"Project {project_id!r} has {self._present[project_id]} {self._what} under way in this process, which "
                "is its share; try again in a moment.",
                retry_after_s=_RETRY_S,
            )
        if self._present.total() >= limits.most:
            raise TooMany(
                f"{limits.most} {self._what} are under way or wait in this process, and no more may; try again in a "
                "moment.",
                retry_after_s=_RETRY_S,
            )
        self._present[project_id] += 1

    def _go(self, project_id: str) -> None:
        self._present[project_id] -= 1
        if not self._present[project_id]:
            del self._present[project_id]
        self._changed.notify_all()

    def _wait(self, project_id: str) -> None:
        self._waiting.append(project_id)
        try:
            if not self._changed.wait_for(lambda: self._is_next(project_id), timeout=self._limits.patience_s):
                raise TooMany(
                    f"Other {self._what} have been under way in this process for {self._limits.patience_s:g} s; try "
                    "again in a moment.",
                    retry_after_s=_RETRY_S,
                )
        finally:
            self._waiting.remove(project_id)
        self._served.add(project_id)
        # Whoever comes next has looked too early.
        self._changed.notify_all()

    def _is_next(self, project_id: str) -> bool:
        if len(self._served) >= self._limits.at_once:
            return False
        return project_id == next((one for one in self._waiting if one not in self._served), None)
