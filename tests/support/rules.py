# SPDX-License-Identifier: Apache-2.0
"""Rules for tests: one of each family with its mandatory members only, and all that a client may vary."""

from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st

from alarmd.evaluators.family import RuleFamily
from tests.support.rest import rule_families

FAMILIES: Final[Mapping[str, RuleFamily]] = rule_families()

_JUDGED: Final = {"aggregation_method": "mean", "threshold": 80}
#: The mandatory members of each type's rule.
SHORTEST: Final[Mapping[str, dict[str, Any]]] = {
    "threshold": {"meter_name": "cpu_util", "threshold": 80},
    "gnocchi_resources_threshold": {"metric": "cpu", "resource_id": "vm-1", "resource_type": "instance"} | _JUDGED,
    "gnocchi_aggregation_by_metrics_threshold": {"metrics": ["m-1", "m-2"]} | _JUDGED,
    "gnocchi_aggregation_by_resources_threshold": {
        "metric": "cpu",
        "resource_type": "instance",
        "query": '{"=": {"server_group": "g"}}',
    }
    | _JUDGED,
    "prometheus": {"query": "up", "threshold": 80},
    "event": {},
    "loadbalancer_member_health": {"pool_id": "p", "stack_id": "s", "autoscaling_group_id": "g"},
    "composite": {"or": [{"type": "prometheus", "query": "up", "threshold": 80}]},
}
#: The optional members of each type's rule, with their defaults.
DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "threshold": {
        "query": [],
        "statistic": "avg",
        "period": 60,
        "evaluation_periods": 1,
        "comparison_operator": "eq",
        "exclude_outliers": False,
    },
    **{
        name: {"granularity": 60, "evaluation_periods": 1, "comparison_operator": "eq"}
        for name in SHORTEST
        if name.startswith("gnocchi_")
    },
    "prometheus": {"comparison_operator": "eq"},
    "event": {"event_type": "*", "query": []},
    "loadbalancer_member_health": {},
    "composite": {},
}


def normalised(type_: str, rule: Any = None, /, **changes: Any) -> dict[str, Any]:
    """Return a rule as it is kept for project ``p1``; the shortest one of its type when none is given."""
    return FAMILIES[type_].normalise((SHORTEST[type_] if rule is None else rule) | changes, project_id="p1")


#: Text that is printable, made so and not sifted out of all there is.
_TEXT = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), max_size=8)
_OPERATORS = st.sampled_from(["lt", "le", "eq", "ne", "ge", "gt"])
_NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**53), 2**53),
    st.booleans(),
    st.integers(-(10**6), 10**6).map(str),
)


def _wholes(most: int) -> st.SearchStrategy[Any]:
    plain = st.integers(1, most)
    return st.one_of(plain, plain.map(str), plain.map(float), plain.map(lambda number: number + 0.5), st.none())


_METHODS = st.sampled_from(
    ["mean", "last", "count", "1pct", "99pct", "rate:mean", "rate:95pct", "p99.9", "stddev", "rate", "delta"]
)
_OF_SEVERAL: Final = {"group_statistic": st.sampled_from(["sum", "p5", None])}
_HOW_JUDGED: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    "granularity": _wholes(30),
    "evaluation_periods": _wholes(50),
    "comparison_operator": st.one_of(_OPERATORS, st.none()),
}
_JUDGEMENT: Final[Mapping[str, st.SearchStrategy[Any]]] = {"aggregation_method": _METHODS, "threshold": _NUMBERS}
_CONDITIONS = st.one_of(
    st.builds(lambda text: {"value": text, "type": "string"}, _TEXT),
    st.builds(lambda number: {"value": str(number), "type": "integer"}, st.integers()),
    st.builds(lambda number: {"value": str(number), "type": "float"}, st.floats(allow_nan=False, allow_infinity=False)),
    st.builds(lambda text: {"value": text, "type": "boolean"}, st.sampled_from(["True", "no", "0", "off"])),
    st.builds(lambda text: {"value": text, "type": ""}, _TEXT),
).flatmap(
    lambda condition: st.fixed_dictionaries(
        {"field": st.sampled_from(["traits.state", "a", "x-1.y'z,_"])},
        optional={"op": st.one_of(_OPERATORS, st.none())},
    ).map(lambda rest: rest | condition)
)

#: Rules of each type but composite, in every spelling that is taken.
SPELLINGS: Final[Mapping[str, st.SearchStrategy[dict[str, Any]]]] = {
    "threshold": st.fixed_dictionaries(
        {"meter_name": st.just("cpu"), "threshold": _NUMBERS},
        optional={
            "statistic": st.sampled_from(["avg", "max", "p99.9", "rate", None]),
            "group_statistic": st.sampled_from(["sum", "p5", None]),
            "datapoints_to_alarm": st.sampled_from([1, "1", None]),
            "treat_missing_data": st.sampled_from(["ignore", "missing", None]),
            "hold_for": _wholes(120),
            "keep_for": st.sampled_from([0, "60", None]),
            "minimum_coverage": st.sampled_from([1, "0.5", None]),
            "period": _wholes(30),
            "evaluation_periods": _wholes(10),
            "comparison_operator": st.one_of(_OPERATORS, st.none()),
            "exclude_outliers": st.sampled_from([True, "false", 0, None]),
            "query": st.lists(
                st.fixed_dictionaries({"field": st.just("labels.group"), "value": st.just("web")}), max_size=2
            ),
        },
    ),
    "gnocchi_resources_threshold": st.fixed_dictionaries(
        {"metric": _TEXT, "resource_id": _TEXT, "resource_type": _TEXT, **_JUDGEMENT}, optional={**_HOW_JUDGED}
    ),
    "gnocchi_aggregation_by_metrics_threshold": st.fixed_dictionaries(
        {"metrics": st.lists(_TEXT, max_size=3), **_JUDGEMENT}, optional={**_HOW_JUDGED, **_OF_SEVERAL}
    ),
    "gnocchi_aggregation_by_resources_threshold": st.fixed_dictionaries(
        {
            "metric": _TEXT,
            "resource_type": _TEXT,
            "query": st.sampled_from(["{}", '{"=":{"a":null}}', ' {"and": [{"=": {"a": 1}}]}\n']),
            **_JUDGEMENT,
        },
        optional={**_HOW_JUDGED, **_OF_SEVERAL},
    ),
    "prometheus": st.fixed_dictionaries(
        {"query": _TEXT, "threshold": _NUMBERS}, optional={"comparison_operator": st.one_of(_OPERATORS, st.none())}
    ),
    "event": st.fixed_dictionaries(
        {},
        optional={
            "event_type": st.one_of(_TEXT, st.none()),
            "query": st.one_of(st.lists(_CONDITIONS, max_size=3), st.none()),
        },
    ),
    "loadbalancer_member_health": st.fixed_dictionaries(
        {"pool_id": _TEXT, "stack_id": _TEXT, "autoscaling_group_id": _TEXT}
    ),
}

#: Leaves of composite rules.
LEAVES: Final = st.one_of(
    *(
        SPELLINGS[name].map(lambda rule, name=name: rule | {"type": name})  # type: ignore[misc]  # binds the name
        for name in SPELLINGS
        if FAMILIES[name].fits_composite
    )
)


def _combined(nodes: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(nodes, min_size=1, max_size=3)
    return st.one_of(
        st.builds(lambda operator, children: {operator: children}, st.sampled_from(["and", "or"]), several),
        nodes.map(lambda node: {"not": node}),
        several.flatmap(
            lambda children: st.integers(1, len(children)).map(
                lambda count: {"at_least": {"count": count, "of": children}}
            )
        ),
    )


#: Composite rules within the default limits, without references.
TREES: Final[st.SearchStrategy[dict[str, Any]]] = st.recursive(LEAVES, _combined, max_leaves=5).filter(
    lambda tree: depth_of(tree) <= 8
)


def depth_of(tree: Mapping[str, Any]) -> int:
    """Return how many levels a composite rule has."""
    if "type" in tree:
        return 1
    [operand] = tree.values()
    if isinstance(operand, Mapping):
        operand = operand.get("of", [operand])
    return 1 + max(depth_of(child) for child in operand)
