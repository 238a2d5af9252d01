# SPDX-License-Identifier: Apache-2.0
"""Bodies of alarms as small as they may be; whatever a case is about is added to them."""

import json
from typing import Any, Final

RESOURCES: Final = "gnocchi_resources_threshold"
BY_METRICS: Final = "gnocchi_aggregation_by_metrics_threshold"
BY_RESOURCES: Final = "gnocchi_aggregation_by_resources_threshold"
GNOCCHI: Final = (RESOURCES, BY_METRICS, BY_RESOURCES)

QUERY: Final = json.dumps({"=": {"server_group": "g1"}})

#: The mandatory attributes of each type's rule, and values for them.
RULES: Final[dict[str, dict[str, Any]]] = {
    RESOURCES: {
        "metric": "cpu",
        "resource_id": "r1",
        "resource_type": "instance",
        "aggregation_method": "mean",
        "threshold": 80.0,
    },
    BY_METRICS: {"metrics": ["m1", "m2"], "aggregation_method": "mean", "threshold": 80.0},
    BY_RESOURCES: {
        "metric": "cpu",
        "resource_type": "instance",
        "query": QUERY,
        "aggregation_method": "rate:mean",
        "threshold": 80.0,
    },
    "prometheus": {"query": "up", "threshold": 1.0},
    "event": {"event_type": "compute.instance.update"},
    "composite": {"or": [{"type": BY_METRICS, "metrics": ["m1"], "aggregation_method": "mean", "threshold": 80.0}]},
    "loadbalancer_member_health": {"pool_id": "pool", "stack_id": "stack", "autoscaling_group_id": "asg"},
}


def alarm(kind: str = "event", *, rule: Any = None, **more: Any) -> dict[str, Any]:
    """Return an alarm of a type with its mandatory attributes, other attributes added or put in their place."""
    return {"name": "an alarm", "type": kind, f"{kind}_rule": RULES[kind] if rule is None else rule, **more}


def with_rule(kind: str, **attributes: Any) -> dict[str, Any]:
    """Return an alarm of a type with some attributes of its rule set."""
    return alarm(kind, rule={**RULES[kind], **attributes})


def without(body: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Return a body that lacks some keys."""
    return {key: value for key, value in body.items() if key not in keys}


def composite(rule: Any) -> dict[str, Any]:
    """Return a composite alarm with this rule."""
    return alarm("composite", rule=rule)


def leaf(kind: str = RESOURCES, **attributes: Any) -> dict[str, Any]:
    """Return a leaf of a composite rule."""
    return {"type": kind, **RULES[kind], **attributes}
