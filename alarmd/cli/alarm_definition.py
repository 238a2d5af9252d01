# SPDX-License-Identifier: Apache-2.0
"""`alarmd alarm create` and `alarmd alarm update`: what alarms are."""

from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

import click

from alarmd.cli.alarm_lookup import flat, found_alarm
from alarmd.cli.alarm_options import body_of, definition_options, refuse_incomplete
from alarmd.cli.client import Client, RequestRefused, client_options, path_of
from alarmd.cli.output import Format, Output, output_options
from alarmd.cli.sections import SectionedCommand

#: How often a change is tried that somebody else gets in the way of.
_TRIES = 2


@click.command(name="create", cls=SectionedCommand)
@definition_options
@output_options
@client_options
def create_alarm(client: Client, output: Output, *, dry_run: bool, **options: Any) -> None:
    """Create an alarm.

    An alarm of the type threshold compares a statistic of a metric over the last periods with a threshold, and calls
    its actions when its state changes. --query picks the series: several make a group, whose samples are taken
    together. --type chooses another kind of rule.

    \b
    Examples:
      # Scale out when the group's mean CPU passes 80 % over 10 seconds
      alarmd alarm create --name cpu_high --meter-name cpu_util --threshold 80 \\
          --comparison gt --statistic avg --period 10 --evaluation-periods 1 \\
          --query 'labels.group=web' --alarm-action http://127.0.0.1:9000/out
      # Watch one machine on weekday mornings; print the new alarm's id only
      alarmd alarm create --name idle --meter-name cpu_util --threshold 5 \\
          --comparison lt --query 'resource_id=vm-1' \\
          --time-constraint 'name=mornings;start=0 8 * * 1-5;duration=14400' \\
          -f value -c alarm_id
      # Ask Prometheus
      alarmd alarm create --type prometheus --name errors --comparison gt \\
          --threshold 5 --query 'rate(http_errors_total{job="web"}[1m])'
      # Wait for an event
      alarmd alarm create --type event --name gone --event-type 'compute.*.delete.end' \\
          --query 'traits.instance_id=string::vm-1'
      # Combine rules
      alarmd alarm create --type composite --name both --rule '{"and": [
          {"type": "threshold", "meter_name": "cpu_util", "threshold": 80},
          {"type": "threshold", "meter_name": "memory.usage", "threshold": 90}]}'
      # Copy an alarm under another name
      alarmd alarm show cpu_high --format yaml | alarmd alarm create -F - --name cpu_high_2
    """
    body = body_of(options, into={})
    refuse_incomplete(body)
    if dry_run:
        _show_body(output, body)
        return
    created = client.post("/v2/alarms", body)
    _show(output, created)
    with suppress(RequestRefused):  # who may create alarms may not be allowed to look at series
        _warn_of_silence(client, created)


@click.command(name="update", cls=SectionedCommand)
@click.argument("alarm_ref", metavar="ALARM")
@definition_options
@output_options
@client_options
def update_alarm(client: Client, output: Output, *, alarm_ref: str, dry_run: bool, **options: Any) -> None:
    """Change an alarm; what is not named stays as it is.

    A list of actions or time constraints is replaced by what is given; an empty one empties it. Labels and directions
    are added to those that are there; --unset takes them away. Nothing that somebody
    else changes meanwhile is lost: the change is then made again on what is there.

    \b
    Examples:
      alarmd alarm update cpu_high --threshold 90 --evaluation-periods 3
      alarmd alarm update cpu_high --enabled false
      alarmd alarm update cpu_high --alarm-action ''
      alarmd alarm update cpu_high --label team=web --direction ok=in
      alarmd alarm update cpu_high --unset labels.team
      alarmd alarm update cpu_high --file cpu_high.yaml --dry-run
      alarmd alarm update cpu_high --type event --event-type 'compute.*'
    """
    path = path_of("v2", "alarms", found_alarm(client, alarm_ref)["alarm_id"])
    if dry_run:
        _show_body(output, body_of(options, into=client.get(path)))
        return
    _show(output, _changed(client, path, options))


def _changed(client: Client, path: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Read an alarm, lay the options over it and write it back as long as it is still what was read."""
    for _ in range(_TRIES):
        known, version = client.read(path)
        try:
            changed: dict[str, Any] = client.put(path, body_of(options, into=known), version=version)
            return changed
        except RequestRefused as refusal:
            if refusal.status != 412:
                raise
    raise RequestRefused(
        f"The alarm {known['alarm_id']} was changed by somebody else between reading and writing, {_TRIES} times over. "
        "Nothing was written; look at `alarmd alarm history` for who it is, and try again.",
        status=412,
    )


def _warn_of_silence(client: Client, created: Mapping[str, Any]) -> None:
    """Say so if nothing reports what the alarm is about: more often a slip of the pen than a source to come."""
    if created["type"] != "threshold":
        return
    metric, project = created["threshold_rule"]["meter_name"], ("project_id", created["project_id"])
    if client.get("/v3/series", [("metric", metric), project, ("limit", "1")])["series"]:
        return
    reported = {one["metric"] for one in client.get("/v3/series", [project])["series"]}
    near = get_close_matches(metric, reported, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else " `alarmd samples list` shows what is reported."
    click.echo(
        f"Note: nothing has reported the metric {metric!r} in project {created['project_id']!r} in the last minutes; "
        f"until something does, the alarm stays in {created['state']!r}.{hint}",
        err=True,
    )


def _show(output: Output, alarm: Mapping[str, Any]) -> None:
    output.item(flat(alarm) if output.is_tabular else alarm)


def _show_body(output: Output, body: Mapping[str, Any]) -> None:
    """Show what would be sent, in a form that `--file` reads."""
    form = Format.YAML if output.format is Format.YAML else Format.JSON
    Output(format=form, columns=output.columns).item(body)
