# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass
from itertools import pairwise
from math import inf, nan
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from alarmd.cache.rings import Numbers, Rings
from alarmd.evaluators.kernel import pooling
from alarmd.evaluators.kernel.measuring import FORMULAS
from alarmd.evaluators.kernel.statistics import Quantity
from alarmd.evaluators.kernel.sweep import Extent, Subjects, Tables, order_of, order_with, read
from alarmd.model.rule import Differences, Statistic
from alarmd.model.samples import Kind

START_MS = 1_767_225_600_000
QUANTITIES = frozenset(Quantity)
KINDS = list(Kind)


@dataclass(frozen=True)
class Asked:
    """What is read, and where periods end."""

    extent: Extent
    lag_ms: int
    now_ms: int | None
    is_scattered: bool


@st.composite
def questions(draw: st.DrawFn) -> Asked:
    """Return a random way to read series, whose newest samples lie about an hour behind the start."""
    differences = draw(st.sampled_from(Differences))
    return Asked(
        extent=Extent(
            length_ms=draw(st.sampled_from([10_000, 30_000, 600_000, 2**30])),
            periods=draw(st.integers(1, 5)),
            differences=differences,
            needs_span=draw(st.booleans()),
        ),
        lag_ms=draw(st.sampled_from([0, 0, 1, 25_000, 2**32])),
        now_ms=draw(st.none() | st.integers(START_MS + 100_000, START_MS + 900_000)),
        is_scattered=draw(st.booleans()),
    )


def filled(random: Random, *, length_s: float, series: int, rounds: int) -> Rings:
    """Let series report at a pace of their own, now and then late, twice, or not at all."""
    rings = Rings(length_s=length_s)
    rings.admit(range(series))
    for number in range(series):
        interval_ms = random.choice([1_000, 10_000, 10_007])
        for step in range(random.randrange(rounds + 1)):
            time_ms = START_MS + step * interval_ms + number * 13
            value = random.choice([random.uniform(-1e9, 1e9), random.random(), 0.1, 0.0, 1e17, inf])
            if random.random() < 0.1:
                time_ms -= random.randrange(60_000)
            if time_ms > rings.newest_ms[number]:
                rings.append(np.array([number], np.int32), time_ms, np.array([value]))
            else:
                rings.insert(number, time_ms, value)
    return rings


def slow_values(rings: Rings, series: int, kind: Kind, asked: Asked, end_ms: int) -> list[tuple[int, float, float]]:
    """Return what is read of a series, one by one and newest first: age, value, and the seconds to the one before."""
    times, values = rings.points(series)
    held = [
        (end_ms - time_ms, value)
        for time_ms, value in zip(times.tolist()[::-1], values.tolist()[::-1], strict=True)
        if asked.now_ms is None or time_ms <= asked.now_ms
    ]
    extent = asked.extent
    held = [one for one in held if one[0] < min(extent.length_ms * extent.periods, 2**31 - 1)]
    if extent.differences is Differences.NONE:
        before_ms = [age for age, _ in held[1:]] + [age for age, _ in held[-1:]]
        return [(age, value, (before - age) / 1000) for (age, value), before in zip(held, before_ms, strict=True)]
    told = []
    for (age, value), (age_before, before) in pairwise(held):
        change = value - before
        if extent.differences is Differences.RESET_SAFE:
            is_reset = kind is Kind.CUMULATIVE and change < 0
            change = value if kind is Kind.DELTA or is_reset else change
        told.append((age, change, (age_before - age) / 1000))
    if held and kind is Kind.DELTA and extent.differences is Differences.RESET_SAFE and not extent.needs_span:
        told.append((*held[-1], 0.0))
    return told


def slow_quantities(told: list[tuple[int, float, float]]) -> dict[Quantity, float]:
    """Return what the samples of one period come to."""
    total = squares = span = 0.0
    for _, value, seconds in told:
        total += value
        span += seconds
    for _, value, _ in told:
        squares += (value - total / len(told)) * (value - total / len(told))
    values = [value for _, value, _ in told]
    is_number = all(value == value for value in values)  # noqa: PLR0124  # NaN is not itself
    return {
        Quantity.COUNT: float(len(told)),
        Quantity.SUM: total,
        Quantity.MIN: min(values, default=inf) if is_number else nan,
        Quantity.MAX: max(values, default=-inf) if is_number else nan,
        Quantity.FIRST: values[-1] if told else nan,
        Quantity.LAST: values[0] if told else nan,
        Quantity.FIRST_AGE: float(told[-1][0]) if told else nan,
        Quantity.LAST_AGE: float(told[0][0]) if told else nan,
        Quantity.SQUARES: squares,
        Quantity.SPAN: span,
    }


def swept(rings: Rings, series: Numbers, asked: Asked, end_ms: NDArray[np.int64]) -> Tables:
    """Read series with all there is to them."""
    kinds = [KINDS[number % len(KINDS)] for number in series.tolist()]
    subjects = Subjects(
        series=series,
        order=order_of(rings, series),
        is_scattered=asked.is_scattered,
        end_ms=end_ms,
        now_ms=asked.now_ms,
        is_delta=np.array([kind is Kind.DELTA for kind in kinds]),
        is_counter=np.array([kind is Kind.CUMULATIVE for kind in kinds]),
        is_kept=np.arange(len(series)) % 2 == 0,
    )
    with np.errstate(all="ignore"):
        return read(rings, subjects, asked.extent, QUANTITIES)


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), questions(), st.sampled_from([60.0, 3600.0, 7200.0]), st.integers(1, 40))
def test_a_sweep_agrees_with_going_from_sample_to_sample(
    random: Random, asked: Asked, length_s: float, series: int
) -> None:
    """Whatever lies in the rings, quantities are to the last bit what one gets by adding up sample by sample."""
    rings = filled(random, length_s=length_s, series=series, rounds=20)
    rings.remove([number for number in range(series) if random.random() < 0.1])
    numbers = list(range(series))
    random.shuffle(numbers)
    chosen = np.array(numbers, np.int32)
    end_ms = rings.newest_ms[chosen] + asked.lag_ms
    if asked.now_ms is not None:
        end_ms = np.full(series, asked.now_ms + asked.lag_ms)

    tables = swept(rings, chosen, asked, end_ms)
    kept = tables.kept
    assert kept is not None
    begins = dict(zip(kept.members.tolist(), kept.starts.tolist(), strict=False))
    for place, number in enumerate(numbers):
        gone = rings.newest_ms[number] < 0
        told = [] if gone else slow_values(rings, number, KINDS[number % len(KINDS)], asked, int(end_ms[place]))
        if place % 2 == 0:
            samples = kept.samples[begins[place] : begins[place] + len(told)]
            np.testing.assert_array_equal([value for _, value, _ in told], samples)
        for period in range(asked.extent.periods):
            low = period * asked.extent.length_ms
            expected = slow_quantities([one for one in told if low <= one[0] < low + asked.extent.length_ms])
            actual = {name: float(table[period, place]) for name, table in tables.quantities().items()}

            np.testing.assert_equal(actual, expected)


def test_rings_go_around_their_end() -> None:
    """A ring that has overwritten its oldest samples many times over is read from its newest back."""
    rings = Rings(length_s=60)
    rings.admit(range(3))
    for step in range(1_000):
        rings.append(np.arange(3, dtype=np.int32), START_MS + step * 10_000, np.full(3, float(step)))
    asked = Asked(Extent(length_ms=20_000, periods=3), 0, None, is_scattered=False)
    tables = swept(rings, np.arange(3, dtype=np.int32), asked, rings.newest_ms[:3])

    assert [[1997.0] * 3, [1993.0] * 3, [1989.0] * 3] == tables.quantities()[Quantity.SUM].tolist()


def test_who_joins_finds_a_place_in_the_order_of_memory() -> None:
    """The order is the same whether it is made anew or those who have joined are put into it."""
    rings = Rings(length_s=3600)
    rings.admit(range(500))
    series = np.random.default_rng(5).permutation(500).astype(np.int32)
    expected = order_of(rings, series)
    assert expected is not None

    assert expected.tolist() == order_with(rings, series, order_of(rings, series[:450]), known=450).tolist()


@given(st.lists(st.floats(-1e9, 1e9) | st.just(0.0), min_size=1, max_size=300), st.floats(0, 100))
def test_percentiles_over_members_are_those_of_sorted_values(values: list[float], percent: float) -> None:
    """However values are ordered and repeated, a percentile lies between its neighbours among them when sorted."""
    members = np.array(values)
    cells, into = np.stack([members, np.ones(len(values))])[:, None], np.empty((1, 1))
    names = [Quantity.SUM, Quantity.COUNT]
    starts, units = np.zeros(1, np.intp), np.zeros(1, np.intp)
    pooling.percentile(cells, names, FORMULAS[Statistic.AVG], starts, units, percent, into)

    assert float(np.percentile(members, percent)) == pytest.approx(float(into[0, 0]), rel=1e-12, abs=1e-3)


def test_a_percentile_of_unkind_values_takes_no_longer() -> None:
    """Values that lead every round astray are sorted in the end."""
    size = 20_000
    # Each middle is the least of what is left.
    members = np.concatenate([np.arange(size // 2, 0, -1), np.arange(size // 2)]).astype(np.float64)
    for percent in (0.0, 37.0, 100.0):
        into = np.empty((1, 1))
        cells = np.stack([members, np.ones(size)])[:, None]
        names = [Quantity.MAX, Quantity.COUNT]
        one = np.zeros(1, np.intp)
        pooling.percentile(cells, names, FORMULAS[Statistic.MAX], one, one, percent, into)

        assert float(np.percentile(members, percent)) == pytest.approx(float(into[0, 0]))
