# SPDX-License-Identifier: Apache-2.0
"""`alarmd silence`: for a while, the actions of some alarms are not taken."""

import re
from typing import Any

import click

from alarmd.cli.alarm_lookup import found_alarm
from alarmd.cli.client import Client, client_options, path_of
from alarmd.cli.notation import constraint_of, pairs_of
from alarmd.cli.output import Output, output_options

_COLUMNS = ("silence_id", "state", "ends_at", "author", "comment", "alarm_id", "labels", "direction", "project_id")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def _length(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    """Return a length of time in seconds."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip())
    if found is None or int(found[1]) == 0:
        raise click.BadParameter(f"{text!r} is no length of time; write it like 90s, 30m, 2h or 7d.")
    return int(found[1]) * _SECONDS[found[2]]


@click.group(name="silence")
def silence() -> None:
    """Keep actions back for a while. States and history go on as ever; what is kept back is not made up for.

    \b
    Examples:
      alarmd silence create --alarm cpu_low --for 2h --comment 'loading data'
      alarmd silence create --label team=web --direction in --for 30m --comment 'moving racks'
      alarmd silence list
      alarmd silence end SILENCE_ID
    """


@silence.command(name="create")
@click.option("--alarm", "alarm_ref", metavar="ALARM", help="This alarm only, by id or name.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Alarms with this label; repeatable.")
@click.option("--direction", type=click.Choice(["out", "in", "neutral"]), help="Actions that lead there only.")
@click.option("--everything", is_flag=True, help="All alarms (administrators).")
@click.option("--project-id", metavar="PROJECT", help="Whose alarms; your own by default (administrators).")
@click.option("--all-projects", is_flag=True, help="The alarms of all projects (administrators).")
@click.option("--for", "duration", callback=_length, metavar="LENGTH", help="How long, e.g. 90s, 30m, 2h or 7d.")
@click.option("--until", "ends_at", metavar="TIME", help="When it is over, ISO 8601; this or --for.")
@click.option("--from", "starts_at", metavar="TIME", help="When it begins, ISO 8601.  [default: now]")
@click.option(
    "--time-constraint",
    "time_constraints",
    multiple=True,
    metavar="name=…;start=CRON;duration=S",
    help="In force at these times only; also ;timezone=ZONE. Repeatable.",
)
@click.option("--comment", required=True, help="Why, for those who wonder.")
@output_options
@client_options
def create_silence(
    client: Client,
    output: Output,
    *,
    alarm_ref: str | None,
    labels: tuple[str, ...],
    time_constraints: tuple[str, ...],
    **options: Any,
) -> None:
    """Begin a silence. What it is about holds together: an alarm has to meet all of it.

    It has an end, always. With time constraints it recurs until then: each of its turns lasts as long as the constraint
    says, by the clock of its zone.

    \b
    Examples:
      alarmd silence create --label team=web --direction in --for 30m --comment 'moving racks'
      # No scale-in at night, for two weeks
      alarmd silence create --direction in --for 14d --comment 'backups run at night' \\
          --time-constraint 'name=night;start=0 22 * * *;duration=28800;timezone=Europe/Berlin'
      alarmd silence create --everything --all-projects --for 10m --comment 'network is down'
    """
    if (options["duration"] is None) == (options["ends_at"] is None):
        raise click.UsageError("A silence has an end: give either --for or --until.")
    body = {key: value for key, value in options.items() if value not in {None, False}}
    if alarm_ref is not None:
        body["alarm_id"] = found_alarm(client, alarm_ref)["alarm_id"]
    if labels:
        body["labels"] = dict(pairs_of(labels, option="--label"))
    if time_constraints:
        body["time_constraints"] = [constraint_of(text) for text in time_constraints]
    output.item(client.post("/v3/silences", body))


@silence.command(name="list")
@click.option("--alarm", "alarm_ref", metavar="ALARM", help="Those that name this alarm, by id or name.")
@click.option("--project-id", metavar="PROJECT", help="Those that concern this project (administrators).")
@click.option("--ended", is_flag=True, help="Those that are over, too.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
@click.option("--marker", metavar="SILENCE_ID", help="Go on after this silence.")
@output_options
@client_options
def list_silences(
    client: Client,
    output: Output,
    *,
    alarm_ref: str | None,
    project_id: str | None,
    ended: bool,
    limit: int,
    marker: str | None,
) -> None:
    """List silences, newest first: those of your project, and those of all projects."""
    alarm_id = None if alarm_ref is None else found_alarm(client, alarm_ref)["alarm_id"]
    wanted = {
        "alarm_id": alarm_id,
        "project_id": project_id,
        "ended": "true" if ended else None,
        "limit": str(limit),
        "marker": marker,
    }
    arguments = [(name, value) for name, value in wanted.items() if value is not None]
    found = client.get("/v3/silences", arguments)["silences"]
    output.rows(found, columns=_COLUMNS)
    for one in found:
        if one.get("warning"):
            click.echo(f"Silence {one['silence_id']}: {one['warning']}", err=True)


@silence.command(name="show")
@click.argument("silence_id")
@output_options
@client_options
def show_silence(client: Client, output: Output, *, silence_id: str) -> None:
    """Show one silence, also when it is over."""
    output.item(client.get(path_of("v3", "silences", silence_id)))


@silence.command(name="end")
@click.argument("silence_ids", metavar="SILENCE_ID...", nargs=-1, required=True)
@client_options
def end_silences(client: Client, *, silence_ids: tuple[str, ...]) -> None:
    """End silences now. They stay for the record; what they have kept back is not sent any more.

    \b
    Example:
      alarmd silence end $(alarmd silence list -f value -c silence_id)
    """
    for silence_id in silence_ids:
        client.delete(path_of("v3", "silences", silence_id))
        click.echo(f"Ended silence {silence_id}.", err=True)
