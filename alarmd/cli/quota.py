# SPDX-License-Identifier: Apache-2.0
"""`alarmd quota`: how many alarms a project may have."""

from collections.abc import Mapping
from typing import Any

import click

from alarmd.cli.client import Client, client_options, path_of
from alarmd.cli.output import Output, output_options

_ALARMS = "alarms"


@click.group(name="quota")
def quota() -> None:
    """See and set how many alarms projects may have.

    Where nothing is set, api.project_alarm_quota of the settings holds.
    """


@quota.command(name="show")
@click.argument("project_id", metavar="[PROJECT]", required=False)
@output_options
@client_options
def show_quota(client: Client, output: Output, *, project_id: str | None) -> None:
    """Show how many alarms a project may have, your own by default; -1 is any number.

    \b
    Examples:
      alarmd quota show
      alarmd quota show web-team --format value --column alarms
    """
    arguments = [] if project_id is None else [("project_id", project_id)]
    output.item(_row(client.get("/v2/quotas", arguments)))


@quota.command(name="set")
@click.argument("project_id", metavar="PROJECT")
@click.option("--alarms", "--alarm", "limit", type=click.IntRange(min=-1), required=True, help="-1 for any number.")
@output_options
@client_options
def set_quota(client: Client, output: Output, *, project_id: str, limit: int) -> None:
    """Set how many alarms a project may have (administrators). What it has already stays.

    \b
    Example:
      alarmd quota set web-team --alarms 200
    """
    body = {"project_id": project_id, "quotas": [{"resource": _ALARMS, "limit": limit}]}
    output.item(_row(client.post("/v2/quotas", body)))


@quota.command(name="delete")
@click.argument("project_id", metavar="PROJECT")
@client_options
def delete_quota(client: Client, *, project_id: str) -> None:
    """Give a project the default again (administrators).

    \b
    Example:
      alarmd quota delete web-team
    """
    client.delete(path_of("v2", "quotas", project_id))
    click.echo(f"Project {project_id} has the default quota again.", err=True)


def _row(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the quotas of a project as one thing with a column a resource."""
    return {"project_id": told["project_id"]} | {one["resource"]: one["limit"] for one in told["quotas"]}
