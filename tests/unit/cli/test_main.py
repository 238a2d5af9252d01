# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from alarmd import __version__
from alarmd.cli.main import main
from alarmd.errors import SettingsError


def test_version() -> None:
    """The version is that of the package."""
    assert f"alarmd {__version__}\n" == CliRunner().invoke(main, ["--version"]).output


def test_help_lists_every_command() -> None:
    """Help names each command with what it does, without importing any of them."""
    script = (
        "import sys; from click.testing import CliRunner; from alarmd.cli.main import main;"
        "print(CliRunner().invoke(main, ['--help']).output);"
        "print([name for name in ('sqlalchemy', 'flask', 'numpy', 'requests') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout

    assert "run       Run the daemon." in output
    assert "[]\n" in output


@pytest.mark.parametrize("name", main.list_commands(click.Context(main)))
def test_every_command_can_be_had(name: str) -> None:
    """Whatever help lists is there and explains itself."""
    result = CliRunner().invoke(main, [name, "--help"])

    assert 0 == result.exit_code, result.output
    assert f"Usage: main {name}" in result.output


def test_unknown_command_is_a_usage_error() -> None:
    """A command that does not exist ends with status 2, and with the one that was probably meant."""
    result = CliRunner().invoke(main, ["rnu"])

    assert 2 == result.exit_code
    assert "No such command 'rnu'. Did you mean 'run'?" in result.output


def test_error_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """What alarmd raises on purpose is told in a line on standard error, with status 1."""

    def fail(*_args: object) -> None:
        raise SettingsError("api.listen: is wrong")

    monkeypatch.setattr("alarmd.cli.config.read_settings", fail)
    result = CliRunner().invoke(main, ["config", "check"])

    assert (1, "Error: api.listen: is wrong\n") == (result.exit_code, result.stderr)
