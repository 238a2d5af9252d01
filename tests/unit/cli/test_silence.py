# SPDX-License-Identifier: Apache-2.0
"""`alarmd silence`, and what `alarmd alarm explain` says of silences."""

from typing import Any

import pytest
from sqlalchemy import update

from alarmd.store.tables import silences
from tests.unit.cli.conftest import Terminal

RACKS = ("silence", "create", "--label", "team=web", "--for", "30m", "--comment", "moving racks")


def an_event_alarm(terminal: Terminal) -> str:
    """Create an alarm that waits for an event and return its id."""
    arguments = ("--name", "gone", "--label", "team=web", "--alarm-action", "http://h/x")
    alarm_id: str = terminal.json("alarm", "create", "--type", "event", *arguments)["alarm_id"]
    return alarm_id


def test_a_silence_is_begun_listed_shown_and_ended(terminal: Terminal) -> None:
    """From the command line alone; what is over is listed on request."""
    made = terminal.json(*RACKS, "--direction", "in")
    silence_id = made["silence_id"]
    listed = terminal.ok("silence", "list", "-f", "value", "-c", "silence_id", "-c", "state")
    result = terminal.run("silence", "end", silence_id)

    assert ({"team": "web"}, "in", "2026-01-01T00:30:00") == (made["labels"], made["direction"], made["ends_at"])
    assert f"{silence_id} in force\n" == listed
    assert (0, f"Ended silence {silence_id}.\n") == (result.exit_code, result.stderr)
    assert [] == terminal.json("silence", "list")
    assert [silence_id] == [one["silence_id"] for one in terminal.json("silence", "list", "--ended")]
    assert "ended" == terminal.json("silence", "show", silence_id)["state"]


def test_an_alarm_is_silenced_by_its_name(terminal: Terminal) -> None:
    """As everywhere its name will do; so it will to find its silences."""
    alarm_id = an_event_alarm(terminal)
    made = terminal.json("silence", "create", "--alarm", "gone", "--until", "2026-01-02T00:00:00", "--comment", "c")
    terminal.ok(*RACKS)

    assert alarm_id == made["alarm_id"]
    assert [made["silence_id"]] == [one["silence_id"] for one in terminal.json("silence", "list", "--alarm", "gone")]


def test_a_silence_recurs(terminal: Terminal) -> None:
    """Time constraints are spelt as those of alarms."""
    night = "name=night;start=0 22 * * *;duration=28800;timezone=Europe/Berlin"
    made = terminal.json(
        *("silence", "create", "--everything", "--all-projects", "--for", "14d", "--comment", "c"),
        *("--from", "2026-01-01T12:00:00", "--time-constraint", night),
    )
    [constraint] = made["time_constraints"]

    assert (None, "scheduled", "2026-01-15T12:00:00") == (made["project_id"], made["state"], made["ends_at"])
    assert ("0 22 * * *", 28_800, "Europe/Berlin") == (
        constraint["start"],
        constraint["duration"],
        constraint["timezone"],
    )


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("--for", "1h", "--until", "2026-01-02"), "either --for or --until"),
        ((), "either --for or --until"),
        (("--for", "soon"), "90s, 30m, 2h or 7d"),
        (("--for", "0h"), "90s, 30m, 2h or 7d"),
        (("--for", "1h", "--direction", "up"), "'out', 'in', 'neutral'"),
        (("--for", "1h", "--time-constraint", "nonsense"), "KEY=VALUE"),
    ],
)
def test_wrong_usage_is_told(terminal: Terminal, arguments: tuple[str, ...], names: str) -> None:
    """Exit code 2 and what would be right, before anything is asked."""
    result = terminal.run("silence", "create", "--label", "a=b", "--comment", "c", *arguments)

    assert 2 == result.exit_code
    assert names in result.stderr


def test_the_servers_reason_is_told(terminal: Terminal) -> None:
    """A silence about nothing, and one that nobody knows: exit code 1."""
    nothing = terminal.run("silence", "create", "--for", "1h", "--comment", "c")
    nobody = terminal.run("silence", "end", "nobody's")

    assert (1, 1) == (nothing.exit_code, nobody.exit_code)
    assert '"everything": true' in nothing.stderr
    assert "nobody's not found" in nobody.stderr


def test_explain_shows_who_keeps_an_alarm_quiet(terminal: Terminal) -> None:
    """The silences that are in force now, and the one that kept the last actions back."""
    alarm_id = an_event_alarm(terminal)
    silence_id = terminal.json(*RACKS)["silence_id"]
    terminal.json("silence", "create", "--direction", "in", "--for", "1h", "--comment", "not about it")
    terminal.json("silence", "create", "--label", "team=db", "--for", "1h", "--comment", "nor this")
    terminal.ok("events", "push", "--type", "compute.instance.update")
    answer: dict[str, Any] = terminal.json("alarm", "explain", alarm_id)
    lines = terminal.ok("alarm", "explain", alarm_id).splitlines()
    terminal.ok("silence", "end", silence_id)
    after = terminal.json("alarm", "explain", alarm_id)

    assert [
        {
            "silence_id": silence_id,
            "author": "administrator",
            "comment": "moving racks",
            "states": ["ok", "alarm", "insufficient data"],
            "ends_at": "2026-01-01T00:30:00",
            "recurs": False,
        }
    ] == answer["silences"]
    assert silence_id == answer["last_transition"]["silenced_by"]
    assert f"Its actions were not taken: silence {silence_id}." in lines
    assert (
        "Silenced until 2026-01-01T00:30:00, actions on ok and alarm and insufficient data: moving racks "
        f"(administrator, {silence_id})"
    ) in lines
    assert ([], silence_id) == (after["silences"], after["last_transition"]["silenced_by"])


def test_a_silence_that_cannot_be_read_is_warned_of(terminal: Terminal) -> None:
    """Beside the list, so that it can be read by programs as ever."""
    night = "name=night;start=* * * * *;duration=3600;timezone=Europe/Berlin"
    silence_id = terminal.json(*RACKS, "--time-constraint", night)["silence_id"]
    with terminal.door.database.write() as unit:
        unit.connection.execute(update(silences).values(time_constraints=[{"start": "* * * * *"}]))
    result = terminal.run("silence", "list", "-f", "value", "-c", "silence_id", "-c", "state")

    assert f"{silence_id} resting\n" == result.stdout
    assert result.stderr.startswith(f"Silence {silence_id}: It keeps nothing back")
