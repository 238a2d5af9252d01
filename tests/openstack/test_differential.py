# SPDX-License-Identifier: Apache-2.0
"""The same conversations held with the released Aodh and with alarmd: hundreds of them, each about one rule."""

from typing import Final

import pytest

from tests.architecture.tree import ROOT
from tests.openstack.differential.cases import alarms, lists, queries, rules, transport
from tests.openstack.differential.comparison import differences, hold
from tests.openstack.differential.differences import EXPECTED_DIFFERENCES, Expected, row_of
from tests.openstack.differential.request import Cases
from tests.support.daemon import Daemon

_MODULES: Final = (transport, alarms, rules, lists, queries)
CASES: Final[Cases] = {name: steps for module in _MODULES for name, steps in module.CASES.items()}


@pytest.fixture(scope="module")
def seen() -> dict[str, list[str]]:
    """The differences that each case has shown."""
    return {}


@pytest.mark.parametrize("case", CASES)
def test_alarmd_answers_as_aodh_does(
    case: str, aodh_url: str, alarmd_on_postgres: Daemon, seen: dict[str, list[str]]
) -> None:
    """Status, headers and body are those of the real Aodh, but for what is written down as meant otherwise."""
    found = [
        (number, step, difference, on_aodh, on_alarmd)
        for number, (step, on_aodh, on_alarmd) in enumerate(
            hold(case, CASES[case], aodh_url=aodh_url, alarmd_url=alarmd_on_postgres.url), start=1
        )
        for difference in differences(on_aodh, on_alarmd)
    ]
    seen[case] = [difference for _, _, difference, _, _ in found]
    unexpected = [
        f"step {number}, {step}: {difference}\n    Aodh:   {on_aodh.text[:300]}\n    alarmd: {on_alarmd.text[:300]}"
        for number, step, difference, on_aodh, on_alarmd in found
        if row_of(case, difference) is None
    ]

    assert not unexpected, "\n".join(unexpected)


def test_no_case_hides_behind_another() -> None:
    """Every module's cases are held: no name is used twice."""
    assert sum(len(module.CASES) for module in _MODULES) == len(CASES)


def test_every_expected_difference_is_seen(seen: dict[str, list[str]]) -> None:
    """What is written down as meant otherwise is so today; what has become equal is taken off the list."""
    if set(seen) != set(CASES):
        pytest.skip("only when all cases were run before it")
    idle = [
        expected
        for expected in EXPECTED_DIFFERENCES
        if not any(expected.covers(case, difference) for case, found in seen.items() for difference in found)
    ]

    assert idle == []


@pytest.mark.parametrize("expected", EXPECTED_DIFFERENCES, ids=lambda expected: expected.row)
def test_each_expected_difference_is_explained(expected: Expected) -> None:
    """docs/aodh-compatibility.md has a row that begins as the difference says, with a reason in its last column."""
    rows = (ROOT / "docs/aodh-compatibility.md").read_text().splitlines()
    found = [row for row in rows if row.startswith(f"| {expected.row}")]

    assert len(found) == 1
    assert all(cell.strip() for cell in found[0].strip("|").split(" | "))
