# SPDX-License-Identifier: Apache-2.0
"""Upheavals: of whom alarms want to change in one tick, counted by tenant and by host."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from alarmd.cache.window import Window
from alarmd.evaluators.breaker import Census, Count
from alarmd.evaluators.plan import Plan, PlanOptions
from alarmd.model.alarm import State
from alarmd.model.transition import Transition


class Upheaval:
    """Counts for a plan over a window. Costs nothing while there is nothing to count."""

    def __init__(self, plan: Plan, window: Window, options: PlanOptions) -> None:
        self._plan = plan
        self._window = window
        self._memory_ms = round(options.member_memory_s * 1000)
        self._lateness_ms = round(options.lateness_s * 1000)

    def census(self, changes: Sequence[Transition], *, share: float, now: datetime) -> Census:
        """Return who wants to change, given those that do; none where they are too few to matter.

        A tenant wants to when a share of its alarms does, and a host when those of a share of its machines do.
        """
        counted = [one for one in changes if self._matters(one)]
        return Census(
            alarms=Count(some=len(counted), whole=len(self._plan)),
            projects=self._projects(counted, share),
            hosts=self._hosts(counted, share),
            attendance=self._window.roll.attendance(
                now_ms=round(now.timestamp() * 1000), memory_ms=self._memory_ms, lateness_ms=self._lateness_ms
            ),
        )

    def _matters(self, change: Transition) -> bool:
        """Whether a change is worth a worry: that something is known at last is not, unless the alarm scales in."""
        if change.previous is not State.INSUFFICIENT_DATA:
            return True
        return self._plan.scales_in(change.alarm_id, change.current)

    def _projects(self, changes: Sequence[Transition], share: float) -> Count:
        sizes = self._plan.project_sizes
        wanting = Counter(self._plan.project_of(one.alarm_id) for one in changes)
        some = sum(count >= share * sizes[project] for project, count in wanting.items())
        return Count(some=some, whole=len(sizes))

    def _hosts(self, changes: Sequence[Transition], share: float) -> Count:
        if not changes:
            return Count()
        groups = [group for one in changes if (group := self._plan.series_of(one.alarm_id))]
        some, whole = self._window.roll.hosts_with(groups, share=share)
        return Count(some=some, whole=whole)
