# SPDX-License-Identifier: Apache-2.0
"""`alarmd samples`."""

import json

import pytest

from tests.unit.cli.conftest import Terminal


def line(**sample: object) -> str:
    """Return a line of a file of samples."""
    return json.dumps({"metric": "m", "resource_id": "r", "value": 1} | sample) + "\n"


def test_a_sample_that_was_pushed_can_be_seen(terminal: Terminal) -> None:
    """With all that was said of it."""
    pushed = terminal.json(
        *("samples", "push", "cpu_util", "-4.5", "--resource", "vm-1", "--label", "group=web", "-l", "az=1;rack=7"),
        *("--unit", "%", "--type", "gauge", "--project-id", "p1", "--timestamp", "2025-12-31T23:59:00Z"),
    )
    series = terminal.json("samples", "list", "--metric", "cpu_util", "--label", "group=web", "--all-projects")
    points = terminal.json("samples", "list", "--metric", "cpu_util", "-r", "vm-1", "--points")

    assert {"accepted": 1, "rejected": 0} == pushed
    assert [("vm-1", "p1", "%", -4.5, "2025-12-31T23:59:00")] == [
        tuple(each[key] for key in ("resource_id", "project_id", "unit", "value", "timestamp")) for each in series
    ]
    assert [
        {"timestamp": "2025-12-31T23:59:00", "value": -4.5, "labels": {"az": "1", "group": "web", "rack": "7"}}
    ] == points


def test_seconds_since_the_epoch_are_a_moment_too(terminal: Terminal) -> None:
    """As the output of `date +%s` is."""
    terminal.ok("samples", "push", "m", "1", "-r", "r", "--timestamp", "1767225540")

    assert ["2025-12-31T23:59:00"] == [each["timestamp"] for each in terminal.json("samples", "list")]


def test_a_stream_is_pushed_line_by_line(terminal: Terminal) -> None:
    """However long it is; empty lines do not matter."""
    lines = "\n".join(line(resource_id=f"r{number}") for number in range(5_001))
    result = terminal.run("samples", "push", "--file", "-", "--format", "json", typed=lines)

    assert result.exit_code == 0
    assert {"accepted": 5_001, "rejected": 0} == json.loads(result.stdout)


def test_bad_lines_are_named_and_the_rest_goes_on(terminal: Terminal) -> None:
    """The exit code is 1, the good lines are in, and each complaint has the number of its line."""
    lines = [line(value=None), "{oops\n", line(), line(value=float("nan")), line(timestamp=5)]
    result = terminal.run("samples", "push", "--file", "-", "-f", "value", typed="".join(lines))

    assert result.exit_code == 1
    assert result.stdout == "1\n4\n"
    complaints = sorted(result.stderr.splitlines())
    assert [
        "line 1: value is missing",
        "line 2: not JSON",
        "line 4: not JSON: NaN",
        "line 5: timestamp 5 is too far",
    ] == [
        complaint[: len(expected)]
        for complaint, expected in zip(
            complaints,
            ["line 1: value is missing", "line 2: not JSON", "line 4: not JSON: NaN", "line 5: timestamp 5 is too far"],
            strict=True,
        )
    ]


def test_a_flood_of_complaints_is_cut(terminal: Terminal) -> None:
    """A broken file does not fill the screen."""
    result = terminal.run("samples", "push", "--file", "-", typed=line(value=None) * 30)

    assert result.exit_code == 1
    assert "… and 10 more." in result.stderr


def test_a_single_bad_sample_ends_with_1(terminal: Terminal) -> None:
    """And with the reason."""
    result = terminal.run("samples", "push", "m", "1", "-r", "r", "--timestamp", "yesterday")

    assert result.exit_code == 1
    assert "timestamp must be ISO 8601" in result.stderr


def test_a_list_that_was_cut_says_so(terminal: Terminal) -> None:
    """On standard error, so that what is piped stays clean."""
    terminal.ok("samples", "push", "--file", "-", typed=line() + line(resource_id="other"))
    result = terminal.run("samples", "list", "--limit", "1", "-f", "value")

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1
    assert "There is more than is shown" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("samples", "push"), "Missing metric, value, resource_id"),
        (("samples", "push", "m", "1"), "Missing resource_id"),
        (("samples", "push", "m", "many", "-r", "r"), "'many' is not a valid float"),
        (("samples", "push", "m", "--file", "-"), "With --file, everything about a sample stands in the file"),
        (("samples", "push", "m", "1", "-r", "r", "--colour", "red"), "unexpected extra argument"),
        (("samples", "push", "m", "1", "-r", "r", "--label", "web"), "write KEY=VALUE"),
        (("samples", "list", "--points"), "--points needs --metric and --resource"),
    ],
)
def test_wrong_usage_ends_with_2(terminal: Terminal, arguments: tuple[str, ...], text: str) -> None:
    """The message says what would be right."""
    result = terminal.run(*arguments, typed="")

    assert result.exit_code == 2
    assert text in result.stderr
