# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.faults [CASE…]`: breaks things around alarmd and shows what became of its notifications."""

import random
import sys
import time
from pathlib import Path

import click

from tests.faults import report
from tests.faults.campaign import CASES, Plan, parts_of, play
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
    help="How many cases are played side by side.  [default: 3 if short, 1]",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep rows in this file, and take those that it has of other cases into the table.",
)
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
    unknown = set(names) - {case.name for case in CASES}
    if unknown:
        raise click.UsageError(f"There is no case named {', '.join(sorted(unknown))}; --list names them all.")
    chosen = [case for case in CASES if not names or case.name in names]
    seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    plan = Plan(parts=parts_of(chosen, short=short, databases=database), short=short, seed=seed)
    rows = _play(plan, jobs=jobs or (3 if short else 1))
    if keep is not None:
        rows = report.merge(rows, keep)
    click.echo(f"\n{report.as_table(rows)}\n")
    for row in rows:
        # The last one says where the rest can be found.
        for complaint in [*row.complaints[:_SHOWN], *row.complaints[_SHOWN:][-1:]]:
            click.echo(f"{row.title} ({row.database}): {complaint}")
    if page is None and not names and not short and not database:
        page = report.PAGE
    if page is not None:
        command = " ".join(["python -m tests.faults", *(["--short"] if short else []), *names, f"--seed {seed}"])
        report.write_page(rows, command=command, date=date, note=note, page=page)
    if as_json:
        click.echo(report.as_json(rows))
    sys.exit(0 if all(row.is_good or row.left_out for row in rows) else 1)


def _play(plan: Plan, *, jobs: int) -> list[report.Line]:
    started_s = time.monotonic()

    def tell(text: str) -> None:
        click.echo(f"{time.monotonic() - started_s:7.1f} s  {text}", err=True)

    tell(f"seed {plan.seed}")
    rows = []
    for row in play(plan, tell=tell, jobs=jobs):
        findings = row.outcome.findings
        verdict = row.left_out or ("good" if row.is_good else f"BAD: {'; '.join(findings.complaints)[:500]}")
        tell(
            f"{row.case.name} ({row.database}) in {row.took_s:.0f} s: {row.title}: "
            f"{row.outcome.injections} injections, {findings.transitions} transitions: {verdict}"
        )
        rows.append(row)
    order = [(case.name, database) for case, database in plan.parts]
    rows.sort(key=lambda row: order.index((row.case.name, row.database)))
    return [report.Line.of(row, seed=plan.seed, short=plan.short) for row in rows]


if __name__ == "__main__":
    main()
