# SPDX-License-Identifier: Apache-2.0
"""The `alarmd` command: finds the others, which are imported only when they are used."""

from pkgutil import resolve_name
from typing import Any

import click
from click.exceptions import NoSuchCommand

from alarmd import __version__
from alarmd.errors import AlarmdError

#: Each command, where it is, and what it does.
_COMMANDS = {
    "run": ("alarmd.cli.run:run", "Run the daemon."),
    "demo": ("alarmd.cli.demo.command:demo", "Show the whole loop on this machine, then clean up."),
    "alarm": ("alarmd.cli.alarm:alarm", "Create, watch and change alarms."),
    "samples": ("alarmd.cli.samples:samples", "Push samples and look at them."),
    "events": ("alarmd.cli.events:events", "Tell alarms that wait for events."),
    "quota": ("alarmd.cli.quota:quota", "See and set how many alarms projects may have."),
    "silence": ("alarmd.cli.silence:silence", "Keep actions back for a while."),
    "breaker": ("alarmd.cli.breaker:breaker", "See whether scale-in is held back in the whole installation."),
    "delivery": ("alarmd.cli.delivery:delivery", "See what was sent where, and send it again."),
    "notify": ("alarmd.cli.notify:notify", "Send a test webhook and see every step."),
    "secret": ("alarmd.cli.secret:secret", "Make and rotate the secrets that webhooks are signed with."),
    "token": ("alarmd.cli.token:token", "Make and revoke tokens for the API."),
    "config": ("alarmd.cli.config:config", "Check and show the settings."),
    "import": ("alarmd.cli.import_aodh:import_", "Bring alarms over from an Aodh."),
    "db": ("alarmd.cli.db:db", "Create, upgrade and check the database."),
}


class _Commands(click.Group):
    """Imports a command when it is used, so that `--help` is quick, and tells errors in a line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = resolve_name(_COMMANDS[cmd_name][0])
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as unknown:
            raise NoSuchCommand(unknown.command_name, possibilities=_COMMANDS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AlarmdError as error:
            raise click.ClickException(error.message) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="alarmd", message="%(prog)s %(version)s")
def main() -> None:
    """Autoscaling alarms, from poller to webhook, in one daemon.

    Start with `alarmd run`, or watch `alarmd demo`.
    """
