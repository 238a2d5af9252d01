# SPDX-License-Identifier: Apache-2.0
"""`alarmd samples`: push samples by hand or from a stream, and look at what is there."""

from collections.abc import Iterable
from itertools import islice
from typing import Any, TextIO

import click
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from alarmd.cli.client import Client, client_options
from alarmd.cli.notation import pairs_of
from alarmd.cli.output import Output, output_options
from alarmd.cli.sample_lines import BrokenLine, lines_of

#: Samples of one request when a stream is pushed.
_CHUNK = 5_000
#: Complaints about single samples that are shown; a broken file would fill the screen.
_SHOWN_COMPLAINTS = 20

_SERIES_COLUMNS = ("metric", "resource_id", "labels", "value", "unit", "timestamp", "project_id")
_POINT_COLUMNS = ("timestamp", "value", "labels")


@click.group(name="samples")
def samples() -> None:
    """Push samples, and see which series and values there are.

    \b
    Examples:
      alarmd samples push cpu_util 95 --resource vm-1 --label group=web
      alarmd samples list
      alarmd samples list --metric cpu_util --resource vm-1 --points
    """


# A negative value looks like an option; real typos still end as surplus arguments.
@samples.command(name="push", context_settings={"ignore_unknown_options": True})
@click.argument("metric", required=False)
@click.argument("value", type=float, required=False)
@click.option("-r", "--resource", "resource_id", help="Resource that was measured.")
@click.option("-l", "--label", "labels", multiple=True, metavar="NAME=VALUE", help="May be repeated.")
@click.option("--timestamp", help="ISO 8601 (no zone: UTC) or epoch seconds; now by default.")
@click.option("--unit", help="Unit of the value.")
@click.option("--type", "kind", type=click.Choice(["gauge", "cumulative", "delta"]), help="gauge by default.")
@click.option("--project-id", help="Project that owns the resource (administrators).")
@click.option("--user-id", help="User that owns the resource.")
@click.option("--file", "source", type=click.File(encoding="utf-8"), help="JSON lines, a sample a line; - for stdin.")
@output_options
@client_options
def push_samples(
    client: Client,
    output: Output,
    *,
    metric: str | None,
    value: float | None,
    resource_id: str | None,
    labels: tuple[str, ...],
    timestamp: str | None,
    unit: str | None,
    kind: str | None,
    project_id: str | None,
    user_id: str | None,
    source: TextIO | None,
) -> None:
    """Push one sample, or a file of them. Exit code 1 when any is rejected.

    \b
    Examples:
      alarmd samples push cpu_util 95 --resource vm-1
      alarmd samples push temp -- -4.5 --resource rack-7
      alarmd samples push cpu_util 40 --resource vm-1 --timestamp 2026-01-31T12:00:00Z
      echo '{"metric": "cpu_util", "resource_id": "vm-1", "value": 95}' \\
          | alarmd samples push --file -
    """
    single = {
        "metric": metric,
        "value": value,
        "resource_id": resource_id,
        "timestamp": _number_or_text(timestamp),
        "unit": unit,
        "type": kind,
        "project_id": project_id,
        "user_id": user_id,
        "labels": dict(pairs_of(labels, option="--label")) or None,
    }
    given = {key: part for key, part in single.items() if part is not None}
    if source is not None:
        if given:
            raise click.UsageError("With --file, everything about a sample stands in the file.")
        accepted, complaints = _push(client, lines_of(source))
    else:
        missing = [name for name in ("metric", "value", "resource_id") if name not in given]
        if missing:
            raise click.UsageError(
                f"Missing {', '.join(missing)}: write METRIC VALUE --resource ID, or push many with --file."
            )
        accepted, complaints = _push(client, [(0, given)])
    for complaint in complaints[:_SHOWN_COMPLAINTS]:
        click.echo(complaint, err=True)
    if len(complaints) > _SHOWN_COMPLAINTS:
        click.echo(f"… and {len(complaints) - _SHOWN_COMPLAINTS} more.", err=True)
    output.item({"accepted": accepted, "rejected": len(complaints)})
    if complaints:
        raise click.exceptions.Exit(1)


@samples.command(name="list")
@click.option("--metric", help="Series of this metric only.")
@click.option("-r", "--resource", "resource_id", help="Series of this resource only.")
@click.option("-l", "--label", "labels", multiple=True, metavar="NAME=VALUE", help="Series with this label only.")
@click.option("--points", is_flag=True, help="Show the values of one metric of one resource.")
@click.option("--start", help="From this moment: ISO 8601 (no zone: UTC) or epoch seconds.  [default: 10 minutes ago]")
@click.option("--end", help="Up to this moment.  [default: now]")
@click.option("--all-projects", is_flag=True, help="Series of every project (administrators).")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@output_options
@client_options
def list_samples(
    client: Client,
    output: Output,
    *,
    metric: str | None,
    resource_id: str | None,
    labels: tuple[str, ...],
    points: bool,
    start: str | None,
    end: str | None,
    all_projects: bool,
    limit: int | None,
) -> None:
    """List the series that have samples, each with its newest value; or the values of one with --points.

    \b
    Examples:
      alarmd samples list --label group=web
      alarmd samples list --metric cpu_util --resource vm-1 --points --format csv
    """
    if points and not (metric and resource_id):
        raise click.UsageError("--points needs --metric and --resource.")
    wanted = {"metric": metric, "resource_id": resource_id, "start": start, "end": end}
    wanted |= {"all_projects": "true" if all_projects else None, "limit": str(limit) if limit else None}
    arguments = [(name, part) for name, part in wanted.items() if part is not None]
    arguments += [(f"labels.{name}", part) for name, part in pairs_of(labels, option="--label")]
    if points:
        answer = client.get("/v3/series/data", arguments)
        rows = [point | {"labels": series["labels"]} for series in answer["series"] for point in series["points"]]
        output.rows(sorted(rows, key=lambda row: str(row["timestamp"])), columns=_POINT_COLUMNS)
    else:
        answer = client.get("/v3/series", arguments)
        output.rows([series | series.pop("latest") for series in answer["series"]], columns=_SERIES_COLUMNS)
    if answer["truncated"]:
        click.echo("There is more than is shown: narrow it, or raise --limit.", err=True)


def _push(client: Client, lines: Iterable[tuple[int, Any]]) -> tuple[int, list[str]]:
    """Push samples in chunks; return how many were accepted, and a complaint about each that was not."""
    accepted = 0
    complaints: list[str] = []
    rest = iter(lines)
    with _progress() as progress:
        task = progress.add_task("pushed", total=None)
        while chunk := list(islice(rest, _CHUNK)):
            good = [(number, sample) for number, sample in chunk if not isinstance(sample, BrokenLine)]
            complaints += [f"line {number}: {bad.reason}" for number, bad in chunk if isinstance(bad, BrokenLine)]
            if good:
                answer = client.push("/v3/samples", {"samples": [sample for _, sample in good]})
                accepted += answer["accepted"]
                for rejection in answer["rejected"]:
                    number = good[rejection["index"]][0]
                    place = f"line {number}: " if number else ""
                    complaints.append(f"{place}{rejection['reason']}")
            progress.update(task, advance=len(chunk))
    return accepted, complaints


def _number_or_text(value: str | None) -> float | str | None:
    """Return seconds since the epoch as a number, since that is how the server tells them from a date."""
    if value is None:
        return None
    try:
        return float(value)
    except ValueError:
        return value


def _progress() -> Progress:
    """Return a counter on standard error that only people see, and that leaves nothing behind."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.completed} samples {task.description}"), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
