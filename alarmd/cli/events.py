# SPDX-License-Identifier: Apache-2.0
"""`alarmd events`: push events by hand or from a file."""

import json
import re
from collections.abc import Sequence
from typing import Any, TextIO
from uuid import uuid4

import click

from alarmd.cli.client import Client, client_options
from alarmd.cli.output import Output, output_options

_TRAIT = re.compile(r"(?P<name>[^=]+)=(?:(?P<type>string|integer|float|datetime)::)?(?P<value>.*)", re.DOTALL)


@click.group(name="events")
def events() -> None:
    """Tell the alarms that wait for events that something has happened.

    \b
    Examples:
      alarmd events push --type compute.instance.update --trait state=error
      alarmd events push --file events.json
    """


@events.command(name="push")
@click.option("--type", "event_type", help="Type of the event.")
@click.option(
    "-t",
    "--trait",
    "traits",
    multiple=True,
    metavar="NAME=[TYPE::]VALUE",
    help="May be repeated. TYPE is string, integer, float or datetime; string by default.",
)
@click.option("--message-id", help="Name of the event; a new one by default.")
@click.option("--project-id", help="Project whose alarms it concerns (administrators).")
@click.option("-F", "--file", "source", type=click.File(encoding="utf-8"), help="JSON: events; - for stdin.")
@output_options
@client_options
def push_events(
    client: Client,
    output: Output,
    *,
    event_type: str | None,
    traits: tuple[str, ...],
    message_id: str | None,
    project_id: str | None,
    source: TextIO | None,
) -> None:
    """Push one event, or a file of them. Exit code 1 when any is rejected.

    \b
    Examples:
      alarmd events push --type disk.full --trait host=web-1 --trait used=float::98.5
      alarmd events push --type compute.instance.update --trait state=stopped --project-id web-team
      ceilometer-dump | alarmd events push --file -
    """
    if source is not None:
        if event_type or traits or message_id or project_id:
            raise click.UsageError("With --file, everything about an event stands in the file.")
        pushed = _document(source)
    elif event_type:
        event: dict[str, Any] = {
            "event_type": event_type,
            "message_id": message_id or str(uuid4()),
            "traits": _traits(traits),
        }
        pushed = {"events": [event | ({"project_id": project_id} if project_id else {})]}
    else:
        raise click.UsageError("Missing --type: name the type of the event, or push many with --file.")
    answer = client.push("/v3/events", pushed)
    for rejection in answer["rejected"]:
        click.echo(f"event {rejection['index']}: {rejection['reason']}", err=True)
    output.item({"accepted": answer["accepted"], "rejected": len(answer["rejected"])})
    if answer["rejected"]:
        raise click.exceptions.Exit(1)


def _traits(texts: Sequence[str]) -> list[list[str]]:
    """Return traits as they are pushed; the server converts each to its type."""
    traits = []
    for text in texts:
        match = _TRAIT.fullmatch(text)
        if match is None:
            raise click.UsageError(f"{text!r} of --trait is no trait; write NAME=VALUE or NAME=TYPE::VALUE.")
        traits.append([match["name"].strip(), match["type"] or "string", match["value"]])
    return traits


def _document(source: TextIO) -> Any:
    try:
        return json.load(source)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{getattr(source, 'name', 'the file')} is not JSON: {error}") from error
