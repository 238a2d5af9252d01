# SPDX-License-Identifier: Apache-2.0
"""The REST door over a real database and a real sample log, both SQLite, in a directory of the test's own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.rest import Door, open_door


@pytest.fixture
def open_a_door(tmp_path: Path) -> Iterator[Callable[..., Door]]:
    """Open doors that differ in what is given; all of a test stand before the same database and log."""
    opened: list[Door] = []

    def open_one(**changes: Any) -> Door:
        opened.append(open_door(tmp_path, **changes))
        return opened[-1]

    yield open_one
    for door in opened:
        door.close()


@pytest.fixture
def door(open_a_door: Callable[..., Door]) -> Door:
    """A door on loopback: whoever sends no headers is the administrator."""
    return open_a_door()
