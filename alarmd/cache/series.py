# SPDX-License-Identifier: Apache-2.0
"""The directory of series: which series exist, whose they are, and which of them a selector means."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from alarmd.model.rule import Selector
from alarmd.model.samples import Metric, Resource


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one resource."""

    number: int
    metric: Metric
    resource: Resource


def selects(selector: Selector, series: Series) -> bool:
    """Return whether a selector means a series."""
    resource, name = series.resource, series.metric.name
    if selector.project_id != resource.project_id:
        return False
    if selector.any_of:
        return (resource.id, name) in selector.any_of
    return (
        (fnmatchcase(name, selector.metric) if selector.is_pattern else name == selector.metric)
        and selector.resource_id in {None, resource.id}
        and selector.user_id in {None, resource.user_id}
        and set(selector.labels) <= set(resource.labels)
        and (selector.condition is None or selector.condition.holds(resource))
    )


class SeriesDirectory:
    """Numbers series densely and finds them again; numbers of removed series are used anew."""

    def __init__(self) -> None:
        self._by_key: dict[tuple[str, str, str], int] = {}
        #: By project and metric.
        self._by_metric: dict[str, dict[str, dict[int, None]]] = {}
        self._series: list[Series | None] = []
        self._free: list[int] = []
        self._changed: dict[int, tuple[Series | None, Series | None]] = {}
        #: Grows whenever a number may have changed its meaning, or a series its resource.
        self.generation = 0

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Series]:
        return (series for series in self._series if series is not None)

    def __contains__(self, number: object) -> bool:
        """Return whether a series has this number."""
        return isinstance(number, int) and 0 <= number < len(self._series) and self._series[number] is not None

    def get(self, number: int) -> Series:
        """Return a series by its number, which must exist."""
        series = self._series[number]
        if series is None:
            raise KeyError(number)
        return series

    def find(self, project_id: str, resource_id: str, metric: str) -> int | None:
        """Return the number of a series, or None."""
        return self._by_key.get((project_id, resource_id, metric))

    def put(self, resource: Resource, metric: Metric) -> tuple[int, bool]:
        """Return the number of the series and whether it is new; its resource is from now on as told here."""
        key = (resource.project_id, resource.id, metric.name)
        number = self._by_key.get(key)
        if number is not None:
            known = self.get(number)
            if known.resource != resource or known.metric != metric:
                self._set(number, Series(number, metric, resource))
                self.generation += 1
            return number, False
        number = self._free.pop() if self._free else len(self._series)
        if number == len(self._series):
            self._series.append(None)
        self._by_key[key] = number
        self._by_metric.setdefault(resource.project_id, {}).setdefault(metric.name, {})[number] = None
        self._set(number, Series(number, metric, resource))
        return number, True

    def remove(self, number: int) -> None:
        """Forget a series."""
        series = self.get(number)
        project_id, metric = series.resource.project_id, series.metric.name
        del self._by_key[project_id, series.resource.id, metric]
        metrics = self._by_metric[project_id]
        del metrics[metric][number]
        if not metrics[metric]:
            del metrics[metric]
        if not metrics:
            del self._by_metric[project_id]
        self._set(number, None)
        self._free.append(number)
        self.generation += 1

    def select(self, selector: Selector) -> list[int]:
        """Return the numbers of all series that a selector means."""
        if selector.any_of:
            named = (self.find(selector.project_id, *pair) for pair in dict.fromkeys(selector.any_of))
            return [number for number in named if number is not None]
        return [number for number in self._candidates(selector) if selects(selector, self.get(number))]

    def take_changes(self) -> list[tuple[int, Series | None, Series | None]]:
        """Return what changed since the last call: number, series as it was, series as it is (None: did not exist)."""
        changes = [(number, was, now) for number, (was, now) in self._changed.items()]
        self._changed = {}
        return changes

    def _candidates(self, selector: Selector) -> Iterator[int]:
        """Yield the numbers of all series with the metrics, and the resource, that a selector names."""
        by_metric = self._by_metric.get(selector.project_id, {})
        if selector.is_pattern:
            metrics = [name for name in by_metric if fnmatchcase(name, selector.metric)]
        else:
            metrics = [selector.metric]
        for metric in metrics:
            if selector.resource_id is None:
                yield from by_metric.get(metric, ())
            elif (number := self.find(selector.project_id, selector.resource_id, metric)) is not None:
                yield number

    def _set(self, number: int, series: Series | None) -> None:
        was = self._series[number]
        first, _ = self._changed.get(number, (was, None))
        self._changed[number] = (first, series)
        self._series[number] = series
