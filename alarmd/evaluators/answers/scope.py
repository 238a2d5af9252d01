# SPDX-License-Identifier: Apache-2.0
"""Scopes: what of the samples, of other alarms and of other people's servers one rule depends on."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from alarmd.cache.log import SampleLog
from alarmd.evaluators.family import TickedRule
from alarmd.model.alarm import AlarmId
from alarmd.model.rule import AlarmReference, CompositeRule, Leaf, Node, Selector, WindowRule
from alarmd.model.samples import Batch, Metric, Resource
from alarmd.model.shard import shard_of

#: Entries read from the log at once.
_ENTRIES_AT_ONCE = 500
#: How many different sets of resources or metrics are remembered.
_REMEMBERED = 4096


def leaves_of(rule: TickedRule) -> list[Leaf]:
    """Return the leaves of a rule in the order of their names, rule1, rule2, …; a rule by itself is one leaf."""
    if not isinstance(rule, CompositeRule):
        return [Leaf(rule=rule, wire={})]
    return list(_leaves(rule.root))


def _leaves(node: Node) -> Iterator[Leaf]:
    if isinstance(node, Leaf):
        yield node
        return
    for one in node.nodes:
        yield from _leaves(one)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a rule depends on."""

    selectors: tuple[Selector, ...] = ()
    #: The alarms that it refers to.
    alarm_ids: tuple[AlarmId, ...] = ()
    #: The servers that it asks, by their names.
    servers: tuple[str, ...] = ()

    @classmethod
    def of(cls, rule: TickedRule) -> "Scope":
        """Return the scope of a rule."""
        rules = [leaf.rule for leaf in leaves_of(rule)]
        references = [one for one in rules if isinstance(one, AlarmReference)]
        asked = [one for one in rules if not isinstance(one, WindowRule | AlarmReference)]
        return cls(
            selectors=tuple(one.reading.selector for one in rules if isinstance(one, WindowRule)),
            alarm_ids=tuple(dict.fromkeys(AlarmId(one.alarm_id) for one in references)),
            servers=tuple(dict.fromkeys(one.question.server for one in asked)),
        )

    def recorded(self, log: SampleLog, *, since_s: float) -> Iterator[Batch]:
        """Yield what a log holds of its shards, in the log's order, from a moment on and perhaps from before.

        Raises `LogUnavailable`.
        """
        cursor = log.start_of({shard_of(one.project_id) for one in self.selectors}, since_s=since_s)
        while cursor:
            entries, cursor = log.read(cursor, limit=_ENTRIES_AT_ONCE)
            yield from (entry.batch for entry in entries)
            if len(entries) < _ENTRIES_AT_ONCE:
                return

    def only(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield what batches hold of the projects and metrics that the rule reads; nothing of those without any.

        Roll calls come too.
        """
        projects = {one.project_id for one in self.selectors}
        resources = _Picker[Resource](lambda one: one.project_id in projects)
        metrics = _Picker[Metric](self._reads)
        for batch in batches:
            if not batch.resources:
                # A roll call, which tells who has left.
                yield batch
                continue
            rows, picked_resources = resources.pick(batch.resources)
            columns, picked_metrics = metrics.pick(batch.metrics)
            if picked_resources and picked_metrics:
                yield replace(
                    batch,
                    resources=picked_resources,
                    metrics=picked_metrics,
                    values=batch.values[np.ix_(rows, columns)],
                    expected=len(picked_resources),
                )

    def _reads(self, metric: Metric) -> bool:
        for one in self.selectors:
            if one.any_of:
                found = any(name == metric.name for _, name in one.any_of)
            else:
                found = one.is_pattern or one.metric == metric.name
            if found:
                return True
        return False


_Item = TypeVar("_Item")


class _Picker(Generic[_Item]):
    """Picks items of tuples. The same tuples come again and again, so what was picked of one is remembered.

    It is one object then, too, which the window is quicker with.
    """

    def __init__(self, wanted: Callable[[_Item], bool]) -> None:
        self._wanted = wanted
        #: By the tuple's id; the tuple stands beside so that its id stays taken.
        self._picked: dict[int, tuple[tuple[_Item, ...], NDArray[np.intp], tuple[_Item, ...]]] = {}

    def pick(self, items: tuple[_Item, ...]) -> tuple[NDArray[np.intp], tuple[_Item, ...]]:
        """Return the places of the wanted items, and these."""
        picked = self._picked.get(id(items))
        if picked is None:
            places = [place for place, item in enumerate(items) if self._wanted(item)]
            if len(self._picked) >= _REMEMBERED:
                self._picked.clear()
            picked = items, np.array(places, np.intp), tuple(items[place] for place in places)
            self._picked[id(items)] = picked
        return picked[1], picked[2]
