# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks NAME`: measures one figure."""

from typing import Literal

import click

from alarmd.clock import SystemClock
from benchmarks.api import api
from benchmarks.deliver import deliver
from benchmarks.full_log import Estate
from benchmarks.memory import memory
from benchmarks.mix_tick import mix_tick
from benchmarks.reaction import DatabaseName, reaction
from benchmarks.report import show
from benchmarks.restart import restart
from benchmarks.storm import storm
from benchmarks.tick import tick

_json = click.option("--json", "as_json", is_flag=True, help="Write one line of JSON instead of a table.")


@click.group(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure what alarmd is held to. See docs/benchmarks.md."""


@main.command(name="tick")
@click.option("--alarms", type=click.IntRange(min=1), default=100_000, help="How many alarms.")
@click.option(
    "--series", type=click.IntRange(min=1), help="How many series they watch.  [default: 10000; 100000 for a mix]"
)
@click.option("--passes", type=click.IntRange(min=1), default=9, help="How many passes are measured.")
@click.option("--mix", is_flag=True, help="Measure alarms of all sorts, on groups as well and combined.")
@click.option("--slope", is_flag=True, help="Measure a tenth and a third of the alarms as well.")
@click.option("--vs-prometheus", is_flag=True, help="Measure Prometheus with the same rules as well.")
@click.option(
    "--prometheus-rules",
    type=click.IntRange(min=1),
    default=10_000,
    help="How many of the alarms Prometheus gets, at most: what it takes grows with their number.",
)
@_json
def tick_command(
    *,
    alarms: int,
    series: int | None,
    passes: int,
    mix: bool,
    slope: bool,
    vs_prometheus: bool,
    prometheus_rules: int,
    as_json: bool,
) -> None:
    """Measure one pass over all alarms."""
    clock = SystemClock()
    if mix:
        if slope or vs_prometheus:
            raise click.UsageError("--slope and --vs-prometheus measure alarms on single series: leave out --mix.")
        report = mix_tick(alarms=alarms, series=series or 100_000, passes=passes, clock=clock)
    else:
        rules = min(alarms, prometheus_rules) if vs_prometheus else 0
        report = tick(
            alarms=alarms,
            series=series or 10_000,
            passes=passes,
            prometheus_rules=rules,
            with_slope=slope,
            clock=clock,
        )
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


@main.command(name="storm")
@click.option("--alarms", type=click.IntRange(min=1), default=10_000, help="How many alarms there are.")
@click.option(
    "--database", type=click.Choice(["sqlite", "postgresql", "both"]), default="both", help="What holds them."
)
@_json
def storm_command(*, alarms: int, database: Literal["sqlite", "postgresql", "both"], as_json: bool) -> None:
    """Measure what happens when every alarm flips at once."""
    names: tuple[DatabaseName, ...] = ("sqlite", "postgresql") if database == "both" else (database,)
    for name in names:
        show(storm(alarms=alarms, database=name, clock=SystemClock()), as_json=as_json)


@main.command(name="deliver")
@click.option("--notifications", type=click.IntRange(min=2), default=20_000, help="How many wait at once.")
@click.option("--rate", type=click.FloatRange(min=1), default=1000.0, help="How many a second are made afterwards.")
@click.option("--calm-rate", type=click.FloatRange(min=1), default=500.0, help="How many where it is about how soon.")
@click.option("--trials", type=click.IntRange(min=1), default=3, help="How often the calm pace is measured.")
@click.option("--seconds", type=click.FloatRange(min=0.1), default=20.0, help="For how long, each time.")
@click.option(
    "--database", type=click.Choice(["sqlite", "postgresql", "both"]), default="both", help="What holds the outbox."
)
@_json
def deliver_command(
    *,
    notifications: int,
    rate: float,
    calm_rate: float,
    trials: int,
    seconds: float,
    database: Literal["sqlite", "postgresql", "both"],
    as_json: bool,
) -> None:
    """Measure deliveries, and what one hanging receiver costs the others."""
    names: tuple[DatabaseName, ...] = ("sqlite", "postgresql") if database == "both" else (database,)
    for name in names:
        report = deliver(
            notifications=notifications,
            rate=rate,
            calm_rate=calm_rate,
            trials=trials,
            duration_s=seconds,
            database=name,
            clock=SystemClock(),
        )
        show(report, as_json=as_json)


@main.command(name="memory")
@click.option("--alarms", type=click.IntRange(min=1), default=100_000, help="How many alarms, on a series each.")
@click.option("--more-alarms", type=click.IntRange(min=0), default=1_000_000, help="How many to measure as well.")
@click.option("--composites", type=click.IntRange(min=1), default=10_000, help="How many composite alarms.")
@click.option("--series", type=click.IntRange(min=1), default=100_000, help="How many series have an hour of samples.")
@_json
def memory_command(*, alarms: int, more_alarms: int, composites: int, series: int, as_json: bool) -> None:
    """Measure what an alarm and a retained sample take."""
    show(memory(alarms=alarms, more_alarms=more_alarms, composites=composites, series=series), as_json=as_json)


@main.command(name="restart")
@click.option("--hosts", type=click.IntRange(min=1), default=100, help="How many hosts, with 100 machines each.")
@click.option("--metrics", type=click.IntRange(min=1), default=10, help="What each machine reports.")
@click.option("--projects", type=click.IntRange(min=1), default=1_000, help="Whose the machines are, in turn.")
@click.option("--minutes", type=click.FloatRange(min=0.1), default=60.0, help="For how long there are samples.")
@click.option("--alarms", type=click.IntRange(min=1), default=10_000, help="How many alarms are stored.")
@_json
def restart_command(*, hosts: int, metrics: int, projects: int, minutes: float, alarms: int, as_json: bool) -> None:
    """Measure the start of a daemon with a full log."""
    estate = Estate(hosts=hosts, metrics=metrics, projects=projects)
    show(restart(estate=estate, length_s=minutes * 60, alarms=alarms, clock=SystemClock()), as_json=as_json)


@main.command(name="all")
@_json
@click.pass_context
def all_command(context: click.Context, *, as_json: bool) -> None:
    """Measure every figure as its bar wants it."""
    context.invoke(tick_command, as_json=as_json, vs_prometheus=True)
    context.invoke(tick_command, as_json=as_json, alarms=1_000_000, slope=True)
    context.invoke(tick_command, as_json=as_json, mix=True)
    context.invoke(reaction_command, as_json=as_json)
    context.invoke(storm_command, as_json=as_json)
    context.invoke(deliver_command, as_json=as_json)
    context.invoke(api_command, as_json=as_json)
    context.invoke(memory_command, as_json=as_json)
    context.invoke(restart_command, as_json=as_json)
    context.invoke(restart_command, as_json=as_json, alarms=100_000)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
