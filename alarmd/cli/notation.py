# SPDX-License-Identifier: Apache-2.0
"""What people type where the API wants JSON: pairs, conditions and time constraints."""

import re
from collections.abc import Sequence
from typing import Any

import click

#: FIELD OP [TYPE::]VALUE
_CONDITION = re.compile(
    r"^\s*(?P<field>[^\s=<>!]+)\s*(?P<op><=|>=|!=|==|=|<|>)\s*"
    r"(?:(?P<type>string|integer|float|boolean|datetime)::)?(?P<value>.*?)\s*$"
)
_OPERATORS = {"=": "eq", "==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_CONSTRAINT_KEYS = ("name", "start", "duration", "timezone", "description")
_MANDATORY_CONSTRAINT_KEYS = _CONSTRAINT_KEYS[:3]


def pairs_of(texts: Sequence[str], *, option: str) -> list[tuple[str, str]]:
    """Return ``KEY=VALUE`` texts, each perhaps several with ``;`` between them, as pairs."""
    pairs = []
    for text in texts:
        for part in text.split(";"):
            key, separator, value = part.partition("=")
            if not (separator and key.strip()):
                raise click.UsageError(f"{part!r} of {option} is no pair; write KEY=VALUE.")
            pairs.append((key.strip(), value.strip()))
    return pairs


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


def constraint_of(text: str) -> dict[str, Any]:
    """Return the time constraint ``name=…;start=…;duration=…[;timezone=…][;description=…]``."""
    option = "--time-constraint"
    constraint: dict[str, Any] = {
        key: value.strip("\"' ") for key, value in pairs_of([text.strip().rstrip(";")], option=option)
    }
    unknown = [key for key in constraint if key not in _CONSTRAINT_KEYS]
    missing = [key for key in _MANDATORY_CONSTRAINT_KEYS if key not in constraint]
    if unknown or missing:
        wrong = f"{', '.join(unknown)} is unknown" if unknown else f"{', '.join(missing)} is missing"
        raise click.UsageError(
            f"{text!r} of {option} is no time constraint: {wrong}. "
            "Write 'name=NAME;start=CRON;duration=SECONDS[;timezone=ZONE][;description=TEXT]'."
        )
    if not constraint["duration"].isdecimal():
        raise click.UsageError(f"The duration {constraint['duration']!r} of {option} is no whole number of seconds.")
    return constraint | {"duration": int(constraint["duration"])}
