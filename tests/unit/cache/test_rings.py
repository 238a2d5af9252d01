# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from alarmd.cache.rings import LARGEST_RING, NEVER_MS, Rings

START_MS = 1_767_225_600_000


def filled(rings: Rings, series: int, *, samples: int, interval_ms: int = 10_000, start_ms: int = START_MS) -> None:
    """Let series 0 … n - 1 report: sample k of series s is k + s / 8."""
    numbers = np.arange(series, dtype=np.int32)
    for step in range(samples):
        rings.append(numbers, start_ms + step * interval_ms, step + numbers / 8)


def test_an_hour_at_ten_seconds_takes_less_than_twelve_bytes_a_sample() -> None:
    """Rings that go on at one pace get the size that their window needs, and little to spare."""
    rings = Rings(length_s=3600)
    rings.admit(range(3000))
    filled(rings, 3000, samples=360)

    assert 360 == len(rings.points(0)[0]) == len(rings.points(2999)[0])
    assert rings.nbytes / (3000 * 360) < 12


@pytest.mark.parametrize("length_s", [60.0, 3600.0, 86_400.0])
def test_samples_survive_long_pauses(length_s: float) -> None:
    """After any gap what is told are the true times of samples from the window; what is not told is gone."""
    rings = Rings(length_s=length_s)
    rings.admit([0])
    expected: dict[int, float] = {}
    now_ms = START_MS
    gaps_s = [10, 50 * 60, 10, 80 * 60, 92 * 60, 94 * 60, 10, 5 * 3600, 10, 3 * 86_400, 10, 20 * 86_400] * 4
    for step, gap_s in enumerate(gaps_s):
        now_ms += gap_s * 1000
        rings.append(np.zeros(1, np.int32), now_ms, np.array([float(step)]))
        expected[now_ms] = float(step)
        times, values = rings.points(0)
        told = dict(zip(times.tolist(), values.tolist(), strict=True))

        assert told.items() <= expected.items()
        assert {time_ms for time_ms in expected if time_ms > now_ms - length_s * 1000} <= told.keys()


def test_memory_of_series_that_are_gone_is_given_back() -> None:
    """Rings that stay move together when many others go, and keep what they hold."""
    rings = Rings(length_s=3600)
    rings.admit(range(8000))
    filled(rings, 8000, samples=20)
    before = rings.nbytes
    held = {number: rings.points(number)[1].tolist() for number in (3, 4001, 7999)}
    rings.remove([number for number in range(8000) if number % 4 != 3 and number != 4001])
    after = {number: rings.points(number)[1].tolist() for number in held}

    assert held == after
    assert rings.nbytes < before * 0.5
    assert NEVER_MS == rings.newest_ms[0]


def test_numbers_are_used_anew_beside_those_that_stay() -> None:
    """A ring that is given out again holds nothing of the series that had it before."""
    rings = Rings(length_s=3600)
    rings.admit(range(200))
    filled(rings, 200, samples=30)
    rings.remove([7, 190])
    rings.admit([190, 7])
    rings.append(np.array([7], np.int32), START_MS, np.array([5.0]))

    assert [5.0] == rings.points(7)[1].tolist()
    assert [] == rings.points(190)[1].tolist()
    assert [step + 8 / 8 for step in range(30)] == rings.points(8)[1].tolist()


def test_a_burst_holds_no_more_than_the_largest_ring() -> None:
    """A series that reports far too often keeps its newest samples."""
    rings = Rings(length_s=3600)
    rings.admit([0])
    filled(rings, 1, samples=LARGEST_RING + 100, interval_ms=10)
    times, values = rings.points(0)

    assert LARGEST_RING == len(times)
    assert LARGEST_RING + 99 == values[-1]


def test_turns_tell_which_series_have_news() -> None:
    """A sample in order, a late one and a new ring all count as news of the turn that they come in."""
    rings = Rings(length_s=3600)
    rings.admit(range(4))
    filled(rings, 4, samples=3)
    seen = rings.turn()
    rings.append(np.array([1], np.int32), START_MS + 60_000, np.array([1.0]))
    rings.insert(2, START_MS + 5_000, 1.0)
    rings.admit([4])

    assert [1, 2, 4] == np.flatnonzero(rings.turn_of[:5] > seen).tolist()
