# SPDX-License-Identifier: Apache-2.0
"""JSON as the databases keep it: quick where it can be, and the same wherever it goes."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarmd.store.columns import storable
from alarmd.store.json import from_json, to_json

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
_DOCUMENTS = st.recursive(_LEAVES, lambda part: st.lists(part) | st.dictionaries(st.text(), part), max_leaves=20)


def without_oddities(value: Any) -> Any:
    """Return what of a document any database can keep."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {storable(name): without_oddities(part) for name, part in value.items()}
        case list():
            return [without_oddities(part) for part in value]
        case _:
            return storable(value)


@given(_DOCUMENTS)
def test_what_goes_in_comes_out(document: Any) -> None:
    """But for numbers that JSON lacks, and signs that no database takes; and it is ASCII throughout."""
    told = to_json(document)

    assert told.isascii()
    assert without_oddities(document) == json.loads(told) == from_json(told)


@given(st.recursive(st.text() | st.integers(-(2**53), 2**53), st.lists, max_leaves=10))
def test_it_is_spelt_as_it_always_was(document: Any) -> None:
    """Documents are compared as they are spelt, those of older versions too."""
    assert json.dumps(storable(document), separators=(",", ":")) == to_json(document)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"n": 2**70}, '{"n":1180591620717411303424}'),
        ({5: "five"}, '{"5":"five"}'),
        ({"at": datetime(2026, 1, 2, 3, tzinfo=UTC)}, '{"at":"2026-01-02T03:00:00+00:00"}'),
        ({"zone": ("é", math.inf)}, '{"zone":["\\u00e9",null]}'),
        ({"half": "\ud800", "none": "\0"}, '{"half":"\\ufffd","none":"\\ufffd"}'),
    ],
)
def test_what_the_quick_way_does_not_take_is_told_all_the_same(document: Any, told: str) -> None:
    """Large numbers, keys that are numbers, moments, infinity, and signs that are none."""
    assert told == to_json(document)


@pytest.mark.parametrize(("value", "error"), [(object(), TypeError), (datetime(2026, 1, 2), ValueError)])  # noqa: DTZ001
def test_what_cannot_be_stored_is_refused(value: object, error: type[Exception]) -> None:
    """An object of Python, or a moment that does not say where it holds."""
    with pytest.raises(error):
        to_json({"value": value})
