# SPDX-License-Identifier: Apache-2.0
"""The table that the campaign ends with: on the screen, as a page of the documentation, and as one line of JSON."""

import json
import os
import platform
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from alarmd import __version__
from tests.faults.lines import LONG, SHORT, Line
from tests.support.servers import ServerMissing, find_program

#: Where the table is kept.
PAGE = Path(__file__).parents[2] / "docs" / "fault-report.md"

_HEADS = (
    *("case", "database", "form", "kills or injections", "transitions"),
    *("lost", "doubled", "worst lateness", "verdict"),
)

_INTRODUCTION = """\
# What happens to notifications when things break

This page is written by the fault campaign (`make faults`), which plays each case with real processes, a real
database, and a receiver that writes every webhook down before it answers. An oracle that knows nothing of alarmd's code
then computes, from the samples that were pushed and the faults that were made, which histories and which webhooks there
may be. How to run it and what each column means: [the fault campaign](fault-campaign.md).
"""


def totals(lines: Sequence[Line]) -> dict[str, float]:
    """Return the sums of all lines that were played."""
    played = [line for line in lines if not line.left_out]
    return {
        "cases": len(played),
        "injections": sum(line.injections for line in played),
        "transitions": sum(line.transitions for line in played),
        "lost": sum(line.lost for line in played),
        "doubled": sum(line.doubled for line in played),
        "worst_lateness_s": max((line.worst_lateness_s for line in played), default=0.0),
    }


def as_json(lines: Sequence[Line]) -> str:
    """Return the totals on one line."""
    return json.dumps(totals(lines))


def as_table(lines: Sequence[Line]) -> str:
    """Return a table in Markdown that is easy on the eye in a terminal, too."""
    cells = [_HEADS, *(_cells(line) for line in lines), _sum_of(lines)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADS))]
    rows = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in cells]
    rows.insert(1, f"| {' | '.join('-' * width for width in widths)} |")
    return "\n".join(rows)


def write_page(lines: Sequence[Line], *, command: str, date: str = "", note: str = "", page: Path = PAGE) -> None:
    """Write the page anew; the note says what else one should know of how it was played."""
    seeds = ", ".join(str(seed) for seed in sorted({line.seed for line in lines}))
    facts = [f"Command: `{command}`", f"Seeds: {seeds}", f"Versions: {_versions()}"]
    commits = Counter(line.revision for line in lines if line.revision and not line.left_out)
    if commits:
        facts.append(f"Rows by commit: {', '.join(f'{commit} {count}' for commit, count in sorted(commits.items()))}")
    facts += _load_of(lines)
    if date:
        facts.insert(0, f"Date: {date}")
    if note:
        facts.append(note)
    left_out = [f"- {line.title}: {line.left_out}" for line in lines if line.left_out]
    bad = [f"- {line.title}: {each}" for line in lines for each in line.complaints]
    sections = [_INTRODUCTION, "\n".join(f"- {fact}" for fact in facts), as_table(lines)]
    for title, rows in (("Left out:", left_out), ("Wrong:", bad)):
        if rows:
            sections.append("\n".join([title, "", *rows]))
    page.write_text("\n\n".join(section.rstrip("\n") for section in sections) + "\n", encoding="utf-8")


def _load_of(lines: Sequence[Line]) -> list[str]:
    """Return how busy the machine was; nothing unless that is known of every row."""
    played = [line for line in lines if not line.left_out]
    loads = [line.load for line in played if line.load is not None]
    if not loads or len(loads) < len(played):
        return []
    return [f"Load average when cases ended: {min(loads):.1f} to {max(loads):.1f}, on {os.cpu_count()} processors"]


def _cells(line: Line) -> tuple[str, ...]:
    if line.left_out:
        return (line.title, line.database, "", "", "", "", "", "", "left out")
    return (
        line.title,
        line.database,
        line.form,
        f"{line.injections:,}",
        f"{line.transitions:,}",
        f"{line.lost:,}",
        f"{line.doubled:,}",
        f"{line.worst_lateness_s:.1f} s",
        "good" if line.is_good else "BAD",
    )


def _sum_of(lines: Sequence[Line]) -> tuple[str, ...]:
    every = totals(lines)
    bad = sum(not (line.is_good or line.left_out) for line in lines)
    forms = Counter(line.form for line in lines if not line.left_out)
    form = ", ".join(f"{forms[name]} {name}" for name in (LONG, SHORT) if forms[name])
    verdict = "good" if every["cases"] else "nothing played"
    if bad:
        verdict = f"{bad} BAD"
    counts = [f"{every[name]:,}" for name in ("injections", "transitions", "lost", "doubled")]
    return ("all", "", form, *counts, f"{every['worst_lateness_s']:.1f} s", verdict)


def _versions() -> str:
    python, sqlite = platform.python_version(), sqlite3.sqlite_version
    return f"alarmd {__version__}, Python {python}, SQLite {sqlite}{_postgres_version()}"


def _postgres_version() -> str:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    try:
        program = find_program("postgres", folders=folders[-1:])
    except ServerMissing:
        return ""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return f", PostgreSQL {said.split()[2]}"
