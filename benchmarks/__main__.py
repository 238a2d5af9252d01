# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks NAME`: measures one figure."""

from typing import Literal

import click

from alarmd.clock import SystemClock
from benchmarks.api import api
from benchmarks.reaction import DatabaseName, reaction
from benchmarks.report import show
from benchmarks.tick import tick

_json = click.option("--json", "as_json", is_flag=True, help="Write one line of JSON instead of a table.")


@click.group(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure what alarmd is held to. See docs/benchmarks.md."""


@main.command(name="tick")
@click.option("--alarms", type=click.IntRange(min=1), default=100_000, help="How many threshold alarms.")
@click.option("--series", type=click.IntRange(min=1), default=10_000, help="How many series they watch.")
@click.option("--passes", type=click.IntRange(min=1), default=9, help="How many passes are measured.")
@click.option("--vs-prometheus", is_flag=True, help="Measure Prometheus with the same rules as well.")
@click.option(
    "--prometheus-rules",
    type=click.IntRange(min=1),
    default=10_000,
    help="How many of the alarms Prometheus gets, at most: what it takes grows with their number.",
)
@_json
def tick_command(
    *, alarms: int, series: int, passes: int, vs_prometheus: bool, prometheus_rules: int, as_json: bool
) -> None:
    """Measure one pass over all alarms."""
    rules = min(alarms, prometheus_rules) if vs_prometheus else 0
    report = tick(alarms=alarms, series=series, passes=passes, prometheus_rules=rules, clock=SystemClock())
    show(report, as_json=as_json)


@main.command(name="reaction")
@click.option("--alarms", type=click.IntRange(min=1), default=10_000, help="How many alarms there are.")
@click.option("--rounds", type=click.IntRange(min=1), default=100, help="How many times one of them is flipped.")
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", help="What holds them.")
@_json
def reaction_command(*, alarms: int, rounds: int, database: DatabaseName, as_json: bool) -> None:
    """Measure the time from a sample to its webhook."""
    show(reaction(alarms=alarms, rounds=rounds, database=database, clock=SystemClock()), as_json=as_json)


@main.command(name="api")
@click.option("--alarms", type=click.IntRange(min=200), default=100_000, help="How many alarms are stored.")
@click.option(
    "--seconds", type=click.FloatRange(min=0.1), default=5.0, help="How long each kind of request is measured."
)
@click.option(
    "--database", type=click.Choice(["sqlite", "postgresql", "both"]), default="both", help="What holds the alarms."
)
@_json
def api_command(
    *, alarms: int, seconds: float, database: Literal["sqlite", "postgresql", "both"], as_json: bool
) -> None:
    """Measure what the API answers in a second, and how fast."""
    names: tuple[DatabaseName, ...] = ("sqlite", "postgresql") if database == "both" else (database,)
    for name in names:
        show(api(alarms=alarms, duration_s=seconds, database=name, clock=SystemClock()), as_json=as_json)


@main.command(name="all")
@_json
@click.pass_context
def all_command(context: click.Context, *, as_json: bool) -> None:
    """Measure every figure as its bar wants it."""
    context.invoke(tick_command, as_json=as_json, vs_prometheus=True)
    context.invoke(tick_command, as_json=as_json, alarms=1_000_000)
    context.invoke(reaction_command, as_json=as_json)
    context.invoke(api_command, as_json=as_json)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
