# SPDX-License-Identifier: Apache-2.0
from contextlib import suppress
from typing import Any

import promql_parser
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alarmd.errors import InvalidInput
from alarmd.evaluators.families.prometheus.promql import scoped
from tests.support.promql import MATCHER, QUERIES, SOUPS, Query, selectors_of


def kept(query: str, value: str = "p1") -> str:
    return scoped(query, label="project", value=value)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("up", 'up{project="p1"}'),
        ("up{}", 'up{project="p1"}'),
        ('up{vm="a"}', 'up{project="p1",vm="a"}'),
        ('{__name__=~".+"}', '{project="p1",__name__=~".+"}'),
        ("up # {\n", 'up{project="p1"} # {\n'),
        ("up or load", 'up{project="p1"} or load{project="p1"}'),
        ("sum by (vm) (rate(up[5m]))", 'sum by (vm) (rate(up{project="p1"}[5m]))'),
        ('up{project="p2"}', 'up{project="p1",project="p2"}'),
        ("absent(up)", 'absent(up{project="p1"})'),
        ("max_over_time(rate(up[5m])[1h:1m])", 'max_over_time(rate(up{project="p1"}[5m])[1h:1m])'),
        ('{"up", "a.b"="c"}', '{project="p1","up", "a.b"="c"}'),
        ("vector(1) + time()", "vector(1) + time()"),
        ("", ""),
        ("(rate(cpu{g=~'S'}[315s])) * 100", "(rate(cpu{project=\"p1\",g=~'S'}[315s])) * 100"),
    ],
)
def test_every_selector_asks_for_the_project(query: str, expected: str) -> None:
    """What the query is otherwise stays as it was written."""
    assert expected == kept(query)


@pytest.mark.parametrize(
    "query",
    [
        "info(up)",  # reads series that no selector names
        'up{vm="a" or vm="b"}',  # a dialect of others, in which one more matcher would bind to the first half only
        "WITH (x = up) x",
        "up keep_metric_names",
        "sum",
        "by",
        "offset",
        "nan{}",
        "a_function_of_tomorrow(up)",
        "up[5m * 2]",
        "upé",
        "up\x0b",
        "up{",
        "up}",
        'up{vm="a\n"}',
        "(" * 70 + "up" + ")" * 70,
        "-" * 5 + "(" * 50_000,
    ],
)
def test_what_is_not_understood_for_certain_is_refused(query: str) -> None:
    """Rather than be passed on to a server that may understand it."""
    with pytest.raises(InvalidInput, match="cannot be kept to its project"):
        kept(query)


def test_nothing_is_read_for_an_alarm_without_a_project() -> None:
    """An empty label means that there is none, which is so for the operator's own series."""
    with pytest.raises(InvalidInput):
        kept("up", value="")


@given(QUERIES)
def test_of_any_query_each_selector_is_kept_and_nothing_else_is_touched(query: Query) -> None:
    """Queries that were made together with what has to become of them."""
    assert query.kept == kept(query.plain)


@settings(max_examples=1000)
@given(SOUPS)
@example('up{a="b"#"}\n,c="d"}')
@example("sum by (up) (up)")
@example("up + on() group_left (up) up")
@example("a atan2 bool b")
def test_another_reader_finds_the_matcher_in_all_that_passes(text: str) -> None:
    """Whatever is passed on, no selector in it is without the matcher."""
    selectors: list[Any] = []
    with suppress(InvalidInput, ValueError):  # refused here, or there
        selectors = list(selectors_of(kept(text)))

    for selector in selectors:
        assert not selector.matchers.or_matchers
        assert MATCHER in [f'{one.name}="{one.value}"' for one in selector.matchers.matchers if "=" == _op(one)]


@given(QUERIES, st.text(min_size=1, max_size=12))
def test_no_name_of_a_project_breaks_out_of_its_quotes(query: Query, project_id: str) -> None:
    """Quotes, backslashes, line ends and whatever else a name may hold are part of the value."""
    found: list[set[str]] = []
    with suppress(ValueError):  # well-formed, but no expression of PromQL's: a text on one side of a plus
        found = [
            {one.value for one in selector.matchers.matchers if (one.name, _op(one)) == ("project", "=")}
            for selector in selectors_of(kept(query.plain, value=project_id))
        ]

    assert all(project_id in values for values in found)
    assert len(found) in {0, query.kept.count(MATCHER)}


def _op(matcher: promql_parser.Matcher) -> str:
    return "=" if matcher.op == promql_parser.MatchOp.Equal else "other"
