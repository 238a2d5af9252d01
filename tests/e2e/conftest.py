# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, daemon
from tests.support.receivers import Receiver, receiver


@pytest.fixture
def alarmd(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon with every role that polls nothing."""
    with daemon(tmp_path / "state") as running:
        yield running


@pytest.fixture
def webhooks() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    with receiver() as running:
        yield running
