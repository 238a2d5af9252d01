# SPDX-License-Identifier: Apache-2.0
"""Which events meet which rule (aodh-api 4.7)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarmd.evaluators.families.event.family import read_event_rule
from tests.support.events import a_push, an_event, as_event, meets

FIELDS = ("traits.a", "traits.b", "traits.gone", "size", "flag", "message_id", "generated", "raw", "nowhere")
MOMENTS = ("2026-01-01T12:00:00", "2026-01-01T13:00:00+01:00", "2026-01-02")
WORDS = ("stopped", "Stopped", "", "true", "No", "1", "0", "5", "5.0", "-7", "1e3", *MOMENTS)
CONVERTIBLE = {
    "string": WORDS,
    "": WORDS,
    "integer": ("5", "-7", "0", "1"),
    "float": ("5", "5.0", "1e3", "-7.5", "0"),
    "boolean": ("true", "No", "1", "0"),
}


def is_met(
    *traits: Any,
    op: str = "eq",
    type_: str = "string",
    value: str = "stopped",
    field: str = "traits.state",
    **more: Any,
) -> bool:
    """Return whether an event meets a rule with one condition."""
    condition = {"field": field, "op": op, "type": type_, "value": value}
    return read_event_rule({"query": [condition]}).is_met_by(an_event(*traits, **more))


@pytest.mark.parametrize(
    ("wildcard", "event_type", "expected"),
    [
        ("*", "anything", True),
        ("", "anything", True),
        ("compute.instance.*", "compute.instance.update", True),
        ("compute.instance.*", "compute.instance", False),
        ("compute.?nstance.update", "compute.instance.update", True),
        ("compute.[ij]nstance.update", "compute.instance.update", True),
        ("compute.[!i]nstance.update", "compute.instance.update", False),
        ("compute[", "compute[", True),
        ("compute.*", "Compute.x", False),
        ("update", "compute.instance.update", False),
    ],
)
def test_s4_7_types_match_as_in_a_shell(wildcard: str, event_type: str, expected: bool) -> None:
    """The whole type has to match, and capital letters count."""
    rule = read_event_rule({"event_type": wildcard})

    assert expected == rule.is_met_by(an_event(event_type=event_type))


@pytest.mark.parametrize(
    ("trait", "type_", "op", "value", "expected"),
    [
        (["state", 1, "stopped"], "string", "eq", "stopped", True),
        (["state", 1, "stopped"], "", "eq", "stopped", True),
        (["state", 1, "Stopped"], "string", "eq", "stopped", False),
        (["state", 1, "stopped"], "string", "ne", "active", True),
        (["state", 1, "b"], "string", "gt", "a", True),
        (["state", 2, 5], "integer", "eq", "5", True),
        (["state", 2, "5"], "integer", "ge", "5", True),
        (["state", 2, 9], "integer", "lt", "10", True),
        (["state", 3, 5.0], "integer", "eq", "5", True),
        (["state", 2, 5], "float", "lt", "5.5", True),
        (["state", 2, 2**60 + 1], "integer", "eq", str(2**60 + 1), True),
        (["state", 2, 2**60 + 1], "", "eq", str(2**60), False),
        (["state", 2, 5], "", "eq", "5", True),
        (["state", 2, 5], "", "gt", "four", False),
        (["state", 1, "True"], "boolean", "eq", "yes", True),
        (["state", 2, 0], "boolean", "eq", "false", True),
        ({"name": "state", "value": True}, "boolean", "eq", "true", True),
        ({"name": "state", "value": True}, "boolean", "ne", "true", False),
        ({"name": "state", "value": False}, "", "eq", "off", True),
        ({"name": "state", "value": False}, "boolean", "lt", "true", True),
        ({"name": "state", "value": True}, "integer", "eq", "1", False),
        (["state", 1, "perhaps"], "boolean", "ne", "true", False),
        (["state", 4, "2026-01-01T12:00:00"], "string", "eq", "2026-01-01T13:00:00+01:00", True),
        (["state", 4, "2026-01-01T12:00:00"], "", "ge", "2026-01-01", True),
        (["state", 4, "2026-01-01T12:00:00"], "string", "ne", "yesterday", False),
    ],
)
def test_s4_7_each_type_is_compared_as_what_it_is(trait: Any, type_: str, op: str, value: str, expected: bool) -> None:
    """Numbers as numbers, moments in time, text by its letters, yes and no by their meaning."""
    assert expected == is_met(trait, type_=type_, op=op, value=value)


@pytest.mark.parametrize("op", ["lt", "le", "eq", "ne", "ge", "gt"])
@pytest.mark.parametrize(
    ("trait", "type_", "value"),
    [
        (["other", 1, "x"], "string", "stopped"),
        (["state", 1, None], "string", "stopped"),
        (["state", 1, "5"], "integer", "5"),
        (["state", 2, 5], "string", "5"),
        (["state", 1, "five"], "float", "5"),
        (["state", 4, "2026-01-01"], "integer", "5"),
        (["state", 4, "2026-01-01"], "boolean", "yes"),
    ],
)
def test_s4_7_what_is_missing_or_of_another_type_meets_nothing(trait: Any, type_: str, value: str, op: str) -> None:
    """Not even `ne`, which in Aodh fires on every event that says nothing."""
    assert not is_met(trait, type_=type_, op=op, value=value)


@pytest.mark.parametrize(
    ("field", "type_", "op", "value", "expected"),
    [
        ("priority", "string", "eq", "ERROR", True),
        ("priority", "string", "ne", "ERROR", False),
        ("size", "integer", "ge", "5", True),
        ("flag", "boolean", "eq", "true", True),
        ("raw.host.name", "string", "eq", "web-1", True),
        ("dotted.name", "string", "eq", "x", True),
        ("raw.host", "string", "ne", "x", False),
        ("raw.host.name.more", "string", "ne", "x", False),
        ("generated", "", "lt", "2026-01-01T14:00:00+01:00", True),
        ("event_type", "string", "eq", "compute.instance.update", True),
        ("", "string", "eq", "", False),
    ],
)
def test_s4_7_fields_of_the_event_are_compared_too(field: str, type_: str, op: str, value: str, expected: bool) -> None:
    """In Aodh such an alarm never fires."""
    more = {"priority": "ERROR", "size": 5, "flag": True, "raw": {"host": {"name": "web-1"}}, "dotted.name": "x"}

    assert expected == is_met(field=field, type_=type_, op=op, value=value, **more)


def test_s4_7_all_conditions_have_to_hold() -> None:
    """And of a trait that stands twice the last one counts."""
    query = [
        {"field": "traits.state", "type": "string", "value": "stopped"},
        {"field": "traits.vcpus", "type": "integer", "op": "gt", "value": "2"},
    ]
    rule = read_event_rule({"query": query})
    few, many = ["vcpus", 2, 2], ["vcpus", 2, 3]

    assert [True, False, True] == [
        rule.is_met_by(an_event(["state", 1, "stopped"], *traits)) for traits in ([many], [many, few], [few, many])
    ]


_VALUES = {
    0: st.sampled_from(["x", 5, True, False, None]),
    1: st.sampled_from([*WORDS, 5, True, None]),
    2: st.sampled_from([5, -7, 0, 1, "5", 7.9]),
    3: st.sampled_from([5, 5.0, -7.5, "1e3"]),
    4: st.sampled_from(MOMENTS),
}
_traits = st.integers(0, 4).flatmap(lambda type_: st.tuples(st.sampled_from("ab"), st.just(type_), _VALUES[type_]))
_events = st.builds(
    lambda traits, **more: a_push(*map(list, traits), **more),
    st.lists(_traits, max_size=4),
    event_type=st.sampled_from(["a.b", "a.c", "b"]),
    message_id=st.sampled_from(["5", "true"]),
    generated=st.sampled_from([*MOMENTS, "soon"]),
    size=st.sampled_from([5, 5.0, "5", None]),
    flag=st.booleans(),
    raw=st.just({"a": 1}),
)
_conditions = st.sampled_from(sorted(CONVERTIBLE)).flatmap(
    lambda type_: st.fixed_dictionaries(
        {
            "field": st.sampled_from(FIELDS),
            "op": st.sampled_from(["lt", "le", "eq", "ne", "ge", "gt"]),
            "type": st.just(type_),
            "value": st.sampled_from(CONVERTIBLE[type_]),
        }
    )
)


@given(event=_events, event_type=st.sampled_from(["*", "a.*", "a.b", "b"]), query=st.lists(_conditions, max_size=2))
def test_s4_7_every_judgement_is_that_of_the_reference(
    event: dict[str, Any], event_type: str, query: list[dict[str, Any]]
) -> None:
    """Whatever stands in an event and in a rule, as the slow and obvious reading of the description has it."""
    rule = {"event_type": event_type, "query": query}

    assert meets(rule, event) == read_event_rule(rule).is_met_by(as_event(event))
