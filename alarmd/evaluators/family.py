# SPDX-License-Identifier: Apache-2.0
"""The seam of the evaluators: a rule family checks, words and compiles one type of rule."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from pydantic import BaseModel

from alarmd.evaluators.asking.asking import AskedRule
from alarmd.model.rule import CompositeRule, RuleType, WindowRule

#: What the tick can evaluate.
TickedRule: TypeAlias = WindowRule | AskedRule | CompositeRule


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLimits:
    """The bounds that a rule must fit into."""

    #: Length of the window in memory; a rule that looks back further is refused.
    window_s: float
    #: The lateness budget, part of how far a rule looks back.
    lateness_s: float
    #: Periods that a rule over the window reads, those included that bridge gaps.
    periods: int = 360
    #: Levels of a composite rule, its root being the first.
    composite_depth: int = 8
    #: Leaves of a composite rule, over all levels.
    composite_leaves: int = 100
    #: Whether rules of the gnocchi types say what Gnocchi says to Aodh, to the digit and to the fault.
    gnocchi_is_strict: bool = False
    #: The names of the servers that can be asked, e.g. ``prometheus``.
    servers: frozenset[str] = frozenset()
    #: The label whose value tells the project of a series in Prometheus.
    prometheus_project_label: str = "project"
    #: Raises `InvalidInput` for what is no PromQL; None where nobody can tell.
    check_promql: Callable[[str], None] | None = None


class RuleFamily(RuleType, Protocol):
    """One family of rules, as the evaluator sees it."""

    @property
    def body(self) -> type[BaseModel]:
        """The shape of what clients send under ``<type>_rule``, for those who describe the API."""

    @property
    def is_ticked(self) -> bool:
        """Whether the tick evaluates such rules; others are not evaluated, or as soon as something comes."""

    @property
    def fits_composite(self) -> bool:
        """Whether a composite rule may hold rules of this family."""

    def parse(self, rule: Mapping[str, Any], *, project_id: str, confined: bool = True) -> TickedRule:
        """Return what is to be evaluated for a normalised rule of an alarm that `project_id` owns.

        `confined` says whether other people's servers are asked about that project only (`Alarm.confined`).

        Raises `InvalidInput` when the rule is none that `normalise` would have returned.
        """


#: Returns the family of a type of rule, None when there is none. For families whose rules hold other rules.
FindFamily = Callable[[str], RuleFamily | None]

#: What an entry point in ``alarmd.evaluators`` points at. Families are found only once all have been built.
RuleFamilyFactory = Callable[[RuleLimits, FindFamily], RuleFamily]
