# SPDX-License-Identifier: Apache-2.0
"""`alarmd alarm`: alarms, as people make and watch them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

import click

from alarmd.cli.alarm_options import body_of, definition_options, pairs_of
from alarmd.cli.client import Client, RequestRefused, client_options, path_of
from alarmd.cli.output import Output, output_options

_COLUMNS = ("alarm_id", "type", "name", "state", "severity", "enabled")
_HISTORY_COLUMNS = ("timestamp", "type", "detail", "user_id", "event_id")
_STATES = ("ok", "alarm", "insufficient data")


@click.group(name="alarm")
def alarm() -> None:
    """Create, watch and change alarms.

    \b
    Examples:
      alarmd alarm create --name cpu_high --meter-name cpu_util --threshold 80 \\
          --comparison gt --period 10 --query 'labels.group=web' \\
          --alarm-action http://127.0.0.1:9000/scale-out
      alarmd alarm list
      alarmd alarm show cpu_high --format yaml
      alarmd alarm update cpu_high --threshold 90
      alarmd alarm history cpu_high

    Wherever an ALARM is asked for, its id or its name will do.
    """


@alarm.command(name="list")
@click.option("--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Narrow the list, e.g. state=alarm.")
@click.option("--all-projects", is_flag=True, help="Alarms of every project (administrators).")
@click.option("--sort", "sorts", multiple=True, metavar="KEY[:asc|desc]", help="Order; newest first by default.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@click.option("--marker", help="Go on after the alarm with this id.")
@output_options
@client_options
def list_alarms(
    client: Client,
    output: Output,
    *,
    filters: tuple[str, ...],
    all_projects: bool,
    sorts: tuple[str, ...],
    limit: int | None,
    marker: str | None,
) -> None:
    """List alarms, of your project unless told otherwise.

    \b
    Examples:
      alarmd alarm list --filter state=alarm --filter 'severity=critical'
      alarmd alarm list --sort name --limit 20 --format csv
      alarmd alarm list --format value --column alarm_id
    """
    wanted = pairs_of(filters, option="--filter")
    if all_projects:
        wanted.append(("all_projects", "true"))
    arguments = _conditions(wanted) + [("sort", sort) for sort in sorts] + _paging(limit, marker)
    output.rows(client.get("/v2/alarms", arguments), columns=_COLUMNS)


@alarm.command(name="show")
@click.argument("alarm_ref", metavar="ALARM")
@output_options
@client_options
def show_alarm(client: Client, output: Output, *, alarm_ref: str) -> None:
    """Show one alarm, whole."""
    output.item(_flat(_find(client, alarm_ref)) if output.is_tabular else _find(client, alarm_ref))


@alarm.command(name="create")
@definition_options(creating=True)
@output_options
@client_options
def create_alarm(client: Client, output: Output, **options: Any) -> None:
    """Create an alarm.

    It compares a statistic of a metric over the last periods with a threshold, and calls its actions when its state
    changes. --query picks the series: several make a group, whose samples are taken together.

    \b
    Examples:
      # Scale out when the group's mean CPU passes 80 % over 10 seconds
      alarmd alarm create --name cpu_high --meter-name cpu_util --threshold 80 \\
          --comparison gt --statistic avg --period 10 --evaluation-periods 1 \\
          --query 'labels.group=web' --alarm-action http://127.0.0.1:9000/out
      # Watch one machine, and print the new alarm's id only
      alarmd alarm create --name idle --meter-name cpu_util --threshold 5 \\
          --comparison lt --query 'resource_id=vm-1' -f value -c alarm_id
    """
    created = client.post("/v2/alarms", body_of(options, into={"type": "threshold"}))
    output.item(_flat(created) if output.is_tabular else created)
    with suppress(RequestRefused):  # who may create alarms may not be allowed to look at series
        _warn_of_silence(client, created)


def _warn_of_silence(client: Client, created: Mapping[str, Any]) -> None:
    """Say so if nothing reports what the alarm is about: more often a slip of the pen than a source to come."""
    metric, project = created["threshold_rule"]["meter_name"], ("project_id", created["project_id"])
    if client.get("/v3/series", [("metric", metric), project, ("limit", "1")])["series"]:
        return
    reported = {one["metric"] for one in client.get("/v3/series", [project])["series"]}
    near = get_close_matches(metric, reported, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else " `alarmd samples list` shows what is reported."
    click.echo(
        f"Note: nothing has reported the metric {metric!r} in project {created['project_id']!r} in the last minutes; "
        f"until something does, the alarm stays in {created['state']!r}.{hint}",
        err=True,
    )


@alarm.command(name="update")
@click.argument("alarm_ref", metavar="ALARM")
@definition_options(creating=False)
@output_options
@client_options
def update_alarm(client: Client, output: Output, *, alarm_ref: str, **options: Any) -> None:
    """Change an alarm; what is not named stays as it is.

    A list of actions is replaced by what is given; an empty action empties it.

    \b
    Examples:
      alarmd alarm update cpu_high --threshold 90 --evaluation-periods 3
      alarmd alarm update cpu_high --enabled false
      alarmd alarm update cpu_high --alarm-action ''
    """
    known = _find(client, alarm_ref)
    changed = client.put(path_of("v2", "alarms", known["alarm_id"]), body_of(options, into=known))
    output.item(_flat(changed) if output.is_tabular else changed)


@alarm.command(name="delete")
@click.argument("alarm_refs", metavar="ALARM...", nargs=-1, required=True)
@client_options
def delete_alarms(client: Client, *, alarm_refs: tuple[str, ...]) -> None:
    """Delete alarms. Notifications that still wait for delivery are given up."""
    for alarm_ref in alarm_refs:
        alarm_id = _find(client, alarm_ref)["alarm_id"]
        client.delete(path_of("v2", "alarms", alarm_id))
        click.echo(f"Deleted alarm {alarm_id}.", err=True)


@alarm.group(name="state")
def state() -> None:
    """Look at an alarm's state, or set it by hand."""


@state.command(name="get")
@click.argument("alarm_ref", metavar="ALARM")
@output_options
@client_options
def get_state(client: Client, output: Output, *, alarm_ref: str) -> None:
    """Show an alarm's state.

    \b
    Example:
      alarmd alarm state get cpu_high --format value
    """
    output.item({"state": client.get(path_of("v2", "alarms", _find(client, alarm_ref)["alarm_id"], "state"))})


@state.command(name="set")
@click.argument("alarm_ref", metavar="ALARM")
@click.argument("new_state", metavar="STATE", required=False, type=click.Choice(_STATES))
@click.option("--state", "state_option", type=click.Choice(_STATES), help="The same as STATE.")
@output_options
@client_options
def set_state(client: Client, output: Output, *, alarm_ref: str, new_state: str, state_option: str) -> None:
    """Set an alarm's state: ok, alarm or "insufficient data". No action is taken.

    \b
    Example:
      alarmd alarm state set cpu_high ok
    """
    wanted = new_state or state_option
    if not wanted:
        raise click.UsageError("Which state? One of: ok, alarm, 'insufficient data'.")
    path = path_of("v2", "alarms", _find(client, alarm_ref)["alarm_id"], "state")
    output.item({"state": client.put(path, wanted)})


@alarm.command(name="history")
@click.argument("alarm_ref", metavar="ALARM")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@click.option("--marker", help="Go on after the entry with this id.")
@click.option("--sort", "sorts", multiple=True, metavar="KEY[:asc|desc]", help="Order; newest first by default.")
@output_options
@client_options
def show_history(
    client: Client, output: Output, *, alarm_ref: str, limit: int | None, marker: str | None, sorts: tuple[str, ...]
) -> None:
    """Show who and what changed an alarm, newest first."""
    path = path_of("v2", "alarms", _find(client, alarm_ref)["alarm_id"], "history")
    arguments = [("sort", sort) for sort in sorts] + _paging(limit, marker)
    output.rows(client.get(path, arguments), columns=_HISTORY_COLUMNS)


def _find(client: Client, alarm_ref: str) -> dict[str, Any]:
    """Return the alarm with this id or, when there is none, with this name."""
    try:
        found: dict[str, Any] = client.get(path_of("v2", "alarms", alarm_ref))
        return found
    except RequestRefused as refusal:
        if refusal.status != 404:
            raise
        named: list[dict[str, Any]] = client.get("/v2/alarms", _conditions([("name", alarm_ref)]))
        if not named:
            raise
    if len(named) > 1:
        ids = ", ".join(each["alarm_id"] for each in named)
        raise RequestRefused(f"{len(named)} alarms are named {alarm_ref!r}; name one by its id: {ids}")
    return named[0]


def _conditions(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the arguments of Aodh's simple query."""
    arguments = []
    for key, value in pairs:
        arguments += [("q.field", key), ("q.op", "eq"), ("q.value", value)]
    return arguments


def _paging(limit: int | None, marker: str | None) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in (("limit", limit), ("marker", marker)) if value is not None]


def _flat(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an alarm with the attributes of its rule beside its own, as a table shows it."""
    rule_key = f"{item['type']}_rule"
    flat = {key: value for key, value in item.items() if key != rule_key}
    return flat | {key: value for key, value in item.get(rule_key, {}).items() if key not in flat}
