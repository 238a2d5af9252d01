# SPDX-License-Identifier: Apache-2.0
"""`alarmd alarm explain`: why an alarm is in its state, on one screen."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from alarmd.cli.alarm_lookup import found_alarm
from alarmd.cli.client import Client, client_options, path_of
from alarmd.cli.output import Format, Output, output_options

_PERIOD_COLUMNS = ("end", "value", "samples", "reporting", "coverage", "counts", "because")
_RULE_COLUMNS = ("name", "rule", "values", "threshold", "counts_for", "would_change", "missing")
#: So much of what another server has said leaves room, too.
_LONGEST_ANSWER = 1_000
#: Rows of a table that leave room for the rest of a screen.
_SHOWN = 10


@click.command(name="explain")
@click.argument("alarm_ref", metavar="ALARM")
@output_options
@client_options
def explain_alarm(client: Client, output: Output, *, alarm_ref: str) -> None:
    """Say why an alarm is in its state, and what would change it.

    The rule is looked at anew with the samples that there are now: which series report, what each period comes to and
    why one does not count, what is held against the threshold, what is missing. Of a composite each rule is shown with
    what it counts for. The last line tells the change of state that is recorded, with the values it was made from in
    --format json. In csv and value the periods (of a composite: the rules) are printed alone.

    \b
    Examples:
      alarmd alarm explain cpu_high
      alarmd alarm explain cpu_high --format json
      alarmd alarm explain cpu_high --format csv     # the periods, newest first
    """
    answer = client.get(path_of("v3", "alarms", found_alarm(client, alarm_ref)["alarm_id"], "explain"))
    if not output.is_tabular:
        output.item(answer)
        return
    rows, columns = _rows(answer)
    if output.format is not Format.TABLE:
        output.rows(rows, columns=columns)
        return
    click.echo(f"{_plain(answer['name'])} ({answer['alarm_id']}): {_plain(answer['rule'])}")
    click.echo(_plain(answer["sentence"]))
    if rows:
        output.rows(rows[:_SHOWN], columns=columns)
        if len(rows) > _SHOWN:
            click.echo(f"… and {len(rows) - _SHOWN} more (--format json shows all).")
    for line in _more(answer):
        click.echo(_plain(line))


def _rows(answer: Mapping[str, Any]) -> tuple[list[dict[str, Any]], Sequence[str]]:
    """Return what a table shows: the periods of one rule, or the rules of a composite."""
    rules = answer["rules"]
    if answer["form"]:
        return [_rule_row(rule) for rule in rules], _RULE_COLUMNS
    return [dict(period) for rule in rules for period in rule["periods"]], _PERIOD_COLUMNS


def _rule_row(rule: Mapping[str, Any]) -> dict[str, Any]:
    values = ["-" if value is None else f"{value:g}" for value in rule["values"][:3]]
    ways = [f"{way['counts_for']}: {way['when']}" for way in rule["would_change"]]
    return {
        **rule,
        "name": f"not {rule['name']}" if rule["is_negated"] else rule["name"],
        "rule": rule["rule"] or rule["server"],
        "values": ", ".join(values),
        "would_change": "; ".join(ways),
        "missing": rule["lacking"] or rule["error"],
    }


def _more(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield what stands below the table, a line each."""
    is_composite = bool(answer["form"])
    for rule in answer["rules"]:
        series = rule["series"]
        if series and (series["missing"] or not is_composite):
            yield f"Series of {rule['name']}: {_series(series)}" if is_composite else f"Series: {_series(series)}"
        if not is_composite and (rule["lacking"] or rule["error"]):
            yield f"Missing: {rule['lacking'] or rule['error']}."
        if rule["server"] and rule["evidence"]:
            of = f" of {rule['name']}" if is_composite else ""
            yield f"What {rule['server']} says{of}: {_cut(json.dumps(rule['evidence'], ensure_ascii=False))}"
    hours, last, verdict = answer["time_constraints"], answer["last_transition"], answer["verdict"]
    if hours:
        word = ("open", "close") if hours["is_open"] else ("closed", "open")
        yield f"Time constraints: {word[0]} now; they {word[1]} at {hours['changes_at'] or 'no time within a year'}."
    if verdict and verdict["state"] != answer["state"]:
        yield f"Now: {verdict['reason']}"
    if last:
        before = f" from {last['previous']}" if last["previous"] else ""
        yield f"Last change: {last['at']}{before} to {last['current']}: {last['reason']}"
        if last["silenced_by"]:
            yield f"Its actions were not taken: silence {last['silenced_by']}."
    yield from _kept_back(answer)
    yield from answer["notes"]


def _kept_back(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield which actions are not taken, and why."""
    for one in answer["silences"]:
        until = f"until {one['ends_at']}" + (" at the latest" if one["recurs"] else "")
        states = " and ".join(one["states"])
        yield f"Silenced {until}, actions on {states}: {one['comment']} ({one['author']}, {one['silence_id']})"
    for one in answer["disabled_actions"]:
        states = " and ".join(one["states"])
        yield (
            f"Not taken any more on {states}, since {one['disabled_at']}: {one['action']} ({one['reason']}). "
            "Write the alarm again (a PUT will do) to have it taken."
        )


def _series(series: Mapping[str, Any]) -> str:
    text = f"{series['known']} known, {series['reporting']} reporting in the newest period"
    if not series["missing"]:
        return f"{text}."
    more = series["missing"] - len(series["missing_named"])
    named = ", ".join(series["missing_named"]) + (f" and {more} more" if more else "")
    return f"{text}; missing: {named}."


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_ANSWER else f"{text[:_LONGEST_ANSWER]}… (--format json shows all)"


def _plain(text: str) -> str:
    """Return text that moves no cursor, whoever wrote it."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
