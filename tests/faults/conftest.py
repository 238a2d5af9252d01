# SPDX-License-Identifier: Apache-2.0
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

# So that a failure shows what differs.
pytest.register_assert_rewrite("tests.faults.oracle")

from tests.faults.load import HOST  # noqa: E402  # only what is imported later is rewritten
from tests.support.daemon import Daemon, daemon  # noqa: E402

#: The host is polled twice as often as its alarms look at it.
_SOURCES = json.dumps([{"type": "host", "interval_s": 0.5, "resource_id": HOST}])


@pytest.fixture
def seed() -> int:
    """Decides who is killed when; given in FAULTS_SEED after a failure. What a kill hits is still a matter of luck."""
    return int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(1_000_000))


@pytest.fixture(params=["sqlite", "postgresql"])
def alarmd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon with every role that polls this machine, on either database."""
    environ, options = {"ALARMD_POLLER__JITTER_S": "0"}, []
    if request.param == "postgresql":
        environ["ALARMD_STORE__URL"] = request.getfixturevalue("postgres_url")
        options = ["--migrate"]
    with daemon(tmp_path / "state", options=options, environ=environ, sources=_SOURCES) as running:
        yield running
