# SPDX-License-Identifier: Apache-2.0
"""How often callers may ask: so many requests a second for each project, or as many as they like."""

from typing import Protocol

from alarmd.errors import TooMany
from alarmd.model.caller import Caller

#: Windows are a second long, so a second later there is room again.
_WINDOW_S = 1
#: Projects whose requests are counted at once; counts are forgotten with their window, all of them beyond this.
_MAX_PROJECTS = 10_000


class RateLimit(Protocol):
    """Counts requests. Safe to use from several threads."""

    def spend(self, caller: Caller) -> None:
        """Count a request of a caller; raises `TooMany` when it is one too many."""


class Unlimited:
    """Lets everybody ask as often as they like."""

    def spend(self, caller: Caller) -> None:
        del caller


class ProjectRateLimit:
    """Lets a project's callers, all together, ask so often in a second. Each process that answers counts for itself.

    Callers without a project (administrators) count as one project of their own.
    """

    def __init__(self, per_second: int) -> None:
        # An extra: only those who set a limit need the library.
        from limits import RateLimitItemPerSecond  # noqa: PLC0415
        from limits.storage import MemoryStorage  # noqa: PLC0415
        from limits.strategies import FixedWindowRateLimiter  # noqa: PLC0415

        self._per_second = per_second
        self._limit = RateLimitItemPerSecond(per_second, _WINDOW_S)
        self._counts = MemoryStorage()
        self._limiter = FixedWindowRateLimiter(self._counts)

    def spend(self, caller: Caller) -> None:
        if len(self._counts.storage) >= _MAX_PROJECTS:
            self._counts.reset()
        if not self._limiter.hit(self._limit, caller.project_id):
            raise TooMany(
                f"Project {caller.project_id!r} asks more than {self._per_second} times a second "
                "(setting api.requests_per_second_per_project). Ask again in a second, and less often.",
                retry_after_s=_WINDOW_S,
            )
