# SPDX-License-Identifier: Apache-2.0
"""What people see of the demo: a live table on a terminal, a line a step elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

_STATE_STYLES = {"alarm": "bold red", "ok": "green", "insufficient data": "yellow"}
_BAR_WIDTH = 24
#: Steps of the story that stay visible under the table.
_STEPS_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is going on at one moment."""

    #: CPU in percent by the member's name; None before its first sample.
    cpu_percent: Mapping[str, float | None]
    #: State by the alarm's name.
    alarms: Mapping[str, str]
    #: Alarm, target and state of each delivery, newest first.
    deliveries: Sequence[tuple[str, str, str]]


@dataclass(slots=True)
class Screen:
    """Shows pictures and tells steps; a context manager."""

    console: Console
    _live: Live | None = None
    _steps: list[Text] = field(default_factory=list)
    _picture: Picture | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, traceback)
            self._live = None
            for step in self._steps:
                self.console.print(step)

    def tell(self, since_start_s: float, text: str) -> None:
        """Tell a step of the story."""
        step = Text.assemble((f"{since_start_s:6.1f} s  ", "dim"), text)
        self._steps.append(step)
        if self._live is None:
            self.console.print(step, soft_wrap=True)
        else:
            self._refresh()

    def show(self, picture: Picture) -> None:
        """Show what is going on."""
        self._picture = picture
        self._refresh()

    def _refresh(self) -> None:
        if self._live is not None:
            parts = [_table(self._picture)] if self._picture else []
            self._live.update(Group(*parts, *self._steps[-_STEPS_SHOWN:]), refresh=True)


def _table(picture: Picture) -> Table:
    table = Table(title="alarmd demo", title_style="bold", expand=False, show_lines=False)
    table.add_column("group web", min_width=8)
    table.add_column("CPU", min_width=_BAR_WIDTH + 6)
    table.add_column("alarms", min_width=26)
    table.add_column("deliveries", min_width=28)
    members = [(name, _bar(percent)) for name, percent in picture.cpu_percent.items()]
    alarms = [
        Text.assemble(f"{name}: ", (state, _STATE_STYLES.get(state, ""))) for name, state in picture.alarms.items()
    ]
    deliveries = [Text(f"{alarm} → {target}: {state}") for alarm, target, state in picture.deliveries]
    for row in range(max(len(members), len(alarms), len(deliveries))):
        name, bar = members[row] if row < len(members) else ("", Text())
        table.add_row(
            name,
            bar,
            alarms[row] if row < len(alarms) else Text(),
            deliveries[row] if row < len(deliveries) else Text(),
        )
    return table


def _bar(percent: float | None) -> Text:
    if percent is None:
        return Text("no sample so far", style="dim")
    filled = round(min(percent, 100.0) / 100 * _BAR_WIDTH)
    return Text.assemble(("█" * filled, "cyan"), ("·" * (_BAR_WIDTH - filled), "dim"), f" {percent:4.0f} %")
