# SPDX-License-Identifier: Apache-2.0
"""`alarmd demo`: the whole loop on this machine, in a minute or two, with nothing left behind."""

import json
import os
import signal
import socket
import tempfile
from base64 import b64encode
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from alarmd.cli.demo.daemon import DemoDaemon
from alarmd.cli.demo.group import HostGroup, HypervisorUnavailable, MachineGroup, ScalingGroup
from alarmd.cli.demo.receiver import Receiver
from alarmd.cli.demo.screen import Screen
from alarmd.cli.demo.story import Ending, Story
from alarmd.clock import Clock, SystemClock
from alarmd.telemetry import LogFormat, LogLevel, configure_logging


@click.command(name="demo")
@click.option(
    "--source",
    type=click.Choice(["auto", "libvirt", "host"]),
    default="auto",
    show_default=True,
    help="What to scale: virtual machines (libvirt) or this machine's load (host). auto: libvirt if it can be had.",
)
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON on standard output.")
def demo(*, source: str, as_json: bool) -> None:
    """Show the whole loop: load, alarm, webhook, one machine more; and back again.

    Starts real virtual machines on a private libvirt, an `alarmd run` that polls them, and a webhook receiver that
    scales them. Takes less than two minutes, needs no settings, and removes everything it has started.
    """
    configure_logging(level=LogLevel.ERROR, log_format=LogFormat.CONSOLE)
    signal.signal(signal.SIGTERM, _end)
    clock = SystemClock()
    start_s = clock.monotonic_s()
    console = Console(stderr=as_json, highlight=False)
    with ExitStack() as stack:
        screen = stack.enter_context(Screen(console))
        group = _group(source, screen)
        stack.callback(group.close)
        ending = _play(group, screen, clock=clock, start_s=start_s)
    _sum_up(console, ending, took_s=clock.monotonic_s() - start_s)
    if as_json:
        click.echo(json.dumps(ending.as_json()))
    if not ending.as_json()["ok"]:
        raise click.ClickException("The group did not scale exactly once in each direction.")


def _play(group: ScalingGroup, screen: Screen, *, clock: Clock, start_s: float) -> Ending:
    secret = f"whsec_{b64encode(os.urandom(32)).decode()}"
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="alarmd-demo-", ignore_cleanup_errors=True))
        )
        receiver = stack.enter_context(Receiver(secret=secret, clock=clock))
        daemon = stack.enter_context(DemoDaemon(folder, source=group.poller_source(), secret=secret, clock=clock))
        screen.tell(clock.monotonic_s() - start_s, f"`alarmd run` is ready, polling {group.source} twice a second")
        story = Story(group=group, daemon=daemon, receiver=receiver, screen=screen, clock=clock, start_s=start_s)
        return story.run()


def _group(source: str, screen: Screen) -> ScalingGroup:
    if source != "host":
        screen.tell(0.0, "Starting a private libvirt and the first virtual machine")
        try:
            group = MachineGroup()
        except HypervisorUnavailable as error:
            if source == "libvirt":
                raise
            screen.tell(0.0, f"No virtual machines here: {error.message}")
            screen.tell(0.0, "Showing the same loop on this machine's own load instead (members are only names)")
        else:
            how = "KVM" if group.accelerator == "kvm" else "software emulation"
            screen.tell(0.0, f"A virtual machine of 16 MiB is running ({how})")
            return group
    return HostGroup(resource_id=socket.gethostname(), processors=os.cpu_count() or 1)


def _sum_up(console: Console, ending: Ending, *, took_s: float) -> None:
    console.print()
    console.print(
        f"Scaled out {ending.scaled_out} and in {ending.scaled_in}, by {ending.webhooks} signed webhooks, "
        f"in {took_s:.0f} s in all. Reaction:"
    )
    for name, reaction in (("out", ending.out), ("in", ending.back)):
        console.print(
            f"  scale {name}: {reaction.load_to_webhook:.2f} s from load to webhook, "
            f"{reaction.sample_to_webhook:.3f} s from sample to webhook"
        )


def _end(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C would, so that everything that was started is stopped."""
    del number, frame
    raise KeyboardInterrupt
