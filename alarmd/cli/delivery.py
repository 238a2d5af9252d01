# SPDX-License-Identifier: Apache-2.0
"""`alarmd delivery`: what was sent where, and how it went."""

import click

from alarmd.cli.client import Client, client_options, path_of
from alarmd.cli.output import Output, output_options

_COLUMNS = ("created_at", "event_id", "state", "attempts", "last_status", "last_error", "target")


@click.group(name="delivery")
def delivery() -> None:
    """See what became of notifications, and try failed ones again.

    \b
    Examples:
      alarmd delivery list --state buried
      alarmd delivery show EVENT_ID --format yaml
      alarmd delivery retry EVENT_ID
    """


@delivery.command(name="list")
@click.option("--alarm", "alarm_id", metavar="ALARM_ID", help="Deliveries of this alarm only.")
@click.option(
    "--state",
    type=click.Choice(["pending", "delivered", "buried", "superseded"]),
    help="Deliveries in this state only; buried ones were given up.",
)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
@click.option("--marker", metavar="EVENT_ID", help="Go on after this delivery.")
@output_options
@client_options
def list_deliveries(
    client: Client, output: Output, *, alarm_id: str | None, state: str | None, limit: int, marker: str | None
) -> None:
    """List deliveries, newest first."""
    wanted = {"alarm_id": alarm_id, "state": state, "limit": str(limit), "marker": marker}
    arguments = [(name, value) for name, value in wanted.items() if value is not None]
    output.rows(client.get("/v3/deliveries", arguments)["deliveries"], columns=_COLUMNS)


@delivery.command(name="show")
@click.argument("event_id")
@output_options
@client_options
def show_delivery(client: Client, output: Output, *, event_id: str) -> None:
    """Show one delivery: body, tries, the receiver's last answer."""
    output.item(client.get(path_of("v3", "deliveries", event_id)))


@delivery.command(name="retry")
@click.argument("event_ids", metavar="EVENT_ID...", nargs=-1, required=True)
@output_options
@client_options
def retry_deliveries(client: Client, output: Output, *, event_ids: tuple[str, ...]) -> None:
    """Put buried deliveries back in the queue, to be tried at once.

    \b
    Example:
      alarmd delivery retry $(alarmd delivery list --state buried -f value -c event_id)
    """
    retried = [client.post(path_of("v3", "deliveries", event_id, "retry")) for event_id in event_ids]
    output.rows(retried, columns=_COLUMNS)
