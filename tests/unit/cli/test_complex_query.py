# SPDX-License-Identifier: Apache-2.0
"""Complex queries as people write them, held against the filters that they stand for."""

import json
import re
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarmd.cli.complex_query import filter_of

FIELDS = st.sampled_from(["state", "name", "severity", "project_id"])
VALUES = st.one_of(
    st.text(max_size=8),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
CONDITIONS = st.one_of(
    st.builds(
        lambda operator, field, value: {operator: {field: value}},
        st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "=~"]),
        FIELDS,
        VALUES,
    ),
    st.builds(lambda field, values: {"in": {field: values}}, FIELDS, st.lists(VALUES, min_size=1, max_size=3)),
)
FILTERS = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        st.builds(
            lambda word, operands: {word: operands},
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=2, max_size=3),
        ),
        st.builds(lambda operand: {"not": operand}, inner),
    ),
    max_leaves=8,
)


def written(node: dict[str, Any], *, spare: bool) -> str:
    """Return a filter as a person may write it: brackets round everything, or only where they are needed."""
    (word, inner), *_ = node.items()
    if word in {"and", "or"}:
        return f" {word} ".join(bracketed(operand, within=word, spare=spare) for operand in inner)
    if word == "not":
        return f"not {bracketed(inner, within=word, spare=spare)}"
    (field, value), *_ = inner.items()
    if word == "in":
        return f"{field} in [{', '.join(spelt(one) for one in value)}]"
    return f"{field} {word} {spelt(value)}"


def bracketed(node: dict[str, Any], *, within: str, spare: bool) -> str:
    """Return a part of a filter with the brackets that it needs."""
    loose = {"and": {"and", "or"}, "or": {"or"}, "not": {"and", "or"}}[within]
    text = written(node, spare=spare)
    return text if spare and not (set(node) & loose) else f"({text})"


def spelt(value: Any) -> str:
    """Return a value in its shortest safe spelling."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
    return repr(value)


@given(FILTERS)
def test_what_is_written_in_full_is_read_as_it_was_meant(node: dict[str, Any]) -> None:
    """With brackets round everything there is one way to read a query."""
    assert node == filter_of(written(node, spare=False))


@given(FILTERS)
def test_what_is_written_in_short_is_read_as_it_was_meant(node: dict[str, Any]) -> None:
    """`not` binds closest, then `and`, then `or`, so brackets can be left out where they say nothing."""
    assert node == filter_of(written(node, spare=True))


@given(FILTERS)
def test_json_is_taken_as_it_is(node: dict[str, Any]) -> None:
    """Who knows the server's own grammar can use it."""
    assert node == filter_of(json.dumps(node))


@given(st.text())
def test_whatever_is_typed_is_read_or_refused(query: str) -> None:
    """A query that cannot be read is wrong usage and never a traceback."""
    try:
        filter_of(query)
    except click.UsageError as error:
        assert "query" in error.message  # noqa: PT017


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", None),
        ("  ", None),
        ("a=b", {"=": {"a": "b"}}),
        ("a=b and c>5", {"and": [{"=": {"a": "b"}}, {">": {"c": 5}}]}),
        (
            "a=b or c=d and not e=f",
            {"or": [{"=": {"a": "b"}}, {"and": [{"=": {"c": "d"}}, {"not": {"=": {"e": "f"}}}]}]},
        ),
        ("(a=b or c=d) and e=f", {"and": [{"or": [{"=": {"a": "b"}}, {"=": {"c": "d"}}]}, {"=": {"e": "f"}}]}),
        ("enabled=False", {"=": {"enabled": False}}),
        ("a eq b", {"=": {"a": "b"}}),
        ("a == 1.5 AND b ≥ -2", {"and": [{"=": {"a": 1.5}}, {">=": {"b": -2}}]}),
        ("name='123'", {"=": {"name": "123"}}),
        ('name="it\'s"', {"=": {"name": "it's"}}),
        ("state='insufficient data'", {"=": {"state": "insufficient data"}}),
        ("timestamp>=2026-11-23T06:50:00.5", {">=": {"timestamp": "2026-11-23T06:50:00.5"}}),
        ("alarm_id=123e4567-e89b-12d3-a456-426614174000", {"=": {"alarm_id": "123e4567-e89b-12d3-a456-426614174000"}}),
        ("state in [ok, 'insufficient data']", {"in": {"state": ["ok", "insufficient data"]}}),
        ("android=x", {"=": {"android": "x"}}),
    ],
)
def test_queries_read_as_aodhs_client_reads_them(query: str, expected: Any) -> None:
    """The words are those that people know."""
    assert expected == filter_of(query)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("state", "the end stands where an operator"),
        ("state=", "the end stands where a value"),
        ("state=insufficient data", "'data' stands where and, or, or the end (a value with blanks needs quotes)"),
        ("state=ok and", "the end stands where the name of a field"),
        ("(state=ok", "the end stands where ')'"),
        ("state in ok", "'ok' stands where '['"),
        ("name='it", "cannot be read from"),
        ("state like ok", "'like' stands where an operator"),
        ("{state: ok}", "is not valid JSON"),
        ("(" * 100 + "a=b" + ")" * 100, "more than 50 brackets"),
    ],
)
def test_what_cannot_be_read_is_shown(query: str, text: str) -> None:
    """The message names what stands where something else should be."""
    with pytest.raises(click.UsageError) as caught:
        filter_of(query)

    assert text in caught.value.message
