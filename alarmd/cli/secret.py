# SPDX-License-Identifier: Apache-2.0
"""`alarmd secret`: what the webhooks of a project are signed with."""

from datetime import timedelta
from typing import Any, TextIO

import click

from alarmd.cli.client import Client, client_options, path_of
from alarmd.cli.durations import duration, duration_or_none_at_all
from alarmd.cli.output import Output, output_options

_COLUMNS = ("name", "secret_id", "fingerprint", "created_at", "expires_at", "state")
#: What a line that holds a secret may have around it.
_MOST_CHARACTERS = 1_000


@click.group(name="secret")
def secret() -> None:
    """Make, rotate and end the secrets that webhooks are signed with.

    Alarms name one with `--signing-secret`; those that name none are signed with the one called `default`.

    \b
    Examples:
      alarmd secret create                          # all webhooks of the project are signed from now on
      alarmd secret create heat --expires-in 52w
      alarmd secret rotate heat --grace 24h         # old and new sign for a day
      alarmd secret list
      alarmd secret delete heat
    """


_from_file = click.option(
    "--secret-file",
    type=click.File("r"),
    help="Take the secret (whsec_…) from this file, - for standard input, instead of having one drawn.",
)


@secret.command(name="create")
@click.argument("name", default="default")
@click.option(
    "--expires-in", metavar="DURATION", callback=duration, help="Sign so long: 12h, 30d, 52w [default: ever]."
)
@_from_file
@output_options
@client_options
def create_secret(
    client: Client, output: Output, *, name: str, expires_in: timedelta | None, secret_file: TextIO | None
) -> None:
    """Add a secret, called `default` unless named, and show it: this once, when it was drawn by alarmd."""
    body = {"name": name, "expires_in": _seconds(expires_in), "secret": _read(secret_file)}
    output.item(_told(client.post("/v3/secrets", _given(body))))


@secret.command(name="list")
@click.option("--name", help="Secrets of this name only.")
@output_options
@client_options
def list_secrets(client: Client, output: Output, *, name: str | None) -> None:
    """List secrets by their names, newest first, without what is secret about them."""
    arguments = [] if name is None else [("name", name)]
    output.rows(client.get("/v3/secrets", arguments)["secrets"], columns=_COLUMNS)


@secret.command(name="rotate")
@click.argument("name", default="default")
@click.option(
    "--grace",
    metavar="DURATION",
    default="24h",
    show_default=True,
    callback=duration_or_none_at_all,
    help="So long the old ones sign beside the new one; 0s ends them now.",
)
@_from_file
@output_options
@client_options
def rotate_secret(
    client: Client, output: Output, *, name: str, grace: timedelta | None, secret_file: TextIO | None
) -> None:
    """Add a successor and let the secrets of that name end after the grace."""
    body = {"grace": _seconds(grace), "secret": _read(secret_file)}
    output.item(_told(client.post(path_of("v3", "secrets", name, "rotate"), _given(body))))


@secret.command(name="delete")
@click.argument("name")
@click.option("--id", "secret_id", metavar="SECRET_ID", help="Only this one of that name.")
@click.option("--force", is_flag=True, help="Even if alarms name it; what these send is given up then.")
@client_options
def delete_secret(client: Client, *, name: str, secret_id: str | None, force: bool) -> None:
    """End the secrets of a name at once."""
    arguments = [("secret_id", secret_id)] if secret_id else []
    client.delete(path_of("v3", "secrets", name), [*arguments, ("force", "true")] if force else arguments)
    click.echo(f"Secret {secret_id or name} signs no more.")


def _read(file: TextIO | None) -> str | None:
    return None if file is None else file.read(_MOST_CHARACTERS).strip()


def _seconds(length: timedelta | None) -> int | None:
    return None if length is None else round(length.total_seconds())


def _given(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value is not None}


def _told(made: dict[str, Any]) -> dict[str, Any]:
    """Return what was made with the secret first, or without one that the caller has brought."""
    drawn = made.pop("secret")
    return made if drawn is None else {"secret": drawn} | made
