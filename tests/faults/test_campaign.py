# SPDX-License-Identifier: Apache-2.0
"""The short form of the campaign: the essential cases with few injections. `make faults` plays all of it."""

import logging
import os

import pytest

from tests.faults.campaign import CASES, Plan, play_one
from tests.faults.case import Case
from tests.faults.scene import POSTGRESQL

#: `pytest --log-cli-level=info` shows what each case has measured.
_logger = logging.getLogger(__name__)

_PARTS = Plan(cases=CASES, short=True, seed=0).parts()


@pytest.mark.slow
@pytest.mark.parametrize(("case", "database"), [pytest.param(*part, id=f"{part[0].name}-{part[1]}") for part in _PARTS])
def test_nothing_is_lost_and_nothing_doubled(
    case: Case, database: str, seed: int, request: pytest.FixtureRequest
) -> None:
    """Whatever breaks, the histories and webhooks are those that the samples ask for."""
    postgres = request.getfixturevalue("postgres_server") if database == POSTGRESQL else None

    rows = play_one(case, database, short=True, seed=seed, postgres=postgres, tell=_logger.info)

    if rows[0].left_out and os.environ.get("CI", "").lower() not in {"1", "true", "yes"}:
        pytest.skip(rows[0].left_out)
    for row in rows:
        _logger.info("%s on %s in %.0f s: %s", row.title, database, row.took_s, row.outcome.findings)
    assert [] == [complaint for row in rows for complaint in row.outcome.findings.complaints]
    assert all(row.is_good for row in rows)
