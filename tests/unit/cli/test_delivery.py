# SPDX-License-Identifier: Apache-2.0
"""`alarmd delivery`."""

import pytest

from alarmd.model.notification import DeliveryState
from tests.support.notifications import CREATED_AT, a_notification
from tests.unit.cli.conftest import Terminal


@pytest.fixture
def stocked(terminal: Terminal) -> Terminal:
    """A terminal on a machine with a delivery that waits and one that was buried."""
    buried = a_notification(sequence=1, state=DeliveryState.BURIED, finished_at=CREATED_AT, last_error="HTTP 404")
    with terminal.door.database.write() as work:
        work.outbox.add([buried, a_notification(sequence=2)])
    return terminal


def test_deliveries_are_listed_and_shown(stocked: Terminal) -> None:
    """All, those in a state, and one whole."""
    assert len(stocked.json("delivery", "list")) == 2
    assert stocked.ok("delivery", "list", "--state", "buried", "-f", "value", "-c", "event_id") == "alarm-1_1_0\n"
    assert stocked.json("delivery", "show", "alarm-1_1_0")["last_error"] == "HTTP 404"
    assert [] == stocked.json("delivery", "list", "--alarm", "other")


def test_a_buried_delivery_is_put_back(stocked: Terminal) -> None:
    """It waits again."""
    assert ["pending"] == [each["state"] for each in stocked.json("delivery", "retry", "alarm-1_1_0")]


def test_one_that_waits_cannot_be_retried(stocked: Terminal) -> None:
    """The server's reason and exit code 1."""
    result = stocked.run("delivery", "retry", "alarm-1_2_0")

    assert result.exit_code == 1
    assert "pending" in result.stderr
