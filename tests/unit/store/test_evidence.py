# SPDX-License-Identifier: Apache-2.0
"""Evidence within its bound."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alarmd.store.evidence import LONGEST, bounded
from alarmd.store.json import to_json

LONG = "x" * 30_000
MANY = {f"rule{number}": {"values": ["y" * 1000] * 5} for number in range(1, 101)}


def test_what_fits_stays_as_it_is() -> None:
    """To the character."""
    evidence = {"values": [1.5, None], "series": {"vm-1": "é"}}

    assert evidence == bounded(evidence)


@pytest.mark.parametrize(
    ("evidence", "kept", "omitted"),
    [
        ({"a": LONG, "b": LONG, "c": LONG, "d": 1}, {"a": LONG, "b": LONG, "d": 1}, {"c": 1}),
        ({"series": ["z" * 990] * 100, "count": 100}, {"series": ["z" * 990] * 61, "count": 100}, {"series": 39}),
        ({"rules": MANY}, {"rules": dict(list(MANY.items())[:12])}, {"rules": 88}),
        ({"a": [LONG * 3], "b": None}, {"b": None}, {"a": 1}),
        ({"a": LONG * 3}, {}, {"a": 1}),
    ],
)
def test_what_is_too_long_loses_what_stands_behind(
    evidence: dict[str, Any], kept: dict[str, Any], omitted: dict[str, int]
) -> None:
    """And says how much of what."""
    assert kept | {"omitted": omitted} == bounded(evidence)


def built(kind: str, count: int, text: str) -> Any:
    """Return a value that is long in one way or another; Hypothesis only has to tell how."""
    match kind:
        case "text":
            return text * count
        case "list":
            return [text] * count
        case "object":
            return {f"{text}{number}": number for number in range(count)}
        case _:
            return [{"values": [text] * 50}, None] * count


_VALUES = st.tuples(
    st.sampled_from(["text", "list", "object", "nested"]), st.integers(0, 3_000), st.text(min_size=1, max_size=20)
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=80), _VALUES, max_size=40))
def test_evidence_is_never_longer_than_its_bound(recipes: dict[str, tuple[str, int, str]]) -> None:
    """Whatever an evaluator has to say."""
    evidence = {name: built(*recipe) for name, recipe in recipes.items()}

    assert len(to_json(bounded(evidence))) <= LONGEST
