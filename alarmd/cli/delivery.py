# SPDX-License-Identifier: Apache-2.0
"""`alarmd delivery`: what was sent where, and how it went."""

from collections.abc import Callable
from typing import Any

import click

from alarmd.cli.client import Client, client_options, path_of
from alarmd.cli.durations import moment
from alarmd.cli.output import Output, output_options
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState

_COLUMNS = ("created_at", "event_id", "state", "direction", "attempts", "last_status", "last_error", "target")


@click.group(name="delivery")
def delivery() -> None:
    """See what became of notifications, try failed ones again, take others out.

    \b
    Examples:
      alarmd delivery list --state buried --since 1h
      alarmd delivery show EVENT_ID --format yaml
      alarmd delivery retry EVENT_ID
      alarmd delivery retry --all --target scaler.example
      alarmd delivery drop EVENT_ID
    """


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which deliveries; it gets them as `wanted`, by their names in the API."""
    span = "moment, or so long ago: 2026-01-01T12:00, 90s, 15m, 12h, 30d"

    @click.option("--alarm", "alarm_id", metavar="ALARM_ID", help="Deliveries of this alarm only.")
    @click.option("--target", metavar="HOST|URL", help="To this host; of a URL scheme, host and port count.")
    @click.option("--direction", type=click.Choice([str(one) for one in Direction]), help="That lead there only.")
    @click.option("--since", metavar="TIME", callback=moment, help=f"Made then or later: {span}.")
    @click.option("--until", metavar="TIME", callback=moment, help="Made before then.")
    def filtered(*args: Any, **kwargs: Any) -> Any:
        names = ("alarm_id", "target", "direction", "since", "until")
        wanted = {name: value for name in names if (value := kwargs.pop(name)) is not None}
        return command(*args, wanted=wanted, **kwargs)

    filtered.__doc__ = command.__doc__
    return filtered


@delivery.command(name="list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([str(state) for state in DeliveryState]),
    help="Deliveries in this state only, repeatable; buried ones were given up.",
)
@click.option("--event", "prefix", metavar="PREFIX", help="Whose id begins so.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
@click.option("--marker", metavar="EVENT_ID", help="Go on after this delivery.")
@output_options
@client_options
@_filters
def list_deliveries(
    client: Client,
    output: Output,
    *,
    wanted: dict[str, str],
    states: tuple[str, ...],
    prefix: str | None,
    limit: int,
    marker: str | None,
) -> None:
    """List deliveries, newest first."""
    more = {"event_id": prefix, "marker": marker, "limit": str(limit)}
    arguments = [*wanted.items(), *(("state", state) for state in states)]
    arguments += [(name, value) for name, value in more.items() if value is not None]
    output.rows(client.get("/v3/deliveries", arguments)["deliveries"], columns=_COLUMNS)


@delivery.command(name="show")
@click.argument("event_id")
@output_options
@client_options
def show_delivery(client: Client, output: Output, *, event_id: str) -> None:
    """Show one delivery: body, tries, the receiver's last answer."""
    output.item(client.get(path_of("v3", "deliveries", event_id)))


@delivery.command(name="retry")
@click.argument("event_ids", metavar="[EVENT_ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All buried ones that the options mean, newest first.")
@output_options
@client_options
@_filters
def retry_deliveries(
    client: Client, output: Output, *, wanted: dict[str, str], event_ids: tuple[str, ...], everything: bool
) -> None:
    """Put buried deliveries back in the queue, to be tried at once.

    \b
    Examples:
      alarmd delivery retry 8c4f1c0e-…_17_0
      alarmd delivery retry --all --target scaler.example --since 1h
    """
    if everything == bool(event_ids) or (wanted and not everything):
        raise click.UsageError("Name deliveries by their ids, or say --all, with options that narrow it.")
    if event_ids:
        retried = [client.post(path_of("v3", "deliveries", event_id, "retry")) for event_id in event_ids]
        output.rows(retried, columns=_COLUMNS)
        return
    states = _retry_all(client, wanted)
    rows = [{"event_id": event_id, "state": str(state)} for event_id, state in states.items()]
    output.rows(rows, columns=("event_id", "state"))
    held = sum(state is DeliveryState.HELD for state in states.values())
    if held:
        click.echo(f"The breaker holds back {held} of them until it closes: see `alarmd breaker show`.", err=True)


@delivery.command(name="drop")
@click.argument("event_ids", metavar="EVENT_ID...", nargs=-1, required=True)
@output_options
@client_options
def drop_deliveries(client: Client, output: Output, *, event_ids: tuple[str, ...]) -> None:
    """Take deliveries that wait, or are held back, out of the queue, for good."""
    dropped = [client.post(path_of("v3", "deliveries", event_id, "drop")) for event_id in event_ids]
    output.rows(dropped, columns=_COLUMNS)


def _retry_all(client: Client, wanted: dict[str, str]) -> dict[str, DeliveryState]:
    """Put all buried deliveries back and return what they are then, by their ids.

    Those that fail again meanwhile are not put back twice.
    """
    done: dict[str, DeliveryState] = {}
    more = True
    while more:
        answer = client.post("/v3/retries", wanted)
        new = dict.fromkeys((one for one in answer["event_ids"] if one not in done), DeliveryState.PENDING)
        more = answer["more"] and len(new) == answer["retried"]
        done |= new | dict.fromkeys(answer["held"], DeliveryState.HELD)
    return done
