# SPDX-License-Identifier: Apache-2.0
"""The table that the campaign ends with: on the screen, as a page of the documentation, and as one line of JSON."""

import json
import platform
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from alarmd import __version__
from tests.faults.campaign import CASES, Row
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the table."""

    case: str
    title: str
    database: str
    #: `long`, or `short`: with few injections.
    form: str
    seed: int
    #: Which commit of alarmd it was played on; empty where nobody can tell.
    revision: str
    injections: int
    transitions: int
    lost: int
    doubled: int
    worst_lateness_s: float
    #: What is wrong, a sentence each.
    complaints: list[str]
    #: Why it was not played; empty when it was.
    left_out: str

    @classmethod
    def of(cls, row: Row, *, seed: int, short: bool) -> "Line":
        """Return the line of a row."""
        findings = row.outcome.findings
        return cls(
            case=row.case.name,
            title=row.title,
            database=row.database,
            form="short" if short else "long",
            seed=seed,
            revision=revision(),
            injections=row.outcome.injections,
            transitions=findings.transitions,
            lost=findings.lost,
            doubled=findings.doubled,
            worst_lateness_s=round(findings.worst_lateness_s, 2),
            complaints=findings.complaints,
            left_out=row.left_out,
        )

    @property
    def is_good(self) -> bool:
        """Whether it was played and nothing is wrong."""
        return not (self.left_out or self.complaints or self.lost or self.doubled)


def merge(lines: Sequence[Line], kept: Path) -> list[Line]:
    """Add lines to a file and return all that it holds then; new ones take the places of old ones."""
    every: dict[tuple[str, str, str], Line] = {}
    if kept.exists():
        for text in kept.read_text(encoding="utf-8").splitlines():
            line = Line(**json.loads(text))
            every[line.case, line.title, line.database] = line
    every |= {(line.case, line.title, line.database): line for line in lines}
    order = [case.name for case in CASES]
    found = sorted(every.values(), key=lambda line: order.index(line.case))
    kept.write_text("".join(f"{json.dumps(asdict(line))}\n" for line in found), encoding="utf-8")
    return found


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
    form = ", ".join(f"{forms[name]} {name}" for name in ("long", "short") if forms[name])
    verdict = f"{bad} BAD" if bad else "good"
    counts = [f"{every[name]:,}" for name in ("injections", "transitions", "lost", "doubled")]
    return ("all", "", form, *counts, f"{every['worst_lateness_s']:.1f} s", verdict)


@cache
def revision() -> str:
    """Return the commit that is played, with a plus where something was changed since; empty without git."""
    git = ["git", "-C", str(PAGE.parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit.stdout.strip() + ("+" if changes.stdout.strip() else "")


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
