# SPDX-License-Identifier: Apache-2.0
"""Assembly: what evaluators need beside rules and samples, out of the settings."""

from alarmd.clock import Clock
from alarmd.evaluators.breaker import BreakerLimits
from alarmd.evaluators.safety import Watch
from alarmd.evaluators.schedules.hours import read_hours
from alarmd.model.direction import Direction
from alarmd.settings import Settings
from alarmd.store.database import Database
from alarmd.store.gate import GateLimits


def gate_limits(settings: Settings) -> GateLimits:
    """Return what the operator says about notifications."""
    notifier = settings.notifier
    after_s = {
        Direction.IN: notifier.expire_in_s,
        Direction.OUT: notifier.expire_out_s,
        Direction.NEUTRAL: notifier.expire_neutral_s,
    }
    return GateLimits(
        expire_after_s={direction: seconds for direction, seconds in after_s.items() if seconds},
        read_hours=read_hours,
    )


def breaker_limits(settings: Settings) -> BreakerLimits:
    """Return when scale-in is held back everywhere."""
    safety = settings.safety
    return BreakerLimits(
        alarms_share=safety.breaker_alarms_share,
        projects_share=safety.breaker_projects_share,
        hosts_share=safety.breaker_hosts_share,
        silent_share=safety.breaker_silent_share,
        minimum=safety.breaker_minimum,
        calm_s=safety.breaker_calm_s,
    )


def watch(settings: Settings, *, owner: str, database: Database, clock: Clock) -> Watch:
    """Return what looks at the ticks of an evaluator; no other has this owner's name."""
    return Watch(
        owner=owner,
        limits=breaker_limits(settings),
        lease_s=settings.safety.breaker_lease_s,
        database=database,
        clock=clock,
    )
