# SPDX-License-Identifier: Apache-2.0
"""The `event` type, a row of the contract each (aodh-api 3.2)."""

from typing import Any

import pytest

from alarmd.errors import InvalidInput
from tests.support.rules import FAMILIES, normalised

CONDITION = {"field": "traits.state", "op": "eq", "value": "stopped", "type": "string"}


def with_condition(**changes: Any) -> dict[str, Any]:
    """Return the condition of a rule as it is kept; None leaves a member out."""
    condition = {key: value for key, value in (CONDITION | changes).items() if value is not None}
    [kept] = normalised("event", query=[condition])["query"]
    return dict(kept)


@pytest.mark.parametrize("given", [{}, {"event_type": ""}, {"event_type": None, "query": None}, {"event_type": "*"}])
def test_s3_2_any_event_is_the_default(given: dict[str, Any]) -> None:
    """An empty type means any; both members as null mean the defaults, where Aodh answers 500."""
    kept = normalised("event", given)

    assert [("event_type", "*"), ("query", [])] == list(kept.items())
    assert "Alarm when * event occurred." == FAMILIES["event"].describe(kept)


def test_s3_2_the_description_names_the_type_of_event() -> None:
    """Wildcards and all, in Aodh's words."""
    kept = normalised("event", event_type="compute.instance.*")

    assert "Alarm when compute.instance.* event occurred." == FAMILIES["event"].describe(kept)


def test_s3_2_conditions_stand_in_one_order() -> None:
    """Field, op, value, type; the operator is `eq` unless said otherwise."""
    assert list(CONDITION.items()) == list(with_condition(op=None).items())


@pytest.mark.parametrize("field", ["traits.state", "a_B-9", "it's,so", ""])
def test_s3_2_fields_hold_letters_digits_and_few_signs(field: str) -> None:
    """These are taken."""
    assert field == with_condition(field=field)["field"]


@pytest.mark.parametrize("field", ["traits state", "traits[0]", "a;b", "ü", "a\n"])
def test_s3_2_other_fields_are_refused(field: str) -> None:
    """In Aodh's words."""
    with pytest.raises(InvalidInput, match=r"^Query value or traits invalid: the field "):
        with_condition(field=field)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("string", ""),
        ("integer", "5"),
        ("integer", "-7"),
        ("float", "1e3"),
        ("float", "5"),
        ("boolean", "True"),
        ("boolean", "off"),
        ("", "anything"),
        ("", "5"),
    ],
)
def test_s3_2_values_are_text_that_converts(type_: str, value: str) -> None:
    """They are kept as text; without a type anything goes, as the aodh client sends it."""
    assert (type_, value) == (with_condition(type=type_, value=value)["type"], value)


@pytest.mark.parametrize(
    ("type_", "value"),
    [("integer", "5.5"), ("integer", ""), ("float", "x"), ("float", "nan"), ("float", "inf"), ("boolean", "perhaps")],
)
def test_s3_2_values_that_do_not_convert_are_refused(type_: str, value: str) -> None:
    """In Aodh's words."""
    with pytest.raises(InvalidInput) as refused:
        with_condition(type=type_, value=value)

    assert f"Unable to convert the value {value} to the expected data type {type_}." == refused.value.message


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"field": None}, "field/attribute field. Value: 'None'. Mandatory field missing."),
        ({"value": None}, "field/attribute value. Value: 'None'. Mandatory field missing."),
        ({"type": None}, "field/attribute type. Value: 'None'. Mandatory field missing."),
        ({"value": 5}, "field/attribute value. Value: '5'. Value should be a valid string"),
        (
            {"type": "datetime"},
            "traits invalid: 'datetime'. Value should be one of: 'integer', 'float', 'boolean', 'string', ''",
        ),
        ({"op": "like"}, "traits invalid: 'like'. Value should be one of: 'lt', 'le', 'eq', 'ne', 'ge', 'gt'"),
        ({"colour": "red"}, "Unknown attribute for argument data.event_rule.query: colour"),
    ],
)
def test_s3_2_other_conditions_are_refused(changes: dict[str, Any], text: str) -> None:
    """Each complaint names the member."""
    with pytest.raises(InvalidInput) as refused:
        with_condition(**changes)

    assert refused.value.message.endswith(text)


@pytest.mark.parametrize("query", ["traits.a=b", {}, [5], [[]], [CONDITION] * 33])
def test_s3_2_a_query_is_a_list_of_conditions(query: object) -> None:
    """At most 32 of them."""
    with pytest.raises(InvalidInput, match=r"Invalid input for field/attribute query\. "):
        normalised("event", query=query)


@pytest.mark.parametrize("event_type", [5, False, [], "x" * 256])
def test_s3_2_the_type_of_event_is_text(event_type: object) -> None:
    """What is empty but no text is not taken for it."""
    with pytest.raises(InvalidInput, match=r"Invalid input for field/attribute event_type\. "):
        normalised("event", event_type=event_type)
