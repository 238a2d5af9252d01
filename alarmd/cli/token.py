# SPDX-License-Identifier: Apache-2.0
"""`alarmd token`: what callers prove themselves with where `api.auth` is "tokens"."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import click

from alarmd.cli.durations import duration
from alarmd.cli.output import Output, output_options
from alarmd.cli.settings_options import settings_options
from alarmd.clock import SystemClock
from alarmd.model.token import Token, digest_of, new_secret
from alarmd.settings import Effective
from alarmd.store import schema
from alarmd.store.columns import is_storable
from alarmd.store.database import Database

_COLUMNS = ("token_id", "description", "project_id", "user_id", "roles", "created_at", "expires_at", "state")


@click.group(name="token")
def token() -> None:
    """Make and revoke the tokens of `api.auth = "tokens"`.

    Works on the database itself, so the first token can be made before the daemon runs. Use the daemon's settings, and
    with the embedded SQLite file the daemon's user.

    \b
    Examples:
      alarmd token create --project web --user heat --description "Heat of region one"
      export ALARMD_TOKEN=$(alarmd token create --project web --user ann -f value -c token)
      alarmd token create --role admin --user ops --expires-in 12h
      alarmd token revoke TOKEN_ID
    """


def _roles(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return roles as they are compared: in small letters, each once."""
    roles = [role.strip().lower() for text in given for role in text.split(",")]
    if not all(role and is_storable(role) for role in roles):
        raise click.BadParameter("a role must be a word.")
    return tuple(dict.fromkeys(roles))


def _storable(_context: click.Context, _option: click.Parameter, given: str) -> str:
    if not is_storable(given):
        raise click.BadParameter("it holds a character that no database keeps.")
    return given


@token.command(name="create")
@click.option("--project", "project_id", metavar="ID", default="", callback=_storable, help="Project to act for.")
@click.option("--user", "user_id", metavar="ID", required=True, callback=_storable, help="User to act as.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    default=("member", "reader"),
    show_default=True,
    callback=_roles,
    help="Role to have; may be repeated. `member` writes, `reader` reads, `admin` may do everything everywhere.",
)
@click.option(
    "--expires-in", metavar="DURATION", callback=duration, help="Hold so long: 15m, 12h, 30d [default: ever]."
)
@click.option("--description", default="", callback=_storable, help="What it is for.")
@output_options
@settings_options
def create_token(
    effective: Effective,
    output: Output,
    *,
    project_id: str,
    user_id: str,
    roles: tuple[str, ...],
    expires_in: timedelta | None,
    description: str,
) -> None:
    """Make a token and show it, once: only its digest is kept."""
    if not project_id and "admin" not in roles:
        raise click.UsageError("Name the --project that the token is for; only one with --role admin needs none.")
    settings, secret, now = effective.settings, new_secret(), SystemClock().now()
    made = Token(
        token_id=str(uuid4()),
        digest=digest_of(secret),
        description=description,
        project_id=project_id,
        user_id=user_id,
        roles=roles,
        created_at=now,
        expires_at=now + expires_in if expires_in else None,
    )
    if settings.is_embedded:
        settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        schema.upgrade(settings.store_url)
    with _opened(effective) as database, database.write() as unit:
        unit.tokens.add(made)
    output.item({"token": secret} | _view(made, now))
    if settings.api.auth != "tokens":
        click.echo(f'Note: api.auth is "{settings.api.auth}", so tokens are not looked at.', err=True)


@token.command(name="list")
@output_options
@settings_options
def list_tokens(effective: Effective, output: Output) -> None:
    """List tokens, oldest first, expired ones too."""
    with _opened(effective) as database, database.read() as unit:
        found = unit.tokens.all()
    now = SystemClock().now()
    output.rows([_view(each, now) for each in found], columns=_COLUMNS)


@token.command(name="show")
@click.argument("token_id")
@output_options
@settings_options
def show_token(effective: Effective, output: Output, *, token_id: str) -> None:
    """Show who a token stands for; the token itself cannot be shown again."""
    with _opened(effective) as database, database.read() as unit:
        found = unit.tokens.get(token_id)
    if found is None:
        raise _unknown(token_id)
    output.item(_view(found, SystemClock().now()))


@token.command(name="revoke")
@click.argument("token_ids", metavar="TOKEN_ID...", nargs=-1)
@click.option("--expired", is_flag=True, help="Clear away those that no longer hold.")
@settings_options
def revoke_tokens(effective: Effective, *, token_ids: tuple[str, ...], expired: bool) -> None:
    """Revoke tokens: from the next request on they are refused."""
    if not token_ids and not expired:
        raise click.UsageError("Name the tokens by their ids, or say --expired.")
    if expired:
        with _opened(effective) as database, database.write() as unit:
            removed = unit.tokens.remove_expired(SystemClock().now())
        click.echo(f"Cleared away {removed} expired {'token' if removed == 1 else 'tokens'}.")
    for token_id in token_ids:
        with _opened(effective) as database, database.write() as unit:
            revoked = unit.tokens.remove(token_id)
        if not revoked:
            raise _unknown(token_id)
        click.echo(f"Token {token_id} is revoked.")


@contextmanager
def _opened(effective: Effective) -> Iterator[Database]:
    """Open the database of the settings; raises `StoreUnavailable` when its schema is not this alarmd's."""
    schema.check(effective.settings.store_url)
    database = Database.connect(effective.settings.store_url)
    try:
        yield database
    finally:
        database.close()


def _unknown(token_id: str) -> click.ClickException:
    return click.ClickException(f"There is no token with the id {token_id!r}; `alarmd token list` lists them.")


def _view(each: Token, now: datetime) -> dict[str, Any]:
    return {
        "token_id": each.token_id,
        "description": each.description,
        "project_id": each.project_id,
        "user_id": each.user_id,
        "roles": list(each.roles),
        "created_at": each.created_at.isoformat(),
        "expires_at": each.expires_at.isoformat() if each.expires_at else None,
        "state": "expired" if each.is_expired(now) else "active",
    }
