# SPDX-License-Identifier: Apache-2.0
"""How commands show what they have: tables for people, JSON, YAML, CSV and bare values for scripts."""

import csv
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from typing import Any

import click
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Width of a table that goes to a file or a pipe, where nobody wraps lines.
_PIPE_WIDTH = 100_000
_CELL_WIDTH = 100


class Format(StrEnum):
    """The forms that `--format` knows."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"
    VALUE = "value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Writes results to standard output in the form that was asked for."""

    format: Format = Format.TABLE
    #: Only these columns, in this order; empty: those that the command thinks best, or all in JSON and YAML.
    columns: tuple[str, ...] = ()

    @property
    def is_tabular(self) -> bool:
        """Whether things are shown in columns, and not nested as they are."""
        return self.format not in {Format.JSON, Format.YAML}

    def rows(self, items: Sequence[Mapping[str, Any]], *, columns: Sequence[str]) -> None:
        """Show a list. `columns` are those that a table has room for."""
        picked = self._pick(items, columns)
        match self.format:
            case Format.JSON:
                _write_json([_narrowed(item, self.columns) for item in items])
            case Format.YAML:
                _write_yaml([_narrowed(item, self.columns) for item in items])
            case Format.CSV:
                _write_csv(picked, [[item.get(name) for name in picked] for item in items])
            case Format.VALUE:
                for item in items:
                    click.echo(" ".join(_cell(item.get(name)) for name in picked))
            case Format.TABLE:
                table = _table(picked)
                for item in items:
                    table.add_row(*(Text(_cell(item.get(name))) for name in picked))
                _write_table(table)

    def item(self, item: Mapping[str, Any]) -> None:
        """Show one thing."""
        picked = self._pick([item], list(item))
        match self.format:
            case Format.JSON:
                _write_json(_narrowed(item, self.columns))
            case Format.YAML:
                _write_yaml(_narrowed(item, self.columns))
            case Format.CSV:
                _write_csv(picked, [[item.get(name) for name in picked]])
            case Format.VALUE:
                for name in picked:
                    click.echo(_cell(item.get(name)))
            case Format.TABLE:
                table = _table(["field", "value"])
                for name in picked:
                    table.add_row(name, Text(_cell(item.get(name))))
                _write_table(table)

    def _pick(self, items: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
        """Return the columns to show; a column that nothing has is a usage error, not a blank."""
        known = list(dict.fromkeys([*columns, *(name for item in items for name in item)]))
        for name in self.columns if items else ():
            if name not in known:
                raise click.UsageError(f"There is no column {name!r}; there are: {', '.join(known)}.")
        return list(self.columns or columns)


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--format` and `--column`; it gets the `Output` made of them as its first argument."""
    return _output_options("-f", "--format")(command)


def long_output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the same to a command whose `-f` is a file, as it is with those who write rules down."""
    return _output_options("--format")(command)


def _output_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        return _with_output(command, names)

    return decorate


def _with_output(command: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    @click.option(
        *names,
        "output_format",
        type=click.Choice([str(form) for form in Format]),
        default=str(Format.TABLE),
        show_default=True,
        help="How to show the result.",
    )
    @click.option("-c", "--column", "columns", multiple=True, help="Show only this column; may be repeated.")
    @wraps(command)
    def wrapped(*args: Any, output_format: str, columns: tuple[str, ...], **kwargs: Any) -> Any:
        return command(Output(format=Format(output_format), columns=columns), *args, **kwargs)

    return wrapped


def _narrowed(item: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    return {name: item.get(name) for name in columns} if columns else dict(item)


def _cell(value: Any) -> str:
    """Return a value as text on one line."""
    match value:
        case None:
            return ""
        case str():
            # What others named must not move the cursor of who looks at it.
            return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in value)
        case list() if all(isinstance(part, str) for part in value):
            return ", ".join(value)
        case bool() | list() | dict():
            return json.dumps(value, ensure_ascii=False)
        case float():
            return repr(value).removesuffix(".0")
        case _:
            return str(value)


def _write_json(data: Any) -> None:
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def _write_yaml(data: Any) -> None:
    click.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), nl=False)


def _write_csv(columns: Sequence[str], lines: Sequence[Sequence[Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in line] for line in lines)


def _table(columns: Sequence[str]) -> Table:
    """Return an empty table; what is wider than a column is folded, so that nothing is lost."""
    table = Table()
    for name in columns:
        table.add_column(name, max_width=_CELL_WIDTH, overflow="fold")
    return table


def _write_table(table: Table) -> None:
    console = Console(file=sys.stdout)
    if not console.is_terminal:
        console = Console(file=sys.stdout, width=_PIPE_WIDTH)
    console.print(table)
