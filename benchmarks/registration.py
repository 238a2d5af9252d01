# SPDX-License-Identifier: Apache-2.0
"""Alarms created through the REST API, each on a series of its own."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import click

from benchmarks.fleet import METRIC
from benchmarks.loopback import Client
from benchmarks.report import tell

#: The mean of the last period is held against it.
THRESHOLD = 0.0
#: The longest that a rule may ask for with the default window is more than this.
PERIOD_S = 300
_PROJECTS = 100
_CONNECTIONS = 4
_TOLD_EVERY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """An alarm and how a sample of its series looks, but for the value."""

    alarm_id: str
    sample: dict[str, Any]


def register(address: str, alarms: int, *, target: str) -> list[Registered]:
    """Create so many alarms that tell a target when they enter ok and when they enter alarm."""
    shares = [range(first, alarms, _CONNECTIONS) for first in range(min(_CONNECTIONS, alarms))]
    created: list[Registered] = []
    tell(f"creating {alarms:,} alarms")
    with ThreadPoolExecutor(len(shares)) as pool:
        for part in pool.map(lambda share: list(_register(address, share, target)), shares):
            created += part
    return created


def _register(address: str, numbers: range, target: str) -> Iterator[Registered]:
    with Client(address) as client:
        for number in numbers:
            sample = {
                "metric": METRIC.name,
                "unit": METRIC.unit,
                "resource_id": f"vm-{number:07d}",
                "project_id": f"project-{number % _PROJECTS}",
            }
            status, answer = client.post("/v2/alarms", _alarm(number, sample, target))
            if status != 201:
                raise click.ClickException(f"an alarm was answered {status}: {answer.decode(errors='replace')[:500]}")
            yield Registered(alarm_id=json.loads(answer)["alarm_id"], sample=sample)
            if (number + 1) % _TOLD_EVERY == 0:
                tell(f"created {number + 1:,}")


def _alarm(number: int, sample: dict[str, Any], target: str) -> dict[str, Any]:
    return {
        "name": f"alarm-{number}",
        "type": "threshold",
        "project_id": sample["project_id"],
        "ok_actions": [target],
        "alarm_actions": [target],
        "threshold_rule": {
            "meter_name": METRIC.name,
            "query": [{"field": "resource_id", "op": "eq", "value": sample["resource_id"]}],
            "statistic": "avg",
            "period": PERIOD_S,
            "evaluation_periods": 1,
            "comparison_operator": "gt",
            "threshold": THRESHOLD,
        },
    }
