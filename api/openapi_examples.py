# SPDX-License-Identifier: Apache-2.0
"""Examples that `/openapi.json` shows: one alarm of each type, and queries. Each of them is taken as it stands."""

from collections.abc import Mapping
from typing import Any

from alarmd.api.openapi_terms import Part

_GNOCCHI: Part = {
    "aggregation_method": "mean",
    "granularity": 300,
    "evaluation_periods": 2,
    "comparison_operator": "gt",
    "threshold": 80.0,
}

#: The rule of each type of alarm.
RULES: Mapping[str, Part] = {
    "threshold": {
        "meter_name": "cpu_util",
        "query": [{"field": "labels.group", "op": "eq", "value": "web"}],
        "statistic": "avg",
        "period": 60,
        "evaluation_periods": 2,
        "comparison_operator": "gt",
        "threshold": 80.0,
    },
    "event": {
        "event_type": "compute.instance.update",
        "query": [{"field": "traits.state", "op": "eq", "type": "string", "value": "error"}],
    },
    "composite": {
        "and": [
            {"type": "threshold", "meter_name": "cpu_util", "comparison_operator": "gt", "threshold": 80.0},
            {
                "not": {
                    "type": "threshold",
                    "meter_name": "memory.usage",
                    "comparison_operator": "lt",
                    "threshold": 900.0,
                }
            },
        ]
    },
    "gnocchi_resources_threshold": {
        "metric": "cpu",
        "resource_id": "2a4d689b-f0b8-49c1-9eef-87cae58d80db",
        "resource_type": "instance",
        **_GNOCCHI,
    },
    "gnocchi_aggregation_by_metrics_threshold": {
        "metrics": ["b3d9d8ab-05e8-439f-89ad-5e978dd2a5eb", "009d4faf-c275-46f0-8f2d-670b15bac2b0"],
        **_GNOCCHI,
    },
    "gnocchi_aggregation_by_resources_threshold": {
        "metric": "cpu",
        "resource_type": "instance",
        "query": '{"=": {"server_group": "web"}}',
        **_GNOCCHI,
    },
    "prometheus": {
        "query": 'avg(rate(node_cpu_seconds_total{mode!="idle"}[1m]))',
        "comparison_operator": "gt",
        "threshold": 0.8,
    },
    "loadbalancer_member_health": {
        "pool_id": "8b9d9ac4-3b3f-4b8f-9d0f-2a9a5d3a1f11",
        "stack_id": "f3c47e1c-7c1d-4b59-8f5b-1f0f2a6a7c55",
        "autoscaling_group_id": "5f6d2e0a-5f0f-4b0b-8f35-1d2b6f3b9c77",
    },
}

#: What every alarm may have beside its rule.
_COMMON: Part = {
    "severity": "moderate",
    "enabled": True,
    "alarm_actions": ["https://scaling.example/scale-out?token=1"],
    "ok_actions": [],
    "insufficient_data_actions": [],
    "repeat_actions": False,
    "time_constraints": [
        {"name": "office hours", "start": "0 8 * * 1-5", "duration": 36000, "timezone": "Europe/Berlin"}
    ],
}


def alarm_examples(types: Mapping[str, Any]) -> Part:
    """Return an alarm to create of each of these types that there is an example of."""
    return {
        type_: {"value": {"name": f"{type_} alarm", "type": type_, f"{type_}_rule": rule, **_COMMON}}
        for type_, rule in RULES.items()
        if type_ in types
    }


#: Complex queries, of alarms and of their history.
QUERY_EXAMPLES: Part = {
    "by name": {"value": {"filter": '{"=": {"type": "threshold"}}'}},
    "combined": {
        "value": {
            "filter": '{"and": [{"=": {"project_id": "p1"}}, {"not": {"in": {"user_id": ["ann", "bob"]}}}]}',
            "orderby": '[{"timestamp": "desc"}]',
            "limit": 10,
        }
    },
}
