# SPDX-License-Identifier: Apache-2.0
"""The options that define an alarm, named as in Aodh's own client, and the request body made of them."""

from collections.abc import Callable, Mapping
from typing import Any, TextIO, TypeVar

import click

from alarmd.cli.alarm_rules import TYPES, json_of, missing_of, rule_of
from alarmd.cli.documents import object_in
from alarmd.cli.notation import constraint_of
from alarmd.cli.sections import SectionOption

_Command = TypeVar("_Command", bound=Callable[..., Any])

_ALARM_KEYS = ("name", "description", "enabled", "repeat_actions", "severity", "state", "project_id", "user_id")
_ACTION_KEYS = ("alarm_actions", "ok_actions", "insufficient_data_actions")
#: What an alarm is that nobody has given a type.
_USUAL_TYPE = "threshold"

_BOOLEAN: dict[str, Any] = {"type": bool, "metavar": "true|false"}


def definition_options(command: _Command) -> _Command:
    """Give a command the options that define an alarm; it gets them all as keyword arguments for `body_of`."""
    for option in reversed([*_COMMON, *_RULES, *_HANDLING]):
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
    rule = body.get(f"{type_}_rule")
    body[f"{type_}_rule"] = rule_of(str(type_), options, into=rule if isinstance(rule, Mapping) else {})
    return body


def refuse_incomplete(body: Mapping[str, Any]) -> None:
    """Raise `click.UsageError` when something is missing that no default stands in for."""
    missing = [] if "name" in body else ["--name"]
    missing += missing_of(str(body["type"]), body[f"{body['type']}_rule"])
    if missing:
        raise click.UsageError(
            f"An alarm of the type {body['type']} needs {', '.join(missing)} (or a --file that says so)."
        )


def _option(section: str, *names: str, **attributes: Any) -> Callable[[_Command], _Command]:
    return click.option(*names, cls=SectionOption, section=section, **attributes)


def _document(_context: click.Context, _option: click.Parameter, source: TextIO | None) -> dict[str, Any] | None:
    return None if source is None else object_in(source)


def _rule_json(_context: click.Context, _option: click.Parameter, text: str | None) -> dict[str, Any] | None:
    rule = None if text is None else json_of(text, option="--rule")
    if rule is not None and not isinstance(rule, dict):
        raise click.BadParameter("must be a JSON object.")
    return rule


_ALARM = "The alarm"
_COMMON = [
    _option(_ALARM, "--name", help="Name of the alarm."),
    _option(
        _ALARM,
        "-t",
        "--type",
        type=click.Choice(TYPES),
        metavar="TYPE",
        help=f"What kind of rule it has: {', '.join(TYPES)}.  [default: threshold]",
    ),
    _option(_ALARM, "--description", help="What it is for."),
    _option(_ALARM, "--severity", type=click.Choice(["low", "moderate", "critical"]), help="How much it matters."),
    _option(_ALARM, "--enabled", help="Whether it is evaluated at all.", **_BOOLEAN),
    _option(_ALARM, "--state", type=click.Choice(["ok", "alarm", "insufficient data"]), help="State to put it in."),
    _option(
        _ALARM, "--alarm-action", "alarm_actions", multiple=True, metavar="URL", help="Called on alarm; repeatable."
    ),
    _option(_ALARM, "--ok-action", "ok_actions", multiple=True, metavar="URL", help="Called on ok; repeatable."),
    _option(
        _ALARM,
        "--insufficient-data-action",
        "insufficient_data_actions",
        multiple=True,
        metavar="URL",
        help="Called when data is missing; repeatable.",
    ),
    _option(_ALARM, "--repeat-actions", help="Call again while the state lasts.", **_BOOLEAN),
    _option(
        _ALARM,
        "--time-constraint",
        "time_constraints",
        multiple=True,
        metavar="name=…;start=CRON;duration=S",
        help="Evaluate at these times only; also ;timezone=ZONE and ;description=TEXT. Repeatable.",
    ),
    _option(_ALARM, "--project-id", help="Owning project (administrators)."),
    _option(_ALARM, "--user-id", help="Owning user (administrators)."),
]

_ANY = "Its rule"
_THRESHOLD = "Rules of the type threshold"
_GNOCCHI = "Rules of the gnocchi types"
_OTHERS = "Rules of other types"
_RULES = [
    _option(
        _ANY,
        "-m",
        "--metric",
        "--metrics",
        "--meter-name",
        "metrics",
        multiple=True,
        help="Metric to watch; repeatable for gnocchi_aggregation_by_metrics_threshold.",
    ),
    _option(_ANY, "--threshold", type=float, help="What the metric is compared with."),
    _option(
        _ANY,
        "--comparison-operator",
        "--comparison",
        type=click.Choice(["lt", "le", "eq", "ne", "ge", "gt"]),
        help="When a value counts as outside.  [server default: eq]",
    ),
    _option(
        _ANY,
        "--evaluation-periods",
        type=click.IntRange(min=1),
        help="How many periods must agree.  [server default: 1]",
    ),
    _option(
        _ANY,
        "--query",
        "queries",
        multiple=True,
        metavar="QUERY",
        help="threshold: FIELD=VALUE[;…] over resource_id, project_id, user_id, labels.NAME. "
        "event: traits.NAME=[TYPE::]VALUE[;…]. prometheus: PromQL. "
        "gnocchi_aggregation_by_resources_threshold: JSON.",
    ),
    _option(
        _THRESHOLD,
        "--statistic",
        type=click.Choice(["avg", "min", "max", "sum", "count"]),
        help="What is made of the samples of a period.  [server default: avg]",
    ),
    _option(_THRESHOLD, "--period", type=click.IntRange(min=1), help="Length of a period, s.  [server default: 60]"),
    _option(_THRESHOLD, "--exclude-outliers", help="Leave periods with odd counts out.", **_BOOLEAN),
    _option(_GNOCCHI, "--aggregation-method", help="How Gnocchi is to aggregate, e.g. mean or rate:mean."),
    _option(_GNOCCHI, "--granularity", type=click.IntRange(min=1), help="Length of a period, s.  [server default: 60]"),
    _option(_GNOCCHI, "--resource-type", help="Type of the resources, e.g. instance."),
    _option(_GNOCCHI, "--resource-id", help="The one resource of gnocchi_resources_threshold."),
    _option(_OTHERS, "--event-type", help="event: which events, with wildcards.  [server default: *]"),
    _option(
        _OTHERS,
        "--rule",
        "--composite-rule",
        "rule",
        callback=_rule_json,
        metavar="JSON",
        help='composite: {"and"|"or": [RULE, …]}, each RULE with its type.',
    ),
    _option(_OTHERS, "--pool-id", help="loadbalancer_member_health: pool to watch."),
    _option(_OTHERS, "--stack-id", help="loadbalancer_member_health: stack to update."),
    _option(_OTHERS, "--autoscaling-group-id", help="loadbalancer_member_health: group to heal."),
]

_HANDLING = [
    _option(
        "From a file",
        "-F",
        "--file",
        "source",
        type=click.File(encoding="utf-8"),
        callback=_document,
        help="A whole alarm in YAML or JSON, as `alarm show -f yaml` prints it; - for stdin. Options win over it.",
    ),
    _option("From a file", "--dry-run", is_flag=True, help="Print the body that would be sent, and send nothing."),
]
