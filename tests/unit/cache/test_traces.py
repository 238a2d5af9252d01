# SPDX-License-Identifier: Apache-2.0
"""Which trace brought the newest sample of each series."""

from dataclasses import replace

import numpy as np
import pytest

from alarmd.cache import traces as module
from alarmd.cache.traces import Traces
from alarmd.cache.window import Window, WindowLimits
from alarmd.model.trace import new_traceparent
from tests.support.samples import a_batch

START_S = 1_767_225_600.0


class Stage:
    """A window, and the traces of what came into it."""

    def __init__(self) -> None:
        self.window = Window(WindowLimits(length_s=600, lateness_s=60))

    def push(self, at_s: float, *resource_ids: str, traceparent: str) -> None:
        batch = a_batch({key: {"cpu_util": 1.0} for key in resource_ids}, timestamp_s=START_S + at_s)
        self.window.append(replace(batch, traceparent=traceparent), now_s=START_S + at_s)

    def trace_of(self, resource_id: str) -> str:
        number = self.window.directory.find("", resource_id, "cpu_util")
        assert number is not None
        return self.window.traces.of(number)


def test_the_newest_sample_has_the_trace_of_what_brought_it() -> None:
    """Each series goes by its own newest sample, whatever came for others."""
    stage, first, second = Stage(), new_traceparent(), new_traceparent()
    stage.push(0, "vm-1", "vm-2", traceparent=first)
    stage.push(10, "vm-2", traceparent=second)

    assert [first, second] == [stage.trace_of("vm-1"), stage.trace_of("vm-2")]


def test_a_late_sample_changes_nothing() -> None:
    """What comes out of order is not the newest, so its trace is nobody's."""
    stage, first = Stage(), new_traceparent()
    stage.push(10, "vm-1", traceparent=first)
    stage.push(5, "vm-1", "vm-2", traceparent=new_traceparent())

    assert first == stage.trace_of("vm-1")


def test_a_newer_sample_without_a_trace_ends_the_old_one() -> None:
    """A trace is never told of a sample that it did not bring."""
    stage, first = Stage(), new_traceparent()
    stage.push(0, "vm-1", "vm-2", traceparent=first)
    stage.push(10, "vm-1", "vm-3", traceparent="")

    assert ["", first, ""] == [stage.trace_of(f"vm-{number}") for number in (1, 2, 3)]


def test_nothing_is_kept_where_nobody_traces() -> None:
    """Without a trace there is no column, and every series has none."""
    stage = Stage()
    stage.push(0, "vm-1", traceparent="")

    assert stage.trace_of("vm-1") == ""
    assert not stage.window.traces.of(10**6)


def test_old_traces_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the last are remembered; those forgotten are not taken for others, even when counting starts anew."""
    monkeypatch.setattr(module, "_KEPT", 2)
    monkeypatch.setattr(module, "_LAST", 5)
    traces = Traces()
    pushed = [new_traceparent() for _ in range(7)]
    for series, traceparent in enumerate(pushed[:4]):
        traces.note(np.array([series], np.int32), traceparent, capacity=8)
    before = [traces.of(series) for series in range(4)]
    for series, traceparent in enumerate(pushed[4:], start=4):
        traces.note(np.array([series], np.int32), traceparent, capacity=8)

    assert ["", "", *pushed[2:4]] == before
    assert ["", "", "", "", "", *pushed[5:]] == [traces.of(series) for series in range(7)]
