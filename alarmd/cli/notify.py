# SPDX-License-Identifier: Apache-2.0
"""`alarmd notify`: the sending of webhooks, tried out."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any

import click

from alarmd.cli.output import Output, output_options
from alarmd.cli.settings_options import settings_options
from alarmd.settings import Effective

#: What of a step stands by itself in a table, and what in lines of its own.
_COLUMNS = ("step", "ok", "took_ms", "detail")
_LINES = ("headers", "body")


@click.group(name="notify")
def notify() -> None:
    """Try out how webhooks are sent."""


@notify.command(name="test")
@click.argument("url")
@click.option(
    "--project",
    "project_id",
    metavar="ID",
    default="",
    help="Send as for an alarm of this project: by its rules, with its secret.",
)
@click.option(
    "--secret",
    metavar="whsec_...",
    help="Sign with this secret [default: the project's own, else the configured ones].",
)
@output_options
@settings_options
def test_url(effective: Effective, output: Output, *, url: str, project_id: str, secret: str | None) -> None:
    """Send a signed probe to URL and show every step.

    It is sent once, by the code and the settings that deliver notifications, from this machine; no daemon has to run.
    Shown are the rules on the URL, the addresses of its host and the verdict on each, the connection, TLS, the request
    and the answer. Queries of URLs and tokens are masked.

    The receiver cannot tell a probe from the real thing unless it looks at the body (alarm_name, state ok to ok): a
    scaling policy of Heat scales.

    \b
    Examples:
      alarmd notify test https://scaler.example/hook
      alarmd notify test http://10.0.0.5:8080/hook --project web --format json
    """
    # These take half a second.
    from alarmd.notifiers.probe import shown  # noqa: PLC0415
    from alarmd.runtime import Runtime  # noqa: PLC0415

    # A probe of `log:` is a line in the log, which is no part of what is shown.
    with redirect_stdout(sys.stderr):
        outcome = Runtime(settings=effective.settings).probe(url, project_id=project_id, secret=secret)

    steps = [shown(step) for step in outcome.steps]
    took_ms = round(outcome.took_s * 1000, 1)
    if output.is_tabular:
        output.rows(list(_rows(steps)), columns=_COLUMNS)
        click.echo(f"{outcome.word} after {took_ms:g} ms ({outcome.reason})", err=True)
    else:
        output.item({"outcome": outcome.word, "reason": outcome.reason, "took_ms": took_ms, "steps": steps})
    click.get_current_context().exit(0 if outcome.ok else 1)


def _rows(steps: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for step in steps:
        facts = {name: fact for name, fact in step.items() if name not in {*_COLUMNS, *_LINES}}
        yield {**{name: step[name] for name in _COLUMNS[:-1]}, "detail": _words_of(facts)}
        for name, value in (step.get("headers") or {}).items():
            yield {"step": "", "ok": "", "took_ms": "", "detail": f"{name}: {value}"}
        if "body" in step:
            yield {"step": "", "ok": "", "took_ms": "", "detail": step["body"]}


def _words_of(facts: Mapping[str, Any]) -> str:
    shown = ((name, ", ".join(fact) if isinstance(fact, list) else fact) for name, fact in facts.items())
    return "; ".join(f"{name} {fact}" for name, fact in shown if fact not in (None, ""))
