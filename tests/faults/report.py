# SPDX-License-Identifier: Apache-2.0
"""The table that the campaign ends with: on the screen, as a page of the documentation, and as one line of JSON."""

import json
import platform
import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path

from alarmd import __version__
from tests.faults.campaign import Row
from tests.support.servers import ServerMissing, find_program

#: Where the table is kept.
PAGE = Path(__file__).parents[2] / "docs" / "fault-report.md"

_HEADS = ("case", "database", "kills or injections", "transitions", "lost", "doubled", "worst lateness", "verdict")

_INTRODUCTION = """\
# What happens to notifications when things break

This page is written by the fault campaign (`make faults`), which plays each case with real processes, a real
database, and a receiver that writes every webhook down before it answers. An oracle that knows nothing of alarmd's code
then computes, from the samples that were pushed and the faults that were made, which histories and which webhooks there
may be. How to run it and what each column means: [operations](operations.md#the-fault-campaign).
"""


def totals(rows: Sequence[Row]) -> dict[str, float]:
    """Return the sums of all rows that were played."""
    findings = [row.outcome.findings for row in rows if not row.left_out]
    return {
        "cases": len(findings),
        "injections": sum(row.outcome.injections for row in rows),
        "transitions": sum(each.transitions for each in findings),
        "lost": sum(each.lost for each in findings),
        "doubled": sum(each.doubled for each in findings),
        "worst_lateness_s": round(max((each.worst_lateness_s for each in findings), default=0.0), 2),
    }


def as_json(rows: Sequence[Row]) -> str:
    """Return the totals on one line."""
    return json.dumps(totals(rows))


def as_table(rows: Sequence[Row]) -> str:
    """Return the rows as a table in Markdown that is easy on the eye in a terminal, too."""
    cells = [_HEADS, *(_cells(row) for row in rows), _sum_of(rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADS))]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in cells]
    lines.insert(1, f"| {' | '.join('-' * width for width in widths)} |")
    return "\n".join(lines)


def write_page(rows: Sequence[Row], *, command: str, seed: int, date: str, page: Path = PAGE) -> None:
    """Write the page anew."""
    facts = [f"Command: `{command}`", f"Seed: {seed}", f"Versions: {_versions()}"]
    if date:
        facts.insert(0, f"Date: {date}")
    left_out = [f"- {row.title}: {row.left_out}" for row in rows if row.left_out]
    bad = [f"- {row.title}: {each}" for row in rows for each in row.outcome.findings.complaints]
    sections = [_INTRODUCTION, "\n".join(f"- {fact}" for fact in facts), as_table(rows)]
    for title, lines in (("Left out:", left_out), ("Wrong:", bad)):
        if lines:
            sections.append("\n".join([title, "", *lines]))
    page.write_text("\n\n".join(section.rstrip("\n") for section in sections) + "\n", encoding="utf-8")


def _cells(row: Row) -> tuple[str, ...]:
    findings = row.outcome.findings
    if row.left_out:
        return (row.title, row.database, "", "", "", "", "", "left out")
    return (
        row.title,
        row.database,
        f"{row.outcome.injections:,}",
        f"{findings.transitions:,}",
        f"{findings.lost:,}",
        f"{findings.doubled:,}",
        f"{findings.worst_lateness_s:.1f} s",
        "good" if row.is_good else "BAD",
    )


def _sum_of(rows: Sequence[Row]) -> tuple[str, ...]:
    every = totals(rows)
    verdict = "good" if all(row.is_good or row.left_out for row in rows) else "BAD"
    counts = [f"{every[name]:,}" for name in ("injections", "transitions", "lost", "doubled")]
    return ("all", "", *counts, f"{every['worst_lateness_s']:.1f} s", verdict)


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
