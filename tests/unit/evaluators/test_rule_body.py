# SPDX-License-Identifier: Apache-2.0
"""What holds for the rules of every family: leniency, nulls, complaints, and that a kept rule stays as it is."""

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarmd.errors import InvalidInput
from tests.support.rules import DEFAULTS, FAMILIES, SHORTEST, SPELLINGS, TREES, normalised

FLAT = sorted(set(FAMILIES) - {"composite"})
#: Types with whole numbers and with a threshold.
COUNTING = [
    (name, key) for name in FLAT for key in ("granularity", "evaluation_periods", "period") if key in DEFAULTS[name]
]
JUDGING = [name for name in FLAT if "threshold" in SHORTEST[name]]


def refusal(type_: str, **changes: Any) -> str:
    """Return why a rule is refused."""
    with pytest.raises(InvalidInput) as refused:
        normalised(type_, **changes)
    return refused.value.message


def test_s3_every_type_of_the_contract_is_there() -> None:
    """Aodh's seven, and the threshold type that it has dropped; two need a server that is not configured here."""
    of_gnocchi = {name for name in FAMILIES if name.startswith("gnocchi_")}

    assert set(SHORTEST) == set(FAMILIES)
    assert {"threshold", "event", "composite"} | of_gnocchi == {
        name for name, family in FAMILIES.items() if family.is_evaluated
    }
    assert {"threshold", "composite"} | of_gnocchi == {name for name, family in FAMILIES.items() if family.is_ticked}
    assert list(SHORTEST) == [FAMILIES[name].name for name in SHORTEST]


@pytest.mark.parametrize("type_", FLAT)
def test_s3_what_is_left_out_and_what_is_null_is_the_default(type_: str) -> None:
    """Heat sends an explicit null for everything that its template leaves out."""
    short = normalised(type_)
    nulled = normalised(type_, **dict.fromkeys(DEFAULTS[type_]))

    assert DEFAULTS[type_] == {key: short[key] for key in DEFAULTS[type_]}
    assert list(short.items()) == list(nulled.items())
    assert {*SHORTEST[type_], *DEFAULTS[type_]} == set(short)


@pytest.mark.parametrize(("type_", "key"), [(name, key) for name in FLAT for key in SHORTEST[name]])
@pytest.mark.parametrize("is_null", [True, False])
def test_s3_what_is_mandatory_must_be_there(type_: str, key: str, is_null: bool) -> None:
    """A null is no value; Aodh keeps some of them, and then fails at every evaluation."""
    rule = {each: value for each, value in SHORTEST[type_].items() if each != key}
    with pytest.raises(InvalidInput) as refused:
        normalised(type_, rule | ({key: None} if is_null else {}))

    assert f"Invalid input for field/attribute {key}. Value: 'None'. Mandatory field missing." == refused.value.message


@pytest.mark.parametrize("type_", FLAT)
@pytest.mark.parametrize("value", [1, None])
def test_s3_unknown_attributes_are_refused(type_: str, value: object) -> None:
    """Even when they are null: a misspelt name must not go unnoticed."""
    assert f"Unknown attribute for argument data.{type_}_rule: colour" == refusal(type_, colour=value)


@pytest.mark.parametrize(("type_", "key"), COUNTING)
@pytest.mark.parametrize("value", ["6", 6, 6.5, "6.5", 6.0])
def test_s3_whole_numbers_come_in_many_spellings(type_: str, key: str, value: object) -> None:
    """The aodh client sends them as text; fractions are cut off."""
    assert normalised(type_, **{key: value})[key] == 6


@pytest.mark.parametrize(("type_", "key"), COUNTING)
@pytest.mark.parametrize("value", ["six", "", [], {}, "1e999", 10**400, 0, -1, "0"])
def test_s3_what_is_no_whole_number_or_out_of_bounds_is_refused(type_: str, key: str, value: object) -> None:
    """The complaint names the attribute."""
    assert refusal(type_, **{key: value}).startswith(f"Invalid input for field/attribute {key}. Value: ") or (
        "looks back" in refusal(type_, **{key: value})
    )


@pytest.mark.parametrize("type_", JUDGING)
@pytest.mark.parametrize(("value", "expected"), [("5", 5.0), (True, 1.0), (5, 5.0), ("-1e3", -1000.0), (0, 0.0)])
def test_s3_thresholds_come_in_many_spellings(type_: str, value: object, expected: float) -> None:
    """They are kept as floating point numbers, as Aodh answers them."""
    kept = normalised(type_, threshold=value)["threshold"]

    assert (expected, float) == (kept, type(kept))


@pytest.mark.parametrize("type_", JUDGING)
@pytest.mark.parametrize("value", ["high", "", "nan", "inf", float("nan"), float("inf"), 10**400, [], {}])
def test_s3_what_is_no_finite_number_is_no_threshold(type_: str, value: object) -> None:
    """Nothing could be held against it."""
    assert refusal(type_, threshold=value).startswith("Invalid input for field/attribute threshold. Value: ")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_s3_thresholds_stay_exact(threshold: float) -> None:
    """However big or small: nothing is rounded on the way through JSON."""
    for type_ in JUDGING:
        kept = json.loads(json.dumps(normalised(type_, threshold=threshold)))["threshold"]

        assert threshold == kept


@pytest.mark.parametrize("type_", JUDGING)
def test_s3_the_operators_are_aodhs(type_: str) -> None:
    """Six of them, `eq` unless said otherwise; others are refused with the list."""
    for operator in ("lt", "le", "eq", "ne", "ge", "gt"):
        assert operator == normalised(type_, comparison_operator=operator)["comparison_operator"]
    assert (
        "Invalid input for field/attribute comparison_operator. Value: '=='. "
        "Value should be one of: 'lt', 'le', 'eq', 'ne', 'ge' or 'gt'"
    ) == refusal(type_, comparison_operator="==")


@given(st.data())
def test_s3_a_kept_rule_stays_as_it_is(data: st.DataObject) -> None:
    """Whatever was sent: normalising the result again, after JSON, gives the very same text."""
    for type_, spellings in {**SPELLINGS, "composite": TREES}.items():
        kept = normalised(type_, data.draw(spellings, label=type_))
        again = normalised(type_, json.loads(json.dumps(kept)))

        assert json.dumps(kept) == json.dumps(again)


@given(st.data())
def test_s3_no_rule_does_more_than_be_refused(data: st.DataObject) -> None:
    """Any JSON in place of any member is either taken or refused; nothing else happens."""
    junk = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )
    for type_, shortest in SHORTEST.items():
        key = data.draw(st.sampled_from(sorted({*shortest, *DEFAULTS[type_], "and", "type"})))
        try:
            kept = normalised(type_, **{key: data.draw(junk, label=f"{type_} {key}")})
        except InvalidInput:
            continue
        assert kept == normalised(type_, kept)


@pytest.mark.parametrize("type_", sorted(FAMILIES))
def test_s3_every_rule_reads_its_alarms_project(type_: str) -> None:
    """Unless an administrator's rule names another."""
    assert FAMILIES[type_].reads_project(normalised(type_), project_id="p1") == "p1"


@pytest.mark.parametrize("type_", sorted(set(FAMILIES) - {"threshold", "event"}))
def test_s3_most_descriptions_say_the_type_only(type_: str) -> None:
    """In Aodh's words."""
    assert f"{type_} alarm rule" == FAMILIES[type_].describe(normalised(type_))


def test_s3_long_values_are_cut_in_complaints() -> None:
    """A complaint never sends back a whole body."""
    assert len(refusal("prometheus", threshold="9" * 100_000)) < 500
    assert sys.float_info.max == normalised("prometheus", threshold=repr(sys.float_info.max))["threshold"]
