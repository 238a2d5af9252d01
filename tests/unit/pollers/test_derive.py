# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass
from math import isnan, nan

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alarmd.pollers.derive import Rates

MAX_GAP_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one poll reads: for some resources an epoch and two counters."""

    pause_s: int
    resources: dict[str, tuple[int, tuple[float, float]]]


values = st.one_of(st.just(nan), st.integers(0, 50).map(float))
readings = st.builds(
    Reading,
    pause_s=st.integers(0, 12),
    resources=st.dictionaries(
        st.sampled_from("abcd"), st.tuples(st.integers(1, 2), st.tuples(values, values)), max_size=4
    ),
)


def slow_rates(history: list[Reading]) -> dict[str, tuple[float, float]]:
    """Return the rates of the last reading, found by looking back through all of them, one counter at a time."""
    return {key: (slow_rate(history, key, 0), slow_rate(history, key, 1)) for key in history[-1].resources}


def slow_rate(history: list[Reading], key: str, column: int) -> float:
    """Return one rate of the last reading."""
    epoch, counters = history[-1].resources[key]
    value, elapsed_s = counters[column], history[-1].pause_s
    for reading in history[-2::-1]:
        if key not in reading.resources or elapsed_s > MAX_GAP_S:
            return nan
        earlier_epoch, counters = reading.resources[key]
        if earlier_epoch != epoch:
            return nan
        if not isnan(counters[column]):
            falls = isnan(value) or elapsed_s == 0 or value < counters[column]
            return nan if falls else (value - counters[column]) / elapsed_s
        elapsed_s += reading.pause_s
    return nan


@given(st.lists(readings, min_size=1, max_size=12))
def test_rates_are_those_of_the_slow_reference(history: list[Reading]) -> None:
    """Whatever comes, goes, restarts or falls silent, each rate is what looking back counter by counter finds."""
    rates = Rates(2, max_gap_s=MAX_GAP_S)
    at_s = 0.0
    found: dict[str, tuple[float, float]] = {}
    for reading in history:
        at_s += reading.pause_s
        keys = list(reading.resources)
        counters = np.array([reading.resources[key][1] for key in keys]).reshape(len(keys), 2)
        result = rates.update(keys, [reading.resources[key][0] for key in keys], counters, at_s=at_s)
        found = {key: (row[0], row[1]) for key, row in zip(keys, result.tolist(), strict=True)}

    np.testing.assert_equal(found, slow_rates(history))
    assert len(rates) == len(history[-1].resources)


@given(st.lists(st.integers(0, 10**15), min_size=2, max_size=30))
def test_no_rate_is_ever_negative(counter: list[int]) -> None:
    """However a counter jumps, a rate is absent or not negative."""
    rates = Rates(1, max_gap_s=MAX_GAP_S)
    for second, value in enumerate(counter):
        result = rates.update(["vm"], [1], np.array([[float(value)]]), at_s=float(second))

        assert np.all(np.isnan(result) | (result >= 0))


def update(rates: Rates, *, at_s: float, epoch: int = 1, **counters: float) -> dict[str, float]:
    matrix = np.array([[value] for value in counters.values()]).reshape(len(counters), 1)
    result = rates.update(list(counters), [epoch] * len(counters), matrix, at_s=at_s)
    return dict(zip(counters, result[:, 0].tolist(), strict=True))


def test_a_new_member_has_no_rate_at_first() -> None:
    """A resource that joins has no rate until it was read twice, and changes nobody else's."""
    rates = Rates(1, max_gap_s=MAX_GAP_S)
    update(rates, at_s=0, old=100)
    joined = update(rates, at_s=10, old=150, new=1e15)
    settled = update(rates, at_s=20, old=200, new=1e15 + 70)

    np.testing.assert_equal(joined, {"old": 5.0, "new": nan})
    assert settled == {"old": 5.0, "new": 7.0}


def test_a_restart_drops_one_interval_even_if_the_counter_rose() -> None:
    """After a restart the counter may have passed its old value already; the epoch tells."""
    rates = Rates(1, max_gap_s=MAX_GAP_S)
    update(rates, at_s=0, epoch=1, vm=100)

    assert isnan(update(rates, at_s=10, epoch=2, vm=5000)["vm"])
    assert update(rates, at_s=20, epoch=2, vm=5010) == {"vm": 1.0}


def test_a_gap_that_is_too_long_makes_no_rate() -> None:
    """Two readings far apart make no rate; the next one does, and one at the very end of the time does too."""
    rates = Rates(1, max_gap_s=MAX_GAP_S)
    update(rates, at_s=0, vm=100)
    too_late = update(rates, at_s=MAX_GAP_S + 1, vm=121)
    update(rates, at_s=MAX_GAP_S + 2, vm=nan)
    just_in_time = update(rates, at_s=2 * MAX_GAP_S + 1, vm=141)

    assert isnan(too_late["vm"])
    assert just_in_time == {"vm": 1.0}


def test_who_left_is_forgotten() -> None:
    """A resource that was away for a poll is a new one when it comes back."""
    rates = Rates(1, max_gap_s=MAX_GAP_S)
    update(rates, at_s=0, vm=100)
    update(rates, at_s=5)
    size = len(rates)

    assert size == 0
    assert isnan(update(rates, at_s=10, vm=200)["vm"])


def test_seeded_counters_make_rates_at_once() -> None:
    """What an earlier process read counts as read, whatever epoch comes next; only one update long."""
    rates = Rates(2, max_gap_s=MAX_GAP_S)
    rates.seed(["a", "b"], np.array([[10.0, 1.0], [20.0, nan]]), at_s=-20)
    rates.seed(["a", "c"], np.array([[20.0, nan], [1.0, 1.0]]), at_s=-10)

    result = rates.update(["a", "b"], [7, 8], np.array([[40.0, 21.0], [40.0, 5.0]]), at_s=0)

    np.testing.assert_equal(result, np.array([[2.0, 1.0], [1.0, nan]]))
    assert len(rates) == 2
