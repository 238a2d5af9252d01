# SPDX-License-Identifier: Apache-2.0
"""What evaluators work in, as the settings have it, and as those need it who do their work again for people who ask."""

from collections.abc import Mapping
from dataclasses import dataclass

from alarmd.cache.log import SampleLog
from alarmd.cache.window import WindowLimits
from alarmd.clock import Clock
from alarmd.evaluators.family import RuleFamily
from alarmd.evaluators.plan import PlanOptions
from alarmd.settings import Settings
from alarmd.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What it takes to evaluate an alarm outside of a worker."""

    #: Knows other alarms, and what was recorded.
    database: Database
    #: Knows what samples there were.
    log: SampleLog
    #: How far the log goes back.
    retention_s: float
    #: The rules by the types of their alarms.
    families: Mapping[str, RuleFamily]
    window: WindowLimits
    plan: PlanOptions
    #: How often there is a tick when nothing comes.
    tick_s: float
    #: How long an answer may take.
    timeout_s: float
    #: How many previews, and as many explanations, a process computes or lets wait.
    most_answers: int = 4
    clock: Clock

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        database: Database,
        log: SampleLog,
        families: Mapping[str, RuleFamily],
        clock: Clock,
    ) -> "Surroundings":
        """Return the surroundings of a daemon with these settings."""
        return cls(
            database=database,
            log=log,
            retention_s=settings.log.retention_s,
            families=families,
            window=window_limits(settings),
            plan=plan_options(settings),
            tick_s=settings.evaluator.tick_s,
            timeout_s=settings.api.preview_timeout_s,
            # Both together leave half of the threads to those who ask for less.
            most_answers=max(1, settings.api.threads // 4),
            clock=clock,
        )


def window_limits(settings: Settings) -> WindowLimits:
    """Return the bounds of windows."""
    window = settings.window
    return WindowLimits(
        length_s=window.length_s,
        lateness_s=window.lateness_s,
        future_s=settings.api.sample_future_s,
        max_series=window.max_series,
    )


def plan_options(settings: Settings, *, count_results: bool = False) -> PlanOptions:
    """Return what plans need to know."""
    return PlanOptions(
        lateness_s=settings.window.lateness_s,
        repeat_interval_s=settings.evaluator.repeat_interval_s,
        member_memory_s=settings.evaluator.member_memory_s,
        scale_in_coverage=settings.evaluator.scale_in_coverage,
        count_results=count_results,
    )
