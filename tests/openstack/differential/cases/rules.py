# SPDX-License-Identifier: Apache-2.0
"""§3: the rules of every type, attribute by attribute."""

import json
from typing import Any, Final

from tests.openstack.differential.bodies import (
    BY_METRICS,
    BY_RESOURCES,
    GNOCCHI,
    RESOURCES,
    RULES,
    alarm,
    composite,
    leaf,
    with_rule,
    without,
)
from tests.openstack.differential.request import ROOT, Cases, create, get, put

#: Values for an attribute of the rules that compare with a threshold.
_COMMON: Final[dict[str, tuple[Any, ...]]] = {
    "threshold": (80, 80.5, 240000000000.0, "5", True, -1, 0, None, "x", [], 1e308),
    "comparison_operator": ("lt", "le", "eq", "ne", "ge", "gt", "LT", ">", None, ""),
    "evaluation_periods": (1, 100, 0, 101, -1, "3", 2.9, True, None, "x", []),
    "granularity": (1, 31536000, 0, 31536001, "300", 300.9, None, "x"),
    "aggregation_method": ("mean", "rate:mean", "bogus", "", None, 7),
    "exclude_outliers": (True,),
    "period": (60,),
    "statistic": ("avg",),
    "unknown_key": ("x", None),
}

_OWN: Final[dict[str, dict[str, tuple[Any, ...]]]] = {
    RESOURCES: {"metric": ("", None, 7, ["x"]), "resource_id": ("", None), "resource_type": ("", None)},
    BY_METRICS: {"metrics": ([], None, "m1", [1], [None], ["m1", "m1"], {}), "metric": ("cpu",)},
    BY_RESOURCES: {
        "metric": ("", None),
        "resource_type": ("", None),
        "query": ("", None, "{", {"=": {"a": 1}}, "[]", "null", "7", '{"bogus": 1}', '{"=": {"ended_at": null}}'),
    },
    "prometheus": {
        "query": ("", None, 7, "sum(rate(x[5m])) by (y)"),
        "threshold": (80, "5", True, None, "x"),
        "comparison_operator": ("lt", "gt", None, "bogus"),
        "evaluation_periods": (1,),
        "granularity": (60,),
        "scope_to_project": ("$p2",),
        "unknown_key": ("x",),
    },
    "loadbalancer_member_health": {
        "pool_id": ("", None, 7),
        "stack_id": ("", None),
        "autoscaling_group_id": ("", None),
        "unknown_key": ("x",),
    },
    "event": {
        "event_type": ("", None, "*", "a.b.*", 7),
        "unknown_key": ("x",),
        "query": (
            [],
            None,
            {},
            "x",
            ["x"],
            [None],
            [{}],
        ),
    },
}

_ATTRIBUTES: Final[Cases] = {
    f"{kind}: {key} as {json.dumps(value):.30}": (create(with_rule(kind, **{key: value})),)
    for kind, attributes in _OWN.items()
    for key, values in attributes.items()
    for value in values
}

_COMPARED: Final[Cases] = {
    f"{kind}: {key} as {json.dumps(value):.30}": (create(with_rule(kind, **{key: value})),)
    for kind in (RESOURCES, BY_METRICS)
    for key, values in _COMMON.items()
    for value in values
    if kind == RESOURCES or key in {"threshold", "granularity", "aggregation_method"}
}

_MISSING: Final[Cases] = {
    f"{kind}: without {key}": (create(alarm(kind, rule=without(rule, key))),)
    for kind, rule in RULES.items()
    if kind != "composite"
    for key in rule
}

_TERM: Final = {"field": "traits.state", "op": "eq", "type": "string", "value": "stopped"}

_TERMS: Final[dict[str, list[Any]]] = {
    "plain": [_TERM],
    "two": [_TERM, _TERM | {"field": "traits.instance_id"}],
    "without a field": [without(_TERM, "field")],
    "without an op": [without(_TERM, "op")],
    "without a value": [without(_TERM, "value")],
    "without a type": [without(_TERM, "type")],
    "empty type, as the client sends it": [_TERM | {"type": ""}],
    "null type": [_TERM | {"type": None}],
    "null op": [_TERM | {"op": None}],
    "null value": [_TERM | {"value": None}],
    "null field": [_TERM | {"field": None}],
    "a number as the value": [_TERM | {"value": 7}],
    "an unknown op": [_TERM | {"op": "like"}],
    "an op in signs": [_TERM | {"op": ">="}],
    **{f"op {op}": [_TERM | {"op": op}] for op in ("lt", "le", "ne", "ge", "gt")},
    "an unknown type": [_TERM | {"type": "text"}],
    "datetime": [_TERM | {"type": "datetime", "value": "2026-01-01"}],
    "integer": [_TERM | {"type": "integer", "value": "5"}],
    "integer that is none": [_TERM | {"type": "integer", "value": "five"}],
    "float": [_TERM | {"type": "float", "value": "5.5"}],
    "float that is none": [_TERM | {"type": "float", "value": "x"}],
    "boolean": [_TERM | {"type": "boolean", "value": "true"}],
    "boolean that is none": [_TERM | {"type": "boolean", "value": "maybe"}],
    "a field with a blank": [_TERM | {"field": "traits state"}],
    "a field with a slash": [_TERM | {"field": "traits/state"}],
    "a field with quotes": [_TERM | {"field": "traits.'a,b'.c_d-e"}],
    "an empty field": [_TERM | {"field": ""}],
    "an unknown key": [_TERM | {"colour": "red"}],
}

_EVENTS: Final[Cases] = {
    f"event query: {name}": (create(with_rule("event", query=value)),) for name, value in _TERMS.items()
} | {
    "event: null type beside a query": (create(alarm("event", rule={"event_type": None, "query": [_TERM]})),),
    "event: only a query": (create(alarm("event", rule={"query": [_TERM]})), get("/v2/alarms/$a")),
}

_NESTED: Final = {
    "or": [
        leaf(BY_RESOURCES, evaluation_periods=2),
        {"and": [leaf(comparison_operator="ge"), leaf(BY_METRICS)]},
    ]
}

_TREES: Final[dict[str, Any]] = {
    "one leaf": {"or": [leaf()]},
    "two leaves": {"and": [leaf(), leaf(BY_METRICS)]},
    "three kinds, nested": _NESTED,
    "an empty list": {"and": []},
    "an empty object": {},
    "a bare leaf": leaf(),
    "a bare list": [leaf()],
    "another operator": {"xor": [leaf(), leaf()]},
    "not": {"not": leaf()},
    "an operator in capitals": {"AND": [leaf()]},
    "two operators": {"and": [leaf()], "or": [leaf()]},
    "an operand that is no list": {"and": leaf()},
    "an operand that is null": {"and": None},
    "a node that is a text": {"and": ["x"]},
    "a node that is null": {"and": [None]},
    "a node that is empty": {"and": [{}]},
    "a leaf without a type": {"and": [without(leaf(), "type")]},
    "a leaf of an unknown type": {"and": [leaf() | {"type": "bogus"}]},
    "a leaf of type event": {"and": [leaf("event")]},
    "a leaf of type composite": {"and": [{"type": "composite", "or": [leaf()]}]},
    "a leaf of type loadbalancer": {"and": [leaf("loadbalancer_member_health")]},
    "a leaf of type threshold": {"and": [{"type": "threshold", "meter_name": "cpu", "threshold": 1.0}]},
    "a leaf with an unknown attribute": {"and": [leaf(colour="red")]},
    "a leaf without a threshold": {"and": [without(leaf(), "threshold")]},
    "a leaf with a bad threshold": {"and": [leaf(threshold="x")]},
    "a leaf with a threshold as text": {"and": [leaf(threshold="5")]},
    "a leaf with a bad operator": {"and": [leaf(comparison_operator="x")]},
    "a leaf with a null operator": {"and": [leaf(comparison_operator=None)]},
    "a leaf with null granularity": {"and": [leaf(granularity=None)]},
    "a leaf with granularity as text": {"and": [leaf(granularity="300")]},
    "a leaf with too many periods": {"and": [leaf(evaluation_periods=101)]},
    "a leaf with an unknown method": {"and": [leaf(aggregation_method="bogus")]},
    "as Heat's property has it": {"operator": "or", "rules": [leaf()]},
}

_COMPOSITES: Final[Cases] = {
    f"composite: {name}": (create(composite(tree)), get("/v2/alarms/$a")) for name, tree in _TREES.items()
}


def _echo(kept: dict[str, Any]) -> Any:
    return kept["a_doc"]


CASES: Final[Cases] = {
    **{f"{kind}: as small as may be": (create(alarm(kind)), get("/v2/alarms/$a")) for kind in RULES},
    **{
        f"{kind}: an echo is no change": (
            create(alarm(kind)),
            put("/v2/alarms/$a", _echo),
            get("/v2/alarms/$a/history"),
        )
        for kind in RULES
    },
    **{
        f"{kind}: as Heat sends it, with nulls": (
            create(
                with_rule(kind, granularity=None, evaluation_periods=None)
                | {"description": None, "repeat_actions": True}
            ),
        )
        for kind in GNOCCHI
    },
    **{f"{kind}: by an administrator": (create(alarm(kind), ROOT), get("/v2/alarms/$a", ROOT)) for kind in RULES},
    "composite: a prometheus leaf after a prometheus alarm": (
        create(alarm("prometheus")),
        create(composite({"or": [leaf("prometheus")]}), keep="b"),
    ),
    "by resources: a query of an administrator for another": (create(alarm(BY_RESOURCES, project_id="$p1"), ROOT),),
    "by resources: three echoes": (
        create(alarm(BY_RESOURCES)),
        *(put("/v2/alarms/$a", _echo, keep={"a_doc": ""}) for _ in range(3)),
        get("/v2/alarms/$a"),
    ),
    "by resources: the query is named anew": (
        create(alarm(BY_RESOURCES)),
        put("/v2/alarms/$a", alarm(BY_RESOURCES, severity="critical")),
        get("/v2/alarms/$a/history"),
    ),
    "threshold: what today's Aodh refuses": (
        create(
            {
                "name": "legacy",
                "type": "threshold",
                "threshold_rule": {"meter_name": "cpu_util", "threshold": 80.0, "comparison_operator": "gt"},
            }
        ),
    ),
    "combination: what nobody knows": (
        create({"name": "c", "type": "combination", "combination_rule": {"operator": "or", "alarm_ids": ["x"]}}),
    ),
    **_ATTRIBUTES,
    **_COMPARED,
    **_MISSING,
    **_EVENTS,
    **_COMPOSITES,
}
