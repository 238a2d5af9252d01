# SPDX-License-Identifier: Apache-2.0
"""`alarmd config`: the settings, checked and shown."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, SecretStr

from alarmd.cli.config_import import import_settings
from alarmd.cli.settings_options import read_settings, settings_options
from alarmd.cli.toml import toml_value
from alarmd.settings import MASK, Effective, keys

#: A password within a URL.
_PASSWORD = re.compile(r"(?<=:)(?!//)[^@/\s]+(?=@)|(?<=password=)[^&\s]+")
#: Names of plugins' options that must not be shown.
_SECRET_NAME = re.compile(r"(secret|password|token)$", re.IGNORECASE)


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
@click.option("--format", "form", type=click.Choice(["toml", "json"]), default="toml", show_default=True)
def show(effective: Effective, form: str) -> None:
    """Print every setting with its value and where that comes from; secrets are masked."""
    shown = list(_shown(effective))
    if form == "json":
        click.echo(json.dumps({key: {"value": value, "origin": origin} for key, value, origin in shown}, indent=2))
        return
    table = ""
    for key, value, origin in shown:
        section, _, name = key.rpartition(".")
        if section != table:
            table = section
            click.echo(f"\n[{section}]")
        # TOML has no null: a key without a value is one that was not given.
        line = f"# {name} =" if value is None else f"{name} = {toml_value(value)}"
        click.echo(f"{line}  # {origin}")


def _shown(effective: Effective) -> Iterator[tuple[str, Any, str]]:
    """Yield every key, its value without secrets, and where that comes from."""
    for key, _ in keys():
        value: Any = effective.settings
        for part in key.split("."):
            value = getattr(value, part)
        origin = next(
            (
                place
                for at, place in effective.origins.items()
                if at in {key, f"{key}_file"} or at.startswith(f"{key}.")
            ),
            "default",
        )
        yield key, _plain(key, value), origin


def _plain(key: str, value: Any) -> Any:
    """Return a value in JSON's types, with no secret in it."""
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_none=True)
    if isinstance(value, Mapping):
        return {name: _plain(f"{key}.{name}", item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(key, item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    if "://" in text:
        return _PASSWORD.sub(MASK, text)
    return MASK if isinstance(value, SecretStr) or _SECRET_NAME.search(key.rpartition(".")[2]) else text
