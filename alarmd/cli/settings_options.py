# SPDX-License-Identifier: Apache-2.0
"""The options of the commands that read the daemon's settings."""

import os
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import click

from alarmd.settings import Effective, load_with_origins


def read_settings(path: Path | None, overrides: Mapping[str, Any]) -> Effective:
    """Return the settings of this process; options that were not given are passed over. Raises `SettingsError`."""
    given = {key: value for key, value in overrides.items() if value is not None}
    return load_with_origins(path, os.environ, given)


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--config` and `--state-dir`; it gets the settings as its first argument."""

    @click.option(
        "--config",
        "config_path",
        envvar="ALARMD_CONFIG",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Settings in TOML [env: ALARMD_CONFIG].",
    )
    @click.option("--state-dir", metavar="DIR", help="Where everything is kept [default: ./alarmd-state].")
    @wraps(command)
    def wrapped(*args: Any, config_path: Path | None, state_dir: str | None, **kwargs: Any) -> Any:
        return command(read_settings(config_path, {"state_dir": state_dir}), *args, **kwargs)

    return wrapped
