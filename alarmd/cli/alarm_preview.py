# SPDX-License-Identifier: Apache-2.0
"""`alarmd alarm preview` and `backtest`: what an alarm would have done, before it counts."""

import json
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any, TextIO

import click

from alarmd.cli.alarm_state import STATES
from alarmd.cli.client import Client, client_options
from alarmd.cli.documents import object_in
from alarmd.cli.output import Output, long_output_options
from alarmd.cli.sample_lines import BrokenLine, lines_of

_PATH = "/v3/alarms/preview"
_COLUMNS = ("at", "previous", "current", "reason")

_RULE = click.option(
    "-f",
    "--file",
    "-F",
    "source",
    type=click.File(encoding="utf-8"),
    required=True,
    help="The alarm in YAML or JSON, as `alarm show --format yaml` prints it or `alarm create` takes it; - for stdin.",
)
_SINCE = click.option(
    "--since",
    metavar="WHEN",
    help="How long ago to begin (90s, 15m, 1h), or the moment, ISO 8601 (no zone: UTC).",
)
_STATE = click.option("--state", type=click.Choice(STATES), help="The state to begin in; insufficient data by default.")


@click.command(name="preview")
@_RULE
@_SINCE
@_STATE
@long_output_options
@client_options
def preview_alarm(client: Client, output: Output, *, source: TextIO, since: str | None, state: str | None) -> None:
    """Show what an alarm would have done over the samples that alarmd holds.

    Nothing is stored and nobody is notified: the rule is led through the samples of the last hour (or since --since)
    by the very code that evaluates alarms, second by second. Each change of state is a line; how often it flapped, and
    for how long it was in which state, stands below.

    \b
    Examples:
      alarmd alarm preview -f cpu_high.yaml
      alarmd alarm preview -f cpu_high.yaml --since 15m --format json
      # What would another threshold do to an alarm that flaps?
      alarmd alarm show cpu_high --format yaml | sed 's/threshold: 80.*/threshold: 90/' \\
          | alarmd alarm preview -f - --state ok
    \b
    A file that will do:
      type: threshold
      threshold_rule:
        meter_name: cpu_util
        comparison_operator: gt
        threshold: 80
        period: 10
        query: [{field: labels.group, value: web}]
    """
    _show(output, client.post(_PATH, _body(source, since, state)))


@click.command(name="backtest")
@_RULE
@click.option(
    "--samples",
    "sample_source",
    type=click.File(encoding="utf-8"),
    required=True,
    help="The samples as `alarmd samples push --file` takes them: JSON lines. One JSON list will do too.",
)
@_SINCE
@_STATE
@long_output_options
@client_options
def backtest_alarm(
    client: Client,
    output: Output,
    *,
    source: TextIO,
    sample_source: TextIO,
    since: str | None,
    state: str | None,
) -> None:
    """Show what an alarm would have done over the samples of a file.

    The same as preview, but only the samples of the file count, whenever they were taken; each needs its timestamp.
    The span ends with the newest of them, and begins with the oldest unless --since says how long before the end.

    \b
    Examples:
      alarmd alarm backtest -f cpu_high.yaml --samples yesterday.jsonl
      alarmd alarm backtest -f cpu_high.yaml --samples yesterday.jsonl --since 2h
    \b
    A line of such a file:
      {"metric": "cpu_util", "resource_id": "vm-1", "value": 95,
       "timestamp": "2026-01-31T12:00:00Z", "labels": {"group": "web"}}
    """
    body = _body(source, since, state)
    _show(output, client.post(_PATH, body | {"samples": _samples(sample_source)}))


def _body(source: TextIO, since: str | None, state: str | None) -> dict[str, Any]:
    options = {"since": since, "state": state}
    return object_in(source) | {name: value for name, value in options.items() if value is not None}


def _samples(source: TextIO) -> list[Any]:
    """Return the samples of a file; raises `click.UsageError` for what is none, or has no time of its own."""
    name = getattr(source, "name", "the file")
    text = source.read()
    if text.lstrip().startswith("["):
        try:
            numbered: list[tuple[int, Any]] = list(enumerate(json.loads(text), start=1))
        except ValueError as error:
            raise click.UsageError(f"{name} is not JSON: {error}") from error
    else:
        numbered = list(lines_of(StringIO(text)))
    for number, sample in numbered:
        if isinstance(sample, BrokenLine):
            raise click.UsageError(f"{name}, line {number}: {sample.reason}")
        if not isinstance(sample, dict) or sample.get("timestamp") is None:
            raise click.UsageError(f"{name}, sample {number}: a sample of a backtest is an object with its timestamp.")
    return [sample for _, sample in numbered]


def _show(output: Output, answer: Mapping[str, Any]) -> None:
    if not output.is_tabular:
        output.item(answer)
        return
    output.rows(answer["transitions"], columns=_COLUMNS)
    for line in _summary(answer):
        click.echo(line, err=True)


def _summary(answer: Mapping[str, Any]) -> Sequence[str]:
    """Return in words what does not stand in the table."""
    shares = ", ".join(f"{state} {share:.0%}" for state, share in answer["shares"].items() if share)
    taken = ", ".join(f"{name} {times}x" for name, times in answer["would_notify"].items() if times)
    changes, flaps = _counted(answer["changes"], "change"), _counted(answer["flaps"], "flap")
    lines = [
        f"{answer['start']} to {answer['end']}, {answer['samples_read']} samples.",
        f"{changes} of state, {answer['changes_per_hour']:g} an hour; {flaps} (back into the state it had just left).",
        f"It was {shares or answer['states'][-1]['state']}. Actions that would have been taken: {taken or 'none'}.",
    ]
    if answer["truncated"]:
        lines.append(f"Only the first {len(answer['transitions'])} changes are shown.")
    return lines + [f"Assumed: {one}" for one in answer["assumptions"]]


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
