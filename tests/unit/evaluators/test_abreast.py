# SPDX-License-Identifier: Apache-2.0
"""Work that is done side by side: complete, in order, and over when it is said to be."""

from threading import Event
from typing import NoReturn

import numpy as np
import pytest

from alarmd.evaluators.kernel.abreast import abreast


def test_what_tasks_return_comes_in_their_order() -> None:
    """However many there are, and whoever is done first."""
    assert [number**2 for number in range(50)] == abreast([lambda n=number: n**2 for number in range(50)])  # type: ignore[misc]
    assert [] == abreast([])


def test_nothing_goes_on_behind_a_failure() -> None:
    """What fails is raised, but not before those beside it have ended: they read memory that may be moved then."""
    failed, ended = Event(), Event()

    def fail() -> NoReturn:
        failed.set()
        raise LookupError("no such ring")

    def go_on() -> None:
        failed.wait(10)
        ended.set()

    with pytest.raises(LookupError, match="no such ring"):
        abreast([fail, go_on])

    assert ended.is_set()


def test_what_holds_for_the_caller_holds_for_its_tasks() -> None:
    """As numpy's settings about errors do."""
    with np.errstate(divide="ignore"):
        found = abreast([lambda: float(np.float64(1.0) / np.float64(0.0))] * 2)

    assert [np.inf, np.inf] == found
