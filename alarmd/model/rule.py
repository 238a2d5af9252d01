# SPDX-License-Identifier: Apache-2.0
"""Rules: what an alarm asks of the samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from alarmd.model.samples import Labels


class Statistic(StrEnum):
    """How the samples of a period become one value."""

    AVG = "avg"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    COUNT = "count"


class Comparison(StrEnum):
    """How a period's value is held against the threshold; true means *outside*."""

    LT = "lt"
    LE = "le"
    EQ = "eq"
    NE = "ne"
    GE = "ge"
    GT = "gt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which series a rule reads: one metric in one project, narrowed by resource, user and labels."""

    metric: str
    project_id: str
    resource_id: str | None = None
    user_id: str | None = None
    labels: Labels = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdRule:
    """A statistic over the last periods against a threshold (Aodh's legacy `threshold_rule`)."""

    selector: Selector
    statistic: Statistic
    period_s: int
    evaluation_periods: int
    comparison: Comparison
    threshold: float
    exclude_outliers: bool


class RuleType(Protocol):
    """One family of rules, as those see it who only store and show alarms. One plugin a family."""

    @property
    def name(self) -> str:
        """The alarm's `type`; the rule stands under ``<type>_rule``."""

    @property
    def is_evaluated(self) -> bool:
        """Whether this alarmd evaluates such rules, or only keeps them."""

    def normalise(self, rule: Mapping[str, Any], *, project_id: str) -> dict[str, Any]:
        """Check a rule as a client sent it and return it complete, in wire form, every default filled in.

        Raises `InvalidInput` in Aodh's words. The result is what is stored and shown; it must survive
        being normalised again unchanged.
        """

    def describe(self, rule: Mapping[str, Any]) -> str:
        """Return the description of an alarm that came without one."""

    def reads_project(self, rule: Mapping[str, Any], *, project_id: str) -> str:
        """Return the one project whose series the rule reads, for an alarm that `project_id` owns."""
