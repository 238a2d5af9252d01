# SPDX-License-Identifier: Apache-2.0
"""`alarmd config import`: an Aodh's settings, translated."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from alarmd.cli.aodh_conf import AodhOption, read_aodh_conf
from alarmd.cli.aodh_options import translate
from alarmd.cli.toml import toml_key, toml_value
from alarmd.errors import AlarmdError
from alarmd.settings import MASK, SECRETS, keys, load

#: Sections of aodh.conf whose word counts last. At Keystone alarmd is one user: the one whose trusts Aodh holds.
_LAST_WORD = "service_credentials"
_STDOUT = Path("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    value: Any
    #: The option that it comes from.
    origin: str


@dataclass(slots=True, kw_only=True)
class _Translation:
    settings: dict[str, _Setting] = field(default_factory=dict)
    #: What a person still has to know or to do.
    notes: list[str] = field(default_factory=list)
    #: Options that became nothing, each with why.
    dropped: list[str] = field(default_factory=list)


@click.command(name="import")
@click.argument("source", metavar="AODH_CONF", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path),
    default=Path("alarmd.toml"),
    show_default=True,
    help="File to write; - for standard output, where passwords are left out.",
)
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
def import_settings(source: Path, target: Path, *, force: bool) -> None:
    """Translate an aodh.conf into alarmd's settings.

    The file says where each setting comes from. It can be read by its owner only, because it holds the passwords of
    the old one. What has no counterpart is listed on standard error, with the reason.

    \b
    Examples:
      alarmd config import /etc/aodh/aodh.conf
      alarmd config import /etc/aodh/aodh.conf -o /etc/alarmd/alarmd.toml --force
      alarmd config import /etc/aodh/aodh.conf -o - | less
    """
    found = _translated(read_aodh_conf(source))
    text = "\n".join(_written(source, found.settings, masked=target == _STDOUT)) + "\n"
    if target == _STDOUT:
        click.echo(text, nl=False)
    else:
        _write(target, text, force=force)
        click.echo(f"Wrote {target} with {len(found.settings)} settings of {source}.", err=True)
    for title, lines in (("Mind:", found.notes), ("Not taken over:", found.dropped)):
        if lines:
            click.echo("\n".join([title, *(f"  {line}." for line in lines)]), err=True)
    if target != _STDOUT:
        _check(target)


# --- translating ---------------------------------------------------------------------------------------------------
def _translated(options: list[AodhOption]) -> _Translation:
    found = _Translation()
    for option in sorted(options, key=lambda one: one.group == _LAST_WORD):
        _take(option, found)
    if not any((option.group, option.name) == ("api", "auth_mode") for option in options):
        found.settings["api.auth"] = _Setting(value="keystone", origin="Aodh's default")
    _settle_keystone(found)
    _mention(found)
    return found


def _take(option: AodhOption, found: _Translation) -> None:
    known = {key for key, _ in keys()}
    try:
        outcome = translate(option)
    except ValueError as error:
        found.dropped.append(f"{option} (line {option.line}): its value cannot be read: {error}")
        return
    if isinstance(outcome, str):
        found.dropped.append(f"{option} (line {option.line}): {outcome}")
        return
    for key, said in outcome.items():
        value = said
        if key not in known and not key.startswith("notifier.schemes."):
            found.dropped.append(f"{option} (line {option.line}): alarmd has nothing like it")
            continue
        before = found.settings.get(key)
        if before is not None and isinstance(value, list):
            value = [*before.value, *value]
        elif before is not None and before.value != value:
            found.notes.append(f"{before.origin} is not used, because {option} (line {option.line}) says otherwise")
        found.settings[key] = _Setting(value=value, origin=f"{option}, line {option.line}")
        if "$" in str(value):
            found.notes.append(f"{key} holds a $, which Aodh replaces by another option's value and alarmd does not")


def _settle_keystone(found: _Translation) -> None:
    """Leave out what would not work by halves: a Keystone without an address, or one without a password."""
    given = found.settings
    if {"keystone.auth_url", "keystone.password"} <= given.keys():
        return
    lost = given.pop("keystone.auth_url", None)
    if given.get("api.auth", _Setting(value="", origin="")).value == "keystone":
        origin = given.pop("api.auth").origin
        found.notes.append(
            f'api.auth is not set to "keystone" ({origin}), because the file does not name keystone\'s auth_url with '
            "a password; until you set both, only this machine can reach the API"
        )
    elif lost is not None:
        found.notes.append(f"keystone.auth_url is left out ({lost.origin}), because there is no password with it")


def _mention(found: _Translation) -> None:
    """Say what the new settings ask of a person."""
    given = found.settings
    store = given.get("store.url")
    if store is not None:
        name = store.value.rpartition("/")[2].partition("?")[0]
        found.notes.append(
            f"store.url names a database of alarmd's own, {name}: create it on the same server, then run "
            "`alarmd db upgrade`, and bring the alarms over with `alarmd import aodh --from-db`"
        )
    if "api.auth" in given:
        found.notes.append("aodh.conf does not say where the API listens: set api.listen")
    if "keystone.password" in given or store is not None:
        found.notes.append("passwords stand in the file; each may move to a file of its own, named by …_file")


# --- writing -------------------------------------------------------------------------------------------------------
def _written(source: Path, settings: Mapping[str, _Setting], *, masked: bool) -> Iterator[str]:
    yield f"# Translated from {source} by `alarmd config import`. docs/settings.md explains every key."
    order = {key: place for place, (key, _) in enumerate(keys())}
    section = ""
    for key in sorted(settings, key=lambda key: (key.count(".") > 1, order.get(key, len(order)), key)):
        setting = settings[key]
        table, _, name = key.rpartition(".")
        if table != section:
            section = table
            yield f"\n[{'.'.join(toml_key(part) for part in table.split('.'))}]"
        line = f"{name} = {toml_value(setting.value)}"
        if masked and key in SECRETS:
            line = f"# {name} = {toml_value(MASK)}"
        yield f"{line}  # {setting.origin}"


def _write(target: Path, text: str, *, force: bool) -> None:
    draft = target.with_name(f".{target.name}.new")
    try:
        if force:
            draft.unlink(missing_ok=True)
            _create(draft, text)
            draft.replace(target)
        else:
            _create(target, text)
    except FileExistsError as error:
        raise click.ClickException(f"{target} is there already. Replace it with --force, or name another.") from error
    except OSError as error:
        raise click.ClickException(f"{target} cannot be written: {error.strerror}.") from error


def _create(path: Path, text: str) -> None:
    """Write a new file that only its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _check(target: Path) -> None:
    from alarmd.runtime import Runtime  # noqa: PLC0415  # takes half a second

    try:
        Runtime(settings=load(target, {})).check()
    except AlarmdError as error:
        raise click.ClickException(f"{target} is written, but cannot be used yet. {error.message}") from error
