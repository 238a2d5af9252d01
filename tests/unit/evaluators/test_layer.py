# SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import dataclass, replace
from math import isclose
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alarmd.cache.window import Window, WindowLimits
from alarmd.evaluators.kernel import passes
from alarmd.evaluators.kernel.units import Layer, Method, Units
from alarmd.model.rule import Differences, Measure, MissingData, Percentile, Reading, Selector, Statistic
from alarmd.model.samples import Batch, Kind, Metric, Resource
from tests.support.reference_reading import ReadValues, ReferenceSeries, values_of
from tests.support.samples import a_resource

START_S = 1_767_225_600
LATENESS_S = 10.0
MEMORY_S = 90.0
METRICS = tuple(Metric(name=f"m.{kind}", kind=kind) for kind in Kind)


@dataclass(frozen=True)
class OfUser:
    """A condition: resources of one user."""

    user_id: str

    def holds(self, resource: Resource) -> bool:
        return resource.user_id == self.user_id


SELECTORS = (
    Selector(metric="m.gauge", project_id="p", resource_id="vm-0"),
    Selector(metric="m.cumulative", project_id="p", resource_id="vm-1"),
    Selector(metric="m.delta", project_id="p", resource_id="vm-0"),
    Selector(metric="m.gauge", project_id="p"),
    Selector(metric="m.cumulative", project_id="p"),
    Selector(metric="m.*", is_pattern=True, project_id="p"),
    Selector(metric="m.?*e*", is_pattern=True, project_id="p", resource_id="vm-2"),
    Selector(metric="m.gauge", project_id="p", condition=OfUser("u-1")),
    Selector(metric="", project_id="p", any_of=(("vm-0", "m.gauge"), ("vm-3", "m.delta"), ("vm-9", "m.gauge"))),
    Selector(metric="m.gauge", project_id="q"),
    Selector(metric="m.gauge", project_id="nobody"),
)
_PLAIN = [one for one in Statistic if one is not Statistic.RATE]
_OVER_TIME: st.SearchStrategy[Measure] = st.one_of(
    st.sampled_from(list(Statistic)), st.builds(Percentile, st.sampled_from([0.0, 50.0, 90.0, 95.0, 100.0]))
)
_OVER_MEMBERS: st.SearchStrategy[Measure] = st.one_of(
    st.sampled_from(_PLAIN), st.builds(Percentile, st.sampled_from([50.0, 99.9]))
)


@dataclass(frozen=True)
class Asked:
    """One way to read the series."""

    reading: Reading
    periods: int
    wanted: int
    missing: MissingData


@st.composite
def readings(draw: st.DrawFn) -> Asked:
    """Return a random reading, and what is wanted of it."""
    reading = Reading(
        selector=draw(st.sampled_from(SELECTORS)),
        period_s=draw(st.sampled_from([10, 10, 30])),
        over_time=draw(_OVER_TIME),
        over_members=draw(st.none() | _OVER_MEMBERS),
        differences=draw(st.sampled_from([Differences.NONE, *Differences])),
        scale=draw(st.sampled_from([1.0, 1.0, 60.0])),
        is_aligned=draw(st.booleans()),
        complete_only=draw(st.booleans()),
        difference_of_results=draw(st.sampled_from([False, False, True])),
        exclude_outliers=draw(st.sampled_from([False, False, True])),
        minimum_coverage=draw(st.sampled_from([0.0, 0.0, 0.5, 2 / 3, 1.0])),
    )
    periods = draw(st.integers(1, 7))
    return Asked(reading, periods, draw(st.integers(1, periods)), draw(st.sampled_from(MissingData)))


class Twins:
    """A window with units, and the reference, fed with the same samples."""

    def __init__(self, asked: list[Asked]) -> None:
        self.window = Window(WindowLimits(length_s=600, lateness_s=LATENESS_S))
        self.units = Units(self.window, lateness_s=LATENESS_S, member_memory_s=MEMORY_S)
        self.series: dict[tuple[str, str, str], ReferenceSeries] = {}
        self.asked = asked
        self.seats: dict[Asked, tuple[Layer, int]] = {}
        self.now_ms = START_S * 1000
        self.resources = [a_resource(f"vm-{number}", project_id="p", user_id="u-1") for number in range(3)]
        self.resources += [a_resource("vm-3", project_id=project_id) for project_id in ("q", "p")]

    def sample(self, vm: int, metric: int, after_s: int, more_ms: int, eighths: int) -> None:
        """Give both a sample."""
        self._take(self.resources[vm], METRICS[metric], self.now_ms + after_s * 1000 + more_ms, eighths / 8)

    def round(self, rounds: int) -> None:
        """Let all series report every ten seconds, each resource a little before the one before it."""
        for count in range(rounds):
            self.now_ms += 10_000
            for vm, resource in enumerate(self.resources):
                for place, metric in enumerate(METRICS):
                    self._take(resource, metric, self.now_ms - vm * 700, (count * 17 + vm * 5 + place) % 23 / 8)

    def wait(self, seconds: int) -> None:
        """Let time pass, and both forget what is silent for longer than the window."""
        self.now_ms += seconds * 1000
        self.window.expire(now_s=self.now_ms / 1000)
        oldest_ms = self.now_ms - self.window.limits.length_s * 1000
        self.series = {key: one for key, one in self.series.items() if max(one.samples) >= oldest_ms}

    def change_user(self, vm: int) -> None:
        """Give a resource to the other user; told with its next sample."""
        old = self.resources[vm]
        self.resources[vm] = replace(old, user_id="u-2" if old.user_id == "u-1" else "u-1")

    def join(self, number: int) -> None:
        """Begin to read."""
        asked = self.asked[number % len(self.asked)]
        if asked not in self.seats:
            self.seats[asked] = self.units.join(asked.reading, periods=asked.periods)

    def leave(self, number: int) -> None:
        """Stop reading."""
        asked = self.asked[number % len(self.asked)]
        if asked in self.seats:
            layer, place = self.seats.pop(asked)
            self.units.leave(layer, place, asked.reading, periods=asked.periods)

    def tick(self) -> None:
        """Hold what units say against the reference."""
        self.units.compute(now_ms=self.now_ms)
        for asked, (layer, place) in self.seats.items():
            points = layer.points(
                Method.of(asked.reading), periods=asked.periods, wanted=asked.wanted, missing=asked.missing
            )
            expected = values_of(
                asked.reading,
                self.series.values(),
                periods=asked.periods,
                wanted=asked.wanted,
                missing=asked.missing,
                now_ms=self.now_ms,
                lateness_s=LATENESS_S,
                member_memory_s=MEMORY_S,
            )
            actual = [float(values[place]) for values in points.values]

            assert expected.known == bool(points.known[place]), asked
            assert sum(value is not None for value in expected.values) == points.held[place], (asked, expected, actual)
            for ours, theirs in zip(actual, expected.values, strict=True):
                same = np.isnan(ours) if theirs is None else isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-9)
                assert same, (asked, expected, actual)
            self._check_evidence(asked, expected)

    def _check_evidence(self, asked: Asked, expected: ReadValues) -> None:
        """Hold what is told of a unit against the reference."""
        layer, place = self.seats[asked]
        [evidence] = layer.evidence(
            [place], Method.of(asked.reading), periods=asked.periods, wanted=asked.wanted, missing=asked.missing
        )
        watermark_s = None if expected.watermark_ms is None else expected.watermark_ms / 1000
        told = [one["value"] for one in evidence["periods"]] or [None] * asked.periods

        assert watermark_s == evidence["watermark"]
        assert pytest.approx(expected.values, nan_ok=True) == evidence["values"]
        assert pytest.approx(expected.periods) == told
        assert len(json.dumps(evidence)) < 4096

    def _take(self, resource: Resource, metric: Metric, time_ms: int, value: float) -> None:
        batch = Batch(
            source="test",
            timestamp_s=time_ms / 1000,
            metrics=(metric,),
            resources=(resource,),
            values=np.array([[value]]),
            expected=1,
        )
        self.window.append(batch, now_s=self.now_ms / 1000)
        key = (resource.project_id, resource.id, metric.name)
        known = self.series.setdefault(key, ReferenceSeries(resource, metric))
        known.resource = resource
        known.take(time_ms, value, lateness_s=LATENESS_S)


_STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("sample"),
            st.integers(0, 3),
            st.integers(0, 2),
            # Seconds after now, milliseconds, value in eighths.
            st.sampled_from([0, 0, 0, 0, -1, -3, -9, -15, 4]),
            st.sampled_from([0, 0, 1, 999]),
            st.integers(-40, 400),
        ),
        st.tuples(st.just("round"), st.integers(1, 4)),
        st.tuples(st.just("wait"), st.sampled_from([1, 5, 10, 10, 31, 120, 700])),
        st.tuples(st.just("change_user"), st.integers(0, 3)),
        st.tuples(st.just("join"), st.integers(0, 30)),
        st.tuples(st.just("leave"), st.integers(0, 30)),
        st.tuples(st.just("tick")),
    ),
    min_size=5,
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(
    asked=st.lists(readings(), min_size=1, max_size=8), steps=_STEPS, cells_at_once=st.sampled_from([1, 60, 1 << 20])
)
def test_layers_agree_with_the_reference(asked: list[Asked], steps: list[tuple[Any, ...]], cells_at_once: int) -> None:
    """Whatever is read of whatever samples, tick after tick and in whatever stretches, is what the description says."""
    twins = Twins(asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "_CELLS_AT_ONCE", cells_at_once)
        for number in range(len(asked) // 2 + 1):
            twins.join(number)
        for step, *numbers in [*steps, ("tick",)]:
            getattr(twins, step)(*numbers)
