# SPDX-License-Identifier: Apache-2.0
"""What `alarmd alarm create` and `update` send: shown by --dry-run, so no server has a say."""

import io
import json
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from alarmd.cli.alarm import alarm
from alarmd.cli.documents import object_in
from alarmd.cli.notation import constraint_of

NOWHERE = {"ALARMD_URL": "http://127.0.0.1:9", "COLUMNS": "200"}


def typed(*arguments: str, stdin: str | None = None) -> Result:
    """Type a command where no alarmd listens."""
    return CliRunner().invoke(alarm, ("create", *arguments, "--dry-run"), input=stdin, env=NOWHERE)


def body(*arguments: str, stdin: str | None = None) -> Any:
    """Return the body that a command would send."""
    result = typed(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


CASES = [
    (
        "threshold",
        ("-m", "cpu_util", "--threshold", "80", "--comparison", "gt", "--period", "10", "--query", "labels.group=web"),
        {
            "meter_name": "cpu_util",
            "threshold": 80.0,
            "comparison_operator": "gt",
            "period": 10,
            "query": [{"field": "labels.group", "op": "eq", "value": "web"}],
        },
    ),
    (
        "threshold",
        (
            *("-m", "cpu_util", "--threshold", "80", "--statistic", "max", "--group-statistic", "p95"),
            *("--datapoints-to-alarm", "2", "--treat-missing-data", "ignore", "--recovery-threshold", "60.5"),
            *("--hold-for", "120", "--keep-for", "0", "--minimum-coverage", "0.8"),
            *("--evaluation-periods", "3", "--comparison", "gt"),
        ),
        {
            "meter_name": "cpu_util",
            "threshold": 80.0,
            "statistic": "max",
            "group_statistic": "p95",
            "datapoints_to_alarm": 2,
            "treat_missing_data": "ignore",
            "recovery_threshold": 60.5,
            "hold_for": 120,
            "keep_for": 0,
            "minimum_coverage": 0.8,
            "evaluation_periods": 3,
            "comparison_operator": "gt",
        },
    ),
    (
        "gnocchi_resources_threshold",
        (
            *("--metric", "cpu", "--threshold", "0", "--aggregation-method", "rate:mean", "--granularity", "300"),
            *("--resource-id", "vm-1", "--resource-type", "instance", "--evaluation-periods", "3"),
        ),
        {
            "threshold": 0.0,
            "aggregation_method": "rate:mean",
            "granularity": 300,
            "evaluation_periods": 3,
            "resource_id": "vm-1",
            "resource_type": "instance",
            "metric": "cpu",
        },
    ),
    (
        "gnocchi_aggregation_by_metrics_threshold",
        (
            *("--metrics", "a", "--metrics", "b", "--threshold", "1", "--aggregation-method", "mean"),
            *("--group-statistic", "p95"),
        ),
        {"threshold": 1.0, "aggregation_method": "mean", "group_statistic": "p95", "metrics": ["a", "b"]},
    ),
    (
        "gnocchi_aggregation_by_resources_threshold",
        (
            *("--metric", "cpu", "--threshold", "1", "--aggregation-method", "mean", "--resource-type", "instance"),
            *("--query", '{"=": {"server_group": "x"}}'),
        ),
        {
            "threshold": 1.0,
            "aggregation_method": "mean",
            "resource_type": "instance",
            "metric": "cpu",
            "query": '{"=": {"server_group": "x"}}',
        },
    ),
    (
        "prometheus",
        ("--query", 'rate(x{job="web"}[1m]); y', "--threshold", "0"),
        {"threshold": 0.0, "query": 'rate(x{job="web"}[1m]); y'},
    ),
    (
        "prometheus",
        (
            *("--query", "up", "--threshold", "1", "--series", "any"),
            *("--evaluation-periods", "3", "--granularity", "60"),
        ),
        {"threshold": 1.0, "query": "up", "series": "any", "evaluation_periods": 3, "granularity": 60},
    ),
    (
        "event",
        ("--event-type", "compute.*", "--query", "traits.a=string::x;traits.b>=integer::5", "--query", "traits.c=1"),
        {
            "event_type": "compute.*",
            "query": [
                {"type": "string", "field": "traits.a", "op": "eq", "value": "x"},
                {"type": "integer", "field": "traits.b", "op": "ge", "value": "5"},
                {"type": "", "field": "traits.c", "op": "eq", "value": "1"},
            ],
        },
    ),
    ("event", (), {}),
    (
        "composite",
        ("--rule", '{"and": [{"type": "prometheus", "query": "x", "threshold": 1}]}'),
        {"and": [{"type": "prometheus", "query": "x", "threshold": 1}]},
    ),
    (
        "loadbalancer_member_health",
        ("--pool-id", "pool", "--stack-id", "stack", "--autoscaling-group-id", "group"),
        {"pool_id": "pool", "stack_id": "stack", "autoscaling_group_id": "group"},
    ),
]


@pytest.mark.parametrize(("kind", "arguments", "rule"), CASES)
def test_each_type_of_alarm_has_its_options(kind: str, arguments: tuple[str, ...], rule: dict[str, Any]) -> None:
    """The rule holds what the options say and nothing else; defaults are the server's."""
    expected = {"name": "x", "type": kind, f"{kind}_rule": rule}

    assert expected == body("--name", "x", "--type", kind, *arguments)


def test_time_constraints_are_written_as_for_aodhs_client() -> None:
    """Pairs with semicolons between; several options make several constraints, and an empty one makes none."""
    made = body(
        *("--name", "x", "--type", "event", "--repeat-actions", "true"),
        *("--time-constraint", "name=a;start=0 8 * * 1-5;duration=60;timezone=Europe/Berlin;description='at eight'"),
        *("--time-constraint", 'name="b"; start="@hourly"; duration=5;'),
    )

    assert [
        {
            "name": "a",
            "start": "0 8 * * 1-5",
            "duration": 60,
            "timezone": "Europe/Berlin",
            "description": "at eight",
        },
        {"name": "b", "start": "@hourly", "duration": 5},
    ] == made["time_constraints"]
    assert made["repeat_actions"] is True
    assert [] == body("--name", "x", "--type", "event", "--time-constraint", "")["time_constraints"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name=a;start=@hourly", "duration is missing"),
        ("name=a;start=@hourly;duration=5;colour=red", "colour is unknown"),
        ("name=a;start=@hourly;duration=soon", "'soon' of --time-constraint is no whole number of seconds"),
        ("name", "is no pair"),
    ],
)
def test_time_constraints_that_are_none_are_explained(text: str, complaint: str) -> None:
    """The message says how to write one."""
    with pytest.raises(click.UsageError) as caught:
        constraint_of(text)

    assert complaint in caught.value.message


def test_a_file_holds_a_whole_alarm_and_options_win_over_it() -> None:
    """YAML and JSON are read alike, from a file or from standard input; rules are merged attribute by attribute."""
    document = {
        "name": "x",
        "type": "prometheus",
        "prometheus_rule": {"query": "up", "threshold": 1, "comparison_operator": "gt"},
        "timestamp": "2026-11-23T06:50:00.765555",
        "alarm_actions": ["http://a"],
    }
    expected = document | {
        "name": "y",
        "prometheus_rule": {"query": "up", "threshold": 2.0, "comparison_operator": "gt"},
    }

    for text in (json.dumps(document), yaml.safe_dump(document), yaml.safe_dump(document).replace("'", "")):
        assert expected == body("-F", "-", "--name", "y", "--threshold", "2", stdin=text)


@pytest.mark.parametrize("text", ["", "[1]", "a: [", "5", "1: 2", "\0", "!!python/object:os.system x"])
def test_a_file_that_is_no_alarm_is_wrong_usage(text: str) -> None:
    """What cannot be read is explained, and nothing in a file is ever run."""
    with pytest.raises(click.UsageError):
        object_in(io.StringIO(text))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--type", "event", "--period", "5"), "--period says nothing about an alarm of the type event; it belongs to"),
        (("--event-type", "x", "-m", "m", "--threshold", "1"), "it belongs to event"),
        (("--type", "prometheus", "--threshold", "1"), "needs --query"),
        (("--type", "composite"), "needs --rule"),
        (
            ("--type", "gnocchi_resources_threshold", "--group-statistic", "max"),
            "it belongs to threshold, gnocchi_aggregation_by_metrics_threshold, gnocchi_aggregation_by_resources",
        ),
        (("--type", "composite", "--rule", "{"), "is not valid JSON"),
        (("--type", "composite", "--rule", "[]"), "must be a JSON object"),
        (("--type", "loadbalancer_member_health", "--pool-id", "x"), "needs --stack-id, --autoscaling-group-id"),
        (("--type", "gnocchi_resources_threshold", "-m", "a", "-m", "b"), "--metric was given 2 times"),
        (("--type", "prometheus", "--query", "a", "--query", "b"), "--query was given 2 times"),
        (("--type", "combination"), "'combination' is not one of"),
        (
            ("--type", "gnocchi_aggregation_by_resources_threshold", "--query", "a=b"),
            "The value of --query is not valid JSON",
        ),
    ],
)
def test_options_that_contradict_each_other_are_wrong_usage(arguments: tuple[str, ...], complaint: str) -> None:
    """The message names the option and the type that it belongs to."""
    result = typed("--name", "x", *arguments)

    assert 2 == result.exit_code
    assert complaint in result.stderr


def test_an_alarm_without_a_name_is_wrong_usage() -> None:
    """Neither an option nor the file gives it one."""
    result = typed("-F", "-", stdin="{type: event, event_rule: {}}")

    assert (2, True) == (result.exit_code, "needs --name" in result.stderr)


def test_help_groups_options_and_shows_examples() -> None:
    """Who asks for help learns by example; every option stands under a heading."""
    shown = CliRunner().invoke(alarm, ["create", "--help"]).stdout

    assert all(title in shown for title in ("Examples:", "The alarm:", "Its rule:", "From a file:", "Options:"))
    assert shown.index("--time-constraint") < shown.index("Its rule:") < shown.index("--pool-id")


_RULE = ("--name", "n", "-m", "cpu_util", "--threshold", "80")


def test_what_aodh_does_not_know_is_spelt_in_options() -> None:
    """Labels and directions in pairs, the interval in seconds, the secret by its name."""
    sent = body(
        *_RULE,
        *("--label", "team=web", "--label", "tier=1;zone=", "--direction", "ok=in", "--direction", "alarm=out"),
        *("--direction", "insufficient-data=neutral", "--repeat-interval", "300", "--signing-secret", "blue"),
    )

    assert {"team": "web", "tier": "1", "zone": ""} == sent["labels"]
    assert {"ok": "in", "alarm": "out", "insufficient data": "neutral"} == sent["directions"]
    assert (300, "blue") == (sent["repeat_interval"], sent["signing_secret"])


def test_options_are_laid_over_the_labels_of_a_file() -> None:
    """What they do not name stays; --unset takes a part away, or says that all is gone."""
    file = yaml.safe_dump(
        {"name": "n", "labels": {"a": "1", "b": "2"}, "directions": {"ok": "in"}, "repeat_interval": 60}
        | {"type": "threshold", "threshold_rule": {"meter_name": "m", "threshold": 1, "period": 10}}
    )
    sent = body(
        *("-F", "-", "--label", "c=3", "--unset", "labels.a", "--unset", "directions", "--unset", "repeat-interval"),
        *("--unset", "period"),
        stdin=file,
    )

    assert {"b": "2", "c": "3"} == sent["labels"]
    assert (None, None) == (sent["directions"], sent["repeat_interval"])
    assert {"meter_name": "m", "threshold": 1} == sent["threshold_rule"]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("--label", "team"), "KEY=VALUE"),
        (("--direction", "alarm=up"), "one of ok, alarm, insufficient data"),
        (("--direction", "never=in"), "one of ok, alarm, insufficient data"),
        (("--repeat-interval", "0"), "1<=x<=86400"),
        (("--unset", "labels.team"), "no 'team' in labels"),
        (("--unset", "label.team"), "no 'team' in labels"),
        (("--unset", "nonsense"), "no attribute nonsense"),
    ],
)
def test_what_aodh_does_not_know_is_checked_as_well(arguments: tuple[str, ...], names: str) -> None:
    """Wrong usage, with what would be right."""
    result = typed(*_RULE, *arguments)

    assert 2 == result.exit_code
    assert names in result.output
