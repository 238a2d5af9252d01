# SPDX-License-Identifier: Apache-2.0
"""Commands with so many options that their help needs headings."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])

_REST = "Options"


class SectionOption(click.Option):
    """An option that stands under a heading of its command's help."""

    def __init__(self, *args: Any, section: str = _REST, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


def in_section(section: str, *names: str, **attributes: Any) -> Callable[[_Command], _Command]:
    """Return the decorator that gives a command an option under a heading."""
    return click.option(*names, cls=SectionOption, section=section, **attributes)


class SectionedCommand(click.Command):
    """A command whose help shows options under their headings; those without one come last."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                section = parameter.section if isinstance(parameter, SectionOption) else _REST
                sections.setdefault(section, []).append(record)
        rest = sections.pop(_REST, [])
        for title, records in [*sections.items(), (_REST, rest)]:
            with formatter.section(title):
                formatter.write_dl(records)
