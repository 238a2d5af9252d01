# SPDX-License-Identifier: Apache-2.0
"""`alarmd breaker`: whether scale-in is held back in the whole installation."""

import click

from alarmd.cli.client import Client, client_options
from alarmd.cli.output import Output, output_options


@click.group(name="breaker")
def breaker() -> None:
    """See whether scale-in is held back in the whole installation, and why."""


@breaker.command(name="show")
@output_options
@client_options
def show_breaker(client: Client, output: Output) -> None:
    """Show whether scale-in is held back, since when and why.

    \b
    Example:
      alarmd breaker show
    """
    found = client.get("/v3/breaker", [])
    trips = found["trips"]
    output.item(
        {
            "open": found["is_open"],
            "held": found["held"],
            "since": trips[0]["since"] if trips else None,
            "until": max(one["until"] for one in trips) if trips else None,
            "reasons": [one["reason"] for one in trips],
        }
    )
