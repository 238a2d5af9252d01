# SPDX-License-Identifier: Apache-2.0
"""`alarmd events`."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from alarmd.store.outbox import OutboxQuery
from tests.support.events import a_push
from tests.unit.cli.conftest import Terminal


@pytest.fixture
def watching(terminal: Terminal) -> Iterator[Terminal]:
    """A terminal on a machine with an alarm that tells of every event. What the server logs is not on the screen."""
    definition = ("--name", "any", "--type", "event", "--alarm-action", "http://h/1", "--repeat-actions", "true")
    terminal.ok("alarm", "create", *definition)
    with capture_logs():
        yield terminal


def told(terminal: Terminal) -> list[dict[str, object]]:
    """Return the events that the alarm tells of, in their order."""
    with terminal.door.database.read() as unit:
        waiting = sorted(unit.outbox.find(OutboxQuery()), key=lambda each: each.sequence)
    return [each.body["reason_data"]["event"] for each in waiting]


def test_an_event_is_pushed_from_options(watching: Terminal) -> None:
    """Traits have their types; a name is made up where none is given."""
    pushed = watching.json(
        *("events", "push", "--type", "disk.full", "--trait", "host=web=1", "-t", "used=float::98.5"),
        *("-t", "at=datetime::2026-01-01T12:00:00", "-t", "note=string::integer::5"),
    )
    watching.ok("events", "push", "--type", "x", "--message-id", "m-1")
    first, second = told(watching)

    assert {"accepted": 1, "rejected": 0} == pushed
    assert ("disk.full", "m-1") == (first["event_type"], second["message_id"])
    assert first["message_id"] not in {"", second["message_id"]}
    assert [
        *(["host", 1, "web=1"], ["used", 3, "98.5"], ["at", 4, "2026-01-01T12:00:00"], ["note", 1, "integer::5"]),
    ] == first["traits"]


def test_a_project_can_be_named(watching: Terminal) -> None:
    """Its alarms are told, and nobody else's."""
    watching.ok("events", "push", "--type", "x", "--project-id", "p9")

    assert [] == told(watching)


def test_a_file_is_pushed_and_what_is_rejected_is_named(watching: Terminal, tmp_path: Path) -> None:
    """The exit code is 1; the good ones are in."""
    events = [a_push(message_id="m-1"), {"event_type": "x"}]
    (tmp_path / "events.json").write_text(json.dumps(events))
    result = watching.run("events", "push", "--file", str(tmp_path / "events.json"), "-f", "value")
    none = watching.run("events", "push", "--file", "-", typed='{"event_type": "x"}')

    assert (1, "event 1: message_id is missing\n", "1\n1\n") == (result.exit_code, result.stderr, result.stdout)
    assert (1, "event 0: message_id is missing\n") == (none.exit_code, none.stderr)
    assert ["m-1"] == [event["message_id"] for event in told(watching)]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "Missing --type"),
        (["--type", "x", "--file", "-"], "everything about an event stands in the file"),
        (["--type", "x", "--trait", "oops"], "'oops' of --trait is no trait"),
        (["--file", "-"], "is not JSON"),
    ],
)
def test_wrong_usage_is_explained(terminal: Terminal, arguments: list[str], text: str) -> None:
    """With exit code 2."""
    result = terminal.run("events", "push", *arguments, typed="{oops")

    assert 2 == result.exit_code
    assert text in result.stderr


def test_a_value_that_is_not_of_its_type_is_named(terminal: Terminal) -> None:
    """By the server."""
    result = terminal.run("events", "push", "--type", "x", "--trait", "vcpus=integer::many")

    assert 1 == result.exit_code
    assert "the value of trait 'vcpus' is not of its type integer: 'many'" in result.stderr
