# SPDX-License-Identifier: Apache-2.0
"""The short form of the campaign: the essential cases with few injections. `make faults` plays all of it."""

import logging
import os

import pytest

from tests.faults.campaign import CASES, Row, play
from tests.faults.case import Case
from tests.faults.plan import JOBS_SHORT, Plan, parts_of
from tests.support.servers import ServerMissing

#: `pytest --log-cli-level=info` shows what each case has measured.
_logger = logging.getLogger(__name__)

_IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest, seed: int) -> list[Row]:
    """What came of the chosen cases, played side by side."""
    chosen = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    parts = [(each["case"], each["database"]) for each in chosen if isinstance(each.get("case"), Case)]
    try:
        plan = Plan(parts=parts, short=True, seed=seed)
        played = [row for rows in play(plan, tell=_logger.info, jobs=JOBS_SHORT) for row in rows]
    except ServerMissing as missing:
        (pytest.fail if _IN_CI else pytest.skip)(str(missing))
    for row in played:
        _logger.info("%s on %s in %.0f s: %s", row.title, row.database, row.took_s, row.outcome.findings)
    return played


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "database"),
    [pytest.param(*part, id=f"{part[0].name}-{part[1]}") for part in parts_of(CASES, short=True)],
)
def test_nothing_is_lost_and_nothing_doubled(case: Case, database: str, rows: list[Row]) -> None:
    """Whatever breaks, the histories and webhooks are those that the samples ask for."""
    mine = [row for row in rows if (row.case.name, row.database) == (case.name, database)]

    left_out = [row.left_out for row in mine if row.left_out]
    if left_out and not _IN_CI:
        pytest.skip(left_out[0])
    assert [] == [complaint for row in mine for complaint in row.outcome.findings.complaints]
    assert mine
    assert all(row.is_good for row in mine)
