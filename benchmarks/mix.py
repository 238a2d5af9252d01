# SPDX-License-Identifier: Apache-2.0
"""A mix of alarms as a cloud has them: on machines, on groups of machines, and combined.

Projects are of very different sizes, and so are the groups of machines in them: between 10 and 500 members, which a
label tells: each machine belongs to the group that scales it. The machines of a group, and of a project, stand on any
hosts.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from math import exp, log, sqrt
from typing import NamedTuple, TypeAlias

import numpy as np

from alarmd.model.rule import (
    Branch,
    Comparison,
    CompositeRule,
    Judgement,
    Leaf,
    Measure,
    Node,
    Percentile,
    Reading,
    Selector,
    Statistic,
    WindowRule,
)
from alarmd.model.samples import Labels, Resource
from benchmarks.fleet import INTERVAL_S, METRIC

Rule: TypeAlias = WindowRule | CompositeRule

PROJECTS = 1_000
#: How unequal projects are: the spread of the logarithms of their sizes.
_UNEQUAL = 1.5
_SMALLEST_GROUP, _LARGEST_GROUP = 10, 500
_GROUP_LABEL = "server_group"

_STATISTICS = (
    Statistic.AVG,
    Statistic.MAX,
    Statistic.MIN,
    Statistic.SUM,
    Statistic.COUNT,
    Statistic.LAST,
    Statistic.STDDEV,
)
_PERIODS_S = (30, 60, 120)
_EVALUATION_PERIODS = (1, 2, 3)
_PERCENTS = (50.0, 90.0, 95.0, 99.0)
#: What a machine's load is, and how much it varies: in a minute, and between machines. See `fleet`.
_MEAN, _NOISE, _SWING = 50.0, 2.0, 30.0 / sqrt(2)


class Sort(StrEnum):
    """What an alarm of the mix is."""

    SERIES = "series"
    GROUP = "groups"
    COMPOSITE = "composites"
    PERCENTILE = "percentiles"


#: Of how many alarms in a hundred each sort is.
SHARES = {Sort.SERIES: 60, Sort.GROUP: 25, Sort.COMPOSITE: 10, Sort.PERCENTILE: 5}
_SORTS = [sort for sort, share in SHARES.items() for _ in range(share)]


class Combination(NamedTuple):
    """How samples become values, and how many of those count."""

    statistic: Statistic
    period_s: int
    evaluation_periods: int


@dataclass(frozen=True, slots=True)
class Group:
    """Machines that one label of one project has in common."""

    project_id: str
    label: tuple[str, str]
    #: Numbers of the machines.
    members: tuple[int, ...]


class Machines:
    """The machines of the mix: their projects and the groups they belong to."""

    def __init__(self, count: int, *, projects: int = PROJECTS) -> None:
        self._random = np.random.default_rng(3)
        projects = max(min(projects, count // 100), 1)
        weights = self._random.lognormal(0, _UNEQUAL, projects)
        self._project_of = self._random.choice(projects, count, p=weights / weights.sum())
        #: Numbers of the machines of each project that has any.
        self.projects = {
            f"project-{number}": found
            for number in range(projects)
            if (found := np.flatnonzero(self._project_of == number).tolist())
        }
        groups = self._groups(_GROUP_LABEL)
        #: By their sizes.
        self.groups = sorted(groups, key=lambda group: len(group.members))
        labels: dict[int, Labels] = {}
        for group in self.groups:
            for member in group.members:
                labels[member] = tuple(sorted((*labels.get(member, ()), group.label)))
        self.resources = [
            Resource(id=f"vm-{number:07d}", project_id=f"project-{project}", labels=labels.get(number, ()))
            for number, project in enumerate(self._project_of.tolist())
        ]

        self._numbers = {resource.id: number for number, resource in enumerate(self.resources)}
        self._by_label = {(group.project_id, group.label): list(group.members) for group in self.groups}

    def members(self, selector: Selector) -> list[int]:
        """Return the machines that a selector of the mix means."""
        if selector.resource_id is not None:
            return [self._numbers[selector.resource_id]]
        return self._by_label[selector.project_id, selector.labels[0]]

    def _groups(self, label: str) -> Iterator[Group]:
        for project_id, machines in self.projects.items():
            left = self._random.permutation(machines).tolist()
            number = 0
            while len(left) >= _SMALLEST_GROUP:
                size = round(exp(self._random.uniform(log(_SMALLEST_GROUP), log(_LARGEST_GROUP))))
                members, left = left[:size], left[size:]
                yield Group(project_id, (label, f"{label}-{number}"), tuple(members))
                number += 1


class Mix:
    """Rules for as many alarms as are wanted, the same in every run."""

    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self._random = np.random.default_rng(4)
        self._combinations = [Combination(*one) for one in product(_STATISTICS, _PERIODS_S, _EVALUATION_PERIODS)]
        self._sizes = [len(group.members) for group in machines.groups]

    @staticmethod
    def sort(number: int) -> Sort:
        """Return what an alarm is: of a hundred in a row, as many are of each sort as its share says."""
        return _SORTS[number % len(_SORTS)]

    def rule(self, sort: Sort) -> tuple[str, Rule]:
        """Return the next rule of a sort, and the project that it belongs to."""
        if sort is Sort.COMPOSITE:
            return self._composite()
        if sort is Sort.GROUP or (sort is Sort.PERCENTILE and self._chance(0.5)):
            group = self._group()
            return group.project_id, self._group_rule(group, sort)
        machine = self._random.integers(len(self.machines.resources))
        return self.machines.resources[machine].project_id, self._series_rule(int(machine), sort)

    def _series_rule(self, machine: int, sort: Sort = Sort.SERIES) -> WindowRule:
        resource = self.machines.resources[machine]
        selector = Selector(metric=METRIC.name, project_id=resource.project_id, resource_id=resource.id)
        combination = self._combination()
        measure: Measure = combination.statistic
        if sort is Sort.PERCENTILE:
            measure = Percentile(self._random.choice(_PERCENTS))
        return self._window_rule(selector, combination, over_time=measure, members=1)

    def _group_rule(self, group: Group, sort: Sort) -> WindowRule:
        selector = Selector(metric=METRIC.name, project_id=group.project_id, labels=(group.label,))
        combination = self._combination()
        if sort is Sort.PERCENTILE:
            percentile = Percentile(self._random.choice(_PERCENTS))
            return self._window_rule(
                selector, combination, over_time=Statistic.AVG, over_members=percentile, members=len(group.members)
            )
        # The last sample of a group is that of whichever member happens to come last: nobody would watch that.
        across = Statistic.AVG if combination.statistic is Statistic.LAST else None
        return self._window_rule(
            selector, combination, over_time=combination.statistic, over_members=across, members=len(group.members)
        )

    def _window_rule(
        self,
        selector: Selector,
        combination: Combination,
        *,
        over_time: Measure,
        over_members: Measure | None = None,
        members: int,
    ) -> WindowRule:
        comparison = Comparison.GT if self._chance(0.5) else Comparison.LT
        samples = members * combination.period_s / INTERVAL_S
        usual, spread = _usual(over_time, samples=samples, members=members)
        away = spread * self._random.uniform(1.0, 2.0)
        return WindowRule(
            reading=Reading(
                selector=selector, period_s=combination.period_s, over_time=over_time, over_members=over_members
            ),
            judgement=Judgement(
                comparison=comparison,
                threshold=usual + away if comparison is Comparison.GT else usual - away,
                evaluation_periods=combination.evaluation_periods,
            ),
        )

    def _composite(self) -> tuple[str, CompositeRule]:
        project_id = self.machines.resources[self._random.integers(len(self.machines.resources))].project_id
        machines = self._random.choice(self.machines.projects[project_id], self._random.integers(3, 6)).tolist()
        leaves = [_leaf(self._series_rule(machine)) for machine in machines]
        first, rest = leaves[0], tuple(leaves[1:])
        shapes: list[tuple[Branch, str]] = [
            (Branch(nodes=tuple(leaves), at_least=len(leaves)), "and"),
            (Branch(nodes=tuple(leaves), at_least=1), "or"),
            (Branch(nodes=tuple(leaves), at_least=2), "at least 2 of"),
            (Branch(nodes=(first, _branch(rest, at_least=1)), at_least=2), "and or"),
            (Branch(nodes=(first, _branch(rest, at_least=1, is_negated=True)), at_least=2), "and not or"),
        ]
        root, form = shapes[self._random.integers(len(shapes))]
        return project_id, CompositeRule(root=root, form=f"({form} {len(leaves)} rules)")

    def _combination(self) -> Combination:
        return self._combinations[self._random.integers(len(self._combinations))]

    def _group(self) -> Group:
        """Return a group whose size is as likely to be between 10 and 20 as between 200 and 400."""
        wanted = exp(self._random.uniform(log(_SMALLEST_GROUP), log(_LARGEST_GROUP)))
        size = self._sizes[min(bisect_left(self._sizes, wanted), len(self._sizes) - 1)]
        alike = self.machines.groups[bisect_left(self._sizes, size) : bisect_right(self._sizes, size)]
        return alike[self._random.integers(len(alike))]

    def _chance(self, share: float) -> bool:
        return bool(self._random.random() < share)


def _branch(nodes: tuple[Node, ...], *, at_least: int, is_negated: bool = False) -> Branch:
    return Branch(nodes=nodes, at_least=at_least, is_negated=is_negated)


def _leaf(rule: WindowRule) -> Leaf:
    selector, reading, judgement = rule.reading.selector, rule.reading, rule.judgement
    wire = {
        "type": "threshold",
        "meter_name": selector.metric,
        "query": [{"field": "resource_id", "op": "eq", "value": selector.resource_id}],
        "statistic": str(reading.over_time),
        "period": reading.period_s,
        "evaluation_periods": judgement.evaluation_periods,
        "comparison_operator": str(judgement.comparison),
        "threshold": judgement.threshold,
        "exclude_outliers": False,
    }
    return Leaf(rule=rule, wire=wire)


def _usual(over_time: Measure, *, samples: float, members: int) -> tuple[float, float]:
    """Return what a statistic usually is, and how far from that it comes now and then."""
    if over_time is Statistic.COUNT:
        return samples, 0.5 * samples
    if over_time is Statistic.STDDEV:
        return (_NOISE, _NOISE) if members == 1 else (_SWING, 0.5 * _SWING)
    # What all members do together varies little.
    spread = _SWING / sqrt(members)
    return (_MEAN * samples, spread * samples) if over_time is Statistic.SUM else (_MEAN, spread)
