# SPDX-License-Identifier: Apache-2.0
"""What a benchmark has measured, as a table for people and as one line of JSON for programs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import click

Value: TypeAlias = int | float | str | None

#: Digits that are kept of a measured value: more would be noise.
_DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The largest value that a figure may have, or the smallest."""

    key: str
    at_most: float | None = None
    at_least: float | None = None

    def __str__(self) -> str:
        return f"{self.key} <= {self.at_most:g}" if self.at_most is not None else f"{self.key} >= {self.at_least:g}"

    def is_met_by(self, value: Value) -> bool:
        """Return whether a value is within the bar; what was not measured is not."""
        if not isinstance(value, int | float):
            return False
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The values of one run. Keys tell their units."""

    name: str
    values: Mapping[str, Value]
    bars: tuple[Bar, ...] = ()

    def as_json(self) -> str:
        """Return one line; `bars` tells for each bar whether it was met."""
        met = {str(bar): bar.is_met_by(self.values[bar.key]) for bar in self.bars}
        values = {key: _rounded(value) for key, value in self.values.items()}
        return json.dumps({"benchmark": self.name, **values, "bars": met})

    def as_table(self) -> str:
        """Return lines of key and value, and what is demanded of the value if anything is."""
        width = max(map(len, self.values), default=0)
        bars = {bar.key: bar for bar in self.bars}
        lines = [self.name]
        for key, value in self.values.items():
            line = f"  {key:<{width}}  {_shown(value):>12}"
            if key in bars:
                verdict = "met" if bars[key].is_met_by(value) else "MISSED"
                line += f"  {bars[key]}: {verdict}"
            lines.append(line)
        return "\n".join(lines)


def show(report: Report, *, as_json: bool) -> None:
    """Write a report to stdout."""
    click.echo(report.as_json() if as_json else report.as_table())


def tell(text: str) -> None:
    """Tell on stderr what is going on."""
    click.echo(text, err=True)


def _rounded(value: Value) -> Value:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _shown(value: Value) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{_rounded(value)}"
