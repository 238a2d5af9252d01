# SPDX-License-Identifier: Apache-2.0
"""`alarmd alarm state`, `history` and `metrics`: what becomes of alarms."""

from typing import Any

import click

from alarmd.cli.alarm_lookup import found_alarm
from alarmd.cli.client import Client, client_options, path_of
from alarmd.cli.complex_query import body_of_query
from alarmd.cli.output import Output, output_options

STATES = ("ok", "alarm", "insufficient data")
_HISTORY_COLUMNS = ("timestamp", "type", "detail", "user_id", "event_id")
_SEARCH_COLUMNS = ("timestamp", "alarm_id", "type", "detail", "user_id")
_COUNTER_COLUMNS = ("alarm_id", "project_id", *STATES)


@click.group(name="state")
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
    output.item({"state": client.get(path_of("v2", "alarms", found_alarm(client, alarm_ref)["alarm_id"], "state"))})


@state.command(name="set")
@click.argument("alarm_ref", metavar="ALARM")
@click.argument("new_state", metavar="STATE", required=False, type=click.Choice(STATES))
@click.option("--state", "state_option", type=click.Choice(STATES), help="The same as STATE.")
@output_options
@client_options
def set_state(client: Client, output: Output, *, alarm_ref: str, new_state: str, state_option: str) -> None:
    """Set an alarm's state: ok, alarm or "insufficient data". No action is taken.

    \b
    Examples:
      alarmd alarm state set cpu_high ok
      alarmd alarm state set cpu_high 'insufficient data'
    """
    wanted = new_state or state_option
    if not wanted:
        raise click.UsageError("Which state? One of: ok, alarm, 'insufficient data'.")
    path = path_of("v2", "alarms", found_alarm(client, alarm_ref)["alarm_id"], "state")
    output.item({"state": client.put(path, wanted)})


@click.command(name="history")
@click.argument("alarm_ref", metavar="[ALARM]", required=False)
@click.option("--search", "query", metavar="QUERY", help="Search the history of all alarms; see `alarm list --help`.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@click.option("--marker", help="Go on after the entry with this id (not with --search).")
@click.option("--sort", "sorts", multiple=True, metavar="KEY[:asc|desc]", help="Order; newest first by default.")
@output_options
@client_options
def show_history(
    client: Client,
    output: Output,
    *,
    alarm_ref: str | None,
    query: str | None,
    limit: int | None,
    marker: str | None,
    sorts: tuple[str, ...],
) -> None:
    """Show who and what changed an alarm, or search what happened to all of them; newest first.

    --search goes by alarm_id, type (creation, "rule change", "state transition", deletion), user_id, project_id,
    on_behalf_of, severity, timestamp and detail. It also finds alarms that have been deleted.

    \b
    Examples:
      alarmd alarm history cpu_high --limit 5
      alarmd alarm history --search 'type="state transition" and timestamp>=2026-11-23'
      alarmd alarm history --search 'type=deletion and user_id=ann' --format json
    """
    if (alarm_ref is None) == (query is None):
        raise click.UsageError("Whose history? Name an ALARM, or what to --search for in all of them ('' for all).")
    if alarm_ref is None:
        if marker is not None:
            raise click.UsageError("--search has no pages: leave --marker out, and narrow by timestamp instead.")
        body = body_of_query(query or "", sorts=sorts, limit=limit)
        found = client.listed("/v2/query/alarms/history", method="POST", body=body, limit=limit)
        output.rows(found, columns=_SEARCH_COLUMNS)
        return
    path = path_of("v2", "alarms", found_alarm(client, alarm_ref)["alarm_id"], "history")
    arguments = [("sort", sort) for sort in sorts]
    arguments += [(name, str(value)) for name, value in (("limit", limit), ("marker", marker)) if value is not None]
    output.rows(client.listed(path, arguments, limit=limit), columns=_HISTORY_COLUMNS)


@click.command(name="metrics")
@click.option("--all-projects", is_flag=True, help="Alarms of every project (administrators).")
@output_options
@client_options
def show_metrics(client: Client, output: Output, *, all_projects: bool) -> None:
    """Show how often evaluating each alarm led to each state.

    The daemon counts when its setting evaluator.count_results says so.

    \b
    Example:
      alarmd alarm metrics --format csv
    """
    arguments = [("all_projects", "true")] if all_projects else []
    counted = client.listed("/v2/metrics", arguments, key="evaluation_results")
    rows = [
        {key: value for key, value in entry.items() if key != "state_counters"} | entry["state_counters"]
        for entry in counted
    ]
    output.rows(rows if output.is_tabular else counted, columns=_COUNTER_COLUMNS)


@click.command(name="capabilities")
@output_options
@client_options
def show_capabilities(client: Client, output: Output) -> None:
    """Show what the server's API can do."""
    told: dict[str, Any] = client.get("/v2/capabilities")
    flat = {name: able for group in told.values() for name, able in group.items()}
    output.item(flat if output.is_tabular else told)
