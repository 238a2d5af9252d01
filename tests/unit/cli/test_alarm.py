# SPDX-License-Identifier: Apache-2.0
"""`alarmd alarm`."""

import csv
from typing import Any

import pytest
import yaml

from alarmd.cli.notation import conditions_of
from tests.unit.cli.conftest import Terminal

CREATE = ("alarm", "create", "--name", "cpu_high", "--meter-name", "cpu_util", "--threshold", "80")


def test_an_alarm_is_created_as_the_options_say(terminal: Terminal) -> None:
    """Each option ends up in the attribute that it is named after."""
    created = terminal.json(
        *CREATE,
        *("--comparison", "gt", "--period", "10", "--evaluation-periods", "2", "--statistic", "max"),
        *("--query", "resource_id=vm-1;labels.group=web", "--query", "user_id=u"),
        *("--alarm-action", "http://127.0.0.1/a", "--alarm-action", "http://127.0.0.1/b"),
        *("--ok-action", "http://127.0.0.1/c", "--insufficient-data-action", "http://127.0.0.1/d"),
        *("--repeat-actions", "true", "--enabled", "False", "--severity", "critical", "--description", "mine"),
        *("--project-id", "p1", "--exclude-outliers", "true", "--type", "threshold", "--state", "ok"),
    )

    assert {
        "name": "cpu_high",
        "description": "mine",
        "enabled": False,
        "repeat_actions": True,
        "severity": "critical",
        "state": "ok",
        "project_id": "p1",
        "alarm_actions": ["http://127.0.0.1/a", "http://127.0.0.1/b"],
        "ok_actions": ["http://127.0.0.1/c"],
        "insufficient_data_actions": ["http://127.0.0.1/d"],
    }.items() <= created.items()
    assert {
        "meter_name": "cpu_util",
        "threshold": 80.0,
        "comparison_operator": "gt",
        "period": 10,
        "evaluation_periods": 2,
        "statistic": "max",
        "exclude_outliers": True,
        "query": [
            {"field": "resource_id", "op": "eq", "value": "vm-1"},
            {"field": "labels.group", "op": "eq", "value": "web"},
            {"field": "user_id", "op": "eq", "value": "u"},
        ],
    } == created["threshold_rule"]


def test_a_single_value_can_be_kept_in_a_script(terminal: Terminal) -> None:
    """`-f value -c alarm_id` prints the id and nothing else."""
    alarm_id = terminal.ok(*CREATE, "-f", "value", "-c", "alarm_id").strip()

    assert alarm_id == terminal.json("alarm", "show", alarm_id)["alarm_id"]


def test_an_alarm_is_found_by_its_name(terminal: Terminal) -> None:
    """Everywhere an id is taken, a name that only one alarm has will do."""
    alarm_id = terminal.json(*CREATE)["alarm_id"]

    assert alarm_id == terminal.json("alarm", "show", "cpu_high")["alarm_id"]
    assert terminal.ok("alarm", "state", "get", "cpu_high", "-f", "value") == "insufficient data\n"
    assert terminal.json("alarm", "state", "set", "cpu_high", "ok") == {"state": "ok"}
    assert ["state transition", "creation"] == [each["type"] for each in terminal.json("alarm", "history", "cpu_high")]


def test_a_name_that_two_alarms_have_is_not_guessed(terminal: Terminal) -> None:
    """The command fails and names the ids to choose from."""
    ids = [terminal.json(*CREATE)["alarm_id"] for _ in range(2)]
    result = terminal.run("alarm", "delete", "cpu_high")

    assert result.exit_code == 1
    assert all(alarm_id in result.stderr for alarm_id in ids)
    assert len(terminal.json("alarm", "list")) == 2


def test_an_update_changes_what_is_named_only(terminal: Terminal) -> None:
    """The rest of the alarm and of its rule stays; one empty action empties a list."""
    before = terminal.json(
        *CREATE, "--comparison", "gt", "--alarm-action", "http://127.0.0.1/a", "--severity", "critical"
    )
    after = terminal.json("alarm", "update", "cpu_high", "--threshold", "90", "--enabled", "no", "--alarm-action", "")

    rule = before["threshold_rule"] | {"threshold": 90.0}
    assert before | {"threshold_rule": rule, "enabled": False, "alarm_actions": []} == after


def test_an_attribute_is_taken_out_of_a_rule(terminal: Terminal) -> None:
    """What is unset has its default again, and one that is not there is no slip that passes."""
    before = terminal.json(*CREATE, "--comparison", "gt")
    terminal.ok("alarm", "update", "cpu_high", "--recovery-threshold", "60", "--hold-for", "60", "--period", "10")
    after = terminal.json(
        *("alarm", "update", "cpu_high", "--unset", "recovery_threshold", "--unset", "hold-for", "--unset", "period")
    )
    result = terminal.run("alarm", "update", "cpu_high", "--unset", "keep_for")

    assert before == after
    assert 2 == result.exit_code
    assert "The rule has no attribute keep_for to --unset; it has meter_name, query," in result.stderr


def test_alarms_are_listed_as_asked(terminal: Terminal) -> None:
    """Filters, order and pages are passed on."""
    for name in ("b", "a", "c"):
        terminal.ok("alarm", "create", "--name", name, "-m", "m", "--threshold", "-1")
    terminal.ok("alarm", "state", "set", "b", "--state", "alarm")

    def names(*arguments: str) -> list[str]:
        return [alarm["name"] for alarm in terminal.json("alarm", "list", *arguments)]

    assert ["a", "b", "c"] == names("--sort", "name:asc")
    assert ["b"] == names("--filter", "state=alarm;enabled=true")
    assert ["a", "b"] == names("--sort", "name", "--limit", "2")
    assert ["a", "b", "c"] == sorted(names("--all-projects"))


def test_deleted_alarms_are_gone(terminal: Terminal) -> None:
    """Several go at once; what is gone cannot be shown, and the exit code says so."""
    terminal.ok(*CREATE)
    other = terminal.json(*CREATE[:3], "other", *CREATE[4:])["alarm_id"]
    terminal.ok("alarm", "delete", "cpu_high", other)
    result = terminal.run("alarm", "show", "cpu_high")

    assert [] == terminal.json("alarm", "list")
    told = f"Error: Alarm cpu_high not found (HTTP 404 from {terminal.url}) `alarmd alarm list` shows what there is.\n"
    assert (1, told) == (result.exit_code, result.stderr)


def test_an_alarm_goes_with_those_that_refer_to_it(terminal: Terminal) -> None:
    """With --cascade only; one that is named beside it and goes with it is no mistake."""
    alarm_id = terminal.json(*CREATE)["alarm_id"]
    terminal.ok(
        "alarm", "create", "--type", "composite", "--name", "c", "--rule", f'{{"not": {{"alarm_id": "{alarm_id}"}}}}'
    )
    refused = terminal.run("alarm", "delete", "cpu_high")
    terminal.ok("alarm", "delete", "cpu_high", "c", "--cascade")

    assert 1 == refused.exit_code
    assert f"(c) refers to alarm {alarm_id}" in refused.stderr
    assert [] == terminal.json("alarm", "list")


def test_every_format_tells_the_same(terminal: Terminal) -> None:
    """Tables, CSV and bare values show columns; JSON and YAML show all there is."""
    created = terminal.json(*CREATE)
    row = [created["alarm_id"], "threshold", "cpu_high", "insufficient data", "low", "true"]
    header, *rows = csv.reader(terminal.ok("alarm", "list", "--format", "csv").splitlines())
    table = terminal.ok("alarm", "list")

    assert [created] == yaml.safe_load(terminal.ok("alarm", "list", "--format", "yaml"))
    assert ["alarm_id", "type", "name", "state", "severity", "enabled"] == header
    assert [row] == rows
    assert " ".join(row) + "\n" == terminal.ok("alarm", "list", "--format", "value")
    assert all(cell in table for cell in [*header, *row])
    assert "comparison_operator" in terminal.ok("alarm", "show", "cpu_high")
    assert [{"name": "cpu_high", "state": "insufficient data"}] == terminal.json(
        "alarm", "list", "-c", "name", "-c", "state"
    )


def test_what_others_named_does_not_move_the_cursor(terminal: Terminal) -> None:
    """Control characters of a name are shown, not sent to the terminal."""
    terminal.ok("alarm", "create", "--name", "a\x1b[2Jb", "-m", "m", "--threshold", "1")

    assert "a\\x1b[2Jb" in terminal.ok("alarm", "list")
    assert "\x1b[2J" not in terminal.ok("alarm", "list", "-f", "value")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("alarm", "create", "--name", "x"),
            "type threshold needs -m/--metric, --threshold (or a --file",
        ),
        ((*CREATE, "--threshold", "high"), "'high' is not a valid float"),
        ((*CREATE, "--query", "vm-1"), "'vm-1' of --query is no condition; write FIELD=VALUE"),
        ((*CREATE, "--comparison", "above"), "'above' is not one of"),
        (("alarm", "list", "--filter", "state"), "'state' of --filter is no pair; write KEY=VALUE"),
        (("alarm", "list", "--format", "xml"), "'xml' is not one of"),
        (("alarm", "state", "set", "x"), "Which state?"),
        (("alarm", "frobnicate"), "No such command"),
    ],
)
def test_wrong_usage_ends_with_2(terminal: Terminal, arguments: tuple[str, ...], text: str) -> None:
    """The message says what would be right."""
    result = terminal.run(*arguments)

    assert result.exit_code == 2
    assert text in result.stderr


def test_a_column_that_there_is_not_is_wrong_usage(terminal: Terminal) -> None:
    """It names the columns that there are."""
    terminal.ok(*CREATE)
    result = terminal.run("alarm", "list", "-c", "colour")

    assert result.exit_code == 2
    assert "there are: alarm_id" in result.stderr


def test_what_the_server_refuses_ends_with_1_and_its_words(terminal: Terminal) -> None:
    """The explanation of the server reaches the terminal."""
    result = terminal.run(*CREATE, "--alarm-action", "ftp://x")

    assert result.exit_code == 1
    assert "Unsupported action ftp://x (HTTP 400 from" in result.stderr


@pytest.mark.parametrize(
    ("query", "conditions"),
    [
        ("", []),
        ("a=b", [{"field": "a", "op": "eq", "value": "b"}]),
        ("a = b c ; x==1=2;", [{"field": "a", "op": "eq", "value": "b c"}, {"field": "x", "op": "eq", "value": "1=2"}]),
        ("a>=integer::5", [{"field": "a", "op": "ge", "value": "5", "type": "integer"}]),
        ("a!=string::", [{"field": "a", "op": "ne", "value": "", "type": "string"}]),
    ],
)
def test_queries_are_written_as_for_aodhs_client(query: str, conditions: list[dict[str, Any]]) -> None:
    """FIELD OP [TYPE::]VALUE with semicolons between; values may hold most signs."""
    assert conditions == conditions_of(query)


def test_a_metric_that_nothing_reports_is_named_with_its_neighbour(terminal: Terminal) -> None:
    """A slip of the pen in the metric's name would leave an alarm silent for ever."""
    terminal.ok("samples", "push", "cpu_util", "50", "--resource", "vm-1")
    good = terminal.run(*CREATE)
    misspelt = terminal.run("alarm", "create", "--name", "x", "--meter-name", "cpu_utl", "--threshold", "80")

    assert (0, "") == (good.exit_code, good.stderr)
    assert 0 == misspelt.exit_code
    assert "'cpu_utl'" in misspelt.stderr
    assert "Did you mean 'cpu_util'?" in misspelt.stderr
