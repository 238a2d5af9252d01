# SPDX-License-Identifier: Apache-2.0
import weakref

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alarmd.cache.rings import SMALLEST_RING
from alarmd.cache.window import Window, WindowLimits
from alarmd.model.rule import Selector
from alarmd.model.samples import Batch, Metric
from tests.support.samples import a_batch, a_resource

START_S = 1_767_225_600.0


def a_window(*, length_s: float = 60.0, lateness_s: float = 5.0, max_series: int = 1000) -> Window:
    return Window(WindowLimits(length_s=length_s, lateness_s=lateness_s, max_series=max_series))


def held(window: Window, resource_id: str = "vm-1", metric: str = "cpu_util") -> dict[float, float]:
    """Return what the window holds of a series, by seconds after the start."""
    number = window.directory.find("", resource_id, metric)
    assert number is not None
    times, values = window.rings.points(number)
    assert list(times) == sorted(times)
    return {round(t / 1000 - START_S, 3): v for t, v in zip(times.tolist(), values.tolist(), strict=True)}


def put(window: Window, at_s: float, value: float = 1.0, resource_id: str = "vm-1") -> None:
    batch = a_batch({resource_id: {"cpu_util": value}}, timestamp_s=START_S + at_s)
    window.append(batch, now_s=START_S + at_s)


def test_samples_land_in_order_of_their_time() -> None:
    """A late sample lands in its place, one beyond the lateness budget is dropped, both are counted."""
    window = a_window()
    for at_s, value in ((10, 1.0), (12, 2.0), (11, 3.0), (6.9, 4.0), (7, 5.0)):
        put(window, at_s, value)

    assert held(window) == {7.0: 5.0, 10.0: 1.0, 11.0: 3.0, 12.0: 2.0}
    assert (window.counts.accepted, window.counts.late) == (4, 1)


def test_the_last_sample_of_a_moment_counts() -> None:
    """Of two samples of one series and millisecond the one that came last stays."""
    window = a_window()
    put(window, 1, 1.0)
    put(window, 2, 2.0)
    put(window, 2, 3.0)
    put(window, 1, 4.0)

    assert held(window) == {1.0: 4.0, 2.0: 3.0}


def test_samples_from_the_future_are_dropped() -> None:
    """A sample from a clock that is far ahead must not hold up those that follow."""
    window = a_window()
    window.append(a_batch({"vm-1": {"cpu_util": 1.0}}, timestamp_s=START_S + 61), now_s=START_S)
    put(window, 0)

    assert held(window) == {0.0: 1.0}
    assert window.counts.future == 1


def test_a_metric_that_is_not_reported_makes_no_series() -> None:
    """NaN says that there is no value; a series begins with its first value."""
    window = a_window()
    batch = a_batch({"vm-1": {"a": 1.0}, "vm-2": {"a": 1.0, "b": 2.0}}, timestamp_s=START_S)
    window.append(batch, now_s=START_S)
    later = Batch(
        source=batch.source,
        timestamp_s=START_S + 1,
        metrics=batch.metrics,
        resources=batch.resources,
        values=np.array([[np.nan, 5.0], [np.nan, np.nan]]),
        expected=2,
    )
    window.append(later, now_s=START_S + 1)

    assert held(window, "vm-1", "b") == {1.0: 5.0}
    assert held(window, "vm-1", "a") == {0.0: 1.0}
    assert len(window.directory) == 4


def test_a_resource_named_twice_in_a_batch_counts_once() -> None:
    """Of two rows for the same resource the last one counts."""
    window = a_window()
    resources = (a_resource("vm-1"), a_resource("vm-1"))
    for at_s in (0.0, 1.0):
        window.append(
            Batch(
                source="test",
                timestamp_s=START_S + at_s,
                metrics=(Metric(name="cpu_util"),),
                resources=resources,
                values=np.array([[1.0], [2.0]]),
                expected=2,
            ),
            now_s=START_S + at_s,
        )

    assert held(window) == {0.0: 2.0, 1.0: 2.0}


def test_series_beyond_the_bound_are_counted_and_dropped() -> None:
    """A window that is full of series keeps those it has."""
    window = a_window(max_series=1)
    put(window, 0)
    put(window, 0, resource_id="vm-2")
    put(window, 1)

    assert held(window) == {0.0: 1.0, 1.0: 1.0}
    assert window.counts.crowded_out == 1
    assert window.directory.find("", "vm-2", "cpu_util") is None


def test_a_silent_series_is_forgotten_and_may_come_back() -> None:
    """A series that has left the window goes, its number is used anew, and its own return starts from nothing."""
    window = a_window(length_s=60)
    put(window, 0, 1.0, "vm-1")
    put(window, 50, 2.0, "vm-2")
    gone = window.expire(now_s=START_S + 61)
    put(window, 62, 3.0, "vm-3")
    put(window, 63, 4.0, "vm-1")
    put(window, 64, 5.0, "vm-2")

    assert gone == 1
    assert held(window, "vm-1") == {63.0: 4.0}
    assert held(window, "vm-2") == {50.0: 2.0, 64.0: 5.0}
    assert held(window, "vm-3") == {62.0: 3.0}


def test_a_selector_finds_series_by_their_latest_labels() -> None:
    """Labels told last are the ones that count, also when the telling goes back and forth."""
    window = a_window()
    plain, web = a_resource("vm-1"), a_resource("vm-1", labels={"group": "web"})
    batches = [a_batch({resource: {"cpu_util": 1.0}}, timestamp_s=START_S) for resource in (plain, web)]
    selector = Selector(metric="cpu_util", project_id="", labels=(("group", "web"),))
    found = []
    for batch in (batches[0], batches[1], batches[0], batches[1]):
        window.append(batch, now_s=START_S)
        found.append(len(window.directory.select(selector)))

    assert found == [0, 1, 0, 1]


def test_a_ring_grows_while_its_samples_are_inside_the_window() -> None:
    """A series keeps every sample of the window, however many there are, and no more than twice as many."""
    window = a_window(length_s=60)
    for step in range(1000):
        put(window, step * 0.25, float(step))
    kept = held(window)

    assert {step * 0.25: float(step) for step in range(760, 1000)}.items() <= kept.items()
    assert len(kept) <= 2 * 240 + SMALLEST_RING


def test_a_late_sample_finds_its_place_in_a_full_ring() -> None:
    """A sample that comes late into a ring full of samples from before the window pushes the oldest out."""
    window = a_window(length_s=5)
    for step in range(SMALLEST_RING + 2):
        put(window, step, float(step))
    put(window, SMALLEST_RING - 1.5, 99.0)

    newest = {SMALLEST_RING - 2: 14.0, SMALLEST_RING - 1.5: 99.0, SMALLEST_RING - 1: 15.0, SMALLEST_RING: 16.0}
    assert newest.items() <= held(window).items()
    assert SMALLEST_RING == len(held(window))


def test_times_survive_a_year_of_samples() -> None:
    """Times are kept relative to a base that moves along, far beyond what four bytes of milliseconds can tell."""
    window = a_window(length_s=60)
    year_s = 365 * 86_400.0
    for day in range(0, 366, 5):
        put(window, day * 86_400.0, float(day))
        put(window, day * 86_400.0 + 1, float(day))

    assert {year_s: 365.0, year_s + 1: 365.0}.items() <= held(window).items()


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from([0, 1, 1, 3, 10]),
            st.sampled_from([0, 0, 0, 1, 2, 5, 6]),
            st.integers(0, 9),
        ),
        max_size=150,
    )
)
def test_the_window_holds_what_a_dictionary_would(steps: list[tuple[int, int, int, int]]) -> None:
    """Whatever comes in whatever order, all that is in the window is there, and nothing that was not sent."""
    window = a_window(length_s=30, lateness_s=5)
    expected: dict[str, dict[float, float]] = {}
    now_s = 0
    for vm, pass_s, back_s, value in steps:
        now_s += pass_s
        resource_id, at_s = f"vm-{vm}", float(now_s - back_s)
        put(window, at_s, float(value), resource_id)
        samples = expected.setdefault(resource_id, {})
        if not samples or at_s >= max(samples) - 5:
            samples[at_s] = float(value)
    for resource_id, samples in expected.items():
        kept = held(window, resource_id)
        newest_s = max(samples)

        assert samples.items() >= kept.items()
        assert kept.items() >= {at_s: value for at_s, value in samples.items() if at_s > newest_s - 30}.items()


def test_no_more_is_kept_of_a_batch_than_its_samples() -> None:
    """The bytes that a batch came in can go once its samples are in their rings."""
    window = a_window()
    batch = a_batch({"vm-1": {"cpu_util": 1.0}}, timestamp_s=START_S)
    values = weakref.ref(batch.values)
    window.append(batch, now_s=START_S)
    del batch

    assert values() is None
