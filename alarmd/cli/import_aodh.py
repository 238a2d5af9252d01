# SPDX-License-Identifier: Apache-2.0
"""`alarmd import`: alarms, states, history and quotas of an Aodh, brought over as often as one likes."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from alarmd.cli.aodh_conf import read_aodh_conf
from alarmd.cli.output import Output, output_options
from alarmd.cli.settings_options import settings_options
from alarmd.cluster.doorbell import Bell
from alarmd.settings import Effective, Settings
from alarmd.store import schema

if TYPE_CHECKING:
    from alarmd.importing import AodhSource, ImportReport

#: Remarks of a kind that are shown; JSON and YAML hold more.
_SHOWN_REMARKS = 20
_TITLES = {
    "skipped": "Cannot be brought:",
    "kept": "Left as it is here:",
    "note": "Mind:",
}


@click.group(name="import")
def import_() -> None:
    """Bring alarms over from elsewhere."""


@import_.command(name="aodh")
@click.option("--from-url", metavar="URL", help="Base URL of the Aodh's API, e.g. http://controller:8042.")
@click.option(
    "--from-db",
    metavar="URL",
    envvar="AODH_DATABASE_URL",
    help="URL of its database: sqlite:///…, postgresql://…, mysql+pymysql://… [env: AODH_DATABASE_URL].",
)
@click.option("--from-conf", type=click.Path(path_type=Path), help="Its aodh.conf, which names its database.")
@click.option("--token", envvar="OS_TOKEN", help="Who asks at --from-url: sent as X-Auth-Token [env: OS_TOKEN].")
@click.option("--project", help="Who asks at --from-url: sent as X-Project-Id.")
@click.option("--user", help="Who asks at --from-url: sent as X-User-Id.")
@click.option("--roles", help="Who asks at --from-url: sent as X-Roles; admin when there is no --token.")
@click.option(
    "--quotas/--no-quotas", default=None, help="Whether to bring quotas.  [default: only from a database; see above]"
)
@click.option("--overwrite", is_flag=True, help="Take the Aodh's word also where something was changed here since.")
@click.option("--dry-run", is_flag=True, help="Write nothing, and tell what would be.")
@output_options
@settings_options
def import_aodh(
    effective: Effective,
    output: Output,
    *,
    from_url: str | None,
    from_db: str | None,
    from_conf: Path | None,
    quotas: bool | None,
    overwrite: bool,
    dry_run: bool,
    **identity: str | None,
) -> None:
    """Bring an Aodh's alarms, states, history and quotas over into alarmd's database.

    It may run as often as you like, also while both are at work: it brings what is new and what has changed there,
    nothing twice, and leaves alone what was changed or deleted here since. Alarms keep their ids, owners and moments.
    Exit code 1 when an alarm cannot be brought; standard error says which one and why.

    From the database everything comes, and nothing is written there. From the API comes what the caller may see (give
    an admin), and quotas only with --quotas: Aodh stores a quota when it is asked for one.

    \b
    Examples:
      alarmd import aodh --from-conf /etc/aodh/aodh.conf --config alarmd.toml --dry-run
      alarmd import aodh --from-db mysql+pymysql://aodh:secret@db/aodh --config alarmd.toml
      alarmd import aodh --from-url http://controller:8042 --token "$OS_TOKEN"
    """
    settings = effective.settings
    source = _source(from_url=from_url, from_db=from_db, from_conf=from_conf, identity=identity)
    with closing(source):
        report = _bring(
            settings,
            source,
            overwrite=overwrite,
            dry=dry_run,
            with_quotas=source.reads_quotas if quotas is None else quotas,
        )
    _show(output, report, dry=dry_run)
    if report.alarms.skipped or report.quotas.skipped:
        raise click.exceptions.Exit(1)


def _source(
    *, from_url: str | None, from_db: str | None, from_conf: Path | None, identity: Mapping[str, str | None]
) -> "AodhSource":
    from alarmd.importing import ApiSource, DatabaseSource  # noqa: PLC0415  # takes a while

    if sum(place is not None for place in (from_url, from_db, from_conf)) != 1:
        raise click.UsageError("Where from? Give one of --from-url, --from-db and --from-conf.")
    if from_url is not None:
        token, roles = identity["token"], identity["roles"]
        headers = {
            "X-Auth-Token": token,
            "X-Project-Id": identity["project"],
            "X-User-Id": identity["user"],
            "X-Roles": roles or (None if token else "admin"),
        }
        return ApiSource(from_url, headers={name: value for name, value in headers.items() if value is not None})
    return DatabaseSource(from_db or _connection_in(from_conf or Path()))


def _connection_in(path: Path) -> str:
    for option in read_aodh_conf(path):
        if (option.group, option.name) == ("database", "connection"):
            return option.value
    raise click.UsageError(f"{path} names no [database] connection; name the database with --from-db.")


def _bring(settings: Settings, source: "AodhSource", **how: Any) -> "ImportReport":
    from alarmd.runtime import Runtime  # noqa: PLC0415  # takes half a second

    if settings.is_embedded and how["dry"] and not settings.state_dir.is_dir():
        raise click.ClickException("There is no database yet to compare with. Create it with: alarmd db upgrade")
    if settings.is_embedded and not how["dry"]:
        settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        schema.upgrade(settings.store_url)
    schema.check(settings.store_url)
    runtime = Runtime(settings=settings)
    with closing(runtime.database()) as database, _progress(source) as on_progress:
        report = runtime.import_run(source, database=database, on_progress=on_progress, **how).run()
    if not how["dry"]:
        with closing(runtime.doorbell()) as doorbell:
            doorbell.ring(Bell.ALARMS)
    return report


@contextmanager
def _progress(source: "AodhSource") -> Iterator[Callable[[int], None]]:
    """Show how far it is, to people only."""
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("Alarms", total=source.count())
        yield lambda alarms: progress.update(task, completed=alarms)


def _show(output: Output, report: "ImportReport", *, dry: bool) -> None:
    tallies = {"alarms": report.alarms, "history": report.changes, "quotas": report.quotas}
    if output.is_tabular:
        rows = [{"what": name} | asdict(tally) for name, tally in tallies.items()]
        output.rows(rows, columns=tuple(rows[0]))
    else:
        told = {name: asdict(tally) for name, tally in tallies.items()}
        output.item({"dry_run": dry} | told | {"remarks": [asdict(remark) for remark in report.remarks]})
    for kind, title in _TITLES.items():
        remarks = [remark for remark in report.remarks if remark.kind == kind]
        lines = [f"  {one.subject} {one.name!r}: {one.text}" for one in remarks[:_SHOWN_REMARKS]]
        if len(remarks) > _SHOWN_REMARKS:
            lines.append(f"  … and {len(remarks) - _SHOWN_REMARKS} more (--format json lists them)")
        if lines:
            click.echo("\n".join([title, *lines]), err=True)
    if report.too_old:
        click.echo(
            f"{report.too_old} changes are older than store.history_retention_s and were left out; a longer one brings "
            "them with the next import.",
            err=True,
        )
    if report.untold:
        click.echo(f"{report.untold} more remarks were not kept.", err=True)
    if dry:
        click.echo("Nothing was written.", err=True)
