# SPDX-License-Identifier: Apache-2.0
"""The options that define an alarm, named as in Aodh's own client, and the request body made of them."""

from collections.abc import Callable, Mapping
from typing import Any, TextIO, TypeVar

import click

from alarmd.cli.alarm_additions import ADDITIONS, lay_additions, unset_additions
from alarmd.cli.alarm_rules import TYPES, missing_of, rule_of, without
from alarmd.cli.documents import object_in
from alarmd.cli.notation import constraint_of
from alarmd.cli.rule_options import RULES
from alarmd.cli.sections import in_section

_Command = TypeVar("_Command", bound=Callable[..., Any])

_ALARM_KEYS = ("name", "description", "enabled", "repeat_actions", "severity", "state", "project_id", "user_id")
_ACTION_KEYS = ("alarm_actions", "ok_actions", "insufficient_data_actions")
#: What an alarm is that nobody has given a type.
_USUAL_TYPE = "threshold"

_BOOLEAN: dict[str, Any] = {"type": bool, "metavar": "true|false"}


def definition_options(command: _Command) -> _Command:
    """Give a command the options that define an alarm; it gets them all as keyword arguments for `body_of`."""
    for option in reversed([*_COMMON, *RULES, *_HANDLING]):
        command = option(command)
    return command


def body_of(options: Mapping[str, Any], *, into: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body that the options ask for, laid over their file, laid over an alarm that is there (or nothing).

    Raises `click.UsageError` for options that contradict each other.
    """
    document = options["source"] or {}
    type_ = options["type"] or document.get("type") or into.get("type") or _USUAL_TYPE
    body = dict(into)
    if type_ != into.get("type"):
        # An alarm has one rule, and what it watched before is none of the new type's.
        body.pop(f"{into.get('type')}_rule", None)
    body |= document | {"type": type_}
    body |= {key: options[key] for key in _ALARM_KEYS if options.get(key) is not None}
    for key in _ACTION_KEYS:
        if options[key]:
            # Aodh's client has it so: one empty action means none at all.
            body[key] = [action for action in options[key] if action]
    if options["time_constraints"]:
        body["time_constraints"] = [constraint_of(text) for text in options["time_constraints"] if text]
    unset = unset_additions(body, options["unset"])
    lay_additions(body, options)
    rule = body.get(f"{type_}_rule")
    rule = without(rule if isinstance(rule, Mapping) else {}, unset)
    body[f"{type_}_rule"] = rule_of(str(type_), options, into=rule)
    return body


def refuse_incomplete(body: Mapping[str, Any]) -> None:
    """Raise `click.UsageError` when something is missing that no default stands in for."""
    missing = [] if "name" in body else ["--name"]
    missing += missing_of(str(body["type"]), body[f"{body['type']}_rule"])
    if missing:
        raise click.UsageError(
            f"An alarm of the type {body['type']} needs {', '.join(missing)} (or a --file that says so)."
        )


def _document(_context: click.Context, _option: click.Parameter, source: TextIO | None) -> dict[str, Any] | None:
    return None if source is None else object_in(source)


_ALARM = "The alarm"
_COMMON = [
    in_section(_ALARM, "--name", help="Name of the alarm."),
    in_section(
        _ALARM,
        "-t",
        "--type",
        type=click.Choice(TYPES),
        metavar="TYPE",
        help=f"What kind of rule it has: {', '.join(TYPES)}.  [default: threshold]",
    ),
    in_section(_ALARM, "--description", help="What it is for."),
    in_section(_ALARM, "--severity", type=click.Choice(["low", "moderate", "critical"]), help="How much it matters."),
    in_section(_ALARM, "--enabled", help="Whether it is evaluated at all.", **_BOOLEAN),
    in_section(_ALARM, "--state", type=click.Choice(["ok", "alarm", "insufficient data"]), help="State to put it in."),
    in_section(
        _ALARM, "--alarm-action", "alarm_actions", multiple=True, metavar="URL", help="Called on alarm; repeatable."
    ),
    in_section(_ALARM, "--ok-action", "ok_actions", multiple=True, metavar="URL", help="Called on ok; repeatable."),
    in_section(
        _ALARM,
        "--insufficient-data-action",
        "insufficient_data_actions",
        multiple=True,
        metavar="URL",
        help="Called when data is missing; repeatable.",
    ),
    in_section(_ALARM, "--repeat-actions", help="Call again while the state lasts.", **_BOOLEAN),
    in_section(
        _ALARM,
        "--time-constraint",
        "time_constraints",
        multiple=True,
        metavar="name=…;start=CRON;duration=S",
        help="Evaluate at these times only; also ;timezone=ZONE and ;description=TEXT. Repeatable.",
    ),
    *ADDITIONS,
    in_section(_ALARM, "--project-id", help="Owning project (administrators)."),
    in_section(_ALARM, "--user-id", help="Owning user (administrators)."),
]

_HANDLING = [
    in_section(
        "From a file",
        "-F",
        "--file",
        "source",
        type=click.File(encoding="utf-8"),
        callback=_document,
        help="A whole alarm in YAML or JSON, as `alarm show -f yaml` prints it; - for stdin. Options win over it.",
    ),
    in_section("From a file", "--dry-run", is_flag=True, help="Print the body that would be sent, and send nothing."),
]
