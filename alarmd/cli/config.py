# SPDX-License-Identifier: Apache-2.0
"""`alarmd config`: the settings, checked and shown."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from alarmd.cli.config_import import import_settings
from alarmd.cli.settings_options import read_settings, settings_options
from alarmd.cli.toml import toml_value
from alarmd.settings import Effective, keys, shown, value_of


@click.group(name="config")
def config() -> None:
    """Check and show the settings, and bring those of an Aodh over."""


config.add_command(import_settings)


@config.command()
@click.argument("path", metavar="[FILE]", required=False, envvar="ALARMD_CONFIG", type=click.Path(path_type=Path))
def check(path: Path | None) -> None:
    """Check a settings file together with the environment, plugins' options included; starts nothing."""
    from alarmd.runtime import Runtime  # noqa: PLC0415  # takes half a second

    Runtime(settings=read_settings(path, {}).settings).check()
    click.echo(f"{path or 'The environment'}: fine.")


@config.command()
@settings_options
@click.option(
    "--format", "form", type=click.Choice(["toml", "json"]), default="toml", show_default=True, help="How they look."
)
def show(effective: Effective, form: str) -> None:
    """Print every setting with its value and where that comes from; secrets are masked."""
    entries = list(_every(effective))
    if form == "json":
        click.echo(json.dumps({key: {"value": value, "origin": origin} for key, value, origin in entries}, indent=2))
        return
    table = ""
    for key, value, origin in entries:
        section, _, name = key.rpartition(".")
        if section != table:
            table = section
            click.echo(f"\n[{section}]")
        # TOML has no null: a key without a value is one that was not given.
        line = f"# {name} =" if value is None else f"{name} = {toml_value(value)}"
        click.echo(f"{line}  # {origin}")


def _every(effective: Effective) -> Iterator[tuple[str, Any, str]]:
    """Yield every key, its value without secrets, and where that comes from."""
    for key, _ in keys():
        origin = next(
            (
                place
                for at, place in effective.origins.items()
                if at in {key, f"{key}_file"} or at.startswith(f"{key}.")
            ),
            "default",
        )
        yield key, shown(key, value_of(effective.settings, key)), origin
