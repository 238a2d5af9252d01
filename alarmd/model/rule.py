# SPDX-License-Identifier: Apache-2.0
"""Rules: what an alarm asks of the samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeAlias, runtime_checkable

from alarmd.model.samples import Labels, Resource


class Statistic(StrEnum):
    """How several values become one."""

    AVG = "avg"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    COUNT = "count"
    #: By the time of the samples; of several members that report at the same moment, any of them.
    FIRST = "first"
    LAST = "last"
    #: Of the whole: the mean square deviation is taken over n.
    STDDEV = "stddev"
    #: Of a part of the whole: taken over n - 1, so one value alone has none.
    SAMPLE_STDDEV = "sample_stddev"
    #: Over time only: what a counter grew by a second, see `Differences`.
    RATE = "rate"


@dataclass(frozen=True, slots=True)
class Percentile:
    """How several values become one: the value below which so many percent of them lie.

    Interpolated linearly at (n - 1) * percent / 100 among the sorted values, so 50 is the median.
    """

    percent: float


Measure: TypeAlias = Statistic | Percentile


class Differences(StrEnum):
    """What is taken for the values of a series: the samples, or what changed from each to the next.

    A difference belongs to the moment of the later sample, and exists where both lie in the periods that a rule may
    use. A series that holds deltas (`Kind.DELTA`) is its own differences, except where the reference is reproduced.
    """

    NONE = "none"
    #: As they are; a counter that starts anew makes a large negative one.
    PLAIN = "plain"
    #: A counter (`Kind.CUMULATIVE`) that falls has started anew at 0, so its new value is what it grew by.
    RESET_SAFE = "reset_safe"


class Comparison(StrEnum):
    """How a period's value is held against the threshold; true means *outside*."""

    LT = "lt"
    LE = "le"
    EQ = "eq"
    NE = "ne"
    GE = "ge"
    GT = "gt"


class MissingData(StrEnum):
    """What a period without data means."""

    #: It is passed over for older periods, as far as the look-back goes; then nothing is known.
    MISSING = "missing"
    #: It may be on either side: the state stays unless the other periods decide whatever it is.
    IGNORE = "ignore"
    BREACHING = "breaching"
    NOT_BREACHING = "not_breaching"


class Condition(Protocol):
    """What a resource must be like to be read. Hashable and equal to those that mean the same."""

    def holds(self, resource: Resource) -> bool:
        """Return whether a resource is meant. Raises nothing, whatever a resource looks like."""

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which series a rule reads: those of one project, by metric, resource, user, labels and conditions; all hold."""

    #: Empty where `any_of` says all.
    metric: str
    #: Whether `metric` is a pattern as a shell knows them.
    is_pattern: bool = False
    project_id: str
    resource_id: str | None = None
    user_id: str | None = None
    labels: Labels = ()
    condition: Condition | None = None
    #: Resources and their metrics by name; when there are any, nothing but the project counts beside them.
    any_of: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a rule reads from the window: which series, and how their samples become one value a period.

    Samples become values (`differences`), the values of a period become one a member (`over_time`), those become one
    (`over_members`). Without `over_members` all members' values of a period are taken together by `over_time`.
    """

    selector: Selector
    #: Seconds.
    period_s: int
    over_time: Measure
    over_members: Measure | None = None
    differences: Differences = Differences.NONE
    #: What values are multiplied with: a rate per granularity is a `RATE` times its seconds.
    scale: float = 1.0
    #: Whether periods are those of a grid from the epoch on, the newest being the one that `now` lies in. Otherwise
    #: they end at the watermark, the newest sample of all members.
    is_aligned: bool = False
    #: Whether a period counts only once it is over; for statistics that grow while it lasts.
    complete_only: bool = False
    #: Whether what counts is the difference from one result to the next older one there is (the reference's
    #: ``rate:`` over members).
    difference_of_results: bool = False
    #: Whether periods with unusually few or many samples are passed over.
    exclude_outliers: bool = False
    #: How many of the oldest periods do not count themselves, but lend the sample that a difference is taken from.
    lent_periods: int = 0
    #: The share of members that must have reported in a period for it to count.
    minimum_coverage: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How the values of the last periods are held against a threshold."""

    comparison: Comparison
    threshold: float
    evaluation_periods: int = 1
    #: How many of the periods must be outside for `alarm`; fewer mean `ok`. None: all of them, none means `ok`, and
    #: anything between changes nothing.
    datapoints_to_alarm: int | None = None
    missing: MissingData = MissingData.MISSING
    #: While in `alarm`, what values are held against instead of the threshold.
    recovery_threshold: float | None = None
    #: How many periods longer than `evaluation_periods` the condition must have held before `alarm`.
    hold_periods: int = 0
    #: For how many periods after it held the last time `alarm` stays.
    keep_periods: int = 0

    @property
    def reach_periods(self) -> int:
        """How many values it looks at, at most."""
        return self.evaluation_periods + max(self.hold_periods, self.keep_periods)

    @property
    def depends_on_state(self) -> bool:
        """Whether the outcome depends on the state that the alarm is in."""
        return self.recovery_threshold is not None or self.keep_periods > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRule:
    """A rule over the window: what it reads and how that is judged."""

    reading: Reading
    judgement: Judgement
    #: How many periods before those that are judged may be used when some are empty. None: as many as bridge the
    #: lateness budget.
    look_back_periods: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmReference:
    """A leaf of a composite rule that is another alarm: it counts by the state that is stored of it."""

    alarm_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A node of a composite rule: true when at least so many of its nodes are, or when they are not, if negated.

    "and" needs all of its nodes, "or" one, "not" is one node negated.
    """

    nodes: "tuple[Node, ...]"
    at_least: int
    is_negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A leaf of a composite rule: what is evaluated for it, and how it is shown where it is the cause."""

    #: A `WindowRule`, an `AlarmReference`, or a rule that asks another server.
    rule: Any
    #: As stored, with its type.
    wire: Mapping[str, Any]


Node: TypeAlias = Branch | Leaf


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeRule:
    """Rules, combined. Leaves are named rule1, rule2, … depth first."""

    root: Node
    #: What the alarm looks like in words, e.g. ``(rule1 and (rule2 or rule3))``.
    form: str


class RuleType(Protocol):
    """One family of rules, as those see it who only store and show alarms. One plugin a family."""

    @property
    def name(self) -> str:
        """The alarm's `type`; the rule stands under ``<type>_rule``."""

    @property
    def is_evaluated(self) -> bool:
        """Whether this alarmd evaluates such rules, or only keeps them."""

    @property
    def needs(self) -> str:
        """The setting that would have such rules evaluated where they are not; empty when none would."""

    def normalise(self, rule: Mapping[str, Any], *, project_id: str, confined: bool = True) -> dict[str, Any]:
        """Check a rule as a client sent it and return it complete, in wire form, every default filled in.

        Raises `InvalidInput` in Aodh's words, also for a rule that other people's servers cannot be asked about one
        project only where it is `confined` to that. The result is what is stored and shown; it must survive being
        normalised again unchanged.
        """

    def describe(self, rule: Mapping[str, Any]) -> str:
        """Return the description of an alarm that came without one."""

    def reads_project(self, rule: Mapping[str, Any], *, project_id: str) -> str:
        """Return the one project whose series the rule reads, for an alarm that `project_id` owns."""


@runtime_checkable
class CompoundRuleType(Protocol):
    """What a family has beside a `RuleType` whose rules hold other rules, or refer to alarms."""

    def refers_to(self, rule: Mapping[str, Any]) -> frozenset[str]:
        """Return the ids of the alarms that a normalised rule refers to."""

    def types_within(self, rule: Mapping[str, Any]) -> frozenset[str]:
        """Return the types of the rules that a normalised rule holds."""


@runtime_checkable
class DoubtfulRuleType(Protocol):
    """What a family has beside a `RuleType` that takes rules of which nothing will be known here."""

    def doubts(self, rule: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what a person should know of a normalised rule, who brings it from elsewhere."""
