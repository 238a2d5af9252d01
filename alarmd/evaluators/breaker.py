# SPDX-License-Identifier: Apache-2.0
"""The breaker: when so much of an installation wants to change at once that scale-in is better held back.

A broken switch, a poller that reads nonsense or a bad release looks like thousands of groups that all want to shrink.
What is common to them is that they come together, so this is what is looked for: in the alarms that want to change
state in one tick, and in the machines that are no longer heard of.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from alarmd.cache.roll import Attendance

#: So many tenants or hosts are no coincidence any more; of fewer a share says nothing.
_FEW = 3


class Cause(StrEnum):
    """What opens the breaker."""

    ALARMS = "alarms"
    PROJECTS = "projects"
    HOSTS = "hosts"
    POLLING = "polling"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """When it opens, and for how long. A share of 0 is never exceeded: it is switched off."""

    #: Of all alarms, in one tick; and of the alarms of a tenant, or the machines of a host, for it to count as one that
    #: wants to change.
    alarms_share: float = 0.3
    projects_share: float = 0.5
    hosts_share: float = 0.5
    #: Of the machines heard of lately.
    silent_share: float = 0.3
    #: So many alarms, or machines, it takes at least.
    minimum: int = 20
    #: For how long nothing of this must have come up before it closes.
    calm_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Some of a whole."""

    some: int = 0
    whole: int = 0

    def exceeds(self, share: float, *, minimum: int) -> bool:
        """Whether it is at least a share of the whole, and at least so many."""
        return bool(share) and self.some >= max(minimum, 1) and self.some >= share * self.whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """Who wants to change state in one tick."""

    alarms: Count = Count()
    projects: Count = Count()
    hosts: Count = Count()
    attendance: Attendance = field(default_factory=Attendance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Why the breaker is to be open."""

    #: In words.
    reason: str
    #: None of what an earlier process has found.
    cause: Cause | None


def finding_of(census: Census, limits: BreakerLimits) -> Finding | None:
    """Return what in a tick is too much at once; None when nothing is."""
    alarms, projects, hosts = census.alarms, census.projects, census.hosts
    if alarms.exceeds(limits.alarms_share, minimum=limits.minimum):
        return Finding(cause=Cause.ALARMS, reason=f"{alarms.some} of {alarms.whole} alarms want to change at once")
    if alarms.some >= limits.minimum:
        if projects.exceeds(limits.projects_share, minimum=_FEW):
            reason = f"alarms of {projects.some} of {projects.whole} projects want to change at once"
            return Finding(cause=Cause.PROJECTS, reason=reason)
        if hosts.exceeds(limits.hosts_share, minimum=_FEW):
            reason = f"alarms on {hosts.some} of {hosts.whole} hosts want to change at once"
            return Finding(cause=Cause.HOSTS, reason=reason)
    attendance = census.attendance
    missing = Count(some=attendance.missing_machines, whole=attendance.machines)
    if missing.exceeds(limits.silent_share, minimum=limits.minimum):
        reason = (
            f"{missing.some} of {missing.whole} machines are not heard of any more "
            f"({attendance.silent_sources} of {attendance.sources} hosts are silent)"
        )
        return Finding(cause=Cause.POLLING, reason=reason)
    return None


class Breaker:
    """Opens when something is found, and closes once nothing has been for a while. Knows nothing of who listens."""

    def __init__(self, limits: BreakerLimits) -> None:
        self._limits = limits
        self._found_s = 0.0
        #: Why it is open; None while it is closed.
        self.finding: Finding | None = None
        #: When it opened the last time.
        self.since: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether scale-in is to be held back."""
        return self.finding is not None

    def resume(self, finding: Finding, *, since: datetime, monotonic_s: float) -> None:
        """Be open as an earlier process has left it, as if it had been found now."""
        self.finding, self.since, self._found_s = finding, since, monotonic_s

    def look(self, census: Census, *, now: datetime, monotonic_s: float) -> None:
        """Take a tick into account. Goes by time that nobody can set."""
        found = finding_of(census, self._limits)
        if found is not None:
            if self.finding is None:
                self.since, self.finding = now, found
            self._found_s = monotonic_s
        elif self.finding is not None and monotonic_s - self._found_s >= self._limits.calm_s:
            self.finding = None
