# SPDX-License-Identifier: Apache-2.0
"""`alarmd alarm preview` and `backtest`."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Terminal

RULE = """\
type: threshold
threshold_rule: {meter_name: cpu_util, comparison_operator: gt, threshold: 80, period: 10}
"""


def samples(*values: float) -> list[dict[str, object]]:
    """Samples ten seconds apart, the first at the beginning of 2020."""
    return [
        {"metric": "cpu_util", "resource_id": "vm-1", "value": value, "timestamp": 1_577_836_800 + 10 * place}
        for place, value in enumerate(values)
    ]


@pytest.fixture
def rule(tmp_path: Path) -> str:
    """A file with a rule."""
    path = tmp_path / "rule.yaml"
    path.write_text(RULE)
    return str(path)


def a_file_of(tmp_path: Path, *values: float) -> str:
    path = tmp_path / "samples.jsonl"
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples(*values)))
    return str(path)


def test_a_backtest_shows_changes_and_flaps(terminal: Terminal, tmp_path: Path, rule: str) -> None:
    """A line a change on standard output, and what they come to on standard error."""
    result = terminal.run(
        *("alarm", "backtest", "-f", rule, "--samples", a_file_of(tmp_path, 10, 95, 10, 95), "--format", "value")
    )

    assert result.exit_code == 0, result.output
    ok = "Transition to ok due to 1 samples inside threshold, most recent: 10.0"
    assert [
        f"2020-01-01T00:00:00 insufficient data ok {ok}",
        "2020-01-01T00:00:10 ok alarm Transition to alarm due to 1 samples outside threshold, most recent: 95.0",
        f"2020-01-01T00:00:20 alarm ok {ok}",
        "2020-01-01T00:00:30 ok alarm Transition to alarm due to 1 samples outside threshold, most recent: 95.0",
    ] == result.stdout.splitlines()
    assert [
        "2020-01-01T00:00:00 to 2020-01-01T00:00:30, 4 samples.",
        "4 changes of state, 480 an hour; 2 flaps (back into the state it had just left).",
        "It was ok 67%, alarm 33%. Actions that would have been taken: ok_actions 2x, alarm_actions 2x.",
    ] == result.stderr.splitlines()[:3]


def test_a_backtest_takes_one_json_list_and_a_span(terminal: Terminal, tmp_path: Path, rule: str) -> None:
    """As JSON the whole answer is printed; samples from before the span are known and not judged."""
    path = tmp_path / "samples.json"
    path.write_text(json.dumps(samples(95, 10, 95, 10)))
    answer = terminal.json("alarm", "backtest", "-f", rule, "--samples", str(path), "--since", "15s", "--state", "ok")

    assert (["alarm", "ok"], 2, 4) == (
        [one["current"] for one in answer["transitions"]],
        answer["changes"],
        answer["samples_read"],
    )


def test_a_preview_takes_what_was_pushed(terminal: Terminal, rule: str) -> None:
    """Over the samples of the log; the rule may come by standard input."""
    terminal.door.clock.advance(3600)
    terminal.ok("samples", "push", "cpu_util", "95", "--resource", "vm-1", "--timestamp", "2026-01-01T00:59:50Z")
    answer = terminal.json("alarm", "preview", "-f", rule, "--since", "1m")
    typed = terminal.ok("alarm", "preview", "-f", "-", "--since", "1m", "--format", "csv", typed=RULE)

    assert [("2026-01-01T00:59:50", "alarm")] == [(one["at"], one["current"]) for one in answer["transitions"]]
    assert 2 == len(typed.splitlines())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{oops", "line 1: not JSON"),
        ('{"metric": "cpu_util", "resource_id": "vm-1", "value": 1}', "sample 1: a sample of a backtest"),
        ("[1", "is not JSON"),
        ("[1]", "sample 1: a sample of a backtest"),
    ],
)
def test_files_that_hold_no_samples_are_wrong_usage(
    terminal: Terminal, tmp_path: Path, rule: str, content: str, complaint: str
) -> None:
    """The exit code is 2, and the place in the file is named."""
    path = tmp_path / "samples"
    path.write_text(content)
    result = terminal.run("alarm", "backtest", "-f", rule, "--samples", str(path))

    assert 2 == result.exit_code
    assert complaint in result.stderr


def test_a_rule_that_the_server_refuses_ends_with_1(terminal: Terminal) -> None:
    """In the server's words."""
    result = terminal.run("alarm", "preview", "-f", "-", typed="type: event\nevent_rule: {}\n")

    assert 1 == result.exit_code
    assert "wait for events" in result.stderr
