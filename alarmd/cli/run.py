# SPDX-License-Identifier: Apache-2.0
"""`alarmd run`: looks at everything that can be wrong, then starts the daemon."""

import errno
import signal
import socket
import sys
import threading
from pathlib import Path

import click
import structlog

from alarmd import __version__
from alarmd.cli.settings_options import read_settings
from alarmd.errors import AlarmdError
from alarmd.runtime import Runtime
from alarmd.settings import ROLES, Settings
from alarmd.store import schema
from alarmd.telemetry import LogFormat, LogLevel, configure_logging
from alarmd.workers.state_dir import StateLock
from alarmd.workers.supervisor import Supervisor

logger = structlog.get_logger()

#: How many connections may wait to be accepted.
_BACKLOG = 512


@click.command(name="run")
@click.option(
    "--config",
    "config_path",
    envvar="ALARMD_CONFIG",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Settings in TOML [env: ALARMD_CONFIG].",
)
@click.option("--state-dir", metavar="DIR", help="Where everything is kept [default: ./alarmd-state].")
@click.option("--listen", metavar="HOST:PORT", help="Where the API answers [default: 127.0.0.1:8042].")
@click.option("--roles", metavar="ROLE,...", help=f"What to run here [default: {','.join(ROLES)}].")
@click.option("--migrate", is_flag=True, help="Bring the schema up to date first; SQLite's always is.")
def run(
    *, config_path: Path | None, state_dir: str | None, listen: str | None, roles: str | None, migrate: bool
) -> None:
    """Run the daemon.

    Needs no option: state in ./alarmd-state (or $STATE_DIRECTORY), the API on 127.0.0.1:8042, every role, SQLite.
    Ends in order on SIGTERM and Ctrl-C; reads the settings again on SIGHUP.
    """
    # Until the supervisor takes it over: a SIGHUP while things are made ready ends nothing, and is not forgotten.
    hangup = threading.Event()
    signal.signal(signal.SIGHUP, lambda *_: hangup.set())
    overrides = {"state_dir": state_dir, "api.listen": listen, "roles": roles}

    def read() -> Settings:
        return read_settings(config_path, overrides).settings

    settings = read()
    runtime = Runtime(settings=settings)
    runtime.check()
    _configure_logging(settings)
    lock = StateLock.take(settings.state_dir, clock=runtime.clock, patience_s=settings.drain_timeout_s)
    listening = _bind(settings) if "api" in settings.roles else None
    if set(settings.roles) != {"poller"}:
        _prepare_database(settings, migrate=migrate)
    address = _address(settings, listening)
    logger.info("daemon_started", version=__version__, state_dir=str(settings.state_dir), roles=settings.roles)
    try:
        Supervisor(runtime, listening=listening, hangup=hangup).run(
            on_ready=lambda: _announce(settings, address), read_settings=read, on_settings=_configure_logging
        )
    finally:
        lock.release()


def _configure_logging(settings: Settings) -> None:
    form = settings.logging.format
    if form == "auto":
        form = "console" if sys.stderr.isatty() else "json"
    configure_logging(level=LogLevel(settings.logging.level), log_format=LogFormat(form))


def _bind(settings: Settings) -> socket.socket:
    """Take the API's port before anything else is started. Raises `AlarmdError` that names the remedy."""
    host, port = settings.api.host, settings.api.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    elsewhere = "choose another address with --listen HOST:PORT (or api.listen)"
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AlarmdError(
                f"Port {port} on {host} is in use by another program; `ss -ltnp sport = :{port}` shows which. "
                f"Stop it, or {elsewhere}; port 0 takes a free one.",
                port=port,
            ) from error
        raise AlarmdError(f"{host} port {port} cannot be listened on: {error.strerror}; {elsewhere}.") from error
    # Inherited by every connection: an answer in two packets must not wait for the acknowledgement of the first.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _prepare_database(settings: Settings, *, migrate: bool) -> None:
    """Make sure that the database is there and its schema is the one that this alarmd knows."""
    if settings.is_embedded or migrate:
        schema.upgrade(settings.store_url)
    schema.check(settings.store_url)


def _address(settings: Settings, listening: socket.socket | None) -> str:
    if listening is None:
        return ""
    host = settings.api.host
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


def _announce(settings: Settings, address: str) -> None:
    where = f" at {address}" if address else ""
    click.echo(
        f"alarmd {__version__} is ready{where} (state: {settings.state_dir}, roles: {', '.join(settings.roles)})"
    )
    sys.stdout.flush()
