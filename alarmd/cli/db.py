# SPDX-License-Identifier: Apache-2.0
"""`alarmd db`: the schema of the database."""

import click

from alarmd.cli.settings_options import settings_options
from alarmd.settings import Effective
from alarmd.store import schema


@click.group(name="db")
def db() -> None:
    """Create, upgrade and check the database.

    With the embedded SQLite file `alarmd run` does all this by itself.
    """


@db.command()
@settings_options
def upgrade(effective: Effective) -> None:
    """Bring the schema to the newest revision; creates it when there is none."""
    settings = effective.settings
    if settings.is_embedded:
        settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    schema.upgrade(settings.store_url)
    click.echo(f"The schema is at revision {schema.current(settings.store_url)}.")


@db.command()
@settings_options
def current(effective: Effective) -> None:
    """Print the revision of the schema."""
    revision = schema.current(effective.settings.store_url)
    if revision is None:
        raise click.ClickException("There is no schema yet. Create it with: alarmd db upgrade")
    click.echo(revision)


@db.command()
@settings_options
def check(effective: Effective) -> None:
    """Fail unless the schema is the one that this alarmd needs."""
    schema.check(effective.settings.store_url)
    click.echo("The schema is up to date.")
