# SPDX-License-Identifier: Apache-2.0
"""`alarmd delivery`."""

from datetime import timedelta
from typing import Any

import pytest

from alarmd.clock import SystemClock
from alarmd.model.breaker import Trip
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState
from tests.support.notifications import CREATED_AT, a_notification
from tests.support.stock import add_meant
from tests.unit.cli.conftest import Terminal


@pytest.fixture
def stocked(terminal: Terminal) -> Terminal:
    """A terminal on a machine with a delivery that waits and one that was buried."""
    buried = a_notification(sequence=1, state=DeliveryState.BURIED, finished_at=CREATED_AT, last_error="HTTP 404")
    waiting = a_notification(sequence=2, direction=Direction.IN, target="http://other/down")
    add_meant(terminal.door.database, buried, waiting)
    return terminal


def ids(terminal: Terminal, *arguments: str) -> list[str]:
    """Return the ids that a list holds."""
    return [each["event_id"] for each in terminal.json("delivery", "list", *arguments)]


def test_deliveries_are_listed_and_shown(stocked: Terminal) -> None:
    """All, those in a state, and one whole."""
    assert len(stocked.json("delivery", "list")) == 2
    assert stocked.ok("delivery", "list", "--state", "buried", "-f", "value", "-c", "event_id") == "alarm-1_1_0\n"
    assert stocked.json("delivery", "show", "alarm-1_1_0")["last_error"] == "HTTP 404"
    assert [] == stocked.json("delivery", "list", "--alarm", "other")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--state", "buried", "--state", "held"), ["alarm-1_1_0"]),
        (("--direction", "in"), ["alarm-1_2_0"]),
        (("--target", "other"), ["alarm-1_2_0"]),
        (("--event", "alarm-1_1"), ["alarm-1_1_0"]),
        (("--since", "2026-01-01", "--until", "2026-01-02"), ["alarm-1_2_0", "alarm-1_1_0"]),
        (("--until", "2026-01-01"), []),
        (("--limit", "1", "--marker", "alarm-1_2_0"), ["alarm-1_1_0"]),
    ],
)
def test_lists_are_narrowed(stocked: Terminal, arguments: tuple[str, ...], expected: list[str]) -> None:
    """By whatever tells deliveries apart."""
    assert expected == ids(stocked, *arguments)


def test_a_span_may_be_so_long_ago(terminal: Terminal) -> None:
    """`--since 1h` means the last hour of this machine's clock."""
    now = SystemClock().now()
    with terminal.door.database.write() as work:
        work.outbox.add(
            [
                a_notification(sequence=n, created_at=now - timedelta(minutes=minutes))
                for n, minutes in ((1, 90), (2, 5))
            ]
        )

    assert ["alarm-1_2_0"] == ids(terminal, "--since", "1h")
    assert ["alarm-1_1_0"] == ids(terminal, "--until", "1h")


def test_a_buried_delivery_is_put_back(stocked: Terminal) -> None:
    """It waits again."""
    assert ["pending"] == [each["state"] for each in stocked.json("delivery", "retry", "alarm-1_1_0")]


def test_all_buried_ones_are_put_back(terminal: Terminal) -> None:
    """However many requests that takes; those for others stay."""
    buried: dict[str, Any] = {"state": DeliveryState.BURIED, "finished_at": CREATED_AT}
    missed = [a_notification(sequence=number, target=f"http://scaler/{number}", **buried) for number in range(1_001)]
    other = a_notification(alarm_id="other", target="http://other/up", **buried)
    add_meant(terminal.door.database, *missed, other)
    retried = terminal.json("delivery", "retry", "--all", "--target", "scaler")

    assert 1_001 == len({each["event_id"] for each in retried})
    assert ["other_1_0"] == ids(terminal, "--state", "buried")


def test_those_that_are_put_back_but_held_are_told_apart(terminal: Terminal) -> None:
    """Each says what it is now, and how many wait for the breaker stands beside the list."""
    now = SystemClock().now()
    for alarm_id, direction in (("in", Direction.IN), ("out", Direction.OUT)):
        buried = a_notification(
            alarm_id=alarm_id, direction=direction, state=DeliveryState.BURIED, finished_at=CREATED_AT
        )
        add_meant(terminal.door.database, buried)
    with terminal.door.database.write() as work:
        work.breaker.hold(Trip(owner="e1", reason="too much", since=now, until=now + timedelta(hours=1)))
    result = terminal.run("delivery", "retry", "--all", "-f", "value")

    assert ["out_1_0 pending", "in_1_0 held"] == result.stdout.splitlines()
    assert "holds back 1 of them" in result.stderr


def test_one_that_waits_is_taken_out(stocked: Terminal) -> None:
    """It is dropped for good, and one that is over cannot be."""
    dropped = stocked.json("delivery", "drop", "alarm-1_2_0")
    refused = stocked.run("delivery", "drop", "alarm-1_1_0")

    assert ["dropped"] == [each["state"] for each in dropped]
    assert 1 == refused.exit_code
    assert "buried" in refused.stderr


def test_one_that_waits_cannot_be_retried(stocked: Terminal) -> None:
    """The server's reason and exit code 1."""
    result = stocked.run("delivery", "retry", "alarm-1_2_0")

    assert result.exit_code == 1
    assert "pending" in result.stderr


@pytest.mark.parametrize("arguments", [(), ("--all", "alarm-1_1_0"), ("--target", "other", "alarm-1_1_0")])
def test_a_retry_has_to_say_what_it_means(stocked: Terminal, arguments: tuple[str, ...]) -> None:
    """Ids, or all that the options mean; nothing is retried by mistake."""
    result = stocked.run("delivery", "retry", *arguments)

    assert 2 == result.exit_code
    assert "--all" in result.stderr
