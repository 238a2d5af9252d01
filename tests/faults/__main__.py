# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.faults [CASE…]`: breaks things around alarmd and shows what became of its notifications."""

import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from tests.faults import report
from tests.faults.campaign import CASES, Row, play
from tests.faults.lines import Kept, Line, NoLines, in_order, lacking
from tests.faults.plan import JOBS_SHORT, Part, Plan, gaps_of, parts_of
from tests.faults.revision import revision
from tests.faults.scene import POSTGRESQL, SQLITE

#: How many of a row's complaints are shown.
_SHOWN = 8


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, metavar="[CASE]...")
@click.option("--short", is_flag=True, help="Play the essential cases with few injections, in minutes.")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")
@click.option("--seed", type=int, help="Draw the same victims and moments again.  [default: drawn]")
@click.option("--database", type=click.Choice([SQLITE, POSTGRESQL]), multiple=True, help="Play on this one only.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 8),
    help=f"How many cases are played side by side.  [default: {JOBS_SHORT} if short, 1]",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep each row in this file as soon as it is known, and take those that it has of other cases into the table.",
)
@click.option("--resume", is_flag=True, help="Play only what the file of --keep lacks, or has no good row of.")
@click.option("--show", is_flag=True, help="Play nothing: show, and write on the page, what the file of --keep has.")
@click.option("--date", default="", help="Is written on the page; nothing else tells when it was made.")
@click.option("--note", default="", help="Is written on the page, too: what one should know of how it was played.")
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Where the table is written.  [default: docs/{report.PAGE.name} when every case is played in the long form]",
)
@click.option("--list", "only_list", is_flag=True, help="Name the cases and end.")
def main(
    *,
    names: tuple[str, ...],
    short: bool,
    as_json: bool,
    seed: int | None,
    database: tuple[str, ...],
    jobs: int | None,
    keep: Path | None,
    resume: bool,
    show: bool,
    date: str,
    note: str,
    page: Path | None,
    only_list: bool,
) -> None:
    """Break things around alarmd and show what became of its notifications.

    Plays all cases, or those that are named. See docs/fault-campaign.md.
    """
    if only_list:
        for case in CASES:
            click.echo(f"{case.name:24} {case.title}")
        return
    if (resume or show) and keep is None:
        raise click.UsageError("--resume and --show are about the rows in a file; say which one with --keep.")
    plan = _plan(names, short=short, seed=seed, databases=database)
    if resume and keep is not None:
        plan = replace(plan, parts=_missing_in(keep, plan))
    if show and keep is not None:
        lines = _kept_in(keep)
    else:
        lines = _play(plan, jobs=jobs or (JOBS_SHORT if short else 1), keep=keep)
    _show(lines)
    if page is None and not names and not short and not database:
        page = report.PAGE
    if page is not None:
        command = _command(names, short=short, databases=database, jobs=jobs, seed=plan.seed, keep=keep)
        report.write_page(lines, command=command, date=date, note=note, page=page)
    if as_json:
        click.echo(report.as_json(lines))
    sys.exit(0 if _is_good(lines) else 1)


def _plan(names: Sequence[str], *, short: bool, seed: int | None, databases: Sequence[str]) -> Plan:
    unknown = set(names) - {case.name for case in CASES}
    if unknown:
        raise click.UsageError(f"There is no case named {', '.join(sorted(unknown))}; --list names them all.")
    chosen = [case for case in CASES if not names or case.name in names]
    parts = parts_of(chosen, short=short, databases=databases)
    gaps = gaps_of(chosen, short=short, databases=databases)
    if not parts:
        raise click.UsageError(" ".join(["There is nothing to play.", *gaps]))
    for gap in gaps if names else ():
        click.echo(f"Not played: {gap}", err=True)
    return Plan(parts=parts, short=short, seed=random.SystemRandom().randrange(1_000_000) if seed is None else seed)


def _missing_in(keep: Path, plan: Plan) -> list[Part]:
    parts = lacking(plan.parts, _kept_in(keep), short=plan.short, revision=revision())
    click.echo(f"{len(plan.parts) - len(parts)} of {len(plan.parts)} are in {keep} and good", err=True)
    return parts


def _kept_in(keep: Path) -> list[Line]:
    try:
        return Kept(keep).lines()
    except NoLines as error:
        raise click.UsageError(f"{error}; name another file with --keep.") from error


def _prove(keep: Path) -> None:
    """Find out now, rather than with the first row, if nothing can be kept there."""
    _kept_in(keep)
    try:
        Kept(keep).add([])
    except OSError as error:
        raise click.UsageError(f"Rows cannot be kept in {keep}: {error.strerror}.") from error


def _play(plan: Plan, *, jobs: int, keep: Path | None) -> list[Line]:
    """Play all and return what is in the table then; what is kept is written as soon as it is known."""
    started_s = time.monotonic()

    def tell(text: str) -> None:
        click.echo(f"{time.monotonic() - started_s:7.1f} s  {text}", err=True)

    if keep is not None:
        _prove(keep)
    tell(f"seed {plan.seed}")
    played: list[Line] = []
    for rows in play(plan, tell=tell, jobs=jobs):
        for row in rows:
            tell(_told(row))
        lines = [Line.of(row, seed=plan.seed, short=plan.short) for row in rows]
        played += lines
        if keep is not None:
            Kept(keep).add(lines)
    return in_order(played) if keep is None else _kept_in(keep)


def _told(row: Row) -> str:
    findings = row.outcome.findings
    verdict = row.left_out or ("good" if row.is_good else f"BAD: {'; '.join(findings.complaints)[:500]}")
    return (
        f"{row.case.name} ({row.database}) in {row.took_s:.0f} s: {row.title}: "
        f"{row.outcome.injections} injections, {findings.transitions} transitions: {verdict}"
    )


def _show(lines: Sequence[Line]) -> None:
    click.echo(f"\n{report.as_table(lines)}\n")
    for line in lines:
        # The last one says where the rest can be found.
        for complaint in [*line.complaints[:_SHOWN], *line.complaints[_SHOWN:][-1:]]:
            click.echo(f"{line.title} ({line.database}): {complaint}")
        if line.left_out:
            click.echo(f"{line.title} ({line.database}) was left out: {line.left_out}")


def _is_good(lines: Sequence[Line]) -> bool:
    played = [line for line in lines if not line.left_out]
    return bool(played) and all(line.is_good for line in played)


def _command(
    names: Sequence[str],
    *,
    short: bool,
    databases: Sequence[str],
    jobs: int | None,
    seed: int,
    keep: Path | None,
) -> str:
    """Return what can be typed to get such a table; rows that are kept are of several runs, with seeds of their own."""
    arguments = [
        *(["--short"] if short else []),
        *names,
        *(f"--database {name}" for name in databases),
        *([f"--jobs {jobs}"] if jobs else []),
        *([f"--keep {keep.name} --resume"] if keep else [f"--seed {seed}"]),
    ]
    return f'make faults FAULTS_ARGS="{" ".join(arguments)}"'


if __name__ == "__main__":
    main()
