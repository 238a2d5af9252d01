# SPDX-License-Identifier: Apache-2.0
"""The options that define an alarm, named as in Aodh's own client, and the request body made of them."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])

_ALARM_KEYS = ("name", "description", "enabled", "repeat_actions", "severity", "state", "project_id", "user_id")
_ACTION_KEYS = ("alarm_actions", "ok_actions", "insufficient_data_actions")
_RULE_KEYS = (
    "meter_name",
    "threshold",
    "comparison_operator",
    "statistic",
    "period",
    "evaluation_periods",
    "exclude_outliers",
)

#: FIELD OP [TYPE::]VALUE
_CONDITION = re.compile(
    r"^\s*(?P<field>[^\s=<>!]+)\s*(?P<op><=|>=|!=|==|=|<|>)\s*"
    r"(?:(?P<type>string|integer|float|boolean|datetime)::)?(?P<value>.*?)\s*$"
)
_OPERATORS = {"=": "eq", "==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


def definition_options(*, creating: bool) -> Callable[[_Command], _Command]:
    """Give a command the options that define an alarm; those without a default are mandatory when creating."""
    options = [
        click.option("--name", required=creating, help="Name of the alarm."),
        click.option("-t", "--type", "type_", type=click.Choice(["threshold"]), help="Type of the alarm."),
        click.option("--description", help="What it is for."),
        click.option("-m", "--meter-name", "--metric", "meter_name", required=creating, help="Metric to watch."),
        click.option("--threshold", type=float, required=creating, help="What the statistic is compared with."),
        click.option(
            "--comparison-operator",
            "--comparison",
            type=click.Choice(["lt", "le", "eq", "ne", "ge", "gt"]),
            help="When the statistic counts as outside.  [server default: eq]",
        ),
        click.option(
            "--statistic",
            type=click.Choice(["avg", "min", "max", "sum", "count"]),
            help="What is made of the samples of a period.  [server default: avg]",
        ),
        click.option("--period", type=click.IntRange(min=1), help="Length of a period, s.  [server default: 60]"),
        click.option(
            "--evaluation-periods", type=click.IntRange(min=1), help="How many periods must agree.  [server default: 1]"
        ),
        click.option("--exclude-outliers", type=bool, metavar="true|false", help="Leave periods with odd counts out."),
        click.option(
            "--query",
            "queries",
            multiple=True,
            metavar="FIELD=VALUE[;…]",
            help="Which series: resource_id, project_id, user_id, labels.NAME; may be repeated.",
        ),
        click.option("--alarm-action", "alarm_actions", multiple=True, help="URL to call on alarm; may be repeated."),
        click.option("--ok-action", "ok_actions", multiple=True, help="URL to call on ok; may be repeated."),
        click.option(
            "--insufficient-data-action",
            "insufficient_data_actions",
            multiple=True,
            help="URL to call when data is missing; may be repeated.",
        ),
        click.option("--repeat-actions", type=bool, metavar="true|false", help="Call again while the state lasts."),
        click.option("--severity", type=click.Choice(["low", "moderate", "critical"]), help="How much it matters."),
        click.option("--enabled", type=bool, metavar="true|false", help="Whether it is evaluated at all."),
        click.option("--state", type=click.Choice(["ok", "alarm", "insufficient data"]), help="State to put it in."),
        click.option("--project-id", help="Owning project (administrators)."),
        click.option("--user-id", help="Owning user (administrators)."),
    ]

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def body_of(options: Mapping[str, Any], *, into: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body that the options ask for, laid over an alarm that is there (or over the bare type)."""
    body = dict(into)
    body |= {key: options[key] for key in _ALARM_KEYS if options.get(key) is not None}
    for key in _ACTION_KEYS:
        if options[key]:
            # Aodh's client has it so: one empty action means none at all.
            body[key] = [action for action in options[key] if action]
    rule_key = f"{body['type']}_rule"
    rule = dict(body.get(rule_key) or {})
    rule |= {key: options[key] for key in _RULE_KEYS if options.get(key) is not None}
    if options["queries"]:
        rule["query"] = [condition for query in options["queries"] for condition in conditions_of(query)]
    return body | {rule_key: rule}


def conditions_of(query: str) -> list[dict[str, str]]:
    """Return the conditions of a query such as ``resource_id=vm-1;labels.group=web``; none for an empty one."""
    conditions = []
    for part in query.split(";"):
        if not part.strip():
            continue
        match = _CONDITION.match(part)
        if match is None:
            raise click.UsageError(f"{part.strip()!r} of --query is no condition; write FIELD=VALUE[;FIELD=VALUE…].")
        condition = {"field": match["field"], "op": _OPERATORS[match["op"]], "value": match["value"]}
        conditions.append(condition | ({"type": match["type"]} if match["type"] else {}))
    return conditions


def pairs_of(texts: tuple[str, ...], *, option: str) -> list[tuple[str, str]]:
    """Return ``KEY=VALUE`` texts, each perhaps several with ``;`` between them, as pairs."""
    pairs = []
    for text in texts:
        for part in text.split(";"):
            key, separator, value = part.partition("=")
            if not (separator and key.strip()):
                raise click.UsageError(f"{part!r} of {option} is no pair; write KEY=VALUE.")
            pairs.append((key.strip(), value.strip()))
    return pairs
