# SPDX-License-Identifier: Apache-2.0
"""`alarmd alarm`: alarms, as people make and watch them."""

from collections.abc import Sequence
from http import HTTPStatus

import click

from alarmd.cli.alarm_definition import create_alarm, update_alarm
from alarmd.cli.alarm_explain import explain_alarm
from alarmd.cli.alarm_lookup import flat, found_alarm
from alarmd.cli.alarm_preview import backtest_alarm, preview_alarm
from alarmd.cli.alarm_state import show_capabilities, show_history, show_metrics, state
from alarmd.cli.client import Client, RequestRefused, client_options, path_of
from alarmd.cli.complex_query import body_of_query
from alarmd.cli.notation import pairs_of
from alarmd.cli.output import Output, output_options

_COLUMNS = ("alarm_id", "type", "name", "state", "severity", "enabled")


@click.group(name="alarm")
def alarm() -> None:
    """Create, watch and change alarms.

    \b
    Examples:
      alarmd alarm create --name cpu_high --meter-name cpu_util --threshold 80 \\
          --comparison gt --period 10 --query 'labels.group=web' \\
          --alarm-action http://127.0.0.1:9000/scale-out
      alarmd alarm list --query 'state=alarm and severity!=low'
      alarmd alarm show cpu_high --format yaml
      alarmd alarm update cpu_high --threshold 90
      alarmd alarm history cpu_high
      alarmd alarm explain cpu_high
      alarmd alarm preview -f cpu_high.yaml --since 1h

    Wherever an ALARM is asked for, its id or its name will do.
    """


for _command in (
    create_alarm,
    update_alarm,
    state,
    show_history,
    explain_alarm,
    show_metrics,
    show_capabilities,
    preview_alarm,
    backtest_alarm,
):
    alarm.add_command(_command)


@alarm.command(name="list")
@click.option("--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Narrow the list, e.g. state=alarm.")
@click.option("--query", metavar="QUERY", help="Narrow it by more than equality, e.g. 'state=ok and name=~\"^web\"'.")
@click.option("--all-projects", is_flag=True, help="Alarms of every project (administrators).")
@click.option("--sort", "sorts", multiple=True, metavar="KEY[:asc|desc]", help="Order; newest first by default.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@click.option("--marker", help="Go on after the alarm with this id (not with --query).")
@output_options
@client_options
def list_alarms(
    client: Client,
    output: Output,
    *,
    filters: tuple[str, ...],
    query: str | None,
    all_projects: bool,
    sorts: tuple[str, ...],
    limit: int | None,
    marker: str | None,
) -> None:
    """List alarms, of your project unless told otherwise.

    A --query has conditions FIELD OP VALUE with OP one of = != < <= > >= and =~ (regular expression), or
    FIELD in [VALUE, …]; joined by and, or, not and brackets. Values with blanks need quotes, and so do numbers that
    are names. The server's own JSON is taken as well. It covers every project that you may see.

    \b
    Examples:
      alarmd alarm list --filter state=alarm --filter 'severity=critical'
      alarmd alarm list --sort name --limit 20 --format csv
      alarmd alarm list --format value --column alarm_id
      alarmd alarm list --query 'state="insufficient data" and not enabled=false'
      alarmd alarm list --query 'severity in [moderate, critical] or name=~"^db"'
      alarmd alarm list --query '{"=": {"user_id": "ann"}}'
    """
    if query is not None:
        if filters or marker is not None:
            raise click.UsageError("--query says it all: leave --filter and --marker out.")
        body = body_of_query(query, sorts=sorts, limit=limit)
        output.rows(client.listed("/v2/query/alarms", method="POST", body=body, limit=limit), columns=_COLUMNS)
        return
    wanted = pairs_of(filters, option="--filter")
    if all_projects:
        wanted.append(("all_projects", "true"))
    arguments = _conditions(wanted) + [("sort", sort) for sort in sorts]
    arguments += [(name, str(value)) for name, value in (("limit", limit), ("marker", marker)) if value is not None]
    output.rows(client.listed("/v2/alarms", arguments, limit=limit), columns=_COLUMNS)


@alarm.command(name="show")
@click.argument("alarm_ref", metavar="ALARM")
@output_options
@client_options
def show_alarm(client: Client, output: Output, *, alarm_ref: str) -> None:
    """Show one alarm, whole.

    \b
    Examples:
      alarmd alarm show cpu_high
      alarmd alarm show cpu_high --format yaml > cpu_high.yaml   # for --file
    """
    found = found_alarm(client, alarm_ref)
    output.item(flat(found) if output.is_tabular else found)


@alarm.command(name="delete")
@click.argument("alarm_refs", metavar="ALARM...", nargs=-1, required=True)
@click.option("--cascade", is_flag=True, help="Also delete the composite alarms that refer to them.")
@client_options
def delete_alarms(client: Client, *, alarm_refs: tuple[str, ...], cascade: bool) -> None:
    """Delete alarms. Notifications that still wait for delivery are given up.

    An alarm that others refer to is not deleted, unless these go too.

    \b
    Examples:
      alarmd alarm delete cpu_high cpu_low
      alarmd alarm delete cpu_high --cascade
    """
    # Looked up first: one of them may go with another.
    alarm_ids = [found_alarm(client, alarm_ref)["alarm_id"] for alarm_ref in alarm_refs]
    for place, alarm_id in enumerate(alarm_ids):
        try:
            client.delete(path_of("v2", "alarms", alarm_id), [("cascade", "true")] if cascade else [])
        except RequestRefused as error:
            if not (cascade and place and error.status == HTTPStatus.NOT_FOUND):
                raise
        click.echo(f"Deleted alarm {alarm_id}.", err=True)


def _conditions(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the arguments of Aodh's simple query."""
    arguments = []
    for key, value in pairs:
        arguments += [("q.field", key), ("q.op", "eq"), ("q.value", value)]
    return arguments
